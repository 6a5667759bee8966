"""A pool of threads and engine sessions that share the work.

The child process of a session dies with the thread that opened it, so the threads live as long as the pool. A dead
session is replaced for the next task; a task during which the session died is retried once.
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


class Session(Protocol):
    """A session that can be pooled."""

    @property
    def usable(self) -> bool:
        """Whether the session can take another task."""
        ...

    def kill(self) -> None:
        """Kill the session; may be called from another thread."""
        ...

    def close(self) -> None:
        """Free its resources."""
        ...


SessionT = TypeVar("SessionT", bound=Session)
ResultT = TypeVar("ResultT")


class SessionPool(Generic[SessionT]):
    """Sessions of one kind, opened on demand.

    Args:
        open_session: opens a session; called in a thread that outlives it.
        size: maximum number of sessions.
        max_waiting: maximum number of waiting tasks.
        name: of the threads.
    """

    def __init__(
        self, open_session: Callable[[], SessionT], *, size: int, max_waiting: int, name: str = "session"
    ) -> None:
        self._open_session = open_session
        self._max_unfinished = size + max_waiting
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._sessions: set[SessionT] = set()
        self._free: list[SessionT] = []
        self._unfinished = 0
        self._closed = False

    @property
    def unfinished(self) -> int:
        """The number of tasks that are waiting or running."""
        return self._unfinished

    def submit(self, work: Callable[[SessionT], ResultT]) -> Future[ResultT]:
        """Run a task with exclusive use of a session. A future that is cancelled while it waits never starts.

        Raises:
            BusyError: too many tasks are waiting.
            ModelUnavailableError: the pool is closed; the futures of waiting tasks raise it too.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            if self._unfinished >= self._max_unfinished:
                raise BusyError("Too many requests wait for this model.", "Try again in a moment.")
            self._unfinished += 1
            waiting = [work]
            future = self._threads.submit(self._run, waiting)
        future.add_done_callback(lambda _: self._on_done(waiting))
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

    def _on_done(self, waiting: list[Callable[[SessionT], ResultT]]) -> None:
        waiting.clear()  # a cancelled task stays in the queue of the threads, but not what it holds
        with self._lock:
            self._unfinished -= 1

    def _run(self, waiting: list[Callable[[SessionT], ResultT]]) -> ResultT:
        work = waiting.pop()
        with self._session() as session:
            try:
                return work(session)
            except EngineCrashedError as err:
                if self._closed:
                    raise _closed() from err
                if session.usable:
                    raise
        with self._session(fresh=True) as session:  # the same cause may have killed the other sessions
            return work(session)

    @contextmanager
    def _session(self, *, fresh: bool = False) -> Iterator[SessionT]:
        """A free session, or a new one; returned to the pool afterwards unless it died."""
        session = (None if fresh else self._free_session()) or self._new_session()
        try:
            yield session
        finally:
            self._put_back(session)

    def _free_session(self) -> SessionT | None:
        """The most recently used session, whose data is still in the processor's caches."""
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

    def _new_session(self) -> SessionT:
        session = self._open_session()
        with self._lock:
            self._sessions.add(session)
            if self._closed:  # while it opened: `close` did not see it, and waits for this thread
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
    return ModelUnavailableError("The model is no longer served.", "Use another version of it.")
