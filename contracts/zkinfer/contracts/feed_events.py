"""The rounds that a hub reported, as its logs tell them, and the payloads in the transactions that posted them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts.abi import function_named, signature_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.errors import FeedFormatError, RpcError
from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.contracts.chain import Chain, LogEntry

WINDOW: Final = 10_000
"""Blocks in one question for logs: as many as most public nodes answer."""
_REPORTED: Final = ("int192", "uint40", "uint8", "bytes32", "bytes32")
_POSTS: Final = (("verify", ("bytes", "bytes")), ("verifyBulk", ("bytes[]", "bytes")), ("prove", ("bytes",)))


@dataclass(frozen=True, slots=True)
class ReportedRound:
    """One `RoundReported` of a hub.

    Args:
        feed: its id.
        round: the number of the round.
        answer: in the feed's decimals.
        observed_at: in Unix seconds.
        level: that the round got.
        source_digest: identifies the source file.
        input_commitment: keccak256 of the model's inputs.
        block: in which it was reported.
        transaction: that posted it.
    """

    feed: str
    round: int
    answer: int
    observed_at: int
    level: Level
    source_digest: str
    input_commitment: str
    block: int
    transaction: str


def reported_rounds(chain: Chain, hub: str, feed: str, *, window: int = WINDOW) -> Iterator[ReportedRound]:
    """The rounds of a feed, newest first: one entry for each level that a round got.

    Blocks are searched backwards to the one in which the feed was created.

    Raises RpcError if the node lacks old logs, or the hub has no such feed.
    """
    reported, created = _topic("RoundReported"), _topic("FeedCreated")
    last = chain.height()
    while last >= 0:
        first = max(0, last - window + 1)
        topics = [["0x" + reported.hex(), "0x" + created.hex()], feed]
        for entry in reversed(chain.entries(hub, topics, first, last)):
            if entry.topics[0] == created:
                return
            yield _reported(entry)
        last = first - 1
    raise RpcError(f"The node knows no block in which {feed} was created.", "Check --feed; ask an archive node.")


def posted_payload(chain: Chain, hub: str, found: ReportedRound) -> FeedPayload | None:
    """The payload with which a round was posted; None if another contract passed it to the hub."""
    to, data = chain.calldata(found.transaction)
    if to != hub:
        return None
    wanted = (found.feed, found.round, found.source_digest, found.level)
    for one in _payloads_in(data):
        if (one.report.feed_id, one.round, one.source_digest, one.level) == wanted:
            return one
    return None


def _payloads_in(data: bytes) -> Iterator[FeedPayload]:
    for name, types in _POSTS:
        selector = keccak256(signature_of(function_named("FeedHub", name)).encode())[:4]
        if data[:4] != selector:
            continue
        try:
            first = decode(types, data[4:])[0]
            yield from (FeedPayload.decode(one) for one in ([first] if isinstance(first, bytes) else first))
        except (DecodingError, OverflowError, FeedFormatError):  # not what the hub accepts, so not this round's
            return


def _topic(name: str) -> bytes:
    (entry,) = (one for one in load("FeedHub").abi if one["type"] == "event" and one["name"] == name)
    return keccak256(signature_of(entry).encode())


def _reported(entry: LogEntry) -> ReportedRound:
    answer, observed_at, level, source, inputs = _decode(_REPORTED, entry)
    return ReportedRound(
        feed="0x" + entry.topics[1].hex(),
        round=int.from_bytes(entry.topics[2], "big"),
        answer=answer,
        observed_at=observed_at,
        level=Level(level),
        source_digest="0x" + source.hex(),
        input_commitment="0x" + inputs.hex(),
        block=entry.block,
        transaction=entry.transaction,
    )


def _decode(types: tuple[str, ...], entry: LogEntry) -> tuple[Any, ...]:
    try:
        return decode(types, entry.data)
    except (DecodingError, OverflowError) as err:
        raise RpcError("A log of the hub cannot be decoded.", "Is it another contract?") from err
