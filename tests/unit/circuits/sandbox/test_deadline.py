import os
import time

import pytest

from zkinfer.circuits.errors import EngineCrashedError, EngineTimeoutError
from zkinfer.circuits.sandbox import processes
from zkinfer.circuits.sandbox.deadline import Deadline, processor_seconds

LIMIT = 60.0


class Child:
    """A child whose clocks are turned by hand."""

    def __init__(self):
        self.seconds, self.used = 100.0, 0.0

    def waited_for(self, *, yields=True):
        return Deadline(1, LIMIT, yields=yields, clock=lambda: self.seconds, used=lambda _: self.used)

    def goes_on(self, seconds, share):
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


def test_child_that_does_not_yield_has_its_seconds(child, raised):
    patient = child.waited_for(yields=False)
    child.goes_on(59.5, 1)
    patient.require()
    assert patient.left() == 0.5
    child.goes_on(0.5, 1)
    assert patient.left() == 0.0
    with pytest.raises(EngineTimeoutError, match="exceeded its time limit"):
        patient.require()
    assert raised == []


@pytest.mark.parametrize("share", [0.001, None])
def test_child_that_yields_may_take_longer_while_it_gets_on(child, share):
    patient = child.waited_for()
    for _ in range(599):
        child.goes_on(1, share)
        patient.require()
        assert 0.0 < patient.left() <= 1.0


@pytest.mark.parametrize("share", [0.001, None])
def test_child_that_yields_does_not_go_on_for_ever(child, share):
    patient = child.waited_for()
    for _ in range(599):
        child.goes_on(1, share)
        patient.require()
    child.goes_on(1, share)
    assert patient.left() == 0.0
    with pytest.raises(EngineTimeoutError, match="exceeded its time limit"):
        patient.require()


def test_child_that_yields_and_hangs_is_as_one_that_died(child):
    patient = child.waited_for()
    child.goes_on(30, 0.5)
    patient.require()
    child.goes_on(59, 0)
    patient.require()
    child.goes_on(1, 0)
    assert patient.left() == 0.0
    with pytest.raises(EngineCrashedError, match=r"did nothing for too long and was stopped\. Try again"):
        patient.require()


def test_child_that_yielded_for_long_has_its_priority_raised(child, raised):
    patient = child.waited_for()
    child.goes_on(9, 0.01)
    patient.require()
    assert raised == []
    child.goes_on(1, 0.01)
    patient.require()
    assert raised == [1]


def test_processor_time_of_a_process_grows_with_its_work():
    before, end = processor_seconds(os.getpid()), time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert processor_seconds(os.getpid()) > before >= 0.0


def test_processor_time_of_a_process_that_is_gone_is_not_known():
    assert processor_seconds(1 << 30) is None
