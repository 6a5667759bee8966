"""The registry and the ledger of one deployment, in Python's types."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.requests import listing_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.registration import Registration, Visibility
    from zkinfer.contracts.requests import Request

Status = Literal["unknown", "active", "deprecated", "revoked"]
State = Literal["none", "open", "recorded", "refunded"]
_VISIBILITIES: Final[tuple[Visibility, ...]] = ("public", "hashed", "private")
_STATUSES: Final[tuple[Status, ...]] = ("unknown", "active", "deprecated", "revoked")
_STATES: Final[tuple[State, ...]] = ("none", "open", "recorded", "refunded")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger stores of a request; the time is 0 and the digest zero where nothing was recorded."""

    state: State
    recorded_at: int
    output_digest: str


class Registry:
    """The registry at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def register(self, registration: Registration) -> str:
        """Register a model for the paying account, unless it did so before; returns the listing.

        Raises RevertedError where the registry refuses: among others a setup that is not trusted.
        """
        listing = listing_of(registration.model_id, self._chain.address)
        if self.status(listing) != "unknown":
            return listing
        said = (
            _bytes(registration.onnx_digest),
            registration.selector,
            _VISIBILITIES.index(registration.visibility),
            registration.inputs,
            registration.outputs,
            registration.fee,
            registration.uri,
        )
        key = [registration.key[i : i + 32] for i in range(0, len(registration.key), 32)]
        self._chain.write("ModelRegistry", self.address, "register", said, key)
        return listing

    def status(self, listing: str) -> Status:
        """How far a listing may be relied on; `unknown` where there is none."""
        number: int = self._chain.read("ModelRegistry", self.address, "statusOf", _bytes(listing))
        return _STATUSES[number]

    def deprecate(self, listing: str, successor: str = "0x" + "00" * 32) -> TxReceipt:
        """Ask for no more answers of a model."""
        return self._chain.write("ModelRegistry", self.address, "deprecate", _bytes(listing), _bytes(successor))

    def revoke(self, listing: str) -> TxReceipt:
        """Let nothing of a model be recorded any more."""
        return self._chain.write("ModelRegistry", self.address, "revoke", _bytes(listing))


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
        """Open a request and put its fees into escrow; returns its id."""
        request_id = self.id_of(request)
        self._chain.write("InferenceLedger", self.address, "request", _tuple(request), value=request.fees)
        return request_id

    def record(
        self, request: Request, proof: bytes, instances: Sequence[int], *, gas: int | None = None
    ) -> TxReceipt | None:
        """Record a proven answer; None where it is recorded already, so that to post twice changes nothing."""
        if self.entry(self.id_of(request)).state == "recorded":
            return None
        arguments = (_tuple(request), proof, list(instances))
        return self._chain.write("InferenceLedger", self.address, "record", *arguments, gas=gas)

    def record_batch(
        self, answers: Sequence[tuple[Request, bytes, Sequence[int]]], *, gas: int | None = None
    ) -> TxReceipt:
        """Record several answers in one transaction; what is recorded already is passed over."""
        requests = [_tuple(request) for request, _, _ in answers]
        proofs = [proof for _, proof, _ in answers]
        instances = [list(values) for _, _, values in answers]
        arguments = (requests, proofs, instances)
        return self._chain.write("InferenceLedger", self.address, "recordBatch", *arguments, gas=gas)

    def refund(self, request: Request) -> TxReceipt:
        """Credit the fees of a request without an answer to its `refund_to`."""
        return self._chain.write("InferenceLedger", self.address, "refund", _tuple(request))

    def withdraw(self, to: str) -> TxReceipt:
        """Take out what is credited to the paying account."""
        return self._chain.write("InferenceLedger", self.address, "withdraw", to)

    def credit(self, account: str) -> int:
        """What an account can take out, in wei."""
        credit: int = self._chain.read("InferenceLedger", self.address, "creditOf", account)
        return credit

    def entry(self, request_id: str) -> Entry:
        """What is stored of a request."""
        state, time, digest = self._chain.read("InferenceLedger", self.address, "entryOf", _bytes(request_id))
        return Entry(_STATES[state], time, "0x" + digest.hex())


def _tuple(request: Request) -> tuple[Any, ...]:
    """For the ABI encoder, which wants bytes where the contract has words."""
    return tuple(_bytes(one) if isinstance(one, str) and len(one) == 66 else one for one in astuple(request))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
