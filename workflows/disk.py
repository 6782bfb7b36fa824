"""Files that are ours alone, and still there after the machine has lost its power."""

from __future__ import annotations

import os
from pathlib import Path

from timeline.errors import ServiceError


def sync_folder(folder: Path) -> None:
    """Puts a folder's names on the disk: a file that was made or renamed is only there with its name.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> None:
    """Makes a folder, and those above it that are missing, which only we may enter; one that is there stays
    as it is.

    Raises:
        OSError: it cannot be made.
    """
    for missing in reversed([folder, *folder.parents]):
        if not missing.is_dir():
            # Path.mkdir would give its mode to the last of them only.
            missing.mkdir(mode=0o700, exist_ok=True)


def private_open(path: Path | str, flags: int) -> int:
    """The descriptor of a file that only we may read, if it is made now: an ``opener`` for `open`.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags, 0o600)


def secret_lines(variable: str, file: str) -> list[str]:
    """The lines of a file of secrets that a variable names, but for empty ones and those that begin with #.

    Raises:
        ServiceError: it cannot be read, or others can read it too.
    """
    try:
        mode = (stat := os.stat(file)).st_mode
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ServiceError(f"{variable} {file} cannot be read: {reason}") from None
    # Another's file that we may read as one of its group is a secret that was mounted for us.
    if mode & (0o077 if stat.st_uid == os.geteuid() else 0o007):
        raise ServiceError(
            f"{variable} {file} can be read by others (mode {mode & 0o777:o}): "
            f"`chmod 600 {file}`, and make new ones if they may have been read"
        )
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
