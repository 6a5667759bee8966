"""A few threads and as many sessions with an engine, which share the work.

The child of a session dies with the thread that opened it, so the threads live as long as the pool. A session that died
is opened again by the next piece of work; where it died under a piece of work, that is done once more.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.prover.errors import BusyError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
        open_session: opens one; called in a thread that outlives it.
        size: most sessions.
        waiting: most pieces of work that wait for one.
        name: of the threads.
    """

    def __init__(self, open_session: Callable[[], SessionT], *, size: int, waiting: int, name: str = "session") -> None:
        self._open_session = open_session
        self._most = size + waiting
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._sessions: set[SessionT] = set()
        self._free: list[SessionT] = []
        self._unfinished = 0
        self._closed = False

    @property
    def unfinished(self) -> int:
        """Pieces of work that wait or are being done."""
        return self._unfinished

    def submit(self, work: Callable[[SessionT], AnswerT]) -> Future[AnswerT]:
        """Do a piece of work with a session that nobody else uses meanwhile. A future cancelled in time is never begun.

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
        with self._session() as session:
            try:
                return work(session)
            except EngineCrashedError as err:
                if self._closed:
                    raise _closed() from err
                if session.usable:
                    raise
        with self._session(fresh=True) as session:  # whatever killed that one may have killed the others too
            return work(session)

    @contextmanager
    def _session(self, *, fresh: bool = False) -> Iterator[SessionT]:
        """One that nobody uses, or a new one where there is none; it is free again afterwards, unless it died."""
        session = (None if fresh else self._taken()) or self._opened()
        try:
            yield session
        finally:
            self._put_back(session)

    def _taken(self) -> SessionT | None:
        """The one that was used last: what it needs is still in the processor's caches."""
        while True:
            with self._lock:
                if self._closed:
                    raise _closed()
                if not self._free:
                    return None
                session = self._free.pop()
            if session.usable:
                return session
            self._put_back(session)

    def _opened(self) -> SessionT:
        session = self._open_session()
        with self._lock:
            self._sessions.add(session)
            if self._closed:  # while it opened: `close` has not seen it, and waits for this thread
                raise _closed()
        return session

    def _put_back(self, session: SessionT) -> None:
        with self._lock:
            if session.usable:
                self._free.append(session)
                return
            self._sessions.discard(session)
        session.close()


def _closed() -> ModelUnavailableError:
    return ModelUnavailableError("The model is not served any more.", "There may be another version of it.")
