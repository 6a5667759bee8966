"""What feeds exchange: specifications, reports and payloads, byte for byte as the contracts read them.

A payload is the one of Chainlink Data Streams (report schema 3) with four further elements: the digest of the source
file, the model's inputs, its outputs and the proof. Decoders of the five elements do not see them. Nothing here talks
to a chain; the extra `chain` is needed for the encoding. Words and addresses are hex in lower case with 0x, times are
Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts.errors import AnswerOutOfBoundsError, FeedFormatError
from zkinfer.contracts.feed_signatures import (
    NO_CONFIG,
    HashSigner,
    Signature,
    SignerConfig,
    is_address,
    is_hex,
    recover,
    sign,
)
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256, words

__all__ = [
    "NO_CONFIG",
    "FeedPayload",
    "FeedReport",
    "FeedSpec",
    "HashSigner",
    "Level",
    "RoundContext",
    "Signature",
    "SignerConfig",
    "feed_id",
    "proof_context",
    "recover",
    "request_id",
    "round_of",
    "sign",
    "to_decimals",
]

SCHEMA: Final = b"\0\3"
"""The first bytes of every feed's id: the schema of its reports."""
MAX_PAYLOAD: Final = 1 << 20
"""Bytes of the longest payload that is decoded."""
MAX_DESCRIPTION: Final = 200
_SPEC: Final = "(bytes32,bytes32,address,address,uint24,uint8,uint8,int192,int192,uint64,uint32,uint32,uint32,string)"
_REPORT: Final = ("bytes32", "uint32", "uint32", "uint192", "uint192", "uint32", "int192", "int192", "int192")
_PAYLOAD: Final = ("bytes32[3]", "bytes", "bytes32[]", "bytes32[]", "bytes32", "bytes32", "bytes", "int256[]", "bytes")
_OUTPUT_LIMIT: Final = 1 << 63
_DECIMALS_LIMIT: Final = 1 << 127
_MAX_SCALE: Final = 64
_MAX_DECIMALS: Final = 18


class Level(IntEnum):
    """How much an answer rests on: signatures over the inputs, or also a proof of the computation."""

    NONE = 0
    ATTESTED = 1
    PROVEN = 2


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """A feed's specification, which its id commits to; the fields of `Spec` in the contracts, in their order.

    Args:
        listing: the model, as registered.
        recipe: digest of the document that says how observations become inputs.
        owner: the account that creates the feed and chooses its signers.
        source: the contract that gives the inputs; zero if signers do.
        output: which integer of the statement's outputs is the answer.
        scale: fractional bits of that integer, at most 64.
        decimals: of the answer, at most 18.
        least: the smallest answer.
        most: the largest answer.
        tolerance: how much a proven answer may differ from the signed one, in units of the answer.
        tick: seconds of a round.
        heartbeat: seconds after which there is a round even if the answer did not move.
        max_age: the age in seconds at which a report can no longer be posted.
        description: what the feed answers, as consumers see it.

    Raises:
        FeedFormatError: a field is out of range.
    """

    listing: str
    recipe: str
    owner: str
    source: str
    output: int
    scale: int
    decimals: int
    least: int
    most: int
    tolerance: int
    tick: int
    heartbeat: int
    max_age: int
    description: str

    def __post_init__(self) -> None:
        for name in ("listing", "recipe", "owner", "source"):
            object.__setattr__(self, name, getattr(self, name).lower())
        _require(is_hex(self.listing, 32) and is_hex(self.recipe, 32), "listing and recipe are words of 32 bytes")
        _require(is_address(self.owner) and is_address(self.source), "owner and source are addresses")
        _require(self.owner != ZERO_ADDRESS, "the owner is an account")
        _require(0 <= self.output < 1 << 24, "the output is an index below 2^24")
        _require(0 <= self.scale <= _MAX_SCALE, f"the scale is at most {_MAX_SCALE}")
        _require(0 <= self.decimals <= _MAX_DECIMALS, f"the decimals are at most {_MAX_DECIMALS}")
        _require(-(1 << 191) <= self.least <= self.most < 1 << 191, "least and most are ordered and fit int192")
        _require(0 <= self.tolerance < 1 << 64, "the tolerance fits 64 bits")
        _require(1 <= self.tick < 1 << 32, "the tick is at least a second")
        _require(self.tick <= self.heartbeat < 1 << 32, "the heartbeat is at least a tick")
        _require(self.tick <= self.max_age < 1 << 32, "the maximum age is at least a tick")
        _require(len(self.description.encode()) <= MAX_DESCRIPTION, f"the description has {MAX_DESCRIPTION} bytes")

    @classmethod
    def of(cls, values: Any) -> FeedSpec:  # noqa: ANN401 - a decoded tuple
        """The specification with the values that a contract returned."""
        listing, recipe, *rest = values
        return cls("0x" + listing.hex(), "0x" + recipe.hex(), *rest)

    @property
    def fields(self) -> tuple[Any, ...]:
        """The values for the ABI encoder."""
        values = [getattr(self, field.name) for field in fields(self)]
        return (_bytes(values[0]), _bytes(values[1]), *values[2:])

    @property
    def signed(self) -> bool:
        """Whether signers give the inputs, and not a contract."""
        return self.source == ZERO_ADDRESS

    def require_creatable(self, time: int) -> None:
        """Return if a hub takes the feed at a time in Unix seconds; raise FeedFormatError if it would not.

        A report says in 32 bits until when it can be posted.
        """
        if time + self.max_age >= 1 << 32:
            raise FeedFormatError(
                f"Reports with a maximum age of {self.max_age} s would end after 2106, which 32 bits cannot hold.",
                "Choose a smaller maximum age.",
            )

    def answer(self, outputs: tuple[int, ...]) -> int:
        """The answer that these outputs of the model give.

        Raises:
            FeedFormatError: there is no such output, or it is too large.
            AnswerOutOfBoundsError: the answer is out of the feed's bounds.
        """
        if self.output >= len(outputs):
            raise FeedFormatError(f"The answer is output {self.output}, and there are {len(outputs)}.")
        return self.require_bounds(to_decimals(outputs[self.output], self.scale, self.decimals))

    def require_bounds(self, answer: int) -> int:
        """The answer itself; raises AnswerOutOfBoundsError if it is out of the feed's bounds."""
        if not self.least <= answer <= self.most:
            raise AnswerOutOfBoundsError(
                f"The answer {answer} is outside the feed's bounds, {self.least} to {self.most}.",
                "Check the sources; bounds belong to the feed's id and never change.",
            )
        return answer


def feed_id(spec: FeedSpec) -> str:
    """A feed's id, the same on every chain: the schema and 30 bytes of keccak256(abi.encode(spec))."""
    return "0x" + (SCHEMA + keccak256(encode([_SPEC], [spec.fields]))[2:]).hex()


def round_of(observed_at: int, tick: int) -> int:
    """The round to which an observation belongs."""
    return observed_at // tick


def to_decimals(value: int, scale: int, decimals: int) -> int:
    """floor(value * 10^decimals / 2^scale), as `Outputs.toDecimals`; raises FeedFormatError as it reverts."""
    _require(0 <= scale <= _MAX_SCALE and 0 <= decimals <= _MAX_DECIMALS, "scale is at most 64, decimals at most 18")
    _require(abs(value) < _DECIMALS_LIMIT, "the magnitude of an output is below 2^127")
    return int(value * 10**decimals >> scale)


def in_decimals(value: int, decimals: int) -> str:
    """A feed's answer as people read it: 27583289 with 8 decimals is 0.27583289. Exact, and without an exponent."""
    sign, digits = "-" * (value < 0), str(abs(value)).rjust(decimals + 1, "0")
    place = len(digits) - decimals
    return f"{sign}{digits[:place]}.{digits[place:]}" if decimals else f"{sign}{digits}"


def request_id(feed: str, number: int, observed_at: int, source_digest: str) -> str:
    """The request that the proof of a round answers; it names no chain, so one proof serves all."""
    types = ["string", "bytes32", "uint40", "uint40", "bytes32"]
    packed = encode(types, ["zkinfer.feed.1", _bytes(feed), number, observed_at, _bytes(source_digest)])
    return "0x" + keccak256(packed).hex()


def proof_context(request: str) -> str:
    """The context of a proof for a request without chain, consumer, requester and expiry."""
    return "0x" + keccak256(words([0, 0, request, 0, 0])).hex()


@dataclass(frozen=True, slots=True)
class RoundContext:
    """The three words that are signed beside a report: configuration, round, and what the answer was computed from."""

    config_digest: str
    round: int
    extra: str

    def __post_init__(self) -> None:
        _require(is_hex(self.config_digest, 32) and is_hex(self.extra, 32), "the context has words of 32 bytes")
        _require(0 <= self.round < 1 << 40, "the round fits 40 bits")

    @classmethod
    def about(cls, config_digest: str, number: int, source_digest: str, inputs: bytes) -> RoundContext:
        """The context of a round with these inputs from this source file."""
        return cls(config_digest, number, "0x" + keccak256(words([source_digest, keccak256(inputs)])).hex())

    @property
    def words(self) -> tuple[bytes, bytes, bytes]:
        """The three words."""
        return _bytes(self.config_digest), self.round.to_bytes(32, "big"), _bytes(self.extra)


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What a round says: the answer to a feed, when it was observed, and until when it can be posted.

    Raises:
        FeedFormatError: a field is out of range.
    """

    feed_id: str
    observed_at: int
    expires_at: int
    answer: int

    def __post_init__(self) -> None:
        _require(is_hex(self.feed_id, 32) and self.feed_id.startswith("0x0003"), "a feed's id begins with 0x0003")
        _require(0 <= self.observed_at <= self.expires_at < 1 << 32, "the times are ordered and fit 32 bits")
        _require(-(1 << 191) <= self.answer < 1 << 191, "the answer fits int192")

    def encode(self) -> bytes:
        """The report in schema 3: no fees, and the answer three times, as price, bid and ask."""
        answer, seen = self.answer, self.observed_at
        values = [_bytes(self.feed_id), seen, seen, 0, 0, self.expires_at, answer, answer, answer]
        return encode(_REPORT, values)

    @classmethod
    def decode(cls, data: bytes) -> FeedReport:
        """The report that `encode` wrote; raises FeedFormatError for anything else."""
        feed, _, observed_at, _, _, expires_at, answer, _, _ = _decode(_REPORT, data, "report")
        report = cls("0x" + feed.hex(), observed_at, expires_at, answer)
        _require(report.encode() == data, "a report has no fees, one time of observation and one price")
        return report


@dataclass(frozen=True, slots=True)
class FeedPayload:
    """A report with its signatures, and what anybody needs to check it: source file, inputs and, if proven, the proof.

    Args:
        config_digest: of the signers; zero for feeds whose inputs come from a contract.
        round: the number of the round.
        report: what the round says.
        signatures: in the order of the signers.
        source_digest: keccak256 of the source file; for an on-chain source what identifies its data.
        inputs: the model's packed inputs.
        outputs: the model's outputs; empty if only attested.
        proof: of the outputs; empty if only attested.

    Raises:
        FeedFormatError: a field is out of range, or only one of outputs and proof is empty.
    """

    config_digest: str
    round: int
    report: FeedReport
    signatures: tuple[Signature, ...]
    source_digest: str
    inputs: bytes
    outputs: tuple[int, ...] = ()
    proof: bytes = b""

    def __post_init__(self) -> None:
        _require(is_hex(self.source_digest, 32), "the digest of the source is a word of 32 bytes")
        _require(len(self.signatures) < 32, "there are at most 31 signatures")
        _require(bool(self.outputs) == bool(self.proof), "outputs and proof are both there or both empty")
        _require(all(abs(one) < _OUTPUT_LIMIT for one in self.outputs), "the magnitude of an output is below 2^63")
        _require(is_hex(self.config_digest, 32) and 0 <= self.round < 1 << 40, "the context fits its words")
        _require((self.config_digest != NO_CONFIG) or not self.signatures, "without signers there are no signatures")

    @property
    def context(self) -> RoundContext:
        """What is signed beside the report."""
        return RoundContext.about(self.config_digest, self.round, self.source_digest, self.inputs)

    @property
    def level(self) -> Level:
        """Whether there is a proof. It says nothing about whether signatures and proof are valid."""
        return Level.PROVEN if self.proof else Level.ATTESTED

    @property
    def signing_hash(self) -> bytes:
        """What signers sign: keccak256(keccak256(report) and the context's three words)."""
        return keccak256(keccak256(self.report.encode()) + b"".join(self.context.words))

    @property
    def request_id(self) -> str:
        """The request that the proof answers."""
        return request_id(self.report.feed_id, self.round, self.report.observed_at, self.source_digest)

    def encode(self) -> bytes:
        """The payload that the hub takes, in its one encoding."""
        recovery = bytes(one.v - 27 for one in self.signatures).ljust(32, b"\0")
        rs, ss = ([number.to_bytes(32, "big") for number in one] for one in self._numbers())
        tail = [_bytes(self.source_digest), self.inputs, self.outputs, self.proof]
        return encode(_PAYLOAD, [self.context.words, self.report.encode(), rs, ss, recovery, *tail])

    @classmethod
    def decode(cls, data: bytes) -> FeedPayload:
        """The payload that `encode` wrote; raises FeedFormatError for any other bytes."""
        _require(len(data) <= MAX_PAYLOAD, f"a payload has at most {MAX_PAYLOAD:,} bytes")
        context, report, rs, ss, recovery, source, inputs, outputs, proof = _decode(_PAYLOAD, data, "payload")
        _require(len(rs) == len(ss) < 32, "there is one s for each r, and at most 31")
        payload = cls(
            config_digest="0x" + context[0].hex(),
            round=int.from_bytes(context[1], "big"),
            report=FeedReport.decode(report),
            signatures=tuple(
                Signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"), 27 + v)
                for r, s, v in zip(rs, ss, recovery, strict=False)
            ),
            source_digest="0x" + source.hex(),
            inputs=inputs,
            outputs=tuple(outputs),
            proof=proof,
        )
        _require(payload.encode() == data, "each payload has one encoding, and this is another")
        return payload

    def _numbers(self) -> tuple[list[int], list[int]]:
        return [one.r for one in self.signatures], [one.s for one in self.signatures]


def _decode(types: tuple[str, ...], data: bytes, what: str) -> tuple[Any, ...]:
    try:
        return decode(types, data)
    except (DecodingError, OverflowError) as err:  # an offset or a length beyond what a stream can seek
        raise FeedFormatError(f"The {what} cannot be decoded.", "Was it cut off or changed?") from err


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise FeedFormatError(f"A feed's document breaks a rule: {rule}.", "Make it again with this version.")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
