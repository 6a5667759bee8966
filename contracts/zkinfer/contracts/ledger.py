"""The ledger of one deployment, in Python's types."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from zkinfer.contracts.abi import call_data, function_named, hex_to_bytes
from zkinfer.contracts.errors import RpcError, TransactionFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.registration import Request

    Posted = tuple[Request, bytes, Sequence[int], bytes]
    """A request, packed inputs, outputs and the proof."""


MOST_GAS: Final = 1 << 24
"""The most that one transaction may take, by EIP-7825."""
MOST_BYTES: Final = 120_000
"""Nodes take transactions of 128 kB; some of that is not calldata."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Weight:
    """An upper estimate of what an answer adds to a transaction."""

    gas: int
    size: int


def packed(weighed: Iterable[tuple[Item, Weight]], gas: int = MOST_GAS, size: int = MOST_BYTES) -> list[list[Item]]:
    """Batches in order, each within the limits; an item beyond them is a batch of its own, for a node to refuse.

    Args:
        weighed: items, and what each adds.
        gas: the most of a batch.
        size: the most bytes of a batch.
    """
    batches: list[list[Item]] = []
    gas_left = size_left = 0
    for item, weight in weighed:
        if not batches or weight.gas > gas_left or weight.size > size_left:
            batches.append([])
            gas_left, size_left = gas, size
        batches[-1].append(item)
        gas_left, size_left = gas_left - weight.gas, size_left - weight.size
    return batches


State = Literal["none", "open", "recorded", "refunded", "paid"]
_STATES: Final[tuple[State, ...]] = ("none", "open", "recorded", "refunded", "paid")
Ended = Literal["recorded", "refunded", "paid", "expired"]
TAKEN: Final = ("recorded", "paid")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger stores of a request; the time is 0 and the digest zero where nothing was recorded."""

    state: State
    recorded_at: int
    output_digest: str


class Ledger:
    """The ledger at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def id_of(self, request: Request) -> str:
        """The request's id on this ledger, as both sides compute it; raises RpcError where they differ."""
        own = request.id(self._chain.read("InferenceLedger", self.address, "HOME_CHAIN"), self.address)
        found = "0x" + self._chain.read("InferenceLedger", self.address, "idOf", _tuple(request)).hex()
        if own != found:
            raise RpcError(f"The ledger at {self.address} computes another id for a request.", "Is it ours?")
        return own

    def request(self, request: Request) -> str:
        """Open a request and put its fees into escrow, unless that was done before; returns its id.

        Raises TransactionFailedError where its fees were given back, or its prover paid after a revocation: such a
        request stays closed.
        """
        request_id = self.id_of(request)
        self._chain.ensure(
            lambda: self._was_opened(request_id),
            lambda: self._write("request", _tuple(request), value=request.fees),
        )
        return request_id

    def record(
        self, request: Request, inputs: bytes, outputs: Sequence[int], proof: bytes, *, gas: int | None = None
    ) -> TxReceipt | None:
        """Record a proven answer; None where that was done before, so posting is idempotent.

        Where the model was revoked after the request, the prover is paid and nothing recorded: the state is `paid`.
        """
        request_id, arguments = self.id_of(request), (_tuple(request), inputs, list(outputs), proof)
        return self._chain.ensure(
            lambda: self.entry(request_id).state in TAKEN, lambda: self._write("record", *arguments, gas=gas)
        )

    def ended(self, request: Request) -> Ended | None:
        """How a request ended; None where an answer can be recorded, also to a request that was not opened yet."""
        return self._ended(request, self._chain.time())

    def record_batch(self, answers: Sequence[Posted], *, gas: int | None = None) -> TxReceipt | None:
        """Record in one transaction those of several answers whose requests are not `ended`; None where all are.

        `in_batches` says how many fit one transaction. Where another account ends a request first, the contract skips
        its answer and records the rest; ask `ended` afterwards for the outcome of each.
        """
        return self._chain.ensure(
            lambda: not self._left(answers),
            lambda: self._write("recordBatch", *_batch(self._left(answers)), gas=gas),
        )

    def in_batches(self, answers: Sequence[Posted]) -> list[list[Posted]]:
        """Answers as `record_batch` takes them, each list within what one transaction may take and nodes accept.

        Answers to requests that are `ended` are left out: they have no meaningful estimate. Gas is estimated once for
        each model, with fees and without, since it is the same for all such answers.

        Raises as `Chain.quote`: among others RevertedError for an answer that the ledger rejects.
        """
        gas: dict[tuple[str, bool, bool], int] = {}
        weighed = []
        for answer in self._left(answers):
            data = call_data(function_named("InferenceLedger", "recordBatch"), _batch([answer]))
            kind = (answer[0].listing, answer[0].prover_fee > 0, answer[0].owner_fee > 0)
            if kind not in gas:
                gas[kind] = self._chain.quote(self.address, data).gas
            weighed.append((answer, Weight(gas[kind], len(data))))
        return packed(weighed)

    def refund(self, request: Request) -> TxReceipt | None:
        """Credit the fees of a request without an answer to its `refund_to`; None where that was done before."""
        request_id = self.id_of(request)
        return self._chain.ensure(
            lambda: self.entry(request_id).state == "refunded", lambda: self._write("refund", _tuple(request))
        )

    def withdraw(self, to: str) -> TxReceipt | None:
        """Withdraw the credit of the paying account; None where it has none."""
        return self._chain.ensure(lambda: self.credit(self._chain.address) == 0, lambda: self._write("withdraw", to))

    def credit(self, account: str) -> int:
        """What an account can withdraw, in wei."""
        credit: int = self._chain.read("InferenceLedger", self.address, "creditOf", account)
        return credit

    def entry(self, request_id: str) -> Entry:
        """The entry stored for a request."""
        state, time, digest = self._chain.read("InferenceLedger", self.address, "entryOf", hex_to_bytes(request_id))
        return Entry(_STATES[state], time, "0x" + digest.hex())

    def _left(self, answers: Sequence[Posted]) -> list[Posted]:
        now = self._chain.time()
        return [answer for answer in answers if self._ended(answer[0], now) is None]

    def _ended(self, request: Request, now: int) -> Ended | None:
        state = self.entry(self.id_of(request)).state
        if state == "open":
            return "expired" if now > request.expiry else None
        return None if state == "none" else state

    def _was_opened(self, request_id: str) -> bool:
        state = self.entry(request_id).state
        closed = {
            "refunded": "its fees were given back",
            "paid": "its prover was paid, but the model was revoked before",
        }
        if state in closed:
            raise TransactionFailedError(f"The request {request_id} is closed: {closed[state]}.", "Make a new request.")
        return state != "none"

    def _write(self, name: str, *arguments: object, value: int = 0, gas: int | None = None) -> TxReceipt | None:
        return self._chain.write("InferenceLedger", self.address, name, *arguments, value=value, gas=gas)


def _batch(answers: Sequence[Posted]) -> tuple[list[Any], list[bytes], list[list[int]], list[bytes]]:
    """The arguments of `recordBatch`."""
    return (
        [_tuple(request) for request, _, _, _ in answers],
        [inputs for _, inputs, _, _ in answers],
        [list(outputs) for _, _, outputs, _ in answers],
        [proof for _, _, _, proof in answers],
    )


def _tuple(request: Request) -> tuple[Any, ...]:
    """For the ABI encoder, which wants bytes where the contract has words."""
    return tuple(hex_to_bytes(one) if isinstance(one, str) and len(one) == 66 else one for one in astuple(request))
