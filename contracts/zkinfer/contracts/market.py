"""Client of the market of works: licences, payments, and the sharing of what works earn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import idna

from zkinfer.contracts.abi import hex_to_bytes, signature_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.errors import RpcError, SubjectError
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain

NO_SUBJECT: Final = "0x" + "00" * 32
FOREVER: Final = (1 << 40) - 1
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as a last label it makes an IPv4 address (WHATWG URL, 3.5)


@dataclass(frozen=True, slots=True)
class MarketOffer:
    """Licences of a work that are on offer; see `Offer` in IMarket.sol.

    Args:
        work: the work.
        price: in wei.
        duration: seconds; 0 for ever.
        share_bps: of a derivative's income, in hundredths of a percent.
        uses: bits of permissions and duties.
        terms: SHA-256 of the licence's text, as 0x and hex.
        uri: where the text is; empty in what the contract stores.
    """

    work: int
    price: int
    duration: int
    share_bps: int
    uses: int
    terms: str
    uri: str = ""

    @property
    def fields(self) -> tuple[Any, ...]:
        """As the ABI encodes it."""
        terms = hex_to_bytes(self.terms)
        return (self.work, self.price, self.duration, self.share_bps, self.uses, terms, self.uri)


@dataclass(frozen=True, slots=True)
class MarketLicence:
    """A licence that was bought; `until` in Unix seconds, FOREVER if it does not end."""

    holder: str
    until: int
    share_bps: int
    uses: int
    work: int
    subject: str
    offer: str


def subject_of(domain: str) -> str:
    """The subject of a licence for a domain, such as `acme.example`: keccak256 of `dns:` and the name.

    Raises SubjectError as `domain_of`.
    """
    return "0x" + keccak256(f"dns:{domain_of(domain)}".encode()).hex()


def domain_of(text: str) -> str:
    """The one form of a domain's name: in lower case, in ASCII by IDNA 2008, without a dot at the end.

    Raises SubjectError for anything else than the name of a host, such as an IP address.
    """
    try:
        mapped = idna.uts46_remap(text, std3_rules=True)  # which turns every kind of dot into one
        name = idna.encode(mapped.removesuffix(".") + ".").decode("ascii").lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as err:
        raise SubjectError(
            f"{text[:80]!r} is no domain: {str(err)[:120]}.", "Write it as in an address: acme.example."
        ) from err
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise SubjectError(f"{text[:80]!r} is no domain: it is an IP address.", "Give the name: acme.example.")
    return name


class Market:
    """The market at an address. Every method that writes raises as `Chain.write`, and RevertedError if refused."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def offer(self, terms: MarketOffer) -> str:
        """Offer licences as the work's owner, unless they are on offer; returns the offer's id."""
        found = self.id_of(terms)
        self._chain.ensure(lambda: self.is_open(found), lambda: self._write("offer", terms.fields))
        return found

    def withdraw_offer(self, offer: str) -> TxReceipt | None:
        """End an offer, as the work's owner; None if it has ended. Licences that were bought stay."""
        return self._chain.ensure(
            lambda: not self.is_open(offer), lambda: self._write("withdrawOffer", hex_to_bytes(offer))
        )

    def buy(self, offer: str, holder: str, subject: str = NO_SUBJECT) -> int | None:
        """Buy a licence at its price; returns its number, None in a rehearsal. Buying again buys another one."""
        price = self.offer_of(offer).price
        receipt = self._write("buy", hex_to_bytes(offer), holder, hex_to_bytes(subject), value=price)
        return None if receipt is None else self._licence_in(receipt)

    def pay(self, work: int, amount: int) -> TxReceipt | None:
        """Pay a work an amount in wei."""
        return self._write("pay", work, value=amount)

    def settle(self, works: Sequence[int]) -> TxReceipt | None:
        """Share what works have earned with their parents and owners; children first."""
        return self._write("settle", list(works))

    def withdraw(self, to: str) -> TxReceipt | None:
        """Pay out all credit of the paying account."""
        return self._write("withdraw", to)

    def id_of(self, terms: MarketOffer) -> str:
        """The id of an offer."""
        return "0x" + bytes(self._read("idOf", terms.fields)).hex()

    def offer_of(self, offer: str) -> MarketOffer:
        """An offer, without its URI; all zero if there is none."""
        (work, price, duration, share, uses, terms, uri), _ = self._read("offerOf", hex_to_bytes(offer))
        return MarketOffer(work, price, duration, share, uses, "0x" + bytes(terms).hex(), uri)

    def is_open(self, offer: str) -> bool:
        """Whether licences can be bought."""
        return bool(self._read("offerOf", hex_to_bytes(offer))[1])

    def licence(self, number: int) -> MarketLicence:
        """A licence; its holder is the zero address if there is none."""
        holder, until, share, uses, work, subject, offer = self._read("licenceOf", number)
        words = ("0x" + bytes(one).hex() for one in (subject, offer))
        return MarketLicence(str(holder).lower(), until, share, uses, work, *words)

    def covers(self, licence: int, work: int, who: str, uses: int) -> bool:
        """Whether a licence allows an account to use a work now."""
        return bool(self._read("covers", licence, work, who, uses))

    def ceiling(self, work: int) -> int:
        """The permissions that offers of a work may give."""
        return int(self._read("ceilingOf", work))

    def pending(self, work: int) -> int:
        """What a work has received and not shared, in wei."""
        return int(self._read("pendingOf", work))

    def received(self, work: int) -> int:
        """What a work ever received, in wei."""
        return int(self._read("receivedOf", work))

    def credit(self, account: str) -> int:
        """What an account can withdraw, in wei."""
        return int(self._read("creditOf", account))

    def _licence_in(self, receipt: TxReceipt) -> int:
        (entry,) = (one for one in load("Market").abi if one["type"] == "event" and one["name"] == "Licensed")
        topic = keccak256(signature_of(entry).encode())
        for log in receipt["logs"]:
            if str(log["address"]).lower() == self.address and bytes(log["topics"][0]) == topic:
                return int.from_bytes(bytes(log["topics"][1]), "big")
        raise RpcError("The node's receipt lacks the licence that was bought.", "Ask another node.")

    def _read(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("Market", self.address, name, *arguments)

    def _write(self, name: str, *arguments: object, value: int = 0) -> TxReceipt | None:
        return self._chain.write("Market", self.address, name, *arguments, value=value)
