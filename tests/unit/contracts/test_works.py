"""Works, licences and what they earn, by the client, on an embedded chain."""

from dataclasses import replace

import pytest
from tests.unit.contracts.deployed import rolled_back
from tests.unit.contracts.work_scene import image, offer_of, scene

from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.market import FOREVER, subject_of
from zkinfer.contracts.tills import Till
from zkinfer.contracts.work_parts import works_of
from zkinfer.contracts.works import ZERO_WORD, Standing

SALT = "0x" + "5a" * 32


@pytest.fixture(scope="module")
def module_scene():
    return scene()


@pytest.fixture
def found(module_scene):
    with rolled_back(module_scene.chain):
        yield module_scene


def registered(found, number, what):
    """A work of an account; returns its id."""
    works, _ = found.as_(number)
    works.register(what, found.address(number))
    return works.id_of(found.address(number), what.content)


def signature_of(found, what, number, deadline):
    digest = what.digest(found.chain.id, found.works.address, found.address(number), deadline)
    return bytes(found.account(number).unsafe_sign_hash(digest).signature)


def test_creating_works_again_finds_them(found):
    part = works_of(found.book.addresses["InferenceLedger"], "https://w.example/")
    assert create(found.chain, part) == found.works.address
    assert found.works.ledger == found.book.addresses["InferenceLedger"]
    assert int(found.works.similarity, 16) == 0


def test_registered_work_is_read_as_it_was_written(found):
    what = image(manifest=SALT, attestation="0x" + "a7" * 32, resale_bps=500, uri="https://w.example/1")
    work = registered(found, 1, what)
    record = found.works.work(work)
    assert (record.creator, record.kind, record.origin) == (found.address(1), "image", "human")
    assert (record.content, record.manifest, record.attestation) == (what.content, what.manifest, what.attestation)
    assert (record.pixels, record.record, record.is_proven) == (ZERO_WORD, ZERO_WORD, False)
    assert (record.standing, record.resale_bps, record.since) == (Standing.CLEAR, 500, found.chain.time())
    assert found.works.owner_of(work) == found.address(1)
    assert found.works.token_uri(work) == f"https://w.example/{work}/metadata"


def test_registering_again_sends_nothing(found):
    registered(found, 1, image())
    assert found.as_(1)[0].register(image(), found.address(1)) is None


def test_unknown_work_is_refused(found):
    assert not found.works.exists(7)
    with pytest.raises(RevertedError):
        found.works.work(7)


def test_commitment_gives_its_time_to_the_work(found):
    what = image(salt=SALT)
    found.works.commit(what.commitment(found.address(1)))
    assert found.works.commit(what.commitment(found.address(1))) is None
    time = found.works.committed_at(what.commitment(found.address(1)))
    assert found.works.work(registered(found, 1, what)).since == time > 0


@pytest.mark.parametrize(
    "change", [{"salt": "0x" + "5b" * 32}, {"pixels": "0x" + "01" * 32}, {"content": "0x" + "02" * 32}]
)
def test_commitment_to_anything_else_does_not_count(found, change):
    found.works.commit(image(salt=SALT).commitment(found.address(1)))
    with pytest.raises(RevertedError, match="Uncommitted"):
        registered(found, 1, replace(image(salt=SALT), **change))


def test_platform_registers_for_a_creator_who_signed(found):
    what, deadline = image(uri="ipfs://x"), found.chain.time() + 3600
    signed = signature_of(found, what, 1, deadline)
    assert found.works.register_for(what, found.address(1), deadline, signed) is not None
    work = found.works.id_of(found.address(1), what.content)
    assert (found.works.work(work).creator, found.works.owner_of(work)) == (found.address(1), found.address(1))


@pytest.mark.parametrize("change", [{"uri": "ipfs://y"}, {"resale_bps": 1}, {"kind": "text"}, {"licences": (1,)}])
def test_signature_covers_every_field(found, change):
    what, deadline = image(uri="ipfs://x"), found.chain.time() + 3600
    signed = signature_of(found, what, 1, deadline)
    with pytest.raises(RevertedError, match="BadSignature"):
        found.works.register_for(replace(what, **change), found.address(1), deadline, signed)


def test_signature_of_another_or_for_later_is_refused(found):
    what, deadline = image(), found.chain.time() + 3600
    for signed, until in (
        (signature_of(found, what, 2, deadline), deadline),
        (signature_of(found, what, 1, 9), 10**10),
    ):
        with pytest.raises(RevertedError, match="BadSignature"):
            found.works.register_for(what, found.address(1), until, signed)


def test_expired_agreement_is_refused(found):
    what, deadline = image(), found.chain.time() - 1
    with pytest.raises(RevertedError, match="AgreementExpired"):
        found.works.register_for(what, found.address(1), deadline, signature_of(found, what, 1, deadline))


def test_brand_buys_a_licence_that_covers_its_use(found):
    work = registered(found, 1, image())
    offer = found.as_(1)[1].offer(offer_of(work))
    assert found.as_(1)[1].offer(offer_of(work)) == offer
    market = found.as_(2)[1]
    assert not market.covers(1, work, found.address(2), 1)
    licence = market.buy(offer, found.address(2), subject_of("Acme.example"))
    bought = market.licence(licence)
    assert (bought.holder, bought.work, bought.subject) == (found.address(2), work, subject_of("acme.example"))
    assert (bought.until, bought.share_bps, bought.offer) == (FOREVER, 1000, offer)
    assert market.covers(licence, work, found.address(2), 1)
    assert not market.covers(licence, work, found.address(3), 1)
    assert not market.covers(licence, work, found.address(2), 4)


def test_withdrawn_offer_cannot_be_bought_and_licences_stay(found):
    work = registered(found, 1, image())
    market = found.as_(1)[1]
    offer = market.offer(offer_of(work))
    licence = found.as_(2)[1].buy(offer, found.address(2))
    market.withdraw_offer(offer)
    assert market.withdraw_offer(offer) is None
    assert not market.is_open(offer)
    with pytest.raises(RevertedError, match="NotOnOffer"):
        found.as_(2)[1].buy(offer, found.address(2))
    assert market.covers(licence, work, found.address(2), 1)


def test_remix_pays_its_original_to_the_wei(found):
    original = registered(found, 1, image(1))
    offer = found.as_(1)[1].offer(offer_of(original, price=0))
    licence = found.as_(3)[1].buy(offer, found.address(3))
    remix = registered(found, 3, image(2, origin="composite", licences=(licence,)))
    assert found.works.parents(remix) == ((original, 1000),)
    found.market.pay(remix, 12345)
    assert (found.market.pending(remix), found.market.received(remix)) == (12345, 12345)
    found.market.settle([remix, original])
    assert found.market.credit(found.address(1)) == 1234
    assert found.market.credit(found.address(3)) + found.market.pending(remix) == 12345 - 1234
    assert found.market.ceiling(remix) == 1 | 2 | 128


def test_parent_without_a_licence_is_refused(found):
    registered(found, 1, image(1))
    with pytest.raises(RevertedError, match="NotLicensed"):
        registered(found, 3, image(2, licences=(1,)))


def test_credit_is_withdrawn_once(found):
    work = registered(found, 1, image())
    found.market.pay(work, 1000)
    found.market.settle([work])
    market, to = found.as_(1)[1], "0x" + "ee" * 20
    market.withdraw(to)
    assert found.chain.balance(to) == 1000
    with pytest.raises(RevertedError, match="NothingToWithdraw"):
        market.withdraw(to)


def test_till_pays_plain_coin_to_its_work(found):
    work = registered(found, 1, image())
    till = found.works.till_of(work)
    found.works.open_till(work)
    assert found.works.open_till(work) is None
    found.chain.send(till, value=777)
    Till(found.chain, till).sweep()
    assert found.market.received(work) == 777
    with pytest.raises(RevertedError, match="NothingToSweep"):
        Till(found.chain, till).sweep()


def test_sold_token_leaves_the_income_with_the_seller(found):
    work = registered(found, 1, image())
    found.market.pay(work, 100)
    works, _ = found.as_(1)
    works.transfer(found.address(1), found.address(2), work)
    assert works.transfer(found.address(1), found.address(2), work) is None
    assert found.market.credit(found.address(1)) == 100
    found.market.pay(work, 50)
    found.market.settle([work])
    assert found.market.credit(found.address(2)) == 50


def test_listing_owner_alone_can_act_through_a_till(found):
    work = registered(found, 1, image())
    found.works.open_till(work)
    till = Till(found.chain, found.works.till_of(work))
    registry = found.book.addresses["ModelRegistry"]
    with pytest.raises(RevertedError, match="NotOwner"):
        till.accept(registry, SALT)
