import threading
import time

import pytest
from tests.unit.oracle.series import recipe

from zkinfer.contracts.errors import RpcError
from zkinfer.oracle.chains import ImpatientState, patience
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.settled import ImpatientAggregator, SettledSource
from zkinfer.oracle.sources.aggregator import AggregatorSource, ForeignRound

NOW = 1_000


class Node:
    """A chain with another feed, whose node is silent about one thing until the test ends."""

    name = "base"

    def __init__(self, silent=""):
        self.silent, self.ending = silent, threading.Event()

    def _answer(self, what, value):
        if what == self.silent:
            self.ending.wait(30)
        return value

    def time(self):
        return self._answer("time", NOW + 1)

    def decimals(self):
        return self._answer("decimals", 0)

    def newest(self):
        return self._answer("newest", 3)

    def round(self, number):
        return self._answer("round", ForeignRound(number, NOW - 10))


def source(node):
    state = ImpatientState(node, 0.1)
    return SettledSource(AggregatorSource(ImpatientAggregator(node, state)), node, state)


def test_node_that_answers_gives_the_series():
    assert source(Node()).observe(recipe(count=3, bounds=("1", "9")), NOW).numbers == (1, 2, 3)


@pytest.mark.parametrize("silent", ["time", "newest", "round", "decimals"])
def test_node_that_hangs_is_given_up_in_time(silent):
    node, began = Node(silent), time.monotonic()
    with pytest.raises(RpcError, match=r"base gave no answer in 0\.1 s"):
        source(node).observe(recipe(count=3, bounds=("1", "9")), NOW)
    node.ending.set()
    assert time.monotonic() - began < 10


def test_time_without_a_later_block_is_refused():
    with pytest.raises(SourceError, match="no block after 1001 yet"):
        source(Node()).observe(recipe(), NOW + 1)


@pytest.mark.parametrize(("tick", "seconds"), [(1, 1), (20, 5), (3600, 10)])
def test_patience_is_a_share_of_the_tick(tick, seconds):
    assert patience(tick) == seconds
