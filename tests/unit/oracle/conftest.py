import pytest
from tests.unit.oracle.fakes import Clock, FakeChain, operators


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def chain():
    return FakeChain()


@pytest.fixture
def three(tmp_path, clock, chain):
    """Three operators of one feed on one chain."""
    found = operators(tmp_path, clock, [chain])
    yield found
    for one in found:
        if one.alive:
            one.stop()
