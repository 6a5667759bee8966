"""The process that child processes are forked from: single-threaded, preloaded, without data of any request.

`spawn` starts it like any child: a fresh interpreter in isolated mode, with a scrubbed environment and its own session.
It imports the module of the function that a child will call, once, and then forks. It never calls that function, so
data that one child reads is never in the memory that another child starts with.

A fork copies one thread. The server refuses to fork while it has more than one, because a lock held by another thread
would stay locked in the child for ever.

Messages: the caller sends `Request` with five descriptors (stdin, stderr, answers, working directory, status) through
the control socket. Through the status socket the child then sends its process id, and the server later the exit status.
The server does not reap a dead child until the caller closes that socket, so that the caller never signals a reused id.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from zkinfer.circuits.sandbox import processes

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REQUEST_BYTES = 1 << 17
PRELOADABLE_PREFIX = "zkinfer."  # third-party modules may start threads or read files when they are imported
ANSWER_DESCRIPTOR = 3  # where every forked child writes its answers
DESCRIPTORS = 5


class Request(TypedDict):
    """A child to fork: its main module, a module to preload, its environment, and the caller's process id."""

    entry: str
    preload: str
    environment: dict[str, str]
    caller: int


class Reply(TypedDict, total=False):
    """A message on the status socket: `pid` or `refused` (the reason why no child was forked), and later `status`."""

    pid: int
    refused: str
    status: int


@dataclass(slots=True)
class _Child:
    pid: int
    pidfd: int  # readable once the process has ended
    status: socket.socket
    ended: bool = False
    released: bool = False


class _Server:
    """Forks a child for every request.

    Args:
        control: the socket that requests arrive on.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}  # by both of their descriptors
        self._selector = selectors.PollSelector()  # epoll would be shared with the children
        self._selector.register(control, selectors.EVENT_READ)

    def run(self) -> Request | None:
        """Serve until the caller is gone, and return None. In a forked child, return its request."""
        while True:
            for key, _ in self._selector.select():
                if key.fd != self._control.fileno():
                    self._ended_or_released(key.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, DESCRIPTORS)
                if not message:
                    return None
                request: Request = json.loads(message)
                if self._fork(request, descriptors):
                    return request

    def _fork(self, request: Request, descriptors: Sequence[int]) -> bool:
        """Fork a child; returns whether this process is the child."""
        status = socket.socket(fileno=descriptors[-1])
        _preload(request["preload"])
        if thread_count() > 1:
            _send(status, {"refused": "the server has more than one thread"})
            _close(descriptors[:-1], status)
            return False
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as err:
            _send(status, {"refused": str(err.strerror)})
            _close(descriptors[:-1], status)
            return False
        if pid == 0:
            os.setsid()
            processes.die_with(server)
            _send(status, {"pid": os.getpid()})  # after setsid: a caller that knows the id may signal the group
            status.close()
            self._close_all()
            _set_up_child(request, descriptors)
            return True
        _close(descriptors[:-1])
        self._watch(_Child(pid, os.pidfd_open(pid), status))
        return False

    def _watch(self, child: _Child) -> None:
        for descriptor in (child.pidfd, child.status.fileno()):
            self._children[descriptor] = child
            self._selector.register(descriptor, selectors.EVENT_READ)

    def _ended_or_released(self, descriptor: int) -> None:
        """Handle the end of a child, or its release by the caller; reap it after both."""
        child = self._children.pop(descriptor)
        self._selector.unregister(descriptor)
        if descriptor == child.pidfd:
            child.ended = True
            _send(child.status, {"status": _exit_status(child.pid)})
        else:
            child.released = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        if child.ended and child.released:
            os.waitpid(child.pid, 0)
            _close([child.pidfd], child.status)

    def _close_all(self) -> None:
        """In a forked child, close the descriptors of the server and of other children."""
        self._selector.close()
        self._control.close()
        for child in self._children.values():
            child.status.close()


def thread_count() -> int:
    """The number of threads of this process, including those of native libraries."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _preload(module: str) -> None:
    if module.startswith(PRELOADABLE_PREFIX) and module not in sys.modules:
        with contextlib.suppress(ImportError):  # the child gets the same error, and reports it
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # so that garbage collection in a child does not copy the pages of loaded modules


def _exit_status(pid: int) -> int:
    """The exit status as in `subprocess`, negative for a signal. The process is not reaped."""
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None  # noqa: S101 - for the type checker: without WNOHANG there is always a result
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _send(status: socket.socket, reply: Reply) -> None:
    with contextlib.suppress(OSError):  # the caller is gone
        status.send(json.dumps(reply).encode())


def _close(descriptors: Sequence[int], *sockets: socket.socket) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    for each in sockets:
        each.close()


# --- the child's side -------------------------------------------------------------------------------------------


def _set_up_child(request: Request, descriptors: Sequence[int]) -> None:
    """Give a forked child the descriptors, working directory, environment and arguments of a fresh interpreter."""
    stdin, stderr, answers, folder, _ = descriptors
    os.fchdir(folder)
    os.dup2(stdin, 0)
    os.dup2(stderr, 2)
    os.dup2(answers, ANSWER_DESCRIPTOR)  # last: it may replace one of the others
    os.closerange(ANSWER_DESCRIPTOR + 1, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["entry"], str(ANSWER_DESCRIPTOR), str(request["caller"])]
    _set_command_line([sys.executable, "-I", "-m", *sys.argv])


def _set_command_line(arguments: Sequence[str]) -> None:
    """Let /proc/self/cmdline show the arguments of a fresh interpreter, if they fit.

    The kernel reads that file from the memory where it placed the original arguments, which the process may write to.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])  # arg_start, arg_end: proc_pid_stat(5)
    title = b"\0".join(os.fsencode(argument) for argument in arguments) + b"\0"
    if begin and len(title) <= end - begin:
        ctypes.memmove(begin, title.ljust(end - begin, b"\0"), end - begin)


def main() -> None:
    """Serve requests from the control socket given by the first argument; in a child, run its entry module."""
    processes.die_with_parent()
    processes.disable_core_dumps()
    os.chdir("/")
    request = _Server(socket.socket(fileno=int(sys.argv[1]))).run()
    if request is not None:
        importlib.import_module(request["entry"]).main()


if __name__ == "__main__":
    main()
