"""Files that are ours alone, and still there after the machine has lost its power."""

from __future__ import annotations

import os
from pathlib import Path


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
