import os
import time

import pytest

from zkinfer.circuits.errors import EngineCrashedError, EngineTimeoutError
from zkinfer.circuits.sandbox import processes
from zkinfer.circuits.sandbox.child import Deadline, processor_seconds

LIMIT = 60.0


class Child:
    """A child whose clocks tests advance."""

    def __init__(self):
        self.seconds, self.used = 100.0, 0.0

    def deadline(self, *, yields=True):
        return Deadline(1, LIMIT, yields=yields, clock=lambda: self.seconds, used=lambda _: self.used)

    def advance(self, seconds, share):
        self.seconds += seconds
        self.used = None if share is None else self.used + seconds * share


@pytest.fixture
def raised(monkeypatch):
    pids = []
    monkeypatch.setattr(processes, "raise_priority", pids.append)
    return pids


@pytest.fixture
def child(raised):
    return Child()


def test_non_yielding_child_is_limited_by_wall_time(child, raised):
    deadline = child.deadline(yields=False)
    child.advance(59.5, 1)
    deadline.require()
    assert deadline.left() == 0.5
    child.advance(0.5, 1)
    assert deadline.left() == 0.0
    with pytest.raises(EngineTimeoutError, match="exceeded its time limit"):
        deadline.require()
    assert raised == []


@pytest.mark.parametrize("share", [0.001, None])
def test_yielding_child_may_take_longer_while_it_progresses(child, share):
    deadline = child.deadline()
    for _ in range(599):
        child.advance(1, share)
        deadline.require()
        assert 0.0 < deadline.left() <= 1.0


@pytest.mark.parametrize("share", [0.001, None])
def test_yielding_child_has_a_final_deadline(child, share):
    deadline = child.deadline()
    for _ in range(599):
        child.advance(1, share)
        deadline.require()
    child.advance(1, share)
    assert deadline.left() == 0.0
    with pytest.raises(EngineTimeoutError, match="exceeded its time limit"):
        deadline.require()


def test_yielding_child_without_progress_is_stopped(child):
    deadline = child.deadline()
    child.advance(30, 0.5)
    deadline.require()
    child.advance(59, 0)
    deadline.require()
    child.advance(1, 0)
    assert deadline.left() == 0.0
    with pytest.raises(EngineCrashedError, match=r"did nothing for too long and was stopped\. Try again"):
        deadline.require()


def test_child_that_yielded_for_long_has_its_priority_raised(child, raised):
    deadline = child.deadline()
    child.advance(9, 0.01)
    deadline.require()
    assert raised == []
    child.advance(1, 0.01)
    deadline.require()
    assert raised == [1]


def test_processor_time_of_a_process_grows_with_its_work():
    before, end = processor_seconds(os.getpid()), time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert processor_seconds(os.getpid()) > before >= 0.0


def test_processor_time_of_an_ended_process_is_unknown():
    assert processor_seconds(1 << 30) is None
