from dataclasses import replace

import pytest
from tests.unit.contracts.work_scene import image, offer_of, scene

from zkinfer.contracts.chain import LogEntry
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.market import FOREVER, NO_SUBJECT, subject_of
from zkinfer.contracts.work_events import sold_licences

ACME = subject_of("acme.example")


@pytest.fixture(scope="module")
def found():
    return scene()


@pytest.fixture(scope="module")
def work(found):
    """A work with two licences, beside another with one."""
    sold = []
    for number in (1, 2):
        works, market = found.as_(1)
        works.register(image(number), found.address(1))
        sold.append(works.id_of(found.address(1), image(number).content))
        offer = market.offer(offer_of(sold[-1], duration=60 if number == 1 else 0))
        found.as_(2)[1].buy(offer, found.address(2), ACME)
    found.as_(3)[1].buy(found.market.id_of(offer_of(sold[0], duration=60)), found.address(3))
    return sold[0]


def of(chain, found, work, **options):
    return list(sold_licences(chain, found.works.address, found.market.address, work, **options))


@pytest.mark.parametrize("window", [1, 3, 10_000])
def test_licences_of_a_work_are_found_newest_first(found, work, window):
    last, first = of(found.chain, found, work, window=window)
    assert (first.number, first.holder, first.subject) == (1, found.address(2), ACME)
    assert (last.number, last.holder, last.subject) == (3, found.address(3), NO_SUBJECT)
    for one in (first, last):
        read = found.market.licence(one.number)
        assert (one.work, one.offer, one.until) == (read.work, read.offer, read.until)
        assert one.until < FOREVER
    assert first.block < last.block


def test_unknown_work_is_not_searched_for_without_an_end(found, work):
    with pytest.raises(RpcError, match="no block"):
        of(found.chain, found, work + 1)


class Altered:
    """A node whose logs of the market are changed."""

    def __init__(self, chain, change):
        self.height, self._chain, self._change = chain.height, chain, change

    def entries(self, address, topics, first, last):
        return [self._change(one) for one in self._chain.entries(address, topics, first, last)]


def topics_with(place, word):
    return lambda entry: replace(entry, topics=(*entry.topics[:place], word, *entry.topics[place + 1 :]))


@pytest.mark.parametrize(
    "change",
    [
        topics_with(0, bytes(32)),
        topics_with(2, bytes(32)),
        topics_with(3, b"\1" + bytes(31)),
        topics_with(1, b"\1"),
        lambda entry: replace(entry, topics=entry.topics[:3]),
        lambda entry: replace(entry, topics=entry.topics[:3], data=entry.topics[3] + entry.data),
        lambda entry: replace(entry, data=entry.data + bytes(32)),
        lambda entry: replace(entry, data=entry.data[:-1]),
        lambda entry: replace(entry, data=entry.data[:64] + b"\1" + entry.data[65:]),
        lambda _: LogEntry((), b"", 1, "0x"),
    ],
)
def test_malformed_log_is_refused(found, work, change):
    with pytest.raises(RpcError, match="malformed"):
        of(Altered(found.chain, change), found, work)
