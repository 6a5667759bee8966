"""One recorded proof pays a model, an adapter, a data set and a prompt, to the wei."""

from types import SimpleNamespace

import pytest
from tests.integration import bench
from tests.unit.contracts.deployed import embedded_chain, rolled_back
from tests.unit.contracts.work_scene import TERMS, WorkScene, image

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, create, deploy
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.market import Market, MarketOffer
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.tills import ContributorFund, Till, leaf_of
from zkinfer.contracts.work_parts import fund_of, works_of
from zkinfer.contracts.works import Works
from zkinfer.prover import Prover

pytestmark = pytest.mark.slow
FEE = 1_000_003
MODEL, ADAPTER, PROMPT, WRITER = 0, 1, 2, 3
SHARES = {"adapter": 2000, "dataset": 1500, "prompt": 500}


@pytest.fixture(scope="module")
def found():
    """Works on a chain with a deployment."""
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, (chain.address,), delay=60, test=True))
    deploy(chain, book.plan)
    works = Works(chain, create(chain, works_of(book.addresses["InferenceLedger"], "")))
    return WorkScene(chain, book, works, Market(chain, works.market))


def licensed(found, owner, what, share):
    """A work of an account, and a licence to derive from it for the model's owner."""
    works, market = found.as_(owner)
    works.register(what, found.address(owner))
    work = works.id_of(found.address(owner), what.content)
    offer = market.offer(MarketOffer(work, 0, 0, share, 2 | 4 | 8, TERMS))
    return work, found.market.buy(offer, found.address(MODEL))


@pytest.fixture(scope="module")
def works(found):
    """The model with its three parents, and the fund that owns the data set."""
    adapter, by_adapter = licensed(found, ADAPTER, image(2, kind="adapter"), SHARES["adapter"])
    prompt, by_prompt = licensed(found, PROMPT, image(3, kind="prompt"), SHARES["prompt"])
    dataset, by_dataset = licensed(found, WRITER, image(4, kind="dataset"), SHARES["dataset"])
    weights = {found.address(WRITER): 1, found.address(4): 3}
    leaves = [leaf_of(account, weight) for account, weight in weights.items()]
    root = "0x" + keccak256(b"".join(sorted(leaves))).hex()
    fund = create(found.chain, fund_of(root, 4, TERMS, "", found.market.address))
    found.as_(WRITER)[0].transfer(found.address(WRITER), fund, dataset)
    what = image(1, kind="model", origin="unstated", licences=(by_adapter, by_dataset, by_prompt))
    found.works.register(what, found.address(MODEL))
    model = found.works.id_of(found.address(MODEL), what.content)
    return SimpleNamespace(model=model, adapter=adapter, prompt=prompt, dataset=dataset, fund=fund, leaves=leaves)


@pytest.fixture(scope="module")
def listing(found, works, run_folder):
    """The model's listing, which its work's till owns."""
    digits = bench.digits_under_ashlar(run_folder)
    registry = Registry(found.chain, found.book.addresses["ModelRegistry"])
    listed = registry.register(registration_of(digits, fee=FEE))
    found.works.open_till(works.model)
    till = found.works.till_of(works.model)
    registry.offer_ownership(listed, till)
    Till(found.chain, till).accept(registry.address, listed)
    assert registry.owner_of(listed) == till
    return SimpleNamespace(id=listed, circuit=digits, till=Till(found.chain, till))


@pytest.fixture(scope="module")
def recorded(found, listing, home):
    """One proven answer on the ledger, for which a stranger paid."""
    stranger = Chain(found.chain._web3, found.account(5))
    ledger = Ledger(stranger, found.book.addresses["InferenceLedger"])
    asked = request_for(
        listing.circuit,
        bench.image(0),
        listing=listing.id,
        consumer=stranger.address,
        requester=stranger.address,
        expiry=stranger.time() + 10_000,
        prover=stranger.address,
        prover_fee=7,
        owner_fee=FEE,
    )
    ledger.request(asked)
    attested = Prover(home=home).prove(listing.circuit, bench.image(0), context_of(asked, stranger.id, ledger.address))
    ledger.record(*answer_of(attested, asked).posted)
    return ledger


@pytest.fixture
def collected(found, works, listing, recorded):
    with rolled_back(found.chain):
        listing.till.collect(recorded.address)
        yield found.market


def test_fee_of_the_proof_reaches_the_models_work(collected, works):
    assert collected.received(works.model) == FEE


def test_each_party_gets_its_share_to_the_wei(found, collected, works):
    before = {work: collected.received(work) for work in (works.adapter, works.dataset, works.prompt)}
    collected.settle([works.model, works.adapter, works.dataset, works.prompt])
    due = {name: FEE * share // 10_000 for name, share in SHARES.items()}
    for name, work in (("adapter", works.adapter), ("dataset", works.dataset), ("prompt", works.prompt)):
        assert collected.received(work) - before[work] == due[name]
    assert collected.credit(found.address(ADAPTER)) == due["adapter"]
    assert collected.credit(found.address(PROMPT)) == due["prompt"]
    assert collected.credit(works.fund) == due["dataset"]
    kept = collected.credit(found.address(MODEL)) + collected.pending(works.model)
    assert kept == FEE - sum(due.values())


def test_contributors_claim_their_parts_of_the_data_sets_share(found, collected, works):
    collected.settle([works.model, works.dataset])
    fund, due = ContributorFund(found.chain, works.fund), FEE * SHARES["dataset"] // 10_000
    first, second = works.leaves
    for account, weight, proof in ((found.address(WRITER), 1, [second]), (found.address(4), 3, [first])):
        before = found.chain.balance(account)
        fund.claim(account, weight, proof)
        assert found.chain.balance(account) - before == due * weight // 4


def test_second_collection_finds_nothing(listing, collected, recorded, found, works):
    before = collected.received(works.model)
    with pytest.raises(RevertedError, match=r"NothingTo(Withdraw|Sweep)"):
        listing.till.collect(recorded.address)
    assert collected.received(works.model) == before
