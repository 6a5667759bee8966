"""The source that fails on demand, as an operator's own client sees it."""

import time

import pytest
from benchmarks.oracle.sources import Mode, Series, SourceServer
from tests.unit.oracle.series import recipe

from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.http import HttpSource

FIRST = tuple(str(number) for number in range(50, 80))


@pytest.fixture
def server():
    now = int(time.time())
    found = SourceServer({"prices": Series(FIRST, 1, 1000, now - 20_000)})
    yield found
    found.stop()


def observed(server, operator=0):
    source = HttpSource(server.url("prices", operator), timeout=1.0, attempts=1)
    return source.observe(recipe(bounds=("1", "1000")), int(time.time())).numbers


def test_truthful_source_shows_the_series(server):
    shown = server.series["prices"].at(time.time())
    assert [f"{float(one):.2f}" for one in observed(server)] == list(shown[-3:])


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.ERROR, "status 500"),
        (Mode.LATE, "ReadTimeout"),
        (Mode.LARGE, "more than"),
        (Mode.DAMAGED, "JSON"),
        (Mode.NOT_A_NUMBER, "JSON"),
    ],
)
def test_failing_source_is_refused(server, mode, reason):
    server.fail(0, mode)
    with pytest.raises(SourceError, match=reason):
        observed(server)


@pytest.mark.parametrize("mode", [Mode.LIE, Mode.OLD])
def test_deceitful_source_shows_other_numbers_to_one_operator(server, mode):
    server.fail(0, mode)
    assert observed(server, 0) != observed(server, 1)


def test_recovered_source_is_truthful(server):
    server.fail(0, Mode.LIE)
    server.recover(0)
    assert observed(server, 0) == observed(server, 1)


def test_same_seed_gives_the_same_series():
    one, same, other = (Series(FIRST, seed, 10, 0) for seed in (1, 1, 2))
    assert one.at(500) == same.at(500) != other.at(500)
    assert one.at(25) == one.after(2) != one.after(3)
