"""Three operators and two chains, while anything fails at random: whatever happens, the record keeps its rules."""

import random

import pytest
from tests.unit.oracle.fakes import SPEC, START, FakeChain, operators

from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.store.rounds import RoundKey

TICK = START // 10
TICKS = 25
HONEST = range(95, 106)


class Scene:
    """Operators and chains, a true value that moves, and failures that begin and end."""

    def __init__(self, folder, clock, seed):
        self.random, self.clock, self.value = random.Random(seed), clock, 100
        self.chains = [FakeChain("one", id=1, confirmations=2), FakeChain("two", id=2, confirmations=2)]
        self.operators = operators(folder, clock, self.chains)
        self.liar = self.operators[2]
        self.liar.model.require_agreement = lambda own, other: None  # signs whatever it is asked to sign

    def second(self):
        if self.clock.now % 10 == 0:
            self.value = min(max(self.value + self.random.choice((-1, 0, 1)), HONEST[0]), HONEST[-1])
        self._fail()
        for one in self.operators:
            one.model.value = self.value
        self.liar.model.value = 500
        for one in self.random.sample(self.operators, 3):
            one.step()
        for chain in self.chains:
            chain.mine()
        self.clock.now += 1

    def _fail(self):
        one, chain = self.random.choice(self.operators), self.random.choice(self.chains)
        what = self.random.random()
        if what < 0.04:
            chain.down = not chain.down
        elif what < 0.08:
            chain.reorganise(1)
        elif what < 0.12:
            one.model.error = "" if one.model.error else "The source is silent."
        elif what < 0.16 and one.alive:
            one.stop()
        elif not one.alive and what < 0.5:
            one.start()

    def recover(self):
        for one in self.operators:
            one.model.error = ""
            if not one.alive:
                one.start()
        for chain in self.chains:
            chain.down = False
        self._fail = lambda: None

    def explained(self, chain, number):
        key = RoundKey(self.operators[0].feed.id, number)
        for one in self.operators:
            gaps = one.store.gaps.of(key.feed, 1000)
            stored = one.store.rounds.find(key)
            deliveries = [found for found in one.store.deliveries.of_round(key) if found.key.chain == chain.name]
            if any(gap.first <= number <= gap.last for gap in gaps) or (stored is not None and stored.reason):
                return True
            if any(found.reason for found in deliveries):
                return True
        return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_record_keeps_its_rules_whatever_fails(tmp_path, clock, seed):
    scene = Scene(tmp_path, clock, seed)
    for _ in range(TICKS * 10):
        scene.second()
    scene.recover()
    for _ in range(SPEC.heartbeat):
        scene.second()
    feed = scene.operators[0].feed.id
    for chain in scene.chains:
        there = {number: found for (_, number), found in chain.state.items()}
        assert {found.answer for found in there.values()} <= set(HONEST)
        assert all(found.observed_at // 10 == number for number, found in there.items())
        newest, found = chain.latest(feed, Level.PROVEN)
        assert clock.now - found.observed_at <= SPEC.heartbeat
        missing = [number for number in range(TICK + 1, newest) if number not in there]
        assert [number for number in missing if not scene.explained(chain, number)] == []
    for number in range(TICK, TICK + TICKS):
        answers = {found.answer for chain in scene.chains if (found := chain.state.get((feed, number)))}
        assert len(answers) <= 1
    for one in scene.operators:
        one.stop()
