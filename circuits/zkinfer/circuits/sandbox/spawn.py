"""Start child processes: forked from the fork server, or without one as fresh interpreters.

The fork server needs Linux (pidfd, PR_SET_PDEATHSIG). Elsewhere, or if it cannot be started or refuses to fork, a child
is a fresh interpreter, which starts more slowly and is otherwise equivalent.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.circuits.sandbox import processes

if TYPE_CHECKING:
    from io import BufferedReader, BufferedWriter

    from zkinfer.circuits.sandbox.fork_server import Reply, Request

_SERVER = "zkinfer.circuits.sandbox.fork_server"
_FORK_SECONDS = 60.0  # time limit for the server to load a module and fork
_REPLY_BYTES = 4096


class _Handle(Protocol):
    """A process to wait for: `subprocess.Popen`, or a child of the fork server."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float | None = None) -> int: ...


@dataclass(slots=True)
class _Forked:
    """A child of the fork server. It is not reaped, so its id is not reused, until the status socket is closed."""

    pid: int
    status: socket.socket
    returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.status.settimeout(timeout)
            try:
                reply = _reply(self.status)
            except TimeoutError as err:
                raise subprocess.TimeoutExpired(_SERVER, timeout or 0.0) from err
            # Without the server, the kernel has killed its children.
            self.returncode = -signal.SIGKILL if reply is None else reply["status"]
        return self.returncode


class ChildProcess:
    """A process that `start` started, in its own session and process group.

    Args:
        handle: the process to wait for.
        stdin, stderr, answers: this process's ends of the child's pipes.
    """

    def __init__(self, handle: _Handle, stdin: int, stderr: int, answers: int) -> None:
        self.pid = handle.pid
        self.stdin: BufferedWriter = os.fdopen(stdin, "wb")
        self.stderr: BufferedReader = os.fdopen(stderr, "rb")
        self.answers = answers
        self._handle = handle
        self._gone = False

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status, negative for a signal.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
        """
        try:
            return self._handle.wait(timeout)
        except subprocess.TimeoutExpired as err:
            raise TimeoutError from err

    def signal_group(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process and its descendants, unless `kill` was called before."""
        if not self._gone:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill the process with its descendants, wait for its end and close the pipes."""
        self.signal_group()
        self._handle.wait()
        self._gone = True
        if isinstance(self._handle, _Forked):
            self._handle.status.close()
        os.close(self.answers)
        self.stderr.close()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()


def start(entry: str, preload: str = "") -> ChildProcess:
    """Start a child that runs `main()` of a module.

    `sys.argv[1]` of the child is the descriptor for its answers, `sys.argv[2]` the id of this process.

    Args:
        entry: the module.
        preload: a module that the child will import; the fork server keeps it loaded for later children.

    Raises:
        EngineCrashedError: no process could be started.
    """
    with contextlib.ExitStack() as on_error, contextlib.ExitStack() as child_ends:
        (stdin, to_child), (from_child, stderr), (answers, answer_to) = os.pipe(), os.pipe(), os.pipe()
        for descriptor in (to_child, from_child, answers):
            on_error.callback(os.close, descriptor)
        for descriptor in (stdin, stderr, answer_to):
            child_ends.callback(os.close, descriptor)
        handle: _Handle | None = _forked(entry, preload, (stdin, stderr, answer_to))
        if handle is None:
            handle = _fresh(entry, stdin, stderr, answer_to)
        process = ChildProcess(handle, to_child, from_child, answers)
        on_error.pop_all()
    if processes.is_yielding():
        processes.yield_processors(process.pid)
    return process


def _fresh(entry: str, stdin: int, stderr: int, answers: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-m", entry, str(answers), str(os.getpid())],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(answers,),
            start_new_session=True,
            env=processes.environment(),
        )
    except OSError as err:
        raise EngineCrashedError(f"No process could be started: {err.strerror}.") from err


def _forked(entry: str, preload: str, descriptors: tuple[int, int, int]) -> _Forked | None:
    """Fork a child from the fork server; None without a server, or if it refuses."""
    request: Request = {
        "entry": entry,
        "preload": preload,
        "environment": processes.environment(),
        "caller": os.getpid(),
    }
    for _ in range(2):  # a server that was killed is replaced, once
        server = _SERVERS.current()
        if server is None:
            return None
        try:
            return server.fork(request, descriptors)
        except OSError:
            _SERVERS.drop(server)
    return None


def _reply(status: socket.socket) -> Reply | None:
    """The next message of the fork server; None if it is gone."""
    try:
        message = status.recv(_REPLY_BYTES)
    except ConnectionError:
        return None
    if not message:
        return None
    reply: Reply = json.loads(message)
    return reply


class _ForkServer:
    """The caller's side of the process that children are forked from.

    The kernel kills the server when the *thread* that started it ends, so that thread waits for the server and lives as
    long as this process.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        started = threading.Event()
        failures: list[OSError] = []
        with contextlib.ExitStack() as undo, theirs:
            undo.callback(self.close)
            arguments = (theirs, started, failures)
            threading.Thread(target=self._run, args=arguments, name="fork-server", daemon=True).start()
            started.wait()
            if failures:
                raise failures[0]
            undo.pop_all()
        atexit.register(self.close)

    @staticmethod
    def _run(control: socket.socket, started: threading.Event, failures: list[OSError]) -> None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", _SERVER, str(control.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(control.fileno(),),
                start_new_session=True,
                env=processes.environment(),
            )
        except OSError as err:
            failures.append(err)
            return
        finally:
            started.set()
        process.wait()

    def fork(self, request: Request, descriptors: tuple[int, int, int]) -> _Forked | None:
        """Let the server fork a child; None if it refuses.

        Raises:
            OSError: the server is gone, or does not answer.
        """
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as undo:
            undo.callback(status.close)
            with theirs:
                folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
                try:
                    sent = [*descriptors, folder, theirs.fileno()]
                    socket.send_fds(self._control, [json.dumps(request).encode()], sent)
                finally:
                    os.close(folder)
            status.settimeout(_FORK_SECONDS)
            reply = _reply(status)
            if reply is None:
                raise BrokenPipeError
            if "pid" not in reply:
                return None
            undo.pop_all()
        return _Forked(reply["pid"], status)

    def close(self) -> None:
        """End the server, and with it the children that it forked."""
        atexit.unregister(self.close)
        self._control.close()


class _Servers:
    """The fork server of this process, started at its first use; a process that this one forks starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _ForkServer | None = None
        self._owner = 0

    def current(self) -> _ForkServer | None:
        """The running server, started if necessary; None if this system cannot have one."""
        if not _has_pidfd():
            return None
        with self._lock:
            if self._server is None or self._owner != os.getpid():
                try:
                    self._server, self._owner = _ForkServer(), os.getpid()
                except (OSError, RuntimeError):  # RuntimeError: no thread can be started
                    return None
            return self._server

    def drop(self, server: _ForkServer) -> None:
        """Close a server that does not respond; the next use starts a new one."""
        with self._lock:
            if self._server is server:
                self._server = None
        server.close()


@cache
def _has_pidfd() -> bool:
    """Whether the kernel and the container, if any, let a process wait for another by a descriptor."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # AttributeError: not Linux
        return False
    return True


_SERVERS = _Servers()
