"""The installed command, run as a user would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

#: Seconds after which a command hangs. Far more than it takes on a slow machine: no test is about time.
PATIENCE = 600


class Cli:
    """The installed ``timeline`` command, against one server."""

    def __init__(self, address: str | None, folder: Path) -> None:
        self.folder = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")}
        config = folder / "temporal.toml"
        config.touch()
        # Whoever is not there is not waited for, unless a test is about that.
        own = {"TEMPORAL_CONFIG_FILE": str(config), "NO_COLOR": "1", "TIMELINE_PATIENCE": "0"}
        self.environment = clean | own
        if address is not None:
            self.environment["TEMPORAL_ADDRESS"] = address

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "timeline.cli.main", *map(str, arguments)]

    def run(self, *arguments: str | Path, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Runs to the end; fails the test if that prints a traceback."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def good(self, *arguments: str | Path) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def bad(self, *arguments: str | Path) -> str:
        """Standard error of a command that must fail as wrong use: one message, exit code 2."""
        done = self.run(*arguments)
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.strip()
        return done.stderr

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Starts a command that goes on; whatever still runs when the test ends is killed."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _started.append(process)
        return process

    def worker(self, *options: str | Path) -> subprocess.Popen[str]:
        """Starts a worker; returns once it is ready."""
        process = self.start("worker", *options)
        wait_for_line(process, "Worker is ready")
        return process

    def page(self, *options: str | Path) -> tuple[subprocess.Popen[str], str]:
        """Starts the page and the HTTP API; returns once they are served, with the page's address."""
        process = self.start("serve", "--port=0", *options)
        said = wait_for_line(process, "Serving ")
        return process, said.split()[1].removesuffix("/api/v1,")


_started: list[subprocess.Popen[str]] = []


def kill_what_was_started() -> None:
    """Kills what still runs of all that `Cli.start` started."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """Reads a process's output up to a line that begins so."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return line
    raise AssertionError(f"ended without {start!r}:\n{''.join(lines)}")


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    """Signals a process and waits for its end."""
    process.send_signal(number)
    code = process.wait(PATIENCE)
    if process.stdout is not None:
        process.stdout.close()
    return code
