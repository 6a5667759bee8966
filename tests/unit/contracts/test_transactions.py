import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.contracts.fakenode import ACCOUNT, TO, FakeNode, RefusedError, chain_of

from zkinfer.contracts.errors import FeeLimitError, RpcError, TransactionFailedError
from zkinfer.contracts.transactions import ETHER, GWEI, Fees, Limits, in_ether, initial_fees, raised_fees

LIMITS = Limits(timeout=300, resubmit_after=45)


def at(node, *events):
    node.events = sorted(events, key=lambda event: event[0])
    return node


def test_two_transactions_have_consecutive_nonces():
    node = FakeNode()
    for _ in range(2):
        at(node, (node.now + 1, FakeNode.mine))
        chain_of(node).send(TO, value=1)
    assert [fields["nonce"] for fields in node.sent] == [0, 1]


def test_transaction_names_the_pinned_chain():
    node = at(FakeNode(chain_id=7), (1, FakeNode.mine))
    chain = chain_of(node)
    node.chain_id = 8
    chain.send(TO)
    assert node.sent[0]["chainId"] == 7


def test_fees_are_twice_the_base_fee_plus_the_suggested_tip():
    node = at(FakeNode(base=10 * GWEI, tip=GWEI), (1, FakeNode.mine))
    chain_of(node).send(TO)
    assert (node.sent[0]["maxFeePerGas"], node.sent[0]["maxPriorityFeePerGas"]) == (21 * GWEI, GWEI)


def test_stuck_transaction_is_replaced_with_higher_fees_and_the_same_nonce():
    node = at(FakeNode(), (100, FakeNode.mine))
    receipt = chain_of(node, LIMITS).send(TO, value=5)
    first, second, third = node.sent
    assert receipt["status"] == 1
    assert first["nonce"] == second["nonce"] == third["nonce"] == 0
    for earlier, later in [(first, second), (second, third)]:
        assert later["maxFeePerGas"] * 8 >= earlier["maxFeePerGas"] * 9
        assert later["maxPriorityFeePerGas"] * 8 >= earlier["maxPriorityFeePerGas"] * 9
    assert {(one["to"], one["value"], one["gas"]) for one in node.sent} == {(bytes.fromhex("22" * 20), 5, 50_000)}


def test_stuck_transaction_follows_the_base_fee():
    node = FakeNode(base=10 * GWEI)
    at(node, (10, lambda node: setattr(node, "base", 50 * GWEI)), (50, FakeNode.mine))
    chain_of(node, LIMITS).send(TO)
    assert node.sent[1]["maxFeePerGas"] == 101 * GWEI


def test_stuck_transaction_is_never_raised_above_the_limits():
    node = FakeNode(base=10 * GWEI)
    limits = Limits(max_fee=22 * GWEI, max_tip=GWEI, timeout=300, resubmit_after=45)
    with pytest.raises(
        TransactionFailedError, match=r"nonce 0 was not included in a block after 300 s.*may still be included"
    ):
        chain_of(node, limits).send(TO)
    assert {fields["maxFeePerGas"] for fields in node.sent} == {21 * GWEI}


def test_transaction_dropped_by_the_node_is_resent_unchanged():
    node = FakeNode(base=10 * GWEI)
    limits = Limits(max_fee=22 * GWEI, max_tip=GWEI, timeout=300, resubmit_after=45)
    at(node, (10, lambda node: node.pool.clear()), (60, FakeNode.mine))
    assert chain_of(node, limits).send(TO)["status"] == 1
    assert len(node.sent) == 2


def test_earlier_version_that_is_mined_after_all_is_found():
    node = FakeNode()

    def mine_the_first(node):
        first = next(iter(seen))
        node.mined[first], node.taken, node.pool = node.height, 1, []

    seen = []
    at(node, (1, lambda node: seen.append(node.pool[0][0])), (60, mine_the_first))
    assert chain_of(node, LIMITS).send(TO)["transactionHash"] == seen[0]
    assert len(node.sent) == 2


def test_node_that_returns_another_transaction_hash_is_refused():
    node = FakeNode()
    take = node.eth_sendRawTransaction

    def lie(raw):
        take(raw)
        return "0x" + "ab" * 32

    node.eth_sendRawTransaction = lie
    with pytest.raises(RpcError, match=r"answered with another hash than that of the sent transaction 0x\w{64}"):
        chain_of(node).send(TO)


def test_replacement_with_a_lost_answer_is_tracked():
    node = FakeNode(base=10 * GWEI)
    take = node.eth_sendRawTransaction

    def take_silently(raw):
        take(raw)
        raise RefusedError("timeout")

    at(node, (10, lambda node: setattr(node, "eth_sendRawTransaction", take_silently)), (60, FakeNode.mine))
    chain = chain_of(node, LIMITS)
    receipt = chain.send(TO, value=5)
    assert len(node.sent) == 2
    assert receipt["status"] == 1
    assert chain.sent[0].transaction == "0x" + next(iter(node.mined)).hex()
    assert chain.sent[0].cost == 21_000 * 10 * GWEI + 5


def test_refused_replacement_is_raised_further_next_time():
    node = FakeNode(base=10 * GWEI)
    at(
        node,
        (10, lambda node: setattr(node, "refusal", "busy")),
        (50, lambda node: setattr(node, "refusal", None)),
        (100, FakeNode.mine),
    )
    assert chain_of(node, LIMITS).send(TO)["status"] == 1
    assert len(node.sent) == 2
    assert node.sent[1]["maxFeePerGas"] * 64 >= node.sent[0]["maxFeePerGas"] * 81


def test_confirmations_are_awaited():
    node = at(FakeNode(), (1, FakeNode.mine), (30, lambda node: setattr(node, "height", node.height + 2)))
    receipt = chain_of(node, Limits(confirmations=3)).send(TO)
    assert node.height - receipt["blockNumber"] == 2
    assert node.now >= 30


def test_missing_confirmations_are_reported():
    node = at(FakeNode(), (1, FakeNode.mine))
    with pytest.raises(TransactionFailedError, match="has too few confirmations after 300 s"):
        chain_of(node, Limits(confirmations=3)).send(TO)


@pytest.mark.parametrize("forget", [True, False])
def test_transaction_dropped_by_a_reorganisation_is_resent(forget):
    node = FakeNode()
    at(
        node,
        (1, FakeNode.mine),
        (5, lambda node: node.reorganise(forget=forget)),
        (10, lambda node: node.mine(blocks=2)),
    )
    receipt = chain_of(node, Limits(confirmations=2)).send(TO, value=1)
    assert node.now >= 10
    assert receipt["blockNumber"] == 101
    assert {fields["nonce"] for fields in node.sent} == {0}
    assert len({(fields["maxFeePerGas"], fields["value"]) for fields in node.sent}) == 1


def test_nonce_used_by_another_program_is_reported():
    node = at(FakeNode(), (1, lambda node: setattr(node, "taken", 1) or node.pool.clear()))
    with pytest.raises(TransactionFailedError, match=r"Another transaction of 0x\w{40} used nonce 0.*one program"):
        chain_of(node).send(TO)


def test_receipt_that_lags_behind_the_nonce_is_awaited():
    node, late = FakeNode(), {}

    def mine_unseen(node):
        node.mine()
        late.update(node.mined)
        node.mined.clear()

    at(node, (1, mine_unseen), (6, lambda node: node.mined.update(late)))
    assert chain_of(node).send(TO)["status"] == 1
    assert node.now >= 6
    assert len(node.sent) == 1


def test_earlier_pending_transactions_are_awaited():
    node = FakeNode()
    node.foreign = 2

    def take_them(node):
        node.taken, node.foreign = 2, 0

    at(node, (20, take_them), (30, FakeNode.mine))
    chain_of(node).send(TO)
    assert node.sent[0]["nonce"] == 2


def test_stuck_earlier_transactions_are_reported_without_sending():
    node = FakeNode()
    node.foreign = 2
    with pytest.raises(TransactionFailedError, match=r"2 transactions of \w+ are pending, from nonce 0 on"):
        chain_of(node).send(TO)
    assert node.sent == []


def test_base_fee_above_the_limit_is_refused():
    with pytest.raises(FeeLimitError, match="Gas costs 10 gwei, above the limit of 9"):
        chain_of(FakeNode(), Limits(max_fee=9 * GWEI)).send(TO)


def test_cost_above_the_limit_is_refused():
    node = FakeNode()
    with pytest.raises(FeeLimitError, match=r"would cost up to 0\.00105 ether"):
        chain_of(node, Limits(max_cost=10**15)).send(TO)
    assert node.sent == []


def test_cost_limit_applies_to_all_transactions_together():
    node = at(FakeNode(), (1, FakeNode.mine))
    chain = chain_of(node, Limits(max_cost=ETHER // 2 + 10**16))
    chain.send(TO, value=ETHER // 2)
    with pytest.raises(FeeLimitError, match="including what was spent before"):
        chain.send(TO, value=10**16)


def test_cost_beyond_the_balance_is_refused():
    node = FakeNode()
    node.balance = 10**14
    with pytest.raises(FeeLimitError, match=f"{ACCOUNT.address} has 0.0001 ether; .*Fund the account"):
        chain_of(node).send(TO)


def test_refusal_of_the_node_is_reported():
    node = FakeNode()
    node.refusal = "intrinsic gas too low"
    with pytest.raises(RpcError, match=r"The node refused: .*intrinsic gas too low"):
        chain_of(node).send(TO)


def test_dry_run_quotes_and_sends_nothing():
    node = FakeNode()
    chain = chain_of(node, rehearsal=True)
    assert chain.send(TO, value=7) is None
    assert node.sent == []
    assert [(quote.gas, quote.cost) for quote in chain.quotes] == [(50_000, 50_000 * 21 * GWEI + 7)]


def test_satisfied_condition_sends_nothing():
    node = FakeNode()
    assert chain_of(node).ensure(lambda: True, lambda: pytest.fail("sent")) is None


def test_condition_satisfied_while_waiting_sends_nothing():
    node = FakeNode()
    node.foreign = 1
    at(node, (5, lambda node: setattr(node, "foreign", 0)))
    assert chain_of(node).ensure(lambda: node.foreign == 0, lambda: pytest.fail("sent")) is None


def test_send_error_is_ignored_if_the_condition_is_satisfied_meanwhile():
    node = FakeNode()
    answers = iter([False, False, True])
    chain = chain_of(node, Limits(max_fee=1))
    assert chain.ensure(lambda: next(answers), lambda: chain.send(TO)) is None


def test_unsatisfied_condition_after_sending_is_reported():
    node = at(FakeNode(), (1, FakeNode.mine))
    chain = chain_of(node)
    with pytest.raises(TransactionFailedError, match="does not show its effect"):
        chain.ensure(lambda: False, lambda: chain.send(TO))


amounts = st.integers(0, 10**12)


@given(amounts, amounts, amounts, amounts)
def test_offer_stays_within_the_limits(base, tip, most, most_tip):
    limits = Limits(max_fee=most, max_tip=most_tip)
    if base > most:
        with pytest.raises(FeeLimitError, match="above the limit"):
            initial_fees(base, tip, limits)
        return
    fees = initial_fees(base, tip, limits)
    assert base <= fees.max_fee <= most
    assert fees.tip <= min(tip, most_tip, fees.max_fee)


@given(amounts, amounts, amounts, amounts)
def test_raised_fees_are_an_eighth_higher_within_the_limits_or_none(most, tip, now, limit):
    limits, fees = Limits(max_fee=limit, max_tip=limit), Fees(most, min(tip, most))
    higher = raised_fees(fees, Fees(now, 0), limits)
    if higher is None:
        assert max(most * 9 // 8, now) + 1 > limit
        return
    assert 8 * higher.max_fee >= 9 * most
    assert 8 * higher.tip >= 9 * fees.tip
    assert fees.max_fee < higher.max_fee <= limit
    assert now <= higher.max_fee


def test_zero_tip_can_be_raised():
    assert raised_fees(Fees(GWEI, 0), Fees(GWEI, 0), Limits()).tip == 1


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 ether"),
        (1, "0.000000000000000001 ether"),
        (88 * 10**12, "0.000088 ether"),
        (21 * 10**14, "0.0021 ether"),
        (10**24 - 1, "1,000,000 ether"),
    ],
)
def test_amount_is_formatted_in_ether(wei, text):
    assert in_ether(wei) == text
