"""The folder of state: of one user, and of one server at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.oserrors import why
from zkinfer.circuits.owned import own_directory
from zkinfer.service.errors import StateInUseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked_state(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go when it ends, however it ends.

    Raises:
        InputError: others can write there.
        StateInUseError: another server holds it.
    """
    own_directory(folder)
    path = folder / "server.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StateInUseError(f"{path} cannot be written: {why(err)}.") from err
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise StateInUseError(
                f"The server with process id {holder or '?'} uses {folder}.",
                "Stop it, or give this one another --state.",
            ) from err
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
