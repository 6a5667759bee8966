"""What the contracts of works tell in their logs, read forward: works, offers, licences, income, prints and flags.

Every fact has the number of its block and its place among its contract's facts in that block. Words, works and
addresses are hex with 0x, amounts in wei, times Unix seconds. A URI is whatever its writer chose: see `_uri`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts.abi import signature_of, type_of
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.works import KINDS, ORIGINS, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain, LogEntry

WORKS_EVENTS: Final = ("WorkRegistered", "GenerationProven", "StandingChanged", "Transfer")
MARKET_EVENTS: Final = ("Offered", "OfferWithdrawn", "Licensed", "Paid", "Settled")
MAX_URI: Final = 2048
SIMILARITY_EVENTS: Final = ("Printed", "Flagged", "Acknowledged", "Contested", "Upheld", "Released")


@dataclass(frozen=True, slots=True)
class Fact:
    """What every fact has: its block, and its place among the facts of its contract in that block."""

    block: int
    place: int


@dataclass(frozen=True, slots=True)
class Registered(Fact):
    """A work was registered; see `Work` in IWorks.sol. `parents` in the order of their shares."""

    work: str
    creator: str
    since: int
    kind: str
    origin: str
    resale_bps: int
    content: str
    manifest: str
    attestation: str
    pixels: str
    uri: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenerationProven(Fact):
    """A record of the ledger proved that a model, by its listing, made a work."""

    work: str
    record: str
    listing: str


@dataclass(frozen=True, slots=True)
class StandingChange(Fact):
    """A work's standing changed because of an older one."""

    work: str
    standing: str
    older: str


@dataclass(frozen=True, slots=True)
class Transferred(Fact):
    """A work's token has another owner."""

    work: str
    owner: str


@dataclass(frozen=True, slots=True)
class OfferMade(Fact):
    """Licences are on offer; see `MarketOffer`."""

    offer: str
    work: str
    price: int
    duration: int
    share_bps: int
    uses: int
    terms: str
    uri: str


@dataclass(frozen=True, slots=True)
class OfferEnded(Fact):
    """Licences are no longer on offer."""

    offer: str


@dataclass(frozen=True, slots=True)
class LicenceSold(Fact):
    """A licence was sold; `until` is FOREVER if it does not end, `subject` zero if none was named."""

    number: int
    work: str
    holder: str
    offer: str
    subject: str
    until: int


@dataclass(frozen=True, slots=True)
class PaymentReceived(Fact):
    """A work received an amount."""

    work: str
    amount: int


@dataclass(frozen=True, slots=True)
class IncomeSettled(Fact):
    """A work's income was divided between its parents and its owner."""

    work: str
    shared: int
    kept: int


@dataclass(frozen=True, slots=True)
class PrintStored(Fact):
    """A fingerprint of 256 bits was proven; `sure` marks those that rounding cannot have changed."""

    work: str
    bits: str
    sure: str


@dataclass(frozen=True, slots=True)
class FlagRaised(Fact):
    """An older work flagged a younger one."""

    younger: str
    older: str
    distance: int
    compared: int
    answer_by: int


@dataclass(frozen=True, slots=True)
class FlagMoved(Fact):
    """What became of a flag: `acknowledged`, `contested`, `upheld` or `released`."""

    younger: str
    older: str
    state: str


@dataclass(frozen=True, slots=True)
class WorkAddresses:
    """The contracts of some works; `similarity` is empty if none compares them, or its code is not known."""

    works: str
    market: str
    similarity: str = ""


def facts_in(chain: Chain, addresses: WorkAddresses, first: int, last: int) -> Iterator[Fact]:
    """All facts in a range of blocks, oldest first for each contract.

    Raises RpcError if the node refuses so many blocks or lacks old ones, or a log is malformed.
    """
    yield from _facts(chain, "Works", addresses.works, WORKS_EVENTS, first, last)
    yield from _facts(chain, "Market", addresses.market, MARKET_EVENTS, first, last)
    if addresses.similarity:
        yield from _facts(chain, "Similarity", addresses.similarity, SIMILARITY_EVENTS, first, last)


def _facts(
    chain: Chain, contract: ContractName, address: str, names: tuple[str, ...], first: int, last: int
) -> Iterator[Fact]:
    topics = {"0x" + topic.hex(): name for name in names for topic in [_topic(contract, name)]}
    block, place = first, -1
    for entry in chain.entries(address, [list(topics)], first, last):
        if not block <= entry.block <= last or not entry.topics:
            raise _malformed(contract)
        block, place = entry.block, place + 1 if entry.block == block else 0
        name = topics.get("0x" + entry.topics[0].hex())
        if name is None:
            raise _malformed(contract)
        yield _READERS[name](block, place, _values(contract, name, entry))


def _values(contract: ContractName, name: str, entry: LogEntry) -> dict[str, Any]:
    """The arguments of an event by name, with words and addresses as hex."""
    event = _event(contract, name)
    indexed = [one for one in event["inputs"] if one["indexed"]]
    others = [one for one in event["inputs"] if not one["indexed"]]
    if len(entry.topics) != 1 + len(indexed):
        raise _malformed(contract)
    try:
        values = [decode([type_of(one)], topic)[0] for one, topic in zip(indexed, entry.topics[1:], strict=True)]
        # Bytes and text have the same form, and a contract takes as text what is none.
        values += decode([type_of(one).replace("string", "bytes") for one in others], entry.data)
    except (DecodingError, OverflowError) as err:
        raise _malformed(contract) from err
    return {one["name"]: _plain(one, value) for one, value in zip(indexed + others, values, strict=True)}


def _plain(entry: dict[str, Any], value: Any) -> Any:  # noqa: ANN401 - any ABI value
    """A decoded value: tuples by field, bytes as hex, addresses in lower case."""
    if entry["type"] == "tuple":
        return {one["name"]: _plain(one, field) for one, field in zip(entry["components"], value, strict=True)}
    if entry["type"] == "string":
        return _uri(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.lower() if entry["type"] == "address" else value


def _uri(data: bytes) -> str:
    """A URI as text: empty if it is too long, and anything that is no text is replaced, as anybody can write it."""
    return "" if len(data) > MAX_URI else data.decode(errors="replace").replace("\0", "\ufffd")


@cache
def _event(contract: ContractName, name: str) -> dict[str, Any]:
    (found,) = (one for one in load(contract).abi if one["type"] == "event" and one["name"] == name)
    return dict(found)


@cache
def _topic(contract: ContractName, name: str) -> bytes:
    return keccak256(signature_of(_event(contract, name)).encode())


def _word(number: int) -> str:
    return f"0x{number:064x}"


def _registered(block: int, place: int, of: dict[str, Any]) -> Fact:
    record = of["record"]
    if record["kind"] >= len(KINDS) or record["origin"] >= len(ORIGINS):
        raise _malformed("Works")
    same = ("creator", "since", "content", "manifest", "attestation", "pixels")
    return Registered(
        block,
        place,
        work=_word(of["work"]),
        kind=KINDS[record["kind"]],
        origin=ORIGINS[record["origin"]],
        resale_bps=record["resaleBps"],
        uri=of["uri"],
        parents=tuple(map(_word, of["parents"])),
        **{name: record[name] for name in same},
    )


def _standing(block: int, place: int, of: dict[str, Any]) -> Fact:
    return StandingChange(block, place, _word(of["work"]), _named(Standing, of["standing"]), _word(of["older"]))


def _offered(block: int, place: int, of: dict[str, Any]) -> Fact:
    terms = of["terms"]
    numbers = (terms["price"], terms["duration"], terms["shareBps"], terms["uses"])
    return OfferMade(block, place, of["offer"], _word(of["work"]), *numbers, terms["terms"], terms["uri"])


def _licensed(block: int, place: int, of: dict[str, Any]) -> Fact:
    sold = (of["licence"], _word(of["work"]), of["holder"], of["offer"], of["subject"], of["until"])
    return LicenceSold(block, place, *sold)


def _flagged(block: int, place: int, of: dict[str, Any]) -> Fact:
    pair = (_word(of["younger"]), _word(of["older"]))
    return FlagRaised(block, place, *pair, of["distance"], of["compared"], of["answerBy"])


def _moved(state: str) -> Callable[[int, int, dict[str, Any]], Fact]:
    return lambda block, place, of: FlagMoved(block, place, _word(of["younger"]), _word(of["older"]), state)


def _named(names: type[Standing], number: int) -> str:
    try:
        return names(number).name.lower()
    except ValueError as err:
        raise _malformed("Works") from err


_READERS: Final[dict[str, Callable[[int, int, dict[str, Any]], Fact]]] = {
    "WorkRegistered": _registered,
    "GenerationProven": lambda block, place, of: GenerationProven(
        block, place, _word(of["work"]), of["record"], of["listing"]
    ),
    "StandingChanged": _standing,
    "Transfer": lambda block, place, of: Transferred(block, place, _word(of["tokenId"]), of["to"]),
    "Offered": _offered,
    "OfferWithdrawn": lambda block, place, of: OfferEnded(block, place, of["offer"]),
    "Licensed": _licensed,
    "Paid": lambda block, place, of: PaymentReceived(block, place, _word(of["work"]), of["amount"]),
    "Settled": lambda block, place, of: IncomeSettled(block, place, _word(of["work"]), of["shared"], of["kept"]),
    "Printed": lambda block, place, of: PrintStored(
        block, place, _word(of["work"]), _word(of["bits"]), _word(of["sure"])
    ),
    "Flagged": _flagged,
    "Acknowledged": _moved("acknowledged"),
    "Contested": _moved("contested"),
    "Upheld": _moved("upheld"),
    "Released": _moved("released"),
}


def _malformed(contract: str) -> RpcError:
    return RpcError(f"A log of the contract {contract} is malformed.", "Ask another node.")
