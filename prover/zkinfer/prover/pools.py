"""A few threads that each hold one session with an engine, and share the work.

The child of a session dies with the thread that opened it, so each session belongs to one thread for good. One that
died is opened again by the next piece of work; where it died under a piece of work, that is done once more.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from zkinfer.circuits.errors import BusyError, EngineCrashedError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class Closeable(Protocol):
    """What a pool must know of a session."""

    @property
    def usable(self) -> bool:
        """Whether it makes sense to ask again."""
        ...

    def kill(self) -> None:
        """End it from another thread."""
        ...

    def close(self) -> None:
        """Free what belongs to it."""
        ...


SessionT = TypeVar("SessionT", bound=Closeable)
AnswerT = TypeVar("AnswerT")


class SessionPool(Generic[SessionT]):
    """Sessions of one kind, opened as they are needed.

    Args:
        open_session: opens one; called in the thread that keeps it.
        size: most sessions.
        waiting: most pieces of work that wait for one.
        name: of the threads.
    """

    def __init__(self, open_session: Callable[[], SessionT], *, size: int, waiting: int, name: str = "session") -> None:
        self._open_session = open_session
        self._most = size + waiting
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._own = threading.local()
        self._lock = threading.Lock()
        self._sessions: set[SessionT] = set()
        self._unfinished = 0
        self._closed = False

    @property
    def unfinished(self) -> int:
        """Pieces of work that wait or are being done."""
        return self._unfinished

    def submit(self, work: Callable[[SessionT], AnswerT]) -> Future[AnswerT]:
        """Do a piece of work with a session, in its thread. A future that is cancelled in time is never begun.

        Raises:
            BusyError: too much waits already.
            ModelUnavailableError: the pool is closed; so does the future of what waits then.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            if self._unfinished >= self._most:
                raise BusyError("Too many requests wait for this model.", "Try again in a moment.")
            self._unfinished += 1
            future = self._threads.submit(self._do, work)
        future.add_done_callback(self._done)
        return future

    def close(self) -> None:
        """End all sessions and wait for the threads."""
        with self._lock:
            self._closed = True
            for session in self._sessions:
                session.kill()
        self._threads.shutdown()
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    def _done(self, _: Future[AnswerT]) -> None:
        with self._lock:
            self._unfinished -= 1

    def _do(self, work: Callable[[SessionT], AnswerT]) -> AnswerT:
        session = self._session()
        try:
            return work(session)
        except EngineCrashedError as err:
            if self._closed:
                raise _closed() from err
            if session.usable:
                raise
        return work(self._session())

    def _session(self) -> SessionT:
        """The session of this thread, a new one where it died."""
        session: SessionT | None = getattr(self._own, "session", None)
        if session is not None and (self._closed or not session.usable):
            self._own.session = None
            with self._lock:
                self._sessions.discard(session)
            session.close()
            session = None
        if self._closed:
            raise _closed()
        if session is None:
            session = self._own.session = self._open_session()
            with self._lock:
                self._sessions.add(session)
                if self._closed:  # while it opened: `close` has not seen it, and waits for this thread
                    raise _closed()
        return session


def _closed() -> ModelUnavailableError:
    return ModelUnavailableError("The model is not served any more.", "There may be another version of it.")
