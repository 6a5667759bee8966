"""Pictures are ordered from a studio by the client; deliveries, which need a proof, are tested with real ones."""

from dataclasses import replace

import pytest
from tests.unit.contracts.deployed import rolled_back
from tests.unit.contracts.studio_scene import (
    BUYER,
    FEE,
    PRICES,
    PROVER_FEE,
    WRITER,
    StudioScene,
    studio_scene,
    work_of,
)
from tests.unit.contracts.work_scene import image, offer_of

from zkinfer.contracts.chain import LogEntry
from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError, RevertedError, RpcError
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.studio import Right
from zkinfer.contracts.studio_events import commission_in, commissions
from zkinfer.contracts.work_parts import require_studio_at, studio_of

PRICE = sum(PRICES.values()) + FEE + PROVER_FEE
OTHER_INPUT = "0x" + "0b" * 32


@pytest.fixture(scope="module")
def module_scene():
    return studio_scene()


@pytest.fixture
def found(module_scene):
    with rolled_back(module_scene.scene.chain):
        yield StudioScene(**vars(module_scene))


@pytest.fixture
def buyer(found):
    """The studio of a buyer who lets it register."""
    found.scene.as_(BUYER)[0].set_registrar(found.studio.address)
    return found.as_(BUYER)


def test_studio_is_read_as_it_was_created(found):
    studio, scene = found.studio, found.scene
    assert create(scene.chain, studio_of(scene.works.address, found.listing, found.model)) == studio.address
    assert (studio.works.address, studio.market.address) == (scene.works.address, scene.market.address)
    assert (studio.ledger, studio.listing, studio.model) == (scene.works.ledger, found.listing, found.model)
    require_studio_at(scene.chain, studio.address)


def test_address_of_another_contract_is_no_studio(found):
    chain = found.scene.chain
    with pytest.raises(CodeMismatchError, match="not that of Studio"):
        require_studio_at(chain, found.scene.works.address)
    with pytest.raises(DeploymentError, match="There is no Studio"):
        require_studio_at(chain, "0x" + "ee" * 20)


def test_studio_of_a_model_whose_till_lacks_the_listing_is_not_created(found):
    other = work_of(found.scene, 0, image(7, kind="model"))
    with pytest.raises(RevertedError):
        create(found.scene.chain, studio_of(found.scene.works.address, found.listing, other))


def test_price_is_the_sum_of_offers_and_fees(found, buyer):
    assert buyer.price_of(found.order()) == PRICE
    assert buyer.price_of(found.order(model=Right(licence=1))) == PRICE - PRICES["model"]


def test_order_buys_both_licences_and_opens_the_request(found, buyer):
    made = buyer.commission(found.order())
    scene, asked = found.scene, made.request
    assert (made.creator, made.prompt, made.licences, made.work) == (scene.address(BUYER), found.prompt, (1, 2), None)
    assert (asked.requester, asked.consumer, asked.listing) == (buyer.address, buyer.address, found.listing)
    assert (asked.prover, asked.prover_fee, asked.owner_fee) == (scene.address(3), PROVER_FEE, FEE)
    ledger = Ledger(scene.chain, buyer.ledger)
    assert (made.id, ledger.entry(made.id).state) == (ledger.id_of(asked), "open")
    assert [scene.market.licence(number).work for number in made.licences] == [found.model, found.prompt]
    assert not buyer.is_delivered(asked)


def test_licence_that_is_held_serves_for_the_next_order(found, buyer):
    first = buyer.commission(found.order())
    model, prompt = (Right(licence=number) for number in first.licences)
    second = buyer.commission(found.order(model=model, prompt=prompt))
    assert (second.licences, second.id != first.id) == (first.licences, True)


def test_creator_who_does_not_let_the_studio_register_is_refused_with_the_cure(found):
    assert not found.scene.works.is_registrar(found.scene.address(BUYER), found.studio.address)
    with pytest.raises(RevertedError, match="NotRegistrar") as refused:
        found.as_(BUYER).commission(found.order())
    assert "--allow-studio" in refused.value.cure


def test_registrar_is_set_once(found):
    works, _ = found.scene.as_(BUYER)
    assert works.set_registrar(found.studio.address) is not None
    assert works.set_registrar(found.studio.address) is None
    assert not works.is_registrar(found.scene.address(WRITER), found.studio.address)


def test_rights_of_other_works_are_refused(found, buyer):
    model, prompt = Right(found.offers["model"]), Right(found.offers["prompt"])
    with pytest.raises(RevertedError, match="UnfitLicence"):
        buyer.commission(found.order(model=prompt, prompt=model))
    with pytest.raises(RevertedError, match="NotAPrompt"):
        buyer.commission(found.order(prompt=model))


@pytest.mark.parametrize("changes", [{"uses": 1}, {"duration": 60}])
def test_licence_that_does_not_let_derive_until_the_answer_is_due_is_refused(found, buyer, changes):
    offer = found.scene.as_(WRITER)[1].offer(offer_of(found.prompt, **changes))
    with pytest.raises(RevertedError, match="UnfitLicence") as refused:
        buyer.commission(found.order(prompt=Right(offer)))
    assert "derivatives" in refused.value.cure


def test_orders_are_found_newest_first(found, buyer):
    made = [buyer.commission(found.order()), buyer.commission(found.order(input_commitment=OTHER_INPUT))]
    assert list(buyer.commissions()) == made[::-1]
    for window in (1, 3):
        assert list(commissions(found.scene.chain, buyer.address, buyer.ledger, 2, window=window)) == made[::-1]


def test_studio_without_orders_asks_for_no_logs(found):
    assert list(found.studio.commissions()) == []


def test_node_that_lacks_an_order_is_refused(found, buyer):
    buyer.commission(found.order())
    with pytest.raises(RpcError, match="lacks the logs of 1 of the studio's 2 orders"):
        list(commissions(found.scene.chain, buyer.address, buyer.ledger, 2))


class Altered:
    """A node whose logs of a studio are changed."""

    def __init__(self, chain, change):
        self.height, self.id, self._chain, self._change = chain.height, chain.id, chain, change

    def entries(self, *asked):
        return [self._change(one) for one in self._chain.entries(*asked)]


def with_topic(place, word):
    return lambda entry: replace(entry, topics=(*entry.topics[:place], word, *entry.topics[place + 1 :]))


@pytest.mark.parametrize(
    "change",
    [
        with_topic(1, bytes(32)),
        with_topic(2, bytes(32)),
        lambda entry: replace(entry, topics=entry.topics[:3]),
        lambda entry: replace(entry, data=entry.data[:-64]),
        lambda entry: replace(entry, data=entry.data[:32] + bytes(32) + entry.data[64:]),
        lambda _: LogEntry((), b"", 1, "0x"),
    ],
)
def test_malformed_log_is_refused(found, buyer, change):
    buyer.commission(found.order(input_commitment=OTHER_INPUT))
    buyer.commission(found.order())
    with pytest.raises(RpcError, match="malformed"):
        list(commissions(Altered(found.scene.chain, change), buyer.address, buyer.ledger, 2))


def test_receipt_without_the_order_is_refused_with_the_cure(found):
    with pytest.raises(RpcError, match="lacks the order") as refused:
        commission_in({"logs": [], "blockNumber": 1}, found.studio.address, 1, found.studio.ledger)
    assert "works studio orders" in refused.value.cure
