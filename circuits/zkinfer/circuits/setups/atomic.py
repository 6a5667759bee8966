"""Files that appear complete or not at all, also when two processes write the same one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.scratch import flush_to_disk, private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Give the name of a file on the same disk as `path`, to write and then to rename.

    What is left of it is removed, also after a kill.

    Raises:
        SetupError: the folder is missing or not writable, or the disk is full.
    """
    with writing_to(path), private_directory(path.parent) as folder:
        yield folder / path.name


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the name `path` when the block ends without an error; raises as `scratch_beside`."""
    with scratch_beside(path) as scratch:
        with scratch.open("wb") as file:
            yield file
            flush_to_disk(file)
        scratch.replace(path)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write `path` into SetupError."""
    try:
        yield
    except OSError as err:
        raise SetupError(
            f"Cannot write {path}: {err.strerror or err}.",
            "Make room on the disk or choose another folder for the trusted setups.",
        ) from err
