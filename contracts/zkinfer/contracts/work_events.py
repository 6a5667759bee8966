"""The licences of a work that were sold, as the market's logs tell them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.abi import signature_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain, LogEntry

WINDOW: Final = 10_000
"""Blocks in one question for logs: as many as most public nodes answer."""
_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class SoldLicence:
    """One `Licensed` of a market: what a node says was sold. Read the licence itself before you rely on it.

    Args:
        number: of the licence.
        work: the work.
        holder: who may use it.
        offer: the offer that was accepted.
        subject: the holder's claimed domain, or zero; see `zkinfer.contracts.market.subject_of`.
        until: in Unix seconds, FOREVER if it does not end.
        block: in which it was sold.
    """

    number: int
    work: int
    holder: str
    offer: str
    subject: str
    until: int
    block: int


def sold_licences(chain: Chain, works: str, market: str, work: int, *, window: int = WINDOW) -> Iterator[SoldLicence]:
    """The licences of a work, newest first.

    Blocks are searched backwards to the one in which the work was registered.

    Args:
        chain: the connection.
        works: address of the contract of the works.
        market: address of its market.
        work: the work.
        window: blocks in one question.

    Raises RpcError if the node lacks old logs, a log is malformed, or there is no such work.
    """
    wanted = f"0x{work:064x}"
    licensed, registered = _topic("Market", "Licensed"), _topic("Works", "WorkRegistered")
    last = chain.height()
    while last >= 0:
        first = max(0, last - window + 1)
        for entry in reversed(chain.entries(market, [licensed, None, wanted], first, last)):
            yield _sold(entry, licensed, work)
        if chain.entries(works, [registered, wanted], first, last):
            return
        last = first - 1
    raise RpcError("The node knows no block in which the work was registered.", "Ask an archive node.")


def _topic(contract: ContractName, name: str) -> str:
    (entry,) = (one for one in load(contract).abi if one["type"] == "event" and one["name"] == name)
    return "0x" + keccak256(signature_of(entry).encode()).hex()


def _sold(entry: LogEntry, topic: str, work: int) -> SoldLicence:
    """The licence in a log, in which everything must be as the market writes it."""
    words = [*entry.topics, *(entry.data[place : place + _WORD] for place in range(0, len(entry.data), _WORD))]
    if (len(entry.topics), len(words), {len(one) for one in words}) != (4, 7, {_WORD}):
        raise _malformed()
    event, number, found, holder, offer, subject, until = words
    if "0x" + event.hex() != topic or int.from_bytes(found, "big") != work or any(holder[:12]) or any(until[:27]):
        raise _malformed()
    return SoldLicence(
        number=int.from_bytes(number, "big"),
        work=work,
        holder="0x" + holder[12:].hex(),
        offer="0x" + offer.hex(),
        subject="0x" + subject.hex(),
        until=int.from_bytes(until, "big"),
        block=entry.block,
    )


def _malformed() -> RpcError:
    return RpcError("A log of the market is malformed.", "Ask another node.")
