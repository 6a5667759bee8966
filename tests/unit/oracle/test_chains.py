"""A chain that is silent delays nobody who serves other chains."""

import threading
import time

import pytest

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.chains import ImpatientState


class Hub:
    """A chain that answers once it may."""

    name = "base"

    def __init__(self):
        self.may_answer, self.asked = threading.Event(), 0

    def round_of(self, feed, number):
        self.asked += 1
        assert self.may_answer.wait(10)
        return (feed, number)

    def latest(self, feed, level):
        raise RpcError(f"no {feed} at {level.name}")


@pytest.fixture
def hub():
    found = Hub()
    yield found
    found.may_answer.set()


def test_answer_in_time_is_passed_on(hub):
    hub.may_answer.set()
    state = ImpatientState(hub, 5.0)
    assert [state.round_of("feed", number) for number in (1, 2)] == [("feed", 1), ("feed", 2)]
    assert state.name == "base"


def test_refusal_of_the_chain_is_passed_on(hub):
    with pytest.raises(RpcError, match="no feed at PROVEN"):
        ImpatientState(hub, 5.0).latest("feed", Level.PROVEN)


def test_silent_chain_is_given_up(hub):
    began = time.monotonic()
    with pytest.raises(RpcError, match=r"base gave no answer in 0\.1 s"):
        ImpatientState(hub, 0.1).round_of("feed", 1)
    assert time.monotonic() - began < 5


def test_silent_chain_is_not_asked_again_before_it_answers(hub):
    state = ImpatientState(hub, 0.1)
    for reason in ("gave no answer", "has not answered an earlier question yet"):
        with pytest.raises(RpcError, match=reason):
            state.round_of("feed", 1)
    assert hub.asked == 1


def test_chain_that_answers_again_is_asked_again(hub):
    state = ImpatientState(hub, 0.1)
    with pytest.raises(RpcError):
        state.round_of("feed", 1)
    hub.may_answer.set()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            assert state.round_of("feed", 2) == ("feed", 2)
        except RpcError:
            time.sleep(0.01)
        else:
            return
    pytest.fail("it was not asked again")
