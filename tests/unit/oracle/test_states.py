"""The states of rounds and deliveries: whatever a daemon does, in whatever order, and wherever it is killed."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.unit.oracle.rounds import FEED, SIGNER, new_round

from zkinfer.oracle.errors import RoundStateError
from zkinfer.oracle.states import (
    DELIVERY_CHANGES,
    OPEN_DELIVERIES,
    ROUND_CHANGES,
    DeliveryState,
    RoundState,
    require_delivery_change,
    require_round_change,
)
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.deliveries import DeliveryKey

_NUMBERS = st.integers(1, 4)
_CHAINS = st.sampled_from(["base", "other"])


def _following(changes, state):
    """All states that can follow, in any number of steps."""
    found, fresh = set(), {state}
    while fresh:
        found |= fresh
        fresh = {after for before in fresh for after in changes[before]} - found
    return found


class Machine(RuleBasedStateMachine):
    """A daemon that takes steps in any order, and is killed between any two of them."""

    folder = None

    @initialize()
    def start(self):
        type(self).count = getattr(type(self), "count", 0) + 1
        self.url = f"sqlite:///{self.folder}/{self.count}/oracle.db"
        self.store = Store.open(self.url)
        self.reports, self.rounds, self.deliveries = {}, {}, {}

    @rule()
    def kill_and_restart(self):
        self.store.close()
        self.store = Store.open(self.url)

    @rule(number=_NUMBERS, answer=st.integers(-9, 9))
    def observe(self, number, answer):
        found = self.store.rounds.record(new_round(number, answer=answer, signing_hash=f"0x{answer % 99:064x}"))
        assert self.reports.setdefault(number, (found.answer, found.signing_hash)) == (found.answer, found.signing_hash)
        self.rounds.setdefault(number, RoundState.OBSERVED)

    @rule(number=_NUMBERS)
    def sign(self, number):
        if number in self.rounds:
            self.store.rounds.sign(new_round(number).key, SIGNER, bytes([number]) * 65)

    @rule(number=_NUMBERS, state=st.sampled_from(RoundState))
    def advance(self, number, state):
        key, before = new_round(number).key, self.rounds.get(number)
        if before is None or (state != before and state not in ROUND_CHANGES[before]):
            with pytest.raises(RoundStateError):
                self.store.rounds.advance(key, state)
            return
        assert self.store.rounds.advance(key, state) == (state != before)
        self.rounds[number] = state

    @rule(number=_NUMBERS, chain=_CHAINS)
    def plan(self, number, chain):
        if number in self.rounds:
            key = DeliveryKey(new_round(number).key, chain, "proven")
            self.store.deliveries.plan(key)
            self.deliveries.setdefault(key, DeliveryState.WAITING)

    @rule(number=_NUMBERS, chain=_CHAINS, state=st.sampled_from(DeliveryState))
    def move(self, number, chain, state):
        key = DeliveryKey(new_round(number).key, chain, "proven")
        before = self.deliveries.get(key)
        if before is None or (state != before and state not in DELIVERY_CHANGES[before]):
            with pytest.raises(RoundStateError):
                self.store.deliveries.move(key, state)
            return
        assert self.store.deliveries.move(key, state) == (state != before)
        self.deliveries[key] = state

    @rule(number=_NUMBERS)
    def supersede(self, number):
        self.store.rounds.supersede(FEED, number, "newer")
        for older, state in self.rounds.items():
            if older < number and state == RoundState.SIGNED:
                self.rounds[older] = RoundState.SUPERSEDED

    @invariant()
    def store_agrees_with_the_model(self):
        if not hasattr(self, "store"):
            return
        for number, state in self.rounds.items():
            found = self.store.rounds.find(new_round(number).key)
            assert (found.state, (found.answer, found.signing_hash)) == (state, self.reports[number])
        for chain in ("base", "other"):
            found = {one.key: one.state for one in self.store.deliveries.open(chain)}
            wanted = {
                key: state for key, state in self.deliveries.items() if key.chain == chain and state in OPEN_DELIVERIES
            }
            assert found == wanted

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()


def test_store_keeps_every_report_and_state_through_kills_in_any_order(tmp_path):
    Machine.folder = tmp_path
    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))


def test_no_round_leaves_an_end():
    ends = [state for state in RoundState if not ROUND_CHANGES[state]]
    assert ends == [RoundState.PROVEN, RoundState.SUPERSEDED, RoundState.REFUSED]
    assert _following(ROUND_CHANGES, RoundState.OBSERVED) == set(RoundState)


def test_every_open_delivery_can_still_become_final():
    for state in OPEN_DELIVERIES:
        assert DeliveryState.FINAL in _following(DELIVERY_CHANGES, state)


@pytest.mark.parametrize("after", [RoundState.OBSERVED, RoundState.SIGNED])
def test_round_never_goes_back(after):
    with pytest.raises(RoundStateError, match=f"proven cannot become {after}"):
        require_round_change(RoundState.PROVEN, after)


def test_change_to_the_same_state_is_none():
    assert not require_round_change(RoundState.SIGNED, RoundState.SIGNED)
    assert not require_delivery_change(DeliveryState.FINAL, DeliveryState.FINAL)
