"""Long work, one task at a time: a bounded queue, a thread that works it off, and progress that any number can follow.

A task consists of lines that are known from the start, such as the numbered checks. Its work changes their states.
"""

from __future__ import annotations

import queue
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from zkinfer.circuits.errors import EngineError, InputError, StoppedError, ZkinferError

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[["Task"], Any]

State = Literal["waiting", "running", "passed", "failed", "skipped", "not_reached"]
_MAX_KEPT: Final = 24


class QueueFullError(InputError):
    """Too many tasks are waiting; a later attempt succeeds."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one line."""

    line: str
    state: State
    detail: str = ""


@dataclass(slots=True)
class Task:
    """Work with its lines, and at the end its result or its error.

    Args:
        kind: what a page shows it with.
        owner: the session that started it; nobody else can see it.
        lines: names of the lines, in order.
        work: returns the result; raises ZkinferError. Released at the end, with the files that it holds.
        about: what is known of the task before it runs.
    """

    kind: str
    owner: str
    lines: tuple[str, ...]
    work: Work
    about: Any = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    events: list[Event] = field(default_factory=list)
    result: Any = None
    error: ZkinferError | None = None
    done: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def report(self, line: str, state: State, detail: str = "") -> None:
        """Change a line; raises StoppedError if the work shall end."""
        if self.stopping.is_set():
            raise StoppedError("The page was stopped.")
        self.events.append(Event(line, state, detail))

    def states(self) -> dict[str, Event]:
        """The last event of each line."""
        return {line: Event(line, "waiting") for line in self.lines} | {event.line: event for event in self.events}


class Tasks:
    """A queue of tasks and its thread.

    Args:
        waiting: how many tasks may wait while one runs.
    """

    def __init__(self, *, waiting: int = 4) -> None:
        self._queue: queue.Queue[Task | None] = queue.Queue(waiting)
        self._kept: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)
        self._thread.start()

    def start(self, task: Task) -> Task:
        """Queue a task; raises QueueFullError."""
        task.stopping = self._stopping
        try:
            self._queue.put_nowait(task)
        except queue.Full as err:
            raise QueueFullError("Too many tasks are waiting.", "Wait until one is done, and try again.") from err
        with self._lock:
            self._kept[task.id] = task
            self._forget()
        return task

    def find(self, name: str, owner: str) -> Task | None:
        """The task with this id, if this session started it and it is among the last ones."""
        task = self._kept.get(name)
        return task if task is not None and task.owner == owner else None

    def of(self, owner: str, kind: str) -> list[Task]:
        """The tasks of a session, newest first."""
        with self._lock:
            return [task for task in reversed(self._kept.values()) if task.owner == owner and task.kind == kind]

    @property
    def stopping(self) -> bool:
        """Whether the page is about to end."""
        return self._stopping.is_set()

    def end(self) -> None:
        """End the running task at its next report; those that wait do not begin."""
        self._stopping.set()

    def stop(self, *, seconds: float = 5.0) -> None:
        """As `end`, and wait for the running task."""
        self.end()
        if not self._queue.full():  # else the thread finds a task, and sees that it shall not begin
            self._queue.put_nowait(None)
        self._thread.join(seconds)

    def _forget(self) -> None:
        """Drop the oldest finished tasks beyond the number to keep."""
        finished = [name for name, task in self._kept.items() if task.done.is_set()]
        for name in finished[: max(0, len(self._kept) - _MAX_KEPT)]:
            del self._kept[name]

    def _run(self) -> None:
        while not self._stopping.is_set():
            task = self._queue.get()
            if task is not None and not self._stopping.is_set():
                # In a thread of its own: an error that nobody foresaw prints its traceback and ends only that.
                worker = threading.Thread(target=_work_off, args=(task,), name="task", daemon=True)
                worker.start()
                worker.join()


def _released(task: Task) -> None:
    raise EngineError(f"The task {task.id} was run before.")


def _work_off(task: Task) -> None:
    """Run one task; it is done at the end, whatever happened."""
    task.error = EngineError("The task ended unexpectedly.", "The terminal of `zkinfer ui` says why.")
    work, task.work = task.work, _released
    try:
        task.result = work(task)
        task.error = None
    except ZkinferError as err:
        task.error = err
    finally:
        task.done.set()
