"""Directories that nobody else can write to, or put another directory in the place of.

A verifier believes its cache, and a prover its keys. Whoever can write there, or rename a folder above, could put a
verifying key of theirs in place of the one that was rebuilt.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.oserrors import why

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def own_directory(path: Path) -> Path:
    """Make a directory of this user alone, or make sure that it is one; raises InputError as `refuse_shared`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as err:
        raise InputError(f"{path} cannot be made: {why(err)}.") from err
    refuse_shared(path)
    return path


def refuse_shared(path: Path) -> None:
    """Raise InputError where others can write to an existing directory, or swap it or one above it.

    A folder above may be of the system's, and shared if it is sticky (as /tmp is): there, nobody renames what is
    another's.
    """
    absolute = path.absolute()
    try:
        own = absolute.lstat()
        above = [(folder, folder.stat()) for folder in absolute.parents]
    except FileNotFoundError:
        return
    except OSError as err:
        raise InputError(f"{path} cannot be used: {why(err)}.") from err
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.geteuid() or own.st_mode & _OTHERS:
        raise InputError(
            f"Others can write to {path}, or it is no directory of yours.",
            f"Choose a folder of your own, or run: chmod go-w {path}",
        )
    for folder, status in above:
        shared = status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX
        if shared or status.st_uid not in (0, os.geteuid()):
            raise InputError(f"Others can rename what lies in {folder}.", "Choose a folder below your home directory.")
