import gc
import sys
import threading

import pytest

from zkinfer.circuits.errors import DataError, EngineError, StoppedError
from zkinfer.ui.tasks import QueueFullError, Task, Tasks


@pytest.fixture
def tasks():
    found = Tasks(waiting=1)
    yield found
    found.stop()


def made(work, owner="me"):
    return Task("verify", owner, ("1", "2"), work)


def finished(tasks, work):
    task = tasks.start(made(work))
    assert task.done.wait(10)
    return task


def test_result_is_kept(tasks):
    task = finished(tasks, lambda task: 7)
    assert (task.result, task.error) == (7, None)
    assert tasks.find(task.id, "me") is task


def test_error_of_the_library_ends_the_task(tasks):
    def work(task):
        raise DataError("The input is wrong.")

    assert str(finished(tasks, work).error) == "The input is wrong."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_unforeseen_error_ends_its_task_and_no_other(tasks):
    failed = finished(tasks, lambda task: 1 / 0)
    assert isinstance(failed.error, EngineError)
    assert "unexpectedly" in failed.error.cause
    assert finished(tasks, lambda task: 1).result == 1


def test_states_are_the_last_events(tasks):
    def work(task):
        task.report("1", "running")
        task.report("1", "passed", "found")

    states = finished(tasks, work).states()
    assert (states["1"].state, states["1"].detail, states["2"].state) == ("passed", "found", "waiting")


def test_task_of_another_session_is_not_found(tasks):
    task = finished(tasks, lambda task: 1)
    assert tasks.find(task.id, "other") is None
    assert tasks.of("other", "verify") == []
    assert tasks.of("me", "verify") == [task]


def test_full_queue_refuses(tasks):
    held, running = threading.Event(), threading.Event()

    def work(task):
        running.set()
        held.wait(10)

    tasks.start(made(work))
    assert running.wait(10)
    tasks.start(made(lambda task: 2))
    with pytest.raises(QueueFullError, match="Too many tasks"):
        tasks.start(made(lambda task: 3))
    held.set()


def test_only_the_last_tasks_are_kept(tasks):
    first = finished(tasks, lambda task: 0)
    for _ in range(25):
        finished(tasks, lambda task: 1)
    assert tasks.find(first.id, "me") is None
    assert len(tasks.of("me", "verify")) == 24


def test_stop_ends_the_running_task_at_its_next_report():
    tasks, begun = Tasks(), threading.Event()

    def work(task):
        begun.set()
        task.stopping.wait(10)
        task.report("1", "running")

    task, later = tasks.start(made(work)), tasks.start(made(lambda task: 1))
    assert begun.wait(10)
    tasks.stop()
    assert isinstance(task.error, StoppedError)
    assert not later.done.is_set()


def test_finished_task_holds_its_files_no_longer(tasks):
    held = bytearray(10)
    count = sys.getrefcount(held)
    task = finished(tasks, lambda task, kept=held: len(kept))
    assert task.result == 10
    with pytest.raises(EngineError, match="was run before"):
        task.work(task)
    gc.collect()
    assert sys.getrefcount(held) == count
