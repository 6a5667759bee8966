"""What a studio's logs say: pictures that were ordered, and delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts.abi import signature_of, type_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.chain import LogEntry
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import Request, keccak256
from zkinfer.contracts.work_events import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain

_TOPICS: Final = 4


def _event(name: str) -> dict[str, Any]:
    (found,) = (one for one in load("Studio").abi if one["type"] == "event" and one["name"] == name)
    return found


def _topic(name: str) -> str:
    return "0x" + keccak256(signature_of(_event(name)).encode()).hex()


@dataclass(frozen=True, slots=True)
class Commission:
    """A picture that was ordered.

    Args:
        id: of the request on the ledger.
        creator: who ordered it.
        prompt: the work that the prompt is.
        licences: of the model and of the prompt, under which it will be registered.
        request: what a prover answers.
        block: in which it was ordered.
        work: the picture, if it was delivered; the creator may have had it before.
    """

    id: str
    creator: str
    prompt: int
    licences: tuple[int, ...]
    request: Request
    block: int
    work: int | None = None


def commission_in(receipt: TxReceipt, studio: str, chain_id: int, ledger: str) -> Commission:
    """The order that a transaction made; raises RpcError if the node's receipt lacks it."""
    topic = _topic("Commissioned")
    for log in receipt["logs"]:
        topics = tuple(bytes(one) for one in log["topics"])
        if str(log["address"]).lower() == studio and topics and "0x" + topics[0].hex() == topic:
            entry = LogEntry(topics, bytes(log["data"]), int(receipt["blockNumber"]), "")
            return _commission(entry, chain_id, ledger)
    raise RpcError("The node's receipt lacks the order that was made.", "Find it: zkinfer works studio orders")


def commissions(chain: Chain, studio: str, ledger: str, count: int, *, window: int = WINDOW) -> Iterator[Commission]:
    """The orders of a studio, newest first.

    Blocks are searched backwards until all orders are found.

    Args:
        chain: the connection.
        studio: its address.
        ledger: where its answers are recorded.
        count: how many orders there are.
        window: blocks in one question.

    Raises RpcError if the node lacks old logs, or a log is malformed.
    """
    ordered, delivered = _topic("Commissioned"), _topic("Delivered")
    works: dict[str, int] = {}
    last, left = chain.height(), count
    while left and last >= 0:
        first = max(0, last - window + 1)
        for entry in reversed(chain.entries(studio, [[ordered, delivered]], first, last)):
            if len(entry.topics) != _TOPICS:
                raise _malformed()
            identity = "0x" + entry.topics[1].hex()
            if entry.topics[0].hex() == delivered[2:]:
                works[identity] = int.from_bytes(entry.topics[3], "big")
                continue
            left -= 1
            yield replace(_commission(entry, chain.id, ledger), work=works.get(identity))
        last = first - 1
    if left:
        raise RpcError(f"The node lacks the logs of {left} of the studio's {count} orders.", "Ask an archive node.")


def _commission(entry: LogEntry, chain_id: int, ledger: str) -> Commission:
    """The order in a log. Its request must have the id that the log names: a node can make up a log."""
    inputs = [type_of(one) for one in _event("Commissioned")["inputs"] if not one["indexed"]]
    if len(entry.topics) != _TOPICS:
        raise _malformed()
    _, identity, creator, prompt = entry.topics
    try:
        licences, fields = decode(inputs, entry.data)
    except DecodingError as err:
        raise _malformed() from err
    values: Iterator[Any] = (f"0x{one.hex()}" if isinstance(one, bytes) else one for one in fields)
    request = Request(*values)
    if request.id(chain_id, ledger) != "0x" + identity.hex() or "0x" + creator[-20:].hex() != request.refund_to:
        raise _malformed()
    return Commission(
        id="0x" + identity.hex(),
        creator=request.refund_to,
        prompt=int.from_bytes(prompt, "big"),
        licences=tuple(map(int, licences)),
        request=request,
        block=entry.block,
    )


def _malformed() -> RpcError:
    return RpcError("A log of the studio is malformed.", "Ask another node.")
