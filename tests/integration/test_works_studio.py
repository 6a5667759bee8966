"""A picture is ordered, painted with a real proof, delivered, and sold on by a marketplace that knows ERC-2981."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.integration import bench
from tests.marketplace import sell
from tests.unit.contracts.deployed import rolled_back
from tests.unit.contracts.studio_scene import BUYER, FEE, PLATFORM, PROVER_FEE, SHARES, WRITER, opened
from tests.unit.contracts.work_scene import scene

from zkinfer.chain import answer_of, context_of, registration_of
from zkinfer.chain.requests import commitment_to
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.tills import Till
from zkinfer.prover import Prover
from zkinfer.works.orders import why_unregistered

pytestmark = pytest.mark.slow
PROVER, COLLECTOR = 3, 4
SALE = 10**18 + 7  # not a multiple of the shares
ROYALTY = SALE * 500 // 10_000


@pytest.fixture(scope="module")
def painter(run_folder):
    return bench.studio_circuit(run_folder, "painter")


@pytest.fixture(scope="module")
def found(painter):
    return opened(scene(), registration_of(painter, fee=FEE))


@pytest.fixture(scope="module")
def order(found, painter, home):
    """Orders a digit for the buyer, and proves it."""

    def ordered(digit):
        wish = {"request": np.concatenate([np.eye(10)[digit], np.zeros(6)])[None].astype(np.float32)}
        buyer = found.as_(BUYER)
        buyer.works.set_registrar(buyer.address)
        made = buyer.commission(found.order(input_commitment=commitment_to(painter, wish)))
        context = context_of(made.request, found.scene.chain.id, buyer.ledger)
        proven = Prover(home=home).prove(painter, wish, context)
        return SimpleNamespace(made=made, answer=answer_of(proven, made.request))

    return ordered


@pytest.fixture(scope="module")
def ordered(order):
    return order(3)


@pytest.fixture(scope="module")
def delivered(found, ordered):
    prover = found.as_(PROVER)
    assert prover.deliver(*ordered.answer.posted) is not None
    return prover.work_of(ordered.made.request, ordered.answer.outputs)


def test_picture_belongs_to_the_buyer_and_its_generation_is_proven(found, ordered, delivered):
    works, made = found.scene.works, ordered.made
    record = works.work(delivered)
    assert works.owner_of(delivered) == record.creator == found.scene.address(BUYER)
    assert (record.record, record.origin, record.kind) == (made.id, "generated", "image")
    assert works.parents(delivered) == ((found.model, SHARES["model"]), (found.prompt, SHARES["prompt"]))
    assert works.verifies(made.request, ordered.answer.outputs)


def test_altered_answer_does_not_verify(found, ordered, delivered):
    first, *rest = ordered.answer.outputs
    assert not found.scene.works.verifies(ordered.made.request, [first + 1, *rest])
    assert not found.scene.works.verifies(replace(ordered.made.request, salt="0x" + "07" * 32), [first, *rest])
    assert found.scene.works.exists(delivered)


def test_prover_is_paid_and_the_models_till_has_the_fee(found, delivered):
    ledger = Ledger(found.scene.chain, found.studio.ledger)
    assert ledger.credit(found.scene.address(PROVER)) == PROVER_FEE
    assert ledger.credit(found.scene.works.till_of(found.model)) == FEE
    assert found.scene.works.exists(delivered)


def test_delivery_is_made_once(found, ordered, delivered):
    assert found.studio.deliver(*ordered.answer.posted) is None
    (listed,) = found.studio.commissions()
    assert (listed.id, listed.work) == (ordered.made.id, delivered)


def test_proof_of_another_order_is_refused(found, ordered, delivered):
    with rolled_back(found.scene.chain):
        same = found.order(input_commitment=ordered.made.request.input_commitment)
        for wanted, reason in ((found.order(), "InputMismatch"), (same, "ProofRejected")):
            other = found.as_(BUYER).commission(wanted)
            with pytest.raises(RevertedError, match=reason):
                found.studio.deliver(other.request, *ordered.answer.posted[1:])
            assert not found.studio.is_delivered(other.request)


def test_request_that_the_studio_did_not_make_is_refused(found, ordered, delivered):
    foreign = replace(ordered.made.request, requester=found.scene.address(PROVER))
    with pytest.raises(RevertedError, match="ForeignRequest"):
        found.studio.deliver(foreign, *ordered.answer.posted[1:])


def test_picture_that_the_creator_has_is_paid_for_and_not_registered_again(found, order, delivered):
    with rolled_back(found.scene.chain):
        again = order(3)
        found.as_(PROVER).deliver(*again.answer.posted)
        work = found.studio.work_of(again.made.request, again.answer.outputs)
        assert work == delivered
        assert "had this picture already" in why_unregistered(found.studio, work, again.made.id)
        assert Ledger(found.scene.chain, found.studio.ledger).credit(found.scene.address(PROVER)) == 2 * PROVER_FEE


def test_registrar_no_more_does_not_keep_the_prover_from_being_paid(found, order, delivered):
    with rolled_back(found.scene.chain):
        other = order(4)
        works = found.scene.as_(BUYER)[0]
        works.set_registrar(found.studio.address, allowed=False)
        found.as_(PROVER).deliver(*other.answer.posted)
        work = found.studio.work_of(other.made.request, other.answer.outputs)
        assert "no longer lets the studio register" in why_unregistered(found.studio, work, other.made.id)
        assert Ledger(found.scene.chain, found.studio.ledger).credit(found.scene.address(PROVER)) == 2 * PROVER_FEE
        assert found.studio.is_delivered(other.made.request)
    assert why_unregistered(found.studio, delivered, found.scene.works.work(delivered).record) == ""


@pytest.fixture
def sold(found, delivered):
    """The picture after a resale; everything is taken back after each test."""
    works, accounts = found.scene.works, found.scene
    with rolled_back(found.scene.chain):
        assert works.royalty(delivered, SALE) == (works.till_of(delivered), ROYALTY)
        web3 = found.scene.chain._web3
        sell(web3, works.address, delivered, accounts.account(BUYER), accounts.account(COLLECTOR), SALE)
        yield found.scene.market


def test_plain_marketplace_pays_the_royalty_to_the_till(found, delivered, sold):
    works = found.scene.works
    assert works.owner_of(delivered) == found.scene.address(COLLECTOR)
    assert found.scene.chain.balance(works.till_of(delivered)) == ROYALTY
    assert sold.received(delivered) == 0


def test_royalty_is_shared_with_model_and_prompt_to_the_wei(found, delivered, sold):
    works = found.scene.works
    owners = {PLATFORM: "model", WRITER: "prompt"}
    sold.settle([found.model, found.prompt])
    before = {number: sold.credit(found.scene.address(number)) for number in owners}
    works.open_till(delivered)
    Till(found.scene.chain, works.till_of(delivered)).sweep()
    sold.settle([delivered, found.model, found.prompt])
    for number, name in owners.items():
        due = ROYALTY * SHARES[name] // 10_000
        assert sold.credit(found.scene.address(number)) - before[number] == due
    kept = sold.credit(found.scene.address(COLLECTOR)) + sold.pending(delivered)
    assert kept == ROYALTY - sum(ROYALTY * share // 10_000 for share in SHARES.values())
