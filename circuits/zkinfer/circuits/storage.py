"""Files and folders on disk: private directories that are always removed, atomic writes, and one rule of ownership.

The rule holds at every read, not only when something is written: what a verdict or a secret depends on belongs to this
user or to root, and other users can neither write it nor replace it.

A witness holds every input of an inference, and a partially written circuit is useless. A `finally` clause does not
run after SIGKILL, so each private directory has a janitor: a shell that waits on a pipe that only this process holds
open, and removes the directory when the kernel closes the pipe, no matter how the process ended.
"""

from __future__ import annotations

import errno
import fcntl
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
    from collections.abc import Callable, Iterator


_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_ANYONE_ELSE = stat.S_IRWXG | stat.S_IRWXO
_MAX_PASSPHRASE_FILE = 1 << 16
_MIN_FREE_BYTES = 1 << 30
_MAX_NAME_BYTES = 255
# `trap` makes the janitor ignore the Ctrl-C and hang-up that its parent may receive; the second attempt is for a child
# of the dead process that was still writing during the first.
_JANITOR = 'trap "" INT HUP TERM; read -r _; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }'


@contextmanager
def private_directory(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new directory with mode 0700, which is removed at exit and also after SIGKILL.

    Args:
        parent: the containing folder; None selects memory-backed storage if available, so that secrets do not reach a
            disk.
    """
    where = parent if parent is not None else _volatile_parent()
    # Absolute, since the janitor has another working directory.
    name = f".zkinfer-{os.getpid()}-"  # identifies the process if several share the parent
    with _janitor_for(Path(tempfile.mkdtemp(prefix=name, dir=where)).absolute()) as path:
        yield path


@contextmanager
def staged_folder(target: Path, *, exist_ok: bool = False) -> Iterator[Path]:
    """Yield a private directory that is renamed to `target` when the block ends without an error.

    Args:
        target: the folder to publish; must not exist.
        exist_ok: accept a folder that another process published meanwhile, as in a cache of equal results.

    Raises:
        InputError: `target` exists already, or its parent cannot be written.
    """
    refuse_existing(target)
    if len(os.fsencode(target.name)) > _MAX_NAME_BYTES:
        raise InputError(f"The name {target.name[:80]}... exceeds {_MAX_NAME_BYTES} bytes.", "Choose a shorter --out.")
    with ExitStack() as cleanup:
        with _input_write_errors(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            content = cleanup.enter_context(private_directory(target.parent)) / "content"
            content.mkdir()
        yield content
        _sync_tree(content)
        _publish(content, target, exist_ok=exist_ok)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that readers see either the old or the complete new content, also after a crash."""
    with _input_write_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(path.parent) as scratch:
        part = scratch / "part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            flush_to_disk(file)
        part.replace(path)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is renamed to `path` when the block ends without an error; raises as `temporary_sibling`."""
    with temporary_sibling(path) as scratch:
        with scratch.open("wb") as file:
            yield file
            flush_to_disk(file)
        scratch.replace(path)


@contextmanager
def temporary_sibling(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file on the same file system as `path`, to be written and then renamed.

    The temporary file is removed at the end, also after SIGKILL.

    Raises:
        SetupError: the folder is missing or not writable, or the disk is full.
    """
    with setup_write_errors(path), private_directory(path.parent) as folder:
        yield folder / path.name


@contextmanager
def setup_write_errors(path: Path) -> Iterator[None]:
    """Translate errors of the operating system while writing `path` to SetupError."""
    try:
        yield
    except OSError as err:
        raise SetupError(
            f"Cannot write {path}: {err.strerror or err}.",
            "Free some disk space or choose another folder for the trusted setups.",
        ) from err


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created; blocks until it is free; raises InputError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise InputError(f"{path} cannot be locked: {why(err)}.") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def ensure_private_dir(path: Path) -> Path:
    """Create a directory that only this user can write to, or check an existing one; raises as `refuse_shared`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as err:
        raise InputError(f"{path} cannot be created: {why(err)}.") from err
    refuse_shared(path)
    return path


def refuse_shared(path: Path) -> None:
    """Raise InputError if other users can write to an existing directory, or replace it or a parent of it.

    Parents may belong to root, and may be writable by others if they are sticky (as /tmp is): users cannot rename each
    other's entries there.
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
            f"Other users can write to {path}, or it is not a directory of yours.",
            f"Choose a folder of your own, or run: chmod go-w {path}",
        )
    for folder, status in above:
        shared = status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX
        if shared or status.st_uid not in (0, os.geteuid()):
            raise InputError(
                f"Other users can rename entries of {folder}.", "Choose a folder below your home directory."
            )


def refuse_shared_file(path: Path) -> None:
    """Raise InputError unless a file is a regular file that other users can neither write to nor replace.

    A symbolic link counts as the file it leads to. A missing file is left to the caller.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except FileNotFoundError:
        return
    except OSError as err:
        raise InputError(f"{path} cannot be used: {why(err)}.") from err
    except RuntimeError as err:
        raise InputError(f"{path} is a loop of symbolic links.") from err
    if not stat.S_ISREG(status.st_mode) or _is_foreign(status) or status.st_mode & _OTHERS:
        raise InputError(
            f"Other users can write to {path}, or it is not a regular file of yours.", f"Run: chmod go-w {path}"
        )
    if path.is_symlink():
        refuse_shared(target.parent)


def refuse_readable(path: Path, status: os.stat_result) -> None:
    """Raise InputError unless a secret is a regular file of this user or root, closed to everyone else.

    A group may read a file of root: that is how an administrator hands a secret to a service's account.
    """
    handed_over = status.st_uid == 0 and os.geteuid() != 0
    closed = _ANYONE_ELSE & ~stat.S_IRGRP if handed_over else _ANYONE_ELSE
    if not stat.S_ISREG(status.st_mode) or _is_foreign(status) or status.st_mode & closed:
        raise InputError(
            f"{path} can be read by other users, or is not a regular file of yours.", f"Run: chmod 600 {path}"
        )


def read_private_file(path: Path, *, max_bytes: int) -> bytes:
    """As `read_file`, for a secret; raises InputError as `refuse_readable` too."""
    return read_file(path, max_bytes=max_bytes, check=refuse_readable)


def read_file(
    path: Path,
    *,
    max_bytes: int,
    check: Callable[[Path, os.stat_result], None] = lambda _path, _status: None,
    cure: str = "Check the path and its permissions.",
) -> bytes:
    """Read a small regular file; raises InputError if it is missing (with that cure), too large or of another kind."""
    try:
        with open(path, "rb", opener=_non_blocking) as file:
            status = os.fstat(file.fileno())
            check(path, status)
            data = file.read(max_bytes + 1) if stat.S_ISREG(status.st_mode) else None
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.", cure) from err
    if data is None or len(data) > max_bytes:
        raise InputError(f"{path} is not a regular file of at most {max_bytes:,} bytes.", "Is it the right file?")
    return data


def read_passphrase_file(path: Path) -> bytes:
    """The first line of a private file; raises InputError as `read_private_file`, or if the line is empty."""
    lines = read_private_file(path, max_bytes=_MAX_PASSPHRASE_FILE).splitlines()
    if not lines or not lines[0]:
        raise InputError(f"{path} holds no passphrase.", "Write it on the first line.")
    return lines[0]


def _is_foreign(status: os.stat_result) -> bool:
    return status.st_uid not in (0, os.geteuid())


def _non_blocking(name: str, flags: int) -> int:
    """Open without blocking, in case the path is a named pipe."""
    return os.open(name, flags | os.O_NONBLOCK)


def refuse_existing(target: Path, *, cure: str = "Choose another --out, or remove it first.") -> None:
    """Raise InputError if `target` exists: nothing is overwritten silently."""
    if os.path.lexists(target):
        raise InputError(f"{target} exists already.", cure)


def flush_to_disk(file: BinaryIO) -> None:
    """Flush a file to stable storage, so that it survives a power failure."""
    file.flush()
    os.fsync(file.fileno())


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
    """Shared memory, unless it is missing or too small, as in many containers."""
    shm = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory 0700
    usable = shm.is_dir() and os.access(shm, os.W_OK | os.X_OK) and shutil.disk_usage(shm).free >= _MIN_FREE_BYTES
    return str(shm) if usable else None


def _publish(content: Path, target: Path, *, exist_ok: bool) -> None:
    """Rename a folder to its final name; the operating system never replaces a folder that is not empty."""
    try:
        if not os.path.lexists(target):
            content.rename(target)
            return
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise InputError(f"{target} cannot be written: {why(err)}.") from err
    if not exist_ok:
        refuse_existing(target)


@contextmanager
def _input_write_errors(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise InputError(f"{where} cannot be written: {why(err)}.") from err


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
