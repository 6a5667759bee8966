"""The record of a soak: what the chains, the operators' databases and logs, and the readers have."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from zkinfer.contracts.abi import signature_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.feed_events import posted_payload, reported_rounds
from zkinfer.contracts.identifiers import keccak256
from zkinfer.oracle.observations import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.oracle.lab import Lab
    from benchmarks.oracle.watchers import Reading

    from zkinfer.contracts.feed_formats import FeedPayload, Level
    from zkinfer.oracle.store import Store

_MANY: Final = "10000"


@dataclass(frozen=True, slots=True)
class Posted:
    """A report on a chain: one entry for each level that a round got. `payload` is None if a contract passed it on."""

    chain: str
    feed: str
    round: int
    level: Level
    answer: int
    observed_at: int
    block_time: int
    sender: str
    payload: FeedPayload | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that an operator made, at a time in Unix seconds; `own` if it has proposed the round."""

    operator: int
    feed: str
    round: int
    time: float
    own: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the rounds from `first` to `last` are missing; on every chain if `chain` is empty."""

    feed: str
    chain: str
    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Record:
    """All of it.

    Args:
        rounds: the first round that counts, and the first that does not.
        posted: what the chains have, in the order in which they got it.
        readings: of the faces.
        proofs: that operators made.
        reasons: that `oracle status` of an operator gives for what is missing.
        numbers: of each source file, by its digest.
        contradictions: events, by feed and chain.
        defects: what a daemon must never write into its log.
    """

    rounds: range
    posted: list[Posted]
    readings: list[Reading]
    proofs: list[Proof]
    reasons: list[Reason]
    numbers: Mapping[str, tuple[Fraction, ...]]
    contradictions: Mapping[tuple[str, str], int]
    defects: list[str] = field(default_factory=list)


def record_of(lab: Lab, rounds: range, readings: list[Reading]) -> Record:
    """Gather it; the daemons have ended, and the chains run."""
    posted = [one for chain in lab.nodes for name in lab.feeds for one in _posted(lab, chain, name)]
    with ExitStack() as stack:
        stores = [stack.enter_context(one.store()) for one in lab.operators]
        digests = {one.payload.source_digest for one in posted if one.payload is not None}
        numbers = {digest: found for digest in digests if (found := _numbers(stores, digest))}
    return Record(
        rounds,
        posted,
        readings,
        [proof for one in lab.operators for proof in _proofs(one.number, one.entries())],
        [reason for one in lab.operators for reason in reasons_in(one.status("--gaps", _MANY)[1])],
        numbers,
        {(name, chain): _contradictions(lab, name, chain) for name in lab.feeds for chain in lab.nodes},
        [f"operator {one.number}: {text}" for one in lab.operators for text in _defects(one.entries())],
    )


def _posted(lab: Lab, name: str, feed: str) -> list[Posted]:
    node, hub = lab.nodes[name], lab.hubs[name].address
    chain, found = Chain(node.web3), []
    for one in reported_rounds(chain, hub, lab.feeds[feed].id):
        payload = posted_payload(chain, hub, one)
        time_, sender = node.time_of(one.block), node.sender_of(one.transaction)
        found.append(Posted(name, feed, one.round, one.level, one.answer, one.observed_at, time_, sender, payload))
    return found[::-1]


def reasons_in(document: Mapping[str, Any]) -> Iterator[Reason]:
    """What `zkinfer oracle status --json` says about rounds that are missing."""
    for line in document["feeds"]:
        for gap in line["gaps"]:
            yield Reason(line["feed"], "", gap["first"], gap["last"], gap["reason"])
        for one in line["undelivered"]:
            if one["reason"]:
                yield Reason(line["feed"], line["chain"], one["round"], one["round"], one["reason"])


def _numbers(stores: list[Store], digest: str) -> tuple[Fraction, ...]:
    for store in stores:
        if (content := store.rounds.source(digest)) is not None:
            return tuple(Fraction(one) for one in SourceFile.from_bytes(content).numbers)
    return ()


def _proofs(operator: int, entries: list[dict[str, Any]]) -> list[Proof]:
    proposed = {(one["feed"], one["round"]) for one in entries if one.get("event") == "round"}
    return [
        Proof(operator, one["feed"], one["round"], _seconds(one["timestamp"]), (one["feed"], one["round"]) in proposed)
        for one in entries
        if one.get("event") == "proven"
    ]


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _contradictions(lab: Lab, feed: str, name: str) -> int:
    chain = Chain(lab.nodes[name].web3)
    (entry,) = (one for one in load("FeedHub").abi if one["type"] == "event" and one["name"] == "Contradicted")
    topics = ["0x" + keccak256(signature_of(entry).encode()).hex(), lab.feeds[feed].id]
    return len(chain.entries(lab.hubs[name].address, topics, 0, chain.height()))


def _defects(entries: list[dict[str, Any]]) -> list[str]:
    """Lines that are no entries, such as tracebacks; a killed process may have left one half."""
    return [text for one in entries if one["event"] == "text" and "Traceback" in (text := str(one["text"]))]
