"""The page about a soak of feeds."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.oracle.rules import missing, recoveries
from benchmarks.service import loaded

if TYPE_CHECKING:
    from benchmarks.oracle.soak import Outcome

_INTRODUCTION: Final = """\
# Reliability of feeds

Three operators, whose signatures count from two on, run three feeds on two chains, each with `zkinfer oracle run` in
a process of its own, which makes real proofs of the volatility model under Ashlar. The chains are nodes under anvil,
with a block each second. Every tick is due. The clock of one operator is {ahead:g} s ahead. Faults come in episodes
of up to three at once, in an order decided by a seed in which every kind comes soon; after each episode there is
quiet until all is well. Reorganisations replace up to two blocks, the most that the operators' three confirmations
endure. Nodes that are ended go on with their state; nodes that are killed lose up to two blocks. Meanwhile consumers
read all faces, a user posts reports from the operators' servers, and two of the signers lie once.

Afterwards the record of the chains, the operators and the readers is compared with the rules of
`benchmarks/oracle/rules.py`: no round has two answers or is written twice, none is out of bounds or of another time,
both chains have the same report, each answer is the model's to numbers that the source showed at that time, faces show
nothing else, `zkinfer oracle status` has a reason for each missing round, every feed has a new proven round on both
chains within a heartbeat after an episode, no operator proves what another has proven before its turn, no daemon
crashes, and the contradiction is shown once on each chain and noticed by every operator. Then `zkinfer oracle audit
--last 100` audits each feed on each chain from its logs and the published files alone: every report holds, but for the
lie. After one byte of one source file is changed it names this file, and refuses no report of another."""


def page(outcome: Outcome, rounds: int, seed: int) -> str:
    """The page."""
    record, truth = outcome.record, outcome.truth
    feed = next(iter(truth.feeds.values()))
    there = {(one.feed, one.round) for one in record.posted if one.round in record.rounds}
    on_chains = {(one.chain, one.feed, one.round) for one in record.posted if one.round in record.rounds}
    proofs = Counter((one.feed, one.round) for one in record.proofs if one.round in record.rounds)
    figures: list[tuple[str, object]] = [
        ("rounds on a chain", len(there)),
        ("rounds on chains, counted on each", len(on_chains)),
        ("missing on a chain, each with a reason", len(missing(record, truth))),
        ("rounds that were proven", len(proofs)),
        ("of them by two operators, the second after its turn had come", sum(one > 1 for one in proofs.values())),
        ("rounds that the user posted on both chains with the same bytes", _same_bytes(outcome)),
        ("reports that the user sent to a chain before it had them", sum(outcome.user.transactions.values())),
        ("readings of faces", sum(not one.refusal for one in record.readings)),
        ("of them older than a heartbeat, which a consumer refuses", _old_readings(outcome)),
        ("readings that a face refused", sum(bool(one.refusal) for one in record.readings)),
        ("readings that a node did not answer", outcome.silent),
        ("reports that were audited from chain data and published files", outcome.audit.reports),
        ("of them lies of the signers, which do not hold", outcome.audit.lies),
        ("broken rules", len(outcome.broken)),
    ]
    lines = [_INTRODUCTION.format(ahead=max(truth.ahead)), ""]
    times = f"A tick has {feed.spec.tick} s, a heartbeat {feed.spec.heartbeat} s."
    lines += [f"{times} {outcome.seconds:,.0f} seconds on {loaded()}; ran", ""]
    lines += ["```", f"python -m benchmarks.oracle_soak --rounds {rounds} --seed {seed}", "```", ""]
    lines += ["| record | |", "| --- | ---: |", *(f"| {name} | {number:,} |" for name, number in figures), ""]
    lines += ["| fault | times |", "| --- | ---: |"]
    lines += [f"| {name} | {count} |" for name, count in sorted(outcome.player.counts.items())]
    return "\n".join([*lines, "", _recovery(outcome), "", *_reasons(outcome)]) + "\n"


def _same_bytes(outcome: Outcome) -> int:
    """Rounds whose very bytes from the server the user gave to every chain, and that every chain has."""
    posted = {(one.chain, one.level.name, one.round) for one in outcome.record.posted}
    chains = {one.chain for one in outcome.record.posted}
    return sum(all((chain, *key) in posted for chain in chains) for key in outcome.user.posted)


def _old_readings(outcome: Outcome) -> int:
    return sum(
        not one.refusal and one.chain_time - one.updated_at > outcome.truth.heartbeat(one.feed)
        for one in outcome.record.readings
    )


def _recovery(outcome: Outcome) -> str:
    found = [
        seconds
        for quiet in outcome.quiets
        for seconds in recoveries(outcome.record, outcome.truth, quiet).values()
        if seconds is not None
    ]
    if not found:
        return "No episode ended."
    return (
        f"From the end of an episode until a feed has a new proven round on a chain: median {median(found):.1f} s, "
        f"longest {max(found):.1f} s, over {len(outcome.quiets)} episodes."
    )


def _reasons(outcome: Outcome) -> list[str]:
    """Why rounds are missing, as `zkinfer oracle status` says; operators may have different reasons for one round."""
    wanted = set(missing(outcome.record, outcome.truth))
    chains = {chain for chain, _, _ in wanted}
    counts: Counter[str] = Counter()
    for one in outcome.record.reasons:
        for number in range(max(one.first, outcome.record.rounds.start), min(one.last + 1, outcome.record.rounds.stop)):
            for chain in [one.chain] if one.chain else chains:
                counts[one.text] += (chain, one.feed, number) in wanted
    rows = [f"| {_cell(text)} | {count} |" for text, count in counts.most_common() if count]
    return ["| reason for a missing round, of each operator | times |", "| --- | ---: |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:160]
