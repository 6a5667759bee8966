"""Requests, registrations and listings, and their identifiers; needs no chain.

Identifiers are Keccak-256 hashes of ABI words.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from Crypto.Hash import keccak

from zkinfer.contracts.errors import AlreadyRegisteredError

if TYPE_CHECKING:
    from collections.abc import Iterable


WORD_LIMIT: Final = 1 << 256
_WORD_DIGITS: Final = len("0x") + 64


def keccak256(data: bytes) -> bytes:
    """Hash with Ethereum's Keccak-256 (not NIST SHA3-256)."""
    return keccak.new(digest_bits=256, data=data).digest()


def words(values: Iterable[int | bytes | str]) -> bytes:
    """The ABI encoding of static values: numbers, or bytes or hex of an address or a word, each 32 bytes long.

    Raises ValueError for a value that does not fit.
    """
    return b"".join(_word(value) for value in values)


def _word(value: int | bytes | str) -> bytes:
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    number = value if isinstance(value, int) else int.from_bytes(value, "big")
    if isinstance(value, bytes) and len(value) not in (20, 32):
        raise ValueError("an address has 20 bytes and a word 32")
    if not 0 <= number < WORD_LIMIT:
        raise ValueError(f"{number} does not fit a word")
    return number.to_bytes(32, "big")


ANY_INPUT: Final = "0x" + keccak256(b"zkinfer.any-input").hex()
ZERO_ADDRESS: Final = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Request:
    """The fields of `Request` in IInferenceLedger.sol, in their order: hex with 0x, numbers in wei or Unix seconds.

    Nothing is checked here; the ledger rejects invalid requests.
    """

    listing: str
    input_commitment: str
    consumer: str
    requester: str
    expiry: int
    prover: str = ZERO_ADDRESS
    prover_fee: int = 0
    refund_to: str = ZERO_ADDRESS
    owner_fee: int = 0
    salt: str = "0x" + "00" * 32

    @property
    def fees(self) -> int:
        """The value to send with the request, in wei."""
        return self.prover_fee + self.owner_fee

    @property
    def fields(self) -> tuple[str | int | bytes, ...]:
        """The fields for the ABI encoder: words as bytes, addresses as text."""
        values: tuple[str | int, ...] = astuple(self)
        return tuple(
            bytes.fromhex(one[2:]) if isinstance(one, str) and len(one) == _WORD_DIGITS else one for one in values
        )

    def id(self, chain_id: int, ledger: str) -> str:
        """The request's id, for a ledger that was deployed on a chain; `requestId` of the proof's context."""
        return "0x" + keccak256(words([chain_id, ledger, *astuple(self)])).hex()


def listing_of(registration: Registration, publisher: str) -> str:
    """The listing of a publisher's registration of a model, which requests and records use.

    It depends on the parts that never change: the model, the selector and the layout; not on fee and URI.
    """
    selector = registration.selector.ljust(32, b"\0")
    return "0x" + keccak256(words([registration.model_id, publisher, selector, *registration.layout.fields])).hex()


def input_commitment(inputs: bytes) -> str:
    """keccak256 over packed inputs: the commitment in a request."""
    return "0x" + keccak256(inputs).hex()


def output_commitment(outputs: Iterable[int]) -> str:
    """keccak256 over outputs as words of two's complement; the ledger stores its first 26 bytes."""
    return "0x" + keccak256(words(value % WORD_LIMIT for value in outputs)).hex()


Visibility = Literal["public", "hashed", "private"]
VISIBILITIES: Final[tuple[Visibility, ...]] = ("public", "hashed", "private")
"""In the order of the enum in StatementLayout.sol."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of statements about a model, as in StatementLayout.sol.

    Args:
        visibility: what a proof reveals about the inputs.
        input_width: bytes of each input: 1, 2, 4 or 8 for public integers, 32 for digests, 0 for private inputs.
        inputs: how many integers or digests there are; 0 for private inputs.
        outputs: how many integers all outputs have together.
    """

    visibility: Visibility
    input_width: int
    inputs: int
    outputs: int

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """The fields for the ABI encoder."""
        return VISIBILITIES.index(self.visibility), self.input_width, self.inputs, self.outputs

    @classmethod
    def of(cls, fields: tuple[int, int, int, int]) -> Self:
        """The layout with these fields, as decoded from a contract's result."""
        visibility, width, inputs, outputs = fields
        return cls(VISIBILITIES[visibility], width, inputs, outputs)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a publisher declares about a model, as in IModelRegistry.sol.

    `key` contains the words of its verifying key; `selector` is its verifier's; `fee` is in wei.
    """

    onnx_digest: str
    key: bytes
    layout: Layout
    selector: bytes
    fee: int = 0
    uri: str = ""

    @property
    def key_digest(self) -> str:
        """keccak256 over the words of the verifying key."""
        return "0x" + keccak256(self.key).hex()

    @property
    def model_id(self) -> str:
        """keccak256(abi.encode(sha256 of the ONNX file, digest of the verifying key))."""
        return "0x" + keccak256(words([self.onnx_digest, self.key_digest])).hex()


Status = Literal["unknown", "active", "deprecated", "revoked"]
STATUSES: Final[tuple[Status, ...]] = ("unknown", "active", "deprecated", "revoked")


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing, as `Model` in IModelRegistry.sol.

    It contains the publisher's claims: no registry can check that the key was made from the ONNX file.
    """

    model_id: str
    onnx_digest: str
    key_digest: str
    key: str
    setup: str
    selector: str
    layout: Layout
    status: Status
    publisher: str
    owner: str
    pending_owner: str
    fee: int
    uri: str

    @classmethod
    def of(cls, model: Any) -> Self:  # noqa: ANN401 - a decoded tuple
        """The listing with the fields that `modelOf` returned."""
        model_id, onnx, key_digest, key, setup, selector, layout, status, *rest = model
        publisher, owner, pending_owner, fee, uri = rest
        return cls(
            model_id="0x" + model_id.hex(),
            onnx_digest="0x" + onnx.hex(),
            key_digest="0x" + key_digest.hex(),
            key=key,
            setup="0x" + setup.hex(),
            selector="0x" + selector.hex(),
            layout=Layout.of(layout),
            status=STATUSES[status],
            publisher=publisher,
            owner=owner,
            pending_owner=pending_owner,
            fee=fee,
            uri=uri,
        )

    def require(self, registration: Registration) -> None:
        """Return if it is active and equals a registration; raise AlreadyRegisteredError if not."""
        if self.status != "active":
            raise AlreadyRegisteredError(
                f"The model was registered before, and is {self.status}.", "A status only advances."
            )
        wanted = {
            "selector": "0x" + registration.selector.hex(),
            "layout": registration.layout,
            "fee": registration.fee,
            "uri": registration.uri,
        }
        for name, value in wanted.items():
            if (found := getattr(self, name)) != value:
                raise AlreadyRegisteredError(
                    f"The model was registered before, and its {name} is {found!r} instead of {value!r}.",
                    "Fee and URI can be changed by the listing's owner; nothing else can.",
                )
