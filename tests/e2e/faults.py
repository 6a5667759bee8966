"""Fault injection: a full disk, a clock that jumps."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.server_process import Server

# Adds the number in a file to the wall clock of processes that preload it; the monotonic clock is unaffected.
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    static volatile long *seconds;
    if (!seconds) {
        const char *path = getenv("CLOCK_OFFSET_FILE");
        int file = path ? open(path, O_RDONLY) : -1;
        void *page = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        static long none = 0;
        seconds = page == MAP_FAILED ? &none : page;
    }
    return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += offset();
    return status;
}
"""


def clock_shim(folder: Path) -> tuple[Path, Path]:
    """A library to preload, and the file with the seconds that it adds; skips without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler, to make a clock that jumps")
    source, library, clock = folder / "clock.c", folder / "clock.so", folder / "clock.offset"
    source.write_text(_SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    clock_moved(clock, 0)
    return library, clock


def clock_moved(clock: Path, seconds: int) -> None:
    """Shift the wall clock of all processes that read this file."""
    with clock.open("r+b" if clock.exists() else "wb") as file:
        file.write(struct.pack("@q", seconds))


def tmpfs_wrapper(folder: Path, *, megabytes: int) -> tuple[str, ...]:
    """A command prefix under which `folder` is a separate small disk; skips without permission to mount."""
    own = ("unshare", "--mount") if os.getuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    mount = f'mount -t tmpfs -o size={megabytes}m,mode=0700 none "$0"'
    if (
        shutil.which("unshare") is None
        or subprocess.run([*own, "sh", "-c", mount, str(folder)], check=False, capture_output=True).returncode
    ):
        pytest.skip("this user may not mount a small disk")
    return (*own, "sh", "-c", f'{mount} && exec "$@"', str(folder))


@contextmanager
def filled(server: Server) -> Iterator[Callable[[], None]]:
    """Fill the server's state disk until the yielded function is called or the block ends."""
    filler = Path(f"/proc/{server.pid}/root{server.state}/filler")
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * (1 << 16)):
                pass
        except OSError:
            pass
    try:
        yield lambda: filler.unlink(missing_ok=True)
    finally:
        filler.unlink(missing_ok=True)
