"""A long-lived child process: opened once, called many times, with the limits of `zkinfer.circuits.sandbox.child`.

Starting an engine takes longer than most forward passes, so a session does it once. A message is JSON, preceded by its
length in four bytes; messages pass through pipes, so that no data of an inference reaches a disk.

A session belongs to one thread at a time; only `kill` may be called from another. Open it in a thread that lives as
long as the session: without a fork server, the kernel kills the child when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from zkinfer.circuits.errors import (
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    ZkinferError,
)
from zkinfer.circuits.sandbox import processes, resources, spawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from zkinfer.circuits.sandbox.child import Limits

    Handler = Callable[..., Any]

MAX_MESSAGE_BYTES = 1 << 28
_LENGTH = 4
_CHUNK = 1 << 16
_EXIT_SECONDS = 2.0  # the wait for the exit status of a child that closed its pipe
_FATAL_ERRORS = (EngineCrashedError, EngineMemoryError, EngineTimeoutError)


class Session:
    """A child in which `module:function(**arguments)` returned a handler that answers requests.

    Args:
        function: opens the session and returns the handler, which takes keyword arguments and returns a JSON value.
        arguments: JSON values.
        limits: seconds for opening and for each request, and memory; processor time is not limited.

    Raises:
        ZkinferError: the error that the function raised.
        EngineTimeoutError, EngineMemoryError, EngineCrashedError: the child was killed or died.
    """

    def __init__(self, function: str, arguments: dict[str, Any], *, limits: Limits) -> None:
        self._seconds, self._oom_kills = limits.seconds, resources.oom_kills()
        self._process = spawn.start(__name__, preload=function.partition(":")[0])
        self._answers = self._process.answers
        self._requests, self._errors = self._process.stdin.fileno(), self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        os.set_blocking(self._requests, False)  # a child that does not read must not block its caller
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)
        self._stderr_tail = bytearray()
        self._open = True
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            self._exchange({"function": function, "arguments": arguments, "memory": limits.memory})
            on_error.pop_all()

    def ask(self, **request: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Let the handler answer a request.

        The session stays open after an error of the handler. It is closed after a timeout, a crash or a malformed
        answer.

        Raises:
            ZkinferError: the error that the handler raised.
            EngineTimeoutError, EngineMemoryError, EngineCrashedError: the child was killed or died, now or before.
        """
        if not self._open:
            raise EngineCrashedError("The session with the engine is over.", "Open another one.")
        return self._exchange(request)

    @property
    def usable(self) -> bool:
        """Whether the session still accepts requests."""
        return self._open

    def kill(self) -> None:
        """Kill the child immediately, also from another thread; a pending `ask` raises EngineCrashedError."""
        self._process.signal_group()

    def close(self) -> None:
        """Kill the child and release its resources."""
        if self._open:
            self._open = False
            self._selector.close()
            self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        deadline = time.monotonic() + self._seconds
        with contextlib.ExitStack() as on_error:
            # The session can go on after an error of the handler. After any other failure it is unknown which answer
            # belongs to which request.
            on_error.callback(self.close)
            try:
                self._send(json.dumps(request).encode(), deadline)
                value = processes.value_in(self._received(deadline), lambda _: processes.malformed_answer())
            except _FATAL_ERRORS:
                raise
            except ZkinferError:
                on_error.pop_all()
                raise
            on_error.pop_all()
        return value

    def _send(self, message: bytes, deadline: float) -> None:
        rest = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
        while rest := rest[self._written(rest) :]:
            self._selector.register(self._requests, selectors.EVENT_WRITE)
            self._wait(deadline)
            self._selector.unregister(self._requests)

    def _written(self, data: memoryview) -> int:
        try:
            return os.write(self._requests, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError as err:
            raise self._death() from err

    def _received(self, deadline: float) -> bytearray:
        """One whole message, without its length."""
        received = self._chunk(deadline)
        while len(received) < _LENGTH:
            received += self._chunk(deadline)
        length = int.from_bytes(received[:_LENGTH], "little")
        if length > MAX_MESSAGE_BYTES:
            raise processes.malformed_answer()
        del received[:_LENGTH]
        while len(received) < length:
            received += self._chunk(deadline)
        if len(received) > length:  # more than one answer
            raise processes.malformed_answer()
        return received

    def _chunk(self, deadline: float) -> bytearray:
        while self._answers not in self._wait(deadline):
            pass
        chunk = os.read(self._answers, _CHUNK)
        if not chunk:
            raise self._death()
        return bytearray(chunk)

    def _wait(self, deadline: float) -> list[int]:
        """The descriptors that are ready. The end of the child's stderr is kept for error messages."""
        ready = [key.fd for key, _ in self._selector.select(max(0.0, deadline - time.monotonic()))]
        if not ready or time.monotonic() > deadline:  # a child may keep writing past its deadline
            raise processes.timed_out()
        if self._errors in ready:
            self._read_stderr()
        return ready

    def _read_stderr(self) -> bool:
        """Read from the child's stderr; returns whether there was anything to read."""
        try:
            chunk = os.read(self._errors, _CHUNK)
        except BlockingIOError:
            return False
        self._stderr_tail += chunk
        del self._stderr_tail[: -processes.STDERR_TAIL]
        if not chunk and self._errors in self._selector.get_map():  # closed
            self._selector.unregister(self._errors)
        return bool(chunk)

    def _death(self) -> EngineError:
        """The error for a child that closed its pipe."""
        try:
            status = self._process.wait(_EXIT_SECONDS)
        except TimeoutError:  # it still runs
            return processes.malformed_answer()
        while self._read_stderr():
            pass
        return processes.exit_error(status, self._stderr_tail.decode(errors="replace"), self._oom_kills)


class SessionUser:
    """The state and the end of a session, for classes that give its requests a form of their own."""

    _session: Session

    @property
    def usable(self) -> bool:
        """Whether the child can take another request."""
        return self._session.usable

    def kill(self) -> None:
        """Kill the child immediately; may be called from another thread."""
        self._session.kill()

    def close(self) -> None:
        """End the child and free its resources."""
        self._session.close()


# --- the child's side -------------------------------------------------------------------------------------------


def main() -> None:
    """Open the session that the first request describes, and answer further requests until stdin ends."""
    opening = _next_request()
    assert opening is not None  # noqa: S101 - the parent sends one or dies, which kills this process
    processes.limit(None, opening["memory"])
    handlers: list[Handler] = []
    _reply(processes.answer_of(lambda: handlers.append(_handler(opening))))
    gc.freeze()  # so that garbage collections during requests skip the loaded modules
    while handlers and (request := _next_request()) is not None:
        _reply(processes.answer_of(lambda: handlers[0](**request)))
    os._exit(0)  # without waiting for the engine's threads


def _handler(opening: dict[str, Any]) -> Handler:
    module, _, name = opening["function"].partition(":")
    handler: Handler = getattr(importlib.import_module(module), name)(**opening["arguments"])
    return handler


def _next_request() -> dict[str, Any] | None:
    """The next request; None at the end of stdin."""
    length = sys.stdin.buffer.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read(int.from_bytes(length, "little")))
    return request


def _reply(message: bytes) -> None:
    rest = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
    while rest:
        rest = rest[os.write(processes.answer_fd(), rest) :]


if __name__ == "__main__":
    processes.die_with_parent()
    main()
