"""Private directories that do not outlive the process that made them, and folders published in one step.

A witness holds every input of an inference, and a half-written circuit is worse than none. A `finally` clause does
not run after SIGKILL, so each directory has a janitor: a shell that waits on a pipe which only this process
holds open, and removes the directory when the kernel closes it, however the process ended.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zkinfer.circuits.errors import InputError, SetupError, why

if TYPE_CHECKING:
    from collections.abc import Iterator


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


_ENOUGH = 1 << 30
_LONGEST_NAME = 255
# `trap` makes the janitor deaf to the Ctrl-C and hang-up that its parent may receive; the second attempt is for
# a child of the dead process that was still writing during the first.
_JANITOR = 'trap "" INT HUP TERM; read -r _; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }'


@contextmanager
def private_directory(parent: Path | None = None) -> Iterator[Path]:
    """A new directory with mode 0700, removed at exit and also after SIGKILL.

    Args:
        parent: where to make it; None takes memory-backed storage where the system has it, so that secrets do
            not reach a disk.
    """
    where = parent if parent is not None else _volatile_parent()
    # Absolute, since the janitor runs elsewhere.
    name = f".zkinfer-{os.getpid()}-"  # says whose it is, where processes share a place
    with _janitor_for(Path(tempfile.mkdtemp(prefix=name, dir=where)).absolute()) as path:
        yield path


@contextmanager
def _janitor_for(path: Path) -> Iterator[Path]:
    janitor = subprocess.Popen(
        ["/bin/sh", "-c", _JANITOR, "zkinfer-janitor", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
    )
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        janitor.communicate()  # closes the pipe and waits


def _volatile_parent() -> str | None:
    """Shared memory, unless there is none, or so little (as in many containers) that it may not be enough."""
    shm = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory 0700
    usable = shm.is_dir() and os.access(shm, os.W_OK | os.X_OK) and shutil.disk_usage(shm).free >= _ENOUGH
    return str(shm) if usable else None


@contextmanager
def staged_folder(target: Path, *, lost_race_is_fine: bool = False) -> Iterator[Path]:
    """A private directory beside `target` that becomes `target` when the block ends without an error.

    Args:
        target: the folder to publish; must not exist.
        lost_race_is_fine: in a cache of equal results, keep the folder that another process published meanwhile.

    Raises:
        InputError: `target` exists already, or its parent cannot be written.
    """
    refuse_existing(target)
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise InputError(f"A name of more than {_LONGEST_NAME} bytes cannot be written.", "Choose a shorter --out.")
    with ExitStack() as cleanup:
        with _writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            content = cleanup.enter_context(private_directory(target.parent)) / "content"
            content.mkdir()
        yield content
        _sync_tree(content)
        _publish(content, target, lost_race_is_fine=lost_race_is_fine)


def _publish(content: Path, target: Path, *, lost_race_is_fine: bool) -> None:
    """Give a folder its name, which nobody else may have taken: a folder is never renamed over a full one."""
    try:
        if not os.path.lexists(target):
            content.rename(target)
            return
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise InputError(f"{target} cannot be written: {why(err)}.") from err
    if not lost_race_is_fine:
        refuse_existing(target)


@contextmanager
def _writing(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise InputError(f"{where} cannot be written: {why(err)}.") from err


def refuse_existing(target: Path, *, cure: str = "Choose another --out, or remove it first.") -> None:
    """Raise InputError where `target` exists: nothing is ever overwritten silently."""
    if os.path.lexists(target):
        raise InputError(f"{target} exists already.", cure)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees either nothing new or all of it, also after a crash."""
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(path.parent) as scratch:
        part = scratch / "part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            flush_to_disk(file)
        part.replace(path)


def flush_to_disk(file: BinaryIO) -> None:
    """Wait until what was written would survive a power cut."""
    file.flush()
    os.fsync(file.fileno())


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
