from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.contracts.deployed import deployed_chain

from zkinfer.contracts import EZKL_SELECTOR, Layout, Registration, Request, input_commitment, load_canary
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import AlreadyRegisteredError, RevertedError, TransactionFailedError
from zkinfer.contracts.ledger import MAX_BYTES, MAX_GAS, Ledger, Weight, pack_batches
from zkinfer.contracts.registry import EmergencyStop, Registry
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.transactions import Fees, Quote

CANARY = Registration(
    onnx_digest="0x" + "ab" * 32,
    key=load_canary().key,
    layout=Layout("public", 8, 1, 1),
    selector=EZKL_SELECTOR,
    fee=5,
    uri="https://example.org",
)


@pytest.fixture(scope="module")
def module_deployment():
    return deployed_chain()


@pytest.fixture
def deployed(book):
    return book.addresses


@pytest.fixture
def registry(chain, deployed):
    return Registry(chain, deployed["ModelRegistry"])


@pytest.fixture
def listing(registry):
    return registry.register(CANARY)


def test_listing_has_the_registered_values(registry, listing, chain):
    found = registry.listing(listing)
    assert found.model_id == CANARY.model_id
    assert (found.onnx_digest, found.key_digest) == (CANARY.onnx_digest, load_canary().key_digest)
    assert (found.setup, found.selector) == (load_canary().setup, "0x" + CANARY.selector.hex())
    assert found.layout == CANARY.layout
    assert (found.status, found.fee, found.uri) == ("active", 5, "https://example.org")
    assert found.publisher == found.owner == chain.address
    assert chain.code(found.key) == b"\0" + CANARY.key


def test_registration_is_idempotent_and_refused_with_other_values(registry, listing, chain):
    before = chain._web3.eth.block_number
    assert registry.register(CANARY) == listing
    for change in ({"fee": 6}, {"uri": ""}):
        (name,) = change
        with pytest.raises(AlreadyRegisteredError, match=f"its {name} is .* instead of .*owner"):
            registry.register(replace(CANARY, **change))
    assert chain._web3.eth.block_number == before


@pytest.mark.parametrize("status", ["deprecated", "revoked"])
def test_registering_an_inactive_listing_again_is_refused(registry, listing, status):
    {"deprecated": registry.deprecate, "revoked": registry.revoke}[status](listing)
    with pytest.raises(AlreadyRegisteredError, match=f"was registered before, and is {status}"):
        registry.register(CANARY)


def test_owner_operations_are_idempotent(registry, listing, chain):
    for _ in range(2):
        registry.set_fee(listing, 7)
    assert registry.fee(listing) == 7
    registry.deprecate(listing)
    registry.revoke(listing)
    before = chain._web3.eth.block_number
    assert registry.revoke(listing) is None
    assert chain._web3.eth.block_number == before


def test_successor_can_only_be_set_with_the_deprecation(registry, listing):
    registry.deprecate(listing)
    assert registry.deprecate(listing) is None
    with pytest.raises(TransactionFailedError, match="was deprecated before; a successor cannot be named"):
        registry.deprecate(listing, "0x" + "ef" * 32)


def test_revoked_listing_cannot_be_deprecated(registry, listing):
    registry.revoke(listing)
    with pytest.raises(RevertedError, match="StatusNeverReturns"):
        registry.deprecate(listing)


@pytest.mark.parametrize("act", [Registry.revoke, Registry.deprecate, lambda registry, of: registry.set_fee(of, 9)])
def test_other_accounts_cannot_change_a_listing(listing, chain, deployed, act):
    other = Chain(chain._web3, unsafe_dev_account(1, chain.id))
    with pytest.raises(RevertedError, match="NotOwner"):
        act(Registry(other, deployed["ModelRegistry"]), listing)


def test_missing_listing_is_refused(registry):
    assert registry.status("0x" + "00" * 32) == "unknown"
    with pytest.raises(RevertedError, match="UnknownListing"):
        registry.listing("0x" + "00" * 32)


def test_refunded_request_cannot_be_opened_again(chain, deployed, listing):
    ledger = Ledger(chain, deployed["InferenceLedger"])
    request = Request(
        listing=listing,
        input_commitment=input_commitment(b"\1"),
        consumer=chain.address,
        requester=chain.address,
        expiry=chain.time() + 3600,
        refund_to=chain.address,
        owner_fee=5,
    )
    opened = ledger.request(request)
    assert ledger.request(request) == opened
    EmergencyStop(chain, deployed["EzklStop"]).stop()
    ledger.refund(request)
    assert (ledger.ended(request), ledger.in_batches([(request, b"", [], b"")])) == ("refunded", [])
    with pytest.raises(TransactionFailedError, match=r"is closed: its fees were refunded.*Make a new"):
        ledger.request(request)


LEDGER = "0x" + "1e" * 20
STATES = ["none", "open", "recorded", "refunded", "paid"]


class GasChain:
    """A chain with given gas per answer of a model, on which all requests are open."""

    def __init__(self, **gas):
        self.gas, self.asked = {f"0x{name * 64}": amount for name, amount in gas.items()}, []
        self.states, self.written, self.refusal = {}, [], None

    def time(self):
        return 1000

    def quote(self, _, data):
        found = [name for name in self.gas if bytes.fromhex(name[2:]) in data]
        self.asked.append(data)
        return Quote(self.gas[found[0]], Fees(1, 1), 0)

    def read(self, _contract, _address, name, *given):
        if name == "entryOf":
            return STATES.index(self.states.get("0x" + given[0].hex(), "open")), 0, bytes(26)
        return 1 if name == "HOME_CHAIN" else bytes.fromhex(of_tuple(given[0]).id(1, LEDGER)[2:])

    def ensure(self, done, send):
        return None if done() else send()

    def write(self, _contract, _address, name, requests, *_, **options):
        self.written.append((name, [of_tuple(one) for one in requests]))
        if self.refusal:
            raise self.refusal
        self.states |= {of_tuple(one).id(1, LEDGER): "recorded" for one in requests}
        return {"status": 1}


def of_tuple(fields):
    return Request(*("0x" + one.hex() if isinstance(one, bytes) else one for one in fields))


def answer_to(model, number, proof=b"proof", **changes):
    nobody = "0x" + "00" * 20
    request = Request("0x" + model * 64, input_commitment(bytes([number])), nobody, nobody, 1000 + number)
    return replace(request, **changes), bytes([number]), [number], proof


def test_answers_beyond_the_gas_limit_are_split_into_two_transactions():
    chain = GasChain(a=900_000, b=8_000_000)
    answers = [answer_to("a", number) for number in range(19)] + [answer_to("b", 19)]
    batches = Ledger(chain, LEDGER).in_batches(answers)
    assert [len(batch) for batch in batches] == [18, 2]
    assert [one for batch in batches for one in batch] == answers
    assert len(chain.asked) == 2  # once for each model


def test_answers_beyond_the_size_limit_are_split_into_two_transactions():
    answers = [answer_to("a", number, bytes(50_000)) for number in range(3)]
    assert [len(one) for one in Ledger(GasChain(a=1), LEDGER).in_batches(answers)] == [2, 1]


def test_answers_with_and_without_fees_are_estimated_separately():
    chain = GasChain(a=1)
    Ledger(chain, LEDGER).in_batches([answer_to("a", 1), answer_to("a", 2, prover_fee=1), answer_to("a", 3)])
    assert len(chain.asked) == 2


def test_refused_answer_is_reported_before_any_batch_is_sent():
    class Refusing(GasChain):
        def quote(self, *_):
            raise RevertedError("The contract refused: ProofRejected().")

    with pytest.raises(RevertedError, match="ProofRejected"):
        Ledger(Refusing(), LEDGER).in_batches([answer_to("a", 1)])


def among_ended(chain):
    """Two recordable answers among one of each kind that is not."""
    ended = {"expired": answer_to("a", 0, expiry=999)}
    for number, state in enumerate(["recorded", "refunded", "paid"], 1):
        ended[state] = answer_to("a", number)
        chain.states[ended[state][0].id(1, LEDGER)] = state
    return ended, [answer_to("a", 4), answer_to("a", 5)]


def test_ended_requests_are_distinguished_by_state():
    chain = GasChain(a=1)
    ended, (one, other) = among_ended(chain)
    chain.states[other[0].id(1, LEDGER)] = "none"
    ledger = Ledger(chain, LEDGER)
    assert {state: ledger.ended(answer[0]) for state, answer in ended.items()} == {state: state for state in ended}
    assert ledger.ended(one[0]) is ledger.ended(other[0]) is ledger.ended(answer_to("a", 0)[0]) is None


def test_answers_to_ended_requests_are_neither_estimated_nor_sent():
    chain = GasChain(a=1)
    ended, left = among_ended(chain)
    ledger, answers = Ledger(chain, LEDGER), [*ended.values(), *left]
    assert ledger.in_batches(answers) == [left]
    assert bytes.fromhex(left[0][0].input_commitment[2:]) in chain.asked[0]  # skipped answers are not estimated
    assert ledger.record_batch(answers) == {"status": 1}
    assert chain.written == [("recordBatch", [request for request, *_ in left])]
    assert ledger.record_batch(answers) is None


def test_batch_of_only_ended_requests_sends_nothing():
    chain = GasChain(a=1)
    ended, _ = among_ended(chain)
    ledger = Ledger(chain, LEDGER)
    assert ledger.in_batches([*ended.values()]) == []
    assert ledger.record_batch([*ended.values()]) is None
    assert chain.written == chain.asked == []


def test_refused_batch_is_an_error_even_if_other_requests_ended():
    chain = GasChain(a=1)
    ended, left = among_ended(chain)
    chain.refusal = RevertedError("The contract refused: ProofRejected().")
    with pytest.raises(RevertedError, match="ProofRejected"):
        Ledger(chain, LEDGER).record_batch([*ended.values(), *left])


def test_request_paid_after_a_revocation_cannot_be_opened_again():
    chain = GasChain(a=1)
    ended, _ = among_ended(chain)
    with pytest.raises(TransactionFailedError, match="closed: its prover was paid, but the model was revoked"):
        Ledger(chain, LEDGER).request(ended["paid"][0])


def test_guardian_is_read_from_the_chain(chain, deployed):
    assert EmergencyStop(chain, deployed["EzklStop"]).guardian() == chain.address


WEIGHTS = st.builds(Weight, st.integers(0, 12), st.integers(0, 12))


@pytest.mark.parametrize(("gas", "size"), [(1, 0), (0, 1)])
def test_batches_respect_both_limits(gas, size):
    assert pack_batches([(n, Weight(gas * 4, size * 4)) for n in range(5)], 8, 8) == [[0, 1], [2, 3], [4]]


def test_nineteen_answers_of_the_usual_gas_take_two_transactions():
    batches = pack_batches([(n, Weight(900_000, 4_000)) for n in range(19)])
    assert [len(batch) for batch in batches] == [18, 1]
    assert MAX_GAS >= 18 * 900_000
    assert MAX_BYTES >= 18 * 4_000


def test_no_answers_make_no_batch():
    assert pack_batches([]) == []


def test_oversized_answer_gets_its_own_batch():
    assert pack_batches([("a", Weight(1, 1)), ("b", Weight(9, 1)), ("c", Weight(1, 1))], 8, 8) == [["a"], ["b"], ["c"]]


@given(st.lists(WEIGHTS))
def test_batches_keep_all_answers_and_fit_or_hold_one(weights):
    batches = pack_batches([((n, weight), weight) for n, weight in enumerate(weights)], 20, 20)
    assert [number for batch in batches for number, _ in batch] == list(range(len(weights)))
    for batch in batches:
        assert len(batch) == 1 or max(sum(w.gas for _, w in batch), sum(w.size for _, w in batch)) <= 20
