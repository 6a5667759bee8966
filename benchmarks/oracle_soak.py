"""Operators of a feed for hundreds of rounds, while everything fails at random; then the record is checked.

    python benchmarks/oracle_soak.py --rounds 500 --seed 1 --out soak.json

Two chains, three operators, two signatures. At random: daemons are killed or ended, chains stop answering, become
expensive or are reorganised within the confirmations, sources are silent or lie. After the last round, all failures
end, and a heartbeat is allowed for the recovery. Exit code 1 if a rule does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
from benchmarks.oracle_lab import Lab, lab  # noqa: E402

from zkinfer.contracts.chain import Chain  # noqa: E402
from zkinfer.contracts.feed_events import ReportedRound, reported_rounds  # noqa: E402
from zkinfer.contracts.feed_formats import Level  # noqa: E402
from zkinfer.oracle.states import RoundState  # noqa: E402
from zkinfer.oracle.store import Store  # noqa: E402
from zkinfer.oracle.store.rounds import RoundKey  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

_TICK, _HEARTBEAT = 6, 36
_STEP_SECONDS: Final = 1.0
_ENOUGH_GAPS: Final = 1 << 20


@dataclass
class Chaos:
    """Begins failures at random, and ends each after some seconds."""

    lab: Lab
    random: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    ends: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def step(self) -> None:
        """End what has lasted long enough, and perhaps begin something."""
        now = time.monotonic()
        for at, end in [*self.ends]:
            if at <= now:
                self.ends.remove((at, end))
                end()
        if self.random.random() < 0.12:
            self._begin(now)

    def stop(self) -> None:
        """End everything."""
        for _, end in self.ends:
            end()
        self.ends.clear()
        for one in self.lab.operators:
            one.start()

    def _begin(self, now: float) -> None:
        operator = self.random.choice(self.lab.operators)
        node, source = self.random.choice([*self.lab.nodes.values()]), self.lab.source
        kinds: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "kill": (operator.kill, operator.start),
            "stop": (operator.stop, operator.start),
            "outage of a chain": (node.pause, node.resume),
            "reorganisation": (lambda: node.reorganise(self.random.choice((1, 2))), lambda: None),
            "fee spike": (node.spike, lambda: None),
            "silent source": (
                lambda: source.silent.add(operator.number),
                lambda: source.silent.discard(operator.number),
            ),
            "lying source": (lambda: source.lying.add(operator.number), lambda: source.lying.discard(operator.number)),
        }
        name = self.random.choice([*kinds])
        if self.ends and name in ("stop", "outage of a chain", "reorganisation"):
            return  # these need processes that answer
        begin, end = kinds[name]
        begin()
        self.counts[name] += 1
        self.ends.append((now + self.random.uniform(2, 20), end))


@dataclass
class Findings:
    """What broke a rule, and what was counted."""

    broken: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)

    def require(self, holds: bool, what: str) -> None:
        """Note a broken rule."""
        if not holds:
            self.broken.append(what)


def main() -> None:
    """Run, check, print and write."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=500)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), given.rounds, given.seed)
    document = {"rounds": given.rounds, "seed": given.seed, **found.counts, "broken": found.broken}
    text = json.dumps(document, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")
    sys.exit(bool(found.broken))


def soak(folder: Path, rounds: int, seed: int) -> Findings:
    """Run the operators for so many rounds, and check the record."""
    with lab(folder, chains=2, operators=3, threshold=2, tick=_TICK, heartbeat=_HEARTBEAT, seed=seed) as found:
        for one in found.operators:
            one.start()
        _wait_for_a_round(found)
        first = int(time.time()) // _TICK
        chaos = Chaos(found, random.Random(seed))  # noqa: S311 - a reproducible order of failures
        while int(time.time()) // _TICK < first + rounds:
            chaos.step()
            found.source.move()
            time.sleep(_STEP_SECONDS)
        chaos.stop()
        recovered = _recovers(found)
        for one in found.operators:
            one.stop()
        findings = check(found, first, first + rounds)
        findings.require(recovered, f"No operator's status was fine within {_HEARTBEAT} s after the last failure.")
        findings.counts["failures"] = dict(chaos.counts)
        return findings


def _wait_for_a_round(found: Lab) -> None:
    end = time.monotonic() + 120
    while any(hub.latest(found.feed.id, Level.PROVEN) is None for hub in found.hubs.values()):
        if time.monotonic() > end:
            raise TimeoutError("the operators made no round")
        time.sleep(1)


def _recovers(found: Lab) -> bool:
    """Whether every operator finds the feed fresh within a heartbeat."""
    end = time.monotonic() + _HEARTBEAT
    while time.monotonic() < end:
        if all(code == 0 for code, _ in found.status()):
            return True
        time.sleep(1)
    return False


def check(found: Lab, first: int, last: int) -> Findings:
    """The rules, over the record of all chains and operators."""
    findings = Findings()
    records = {name: _record(found, name) for name in found.hubs}
    with ExitStack() as stack:
        stores = [stack.enter_context(Store.open(f"sqlite:///{one.folder}/oracle.sqlite")) for one in found.operators]
        answers: dict[int, set[tuple[int, int]]] = {}
        for name, record in records.items():
            _check_record(findings, found, name, record)
            for one in record:
                answers.setdefault(one.round, set()).add((one.answer, one.observed_at))
            there = {one.round for one in record}
            missing = [number for number in range(first, last) if number not in there]
            unexplained = [number for number in missing if not _explained(stores, found.feed.id, name, number)]
            findings.require(not unexplained, f"{name}: no reason is on record for the rounds {unexplained[:20]}.")
            findings.counts[name] = {
                "rounds": len(there),
                "proven": sum(one.level == Level.PROVEN for one in record),
                "missing": len(missing),
            }
        torn = [number for number, told in answers.items() if len(told) > 1]
        findings.require(not torn, f"The chains have different reports of the rounds {torn[:20]}.")
        proofs = [_proofs(stores, found.feed.id, number) for number in range(first, last)]
        findings.counts["proofs"] = sum(proofs)
        findings.counts["rounds proven more than once"] = sum(count > 1 for count in proofs)
    return findings


def _record(found: Lab, name: str) -> list[ReportedRound]:
    chain = Chain(found.nodes[name].web3)
    return [*reported_rounds(chain, found.hubs[name].address, found.feed.id)]


def _check_record(findings: Findings, found: Lab, name: str, record: list[ReportedRound]) -> None:
    spec = found.feed.spec
    levels: dict[int, list[Level]] = {}
    for one in reversed(record):
        before = levels.setdefault(one.round, [])
        findings.require(all(one.level > level for level in before), f"{name}: round {one.round} was written twice.")
        before.append(one.level)
        findings.require(spec.least <= one.answer <= spec.most, f"{name}: round {one.round} is out of bounds.")
        findings.require(one.observed_at // spec.tick == one.round, f"{name}: round {one.round} is of another time.")
        block = found.nodes[name].web3.eth.get_block(one.block)
        age = int(block["timestamp"]) - one.observed_at
        late_proof = one.level == Level.PROVEN and len(before) > 1
        findings.require(
            late_proof or 0 <= age <= spec.max_age, f"{name}: round {one.round} came at an age of {age} s."
        )


def _explained(stores: list[Store], feed: str, chain: str, number: int) -> bool:
    """Whether some operator's store says why a chain has not got a round."""
    key = RoundKey(feed, number)
    for store in stores:
        if any(gap.first <= number <= gap.last for gap in store.gaps.of(feed, _ENOUGH_GAPS)):
            return True
        if any(one.reason for one in store.deliveries.of_round(key) if one.key.chain == chain):
            return True
        stored = store.rounds.find(key)
        if stored is not None and stored.reason:
            return True
    return False


def _proofs(stores: list[Store], feed: str, number: int) -> int:
    """How many operators proved a round."""
    found = [store.rounds.find(RoundKey(feed, number)) for store in stores]
    return sum(one is not None and one.state == RoundState.PROVEN for one in found)


if __name__ == "__main__":
    main()
