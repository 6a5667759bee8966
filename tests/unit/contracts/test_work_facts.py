from dataclasses import replace

import pytest
from tests.unit.contracts.work_scene import image, offer_of, scene

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.market import FOREVER, NO_SUBJECT
from zkinfer.contracts.work_facts import (
    LicenceSold,
    OfferEnded,
    OfferMade,
    PaymentReceived,
    Registered,
    Transferred,
    WorkAddresses,
    facts_in,
)


@pytest.fixture(scope="module")
def found():
    return scene()


@pytest.fixture(scope="module")
def work(found):
    works, market = found.as_(1)
    works.register(image(1, uri="https://w.example"), found.address(1))
    number = works.id_of(found.address(1), image(1).content)
    offer = market.offer(offer_of(number, uri="https://l.example"))
    found.as_(2)[1].buy(offer, found.address(2))
    market.withdraw_offer(offer)
    return number


def facts(found, chain=None, first=0, last=None):
    addresses = WorkAddresses(found.works.address, found.market.address)
    return list(facts_in(chain or found.chain, addresses, first, found.chain.height() if last is None else last))


def test_facts_are_those_that_the_contracts_store(found, work):
    transfer, registered, offered, sold, paid, ended = facts(found)
    record, word = found.works.work(work), f"0x{work:064x}"
    assert isinstance(registered, Registered)
    assert (registered.work, registered.creator, registered.since) == (word, record.creator, record.since)
    assert (registered.uri, registered.parents) == ("https://w.example", ())
    assert (registered.block, registered.place) == (transfer.block, 1)
    assert transfer == Transferred(transfer.block, 0, word, found.address(1))
    offer = found.market.id_of(offer_of(work, uri="https://l.example"))
    terms = (10**15, 0, 1000, 3, offer_of(work).terms, "https://l.example")
    assert offered == OfferMade(offered.block, 0, offer, word, *terms)
    assert sold == LicenceSold(sold.block, 0, 1, word, found.address(2), offer, NO_SUBJECT, FOREVER)
    assert paid == PaymentReceived(sold.block, 1, word, 10**15)
    assert ended == OfferEnded(ended.block, 0, offer)


def test_facts_of_two_ranges_are_those_of_the_whole(found, work):
    height = found.chain.height()
    for middle in range(height):
        parts = facts(found, last=middle) + facts(found, first=middle + 1)
        assert sorted(parts, key=repr) == sorted(facts(found), key=repr)


class Altered:
    """A node whose logs are changed."""

    def __init__(self, chain, change):
        self._chain, self._change = chain, change

    def entries(self, *arguments):
        return self._change(self._chain.entries(*arguments))


def each(change):
    return lambda entries: [change(one) for one in entries]


@pytest.mark.parametrize(
    "change",
    [
        each(lambda one: replace(one, topics=())),
        each(lambda one: replace(one, topics=(bytes(32), *one.topics[1:]))),
        each(lambda one: replace(one, topics=one.topics[:-1])),
        each(lambda one: replace(one, topics=(*one.topics, bytes(32)))),
        each(lambda one: replace(one, topics=(one.topics[0], *(word[:-1] for word in one.topics[1:])))),
        each(lambda one: replace(one, data=one.data[:-33])),
        each(lambda one: replace(one, data=b"\xff" * len(one.data))),
        each(lambda one: replace(one, block=one.block + 1000)),
        lambda entries: entries[::-1],
    ],
)
def test_malformed_log_is_refused(found, work, change):
    with pytest.raises(RpcError, match="malformed"):
        facts(found, Altered(found.chain, change))
