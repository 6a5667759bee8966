"""Client of the contract of works: register them, prove their generation, and read what is stored."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.identifiers import WORD_LIMIT, keccak256, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Request

ZERO_WORD: Final = "0x" + "00" * 32
KINDS: Final = ("image", "text", "audio", "video", "model", "adapter", "prompt", "workflow", "dataset", "other")
ORIGINS: Final = ("unstated", "human", "composite", "generated")
"""In the order of the enums in IWorks.sol."""
_DOMAIN: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_REGISTRATION: Final = (
    b"Registration(address creator,bytes32 content,bytes32 salt,bytes32 manifest,bytes32 attestation,bytes32 pixels,"
    b"uint8 kind,uint8 origin,uint16 resaleBps,uint256[] licences,bytes32[] offers,string uri,uint256 deadline)"
)


class Standing(IntEnum):
    """Whether a work was found similar to an older one; the numbers of the enum in IWorks.sol."""

    CLEAR = 0
    FLAGGED = 1
    CONTESTED = 2
    UPHELD = 3


@dataclass(frozen=True, slots=True)
class Registration:
    """What a creator registers; digests are 0x and 64 hex digits. See `Registration` in IWorks.sol.

    Args:
        content: SHA-256 of the file; of the output words where the generation is proven.
        kind: one of `KINDS`.
        origin: one of `ORIGINS`.
        manifest: SHA-256 of the C2PA manifest store.
        attestation: SHA-256 of the certificate, or of another signed statement.
        pixels: commitment to the normalised pixels.
        salt: of an earlier commitment.
        resale_bps: royalty of a resale, in hundredths of a percent.
        licences: of the creator, under which it was derived.
        offers: that are bought on the way.
        uri: where the certificate and the file are.
    """

    content: str
    kind: str
    origin: str
    manifest: str = ZERO_WORD
    attestation: str = ZERO_WORD
    pixels: str = ZERO_WORD
    salt: str = ZERO_WORD
    resale_bps: int = 0
    licences: tuple[int, ...] = ()
    offers: tuple[str, ...] = ()
    uri: str = ""

    @property
    def fields(self) -> tuple[Any, ...]:
        """As the ABI encodes it."""
        digests = (self.content, self.salt, self.manifest, self.attestation, self.pixels)
        return (
            *map(hex_to_bytes, digests),
            KINDS.index(self.kind),
            ORIGINS.index(self.origin),
            self.resale_bps,
            list(self.licences),
            [hex_to_bytes(one) for one in self.offers],
            self.uri,
        )

    def commitment(self, creator: str) -> str:
        """What proves its time without showing it: binds creator, content, pixels and salt."""
        return "0x" + keccak256(words([creator, self.content, self.pixels, self.salt])).hex()

    def digest(self, chain_id: int, works: str, creator: str, deadline: int) -> bytes:
        """What a creator signs so that somebody else may register it, by EIP-712.

        Args:
            chain_id: of the works.
            works: address of the contract.
            creator: who signs.
            deadline: until which it may be registered, in Unix seconds.
        """
        domain = words(
            [keccak256(_DOMAIN), keccak256(b"zkinfer works"), keccak256(b"1"), chain_id, works],
        )
        struct = words(
            [
                keccak256(_REGISTRATION),
                creator,
                self.content,
                self.salt,
                self.manifest,
                self.attestation,
                self.pixels,
                KINDS.index(self.kind),
                ORIGINS.index(self.origin),
                self.resale_bps,
                keccak256(words(self.licences)),
                keccak256(b"".join(map(hex_to_bytes, self.offers))),
                keccak256(self.uri.encode()),
                deadline,
            ]
        )
        return keccak256(b"\x19\x01" + keccak256(domain) + keccak256(struct))


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """A registered work, as the contract stores it; `since` in Unix seconds, digests as 0x and hex, zero if none."""

    creator: str
    since: int
    kind: str
    origin: str
    standing: Standing
    resale_bps: int
    content: str
    manifest: str
    attestation: str
    pixels: str
    record: str

    @property
    def is_proven(self) -> bool:
        """Whether a record of the ledger proved its generation when it was registered."""
        return self.record != ZERO_WORD


class Works:
    """The contract at an address. Every method that writes raises as `Chain.write`, and RevertedError if refused."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    @cached_property
    def market(self) -> str:
        """Address of the market, where licences are sold."""
        return str(self._read("MARKET")).lower()

    @cached_property
    def ledger(self) -> str:
        """Address of the ledger, where answers of models are recorded."""
        return str(self._read("LEDGER")).lower()

    @cached_property
    def similarity(self) -> str:
        """Address of the contract that compares works; zero if there is none."""
        return str(self._read("SIMILARITY")).lower()

    def commit(self, commitment: str) -> TxReceipt | None:
        """Prove the time of a work without showing it; None if that was done before."""
        return self._chain.ensure(
            lambda: self.committed_at(commitment) != 0, lambda: self._write("commit", hex_to_bytes(commitment))
        )

    def register(self, what: Registration, creator: str, *, value: int = 0) -> TxReceipt | None:
        """Register a work of the paying account, which is its creator; None if it is registered.

        Args:
            what: the work.
            creator: the paying account.
            value: wei, the sum of the prices of the offers.
        """
        return self._ensure(what, creator, lambda: self._write("register", what.fields, value=value))

    def register_for(
        self, what: Registration, creator: str, deadline: int, signature: bytes, *, value: int = 0
    ) -> TxReceipt | None:
        """Register a work for a creator who has signed `Registration.digest`; None if it is registered."""
        return self._ensure(
            what,
            creator,
            lambda: self._write("registerFor", what.fields, creator, deadline, signature, value=value),
        )

    def register_proven(
        self, what: Registration, creator: str, request: Request, outputs: Sequence[int], *, value: int = 0
    ) -> TxReceipt | None:
        """Register a recorded answer of a model, as the requester of the answer; None if it is registered."""
        return self._ensure(
            what,
            creator,
            lambda: self._write("registerProven", what.fields, creator, request.fields, list(outputs), value=value),
        )

    def set_registrar(self, registrar: str, *, allowed: bool = True) -> TxReceipt | None:
        """Let an account or a contract register proven answers in the paying account's name; None if it is so already.

        It uses the account's licences, and cannot move its tokens.
        """
        return self._chain.ensure(
            lambda: self.is_registrar(self._chain.address, registrar) == allowed,
            lambda: self._write("setRegistrar", registrar, allowed),
        )

    def is_registrar(self, creator: str, registrar: str) -> bool:
        """Whether an account may register proven answers in the name of another."""
        return bool(self._read("isRegistrar", creator, registrar))

    def verifies(self, request: Request, outputs: Sequence[int]) -> bool:
        """Whether these outputs are a sound recorded answer to a request, as `verify` of ERC-7007 says."""
        answer = words(value % WORD_LIMIT for value in outputs)
        return bool(self._read("verify", words(astuple(request)), answer, b""))

    def royalty(self, work: int, price: int) -> tuple[str, int]:
        """Whom a marketplace pays at a sale, and how much, in wei, as ERC-2981 says: the work's till."""
        receiver, amount = self._read("royaltyInfo", work, price)
        return str(receiver).lower(), int(amount)

    def open_till(self, work: int) -> TxReceipt | None:
        """Create the till of a work; None if it exists."""
        return self._chain.ensure(
            lambda: bool(self._chain.code(self.till_of(work))), lambda: self._write("openTill", work)
        )

    def id_of(self, creator: str, content: str) -> int:
        """The id of a creator's work, whether it is registered or not."""
        return int(self._read("idOf", creator, hex_to_bytes(content)))

    def work(self, work: int) -> WorkRecord:
        """A registered work; raises RevertedError if there is none."""
        return _record(self._read("workOf", work))

    def exists(self, work: int) -> bool:
        """Whether a work is registered."""
        try:
            self.work(work)
        except RevertedError:
            return False
        return True

    def parents(self, work: int) -> tuple[tuple[int, int], ...]:
        """What a work was derived from: each parent with its share of the income, in hundredths of a percent."""
        parents, shares = self._read("parentsOf", work)
        return tuple(zip(map(int, parents), map(int, shares), strict=True))

    def owner_of(self, work: int) -> str:
        """The account that owns the token; raises RevertedError if there is none."""
        return str(self._read("ownerOf", work)).lower()

    def transfer(self, sender: str, to: str, work: int) -> TxReceipt | None:
        """Give a token away, as its owner; None if the receiver has it."""
        return self._chain.ensure(
            lambda: self.owner_of(work) == to, lambda: self._write("transferFrom", sender, to, work)
        )

    def token_uri(self, work: int) -> str:
        """Where the token's metadata are; empty if the contract names no place."""
        return str(self._read("tokenURI", work))

    def till_of(self, work: int) -> str:
        """The address of a work's till, whether it is open or not."""
        return str(self._read("tillOf", work)).lower()

    def committed_at(self, commitment: str) -> int:
        """When a commitment was made, in Unix seconds; 0 if it was not."""
        return int(self._read("committedAt", hex_to_bytes(commitment)))

    def _ensure(self, what: Registration, creator: str, send: Any) -> TxReceipt | None:  # noqa: ANN401 - a callable
        work = self.id_of(creator, what.content)
        receipt: TxReceipt | None = self._chain.ensure(lambda: self.exists(work), send)
        return receipt

    def _read(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("Works", self.address, name, *arguments)

    def _write(self, name: str, *arguments: object, value: int = 0) -> TxReceipt | None:
        return self._chain.write("Works", self.address, name, *arguments, value=value)


def _record(fields: tuple[Any, ...]) -> WorkRecord:
    creator, since, kind, origin, standing, resale_bps, *digests = fields
    named = ["0x" + bytes(one).hex() for one in digests]
    return WorkRecord(str(creator).lower(), since, KINDS[kind], ORIGINS[origin], Standing(standing), resale_bps, *named)
