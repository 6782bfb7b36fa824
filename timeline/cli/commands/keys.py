"""The command that makes a key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timeline.cli.options import UsageError
from timeline.cli.saying import say


def keygen(
    name: Annotated[str, typer.Argument(metavar="ID", help="The key's name, such as 2026-11.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="A new file for it; only you can read it [default: print it]."
        ),
    ] = None,
) -> None:
    """Make a key for the encryption of payloads: a line for TIMELINE_ENCRYPTION_KEYS_FILE."""
    from workflows.payloads.encryption import new_key

    line = new_key(name)
    if file is None:
        say(line)
        return
    from workflows.disk import private_open

    try:
        with open(file, "x", opener=private_open) as keys:
            keys.write(line + "\n")
    except FileExistsError:
        raise UsageError(
            f"{file} is there already; put the line that `timeline keygen {name}` prints in it"
        ) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
