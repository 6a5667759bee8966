"""Client of the ledger of one deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from zkinfer.contracts.abi import call_data, function_named, hex_to_bytes
from zkinfer.contracts.errors import RpcError, TransactionFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Request

    Posted = tuple[Request, bytes, Sequence[int], bytes]
    """A request, packed inputs, outputs and the proof."""


MAX_GAS: Final = 1 << 24
"""The gas limit of a transaction, by EIP-7825."""
MAX_BYTES: Final = 120_000
"""Nodes accept transactions of 128 kB; part of that is not calldata."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Weight:
    """An upper estimate of the gas and the bytes that an answer adds to a transaction."""

    gas: int
    size: int


def pack_batches(weighed: Iterable[tuple[Item, Weight]], gas: int = MAX_GAS, size: int = MAX_BYTES) -> list[list[Item]]:
    """Batches in order, each within the limits; an item beyond them is a separate batch, for the node to reject.

    Args:
        weighed: items with their weights.
        gas: the limit of a batch.
        size: the limit of a batch, in bytes.
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
SETTLED: Final = ("recorded", "paid")


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's entry of a request; time and digest are zero if nothing was recorded."""

    state: State
    recorded_at: int
    output_digest: str


class Ledger:
    """The ledger at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def id_of(self, request: Request) -> str:
        """The request's id on this ledger, as both sides compute it; raises RpcError if they differ."""
        expected = request.id(self._chain.read("InferenceLedger", self.address, "HOME_CHAIN"), self.address)
        found = "0x" + self._chain.read("InferenceLedger", self.address, "idOf", request.fields).hex()
        if expected != found:
            raise RpcError(f"The ledger at {self.address} computes another id for a request.", "Is it zkinfer's?")
        return expected

    def request(self, request: Request) -> str:
        """Open a request and put its fees into escrow, unless it was opened before; returns its id.

        Raises TransactionFailedError if its fees were refunded, or its prover was paid after a revocation: such a
        request stays closed.
        """
        request_id = self.id_of(request)
        self._chain.ensure(
            lambda: self._was_opened(request_id),
            lambda: self._write("request", request.fields, value=request.fees),
        )
        return request_id

    def record(
        self, request: Request, inputs: bytes, outputs: Sequence[int], proof: bytes, *, gas: int | None = None
    ) -> TxReceipt | None:
        """Record a proven answer; None if it was recorded before, so posting is idempotent.

        If the model was revoked after the request, the prover is paid and nothing recorded: the state is `paid`.
        """
        request_id, arguments = self.id_of(request), (request.fields, inputs, list(outputs), proof)
        return self._chain.ensure(
            lambda: self.entry(request_id).state in SETTLED, lambda: self._write("record", *arguments, gas=gas)
        )

    def ended(self, request: Request) -> Ended | None:
        """How a request ended; None if an answer can still be recorded, even if it is not opened yet."""
        return self._ended(request, self._chain.time())

    def record_batch(self, answers: Sequence[Posted], *, gas: int | None = None) -> TxReceipt | None:
        """Record in one transaction all answers whose requests are not `ended`; None if all are.

        `in_batches` splits answers to fit transactions. If another account ends a request first, the contract skips
        its answer and records the rest; call `ended` afterwards for the outcome of each.
        """
        return self._chain.ensure(
            lambda: not self._pending(answers),
            lambda: self._write("recordBatch", *_batch(self._pending(answers)), gas=gas),
        )

    def in_batches(self, answers: Sequence[Posted]) -> list[list[Posted]]:
        """Split answers into lists for `record_batch`, each within the limits of a transaction.

        Answers to requests that are `ended` are left out: their gas cannot be estimated. Gas is estimated once for
        each model, with fees and without, since it is the same for all such answers.

        Raises as `Chain.quote`, for example RevertedError for an answer that the ledger rejects.
        """
        gas: dict[tuple[str, bool, bool], int] = {}
        weighed = []
        for answer in self._pending(answers):
            data = call_data(function_named("InferenceLedger", "recordBatch"), _batch([answer]))
            kind = (answer[0].listing, answer[0].prover_fee > 0, answer[0].owner_fee > 0)
            if kind not in gas:
                gas[kind] = self._chain.quote(self.address, data).gas
            weighed.append((answer, Weight(gas[kind], len(data))))
        return pack_batches(weighed)

    def refund(self, request: Request) -> TxReceipt | None:
        """Credit the fees of a request without an answer to its `refund_to`; None if that was done before."""
        request_id = self.id_of(request)
        return self._chain.ensure(
            lambda: self.entry(request_id).state == "refunded", lambda: self._write("refund", request.fields)
        )

    def withdraw(self, to: str) -> TxReceipt | None:
        """Withdraw the credit of the paying account; None if it has none."""
        return self._chain.ensure(lambda: self.credit(self._chain.address) == 0, lambda: self._write("withdraw", to))

    def credit(self, account: str) -> int:
        """What an account can withdraw, in wei."""
        credit: int = self._chain.read("InferenceLedger", self.address, "creditOf", account)
        return credit

    def entry(self, request_id: str) -> Entry:
        """The entry stored for a request."""
        state, time, digest = self._chain.read("InferenceLedger", self.address, "entryOf", hex_to_bytes(request_id))
        return Entry(_STATES[state], time, "0x" + digest.hex())

    def _pending(self, answers: Sequence[Posted]) -> list[Posted]:
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
            "refunded": "its fees were refunded",
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
        [request.fields for request, _, _, _ in answers],
        [inputs for _, inputs, _, _ in answers],
        [list(outputs) for _, _, outputs, _ in answers],
        [proof for _, _, _, proof in answers],
    )
