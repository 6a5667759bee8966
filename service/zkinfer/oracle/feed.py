"""A feed as the daemon works on it: its specification and signers, and the model behind it.

The seam to sources, recipes and circuits is `FeedModel`; the daemon knows nothing else about how an answer is made.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from zkinfer.circuits.errors import ZkinferError
from zkinfer.contracts.errors import ChainError, FeedFormatError
from zkinfer.contracts.feed_formats import (
    NO_CONFIG,
    FeedPayload,
    FeedReport,
    FeedSpec,
    Level,
    Signature,
    SignerConfig,
    feed_id,
    round_of,
)
from zkinfer.oracle.store.rounds import NewRound, RoundKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from zkinfer.contracts.feed_formats import HashSigner
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.store.rounds import StoredRound

FAILURES: Final = (ZkinferError, ChainError)
"""What a step of the daemon may fail with; anything else is a defect and ends the daemon."""
SIGNATURE_BYTES: Final = 65


class Delivered(StrEnum):
    """At which levels the rounds of a feed go to the chains."""

    ATTESTED = "attested"
    PROVEN = "proven"
    BOTH = "both"

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, lower first."""
        return {"attested": (Level.ATTESTED,), "proven": (Level.PROVEN,)}.get(self, (Level.ATTESTED, Level.PROVEN))


class FeedModel(Protocol):
    """How a feed's inputs and answers are made; see `zkinfer.oracle.models.CircuitModel`."""

    def observe(self, number: int) -> Observation:
        """Ask the source for a round; raises a ZkinferError or ChainError if it gives nothing acceptable."""
        ...

    def reconstruct(self, source_file: bytes) -> Observation:
        """The observation that a peer's source file describes, by the feed's recipe; raises a ZkinferError."""
        ...

    def require_agreement(self, own: Observation, other: Observation) -> None:
        """Return if two observations agree within the recipe's tolerance; raises a ZkinferError that says where not."""
        ...

    def answer(self, observed: Observation) -> int:
        """The circuit's answer in the feed's decimals; raises a ZkinferError or ChainError if it has none."""
        ...

    def prove(self, payload: FeedPayload) -> FeedPayload:
        """The payload with outputs and proof; raises a ZkinferError or ChainError."""
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of the daemon.

    Args:
        name: in the configuration.
        spec: what its id commits to.
        config: its signers; None if a contract gives its inputs.
        model: makes its answers.
        signer: this operator's key; None if the feed has no signers.
        address: of this operator's key, in lower case; empty without one.
        delivered: the levels that chains get.
        deviation: the relative change of the answer that makes a round due; None if only the heartbeat does.
        chains: names of the chains that get it.
        deciding: held while this operator settles which report of a round it signs, its own or a peer's.
    """

    name: str
    spec: FeedSpec
    config: SignerConfig | None
    model: FeedModel
    signer: HashSigner | None
    address: str
    delivered: Delivered
    deviation: Fraction | None
    chains: tuple[str, ...]
    deciding: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The feed's id, the same on every chain."""
        return feed_id(self.spec)

    @property
    def config_digest(self) -> str:
        """The digest of the signers' configuration; zero without signers."""
        return NO_CONFIG if self.config is None else self.config.digest

    @property
    def highest(self) -> Level:
        """The highest level that chains get."""
        return self.delivered.levels[-1]

    def round_at(self, time: float) -> int:
        """The number of the round at a time."""
        return round_of(int(time), self.spec.tick)

    def unsigned(self, observed: Observation, answer: int) -> FeedPayload:
        """The payload of a round before it is signed."""
        report = FeedReport(self.id, observed.observed_at, observed.observed_at + self.spec.max_age, answer)
        number = self.round_at(observed.observed_at)
        return FeedPayload(self.config_digest, number, report, (), observed.source_digest, observed.inputs)

    def unsigned_of(self, stored: StoredRound) -> FeedPayload:
        """The payload of a round on record, before it is signed."""
        report = FeedReport(self.id, stored.observed_at, stored.expires_at, stored.answer)
        return FeedPayload(stored.config_digest, stored.key.number, report, (), stored.source_digest, stored.inputs)

    def owns(self, stored: StoredRound) -> bool:
        """Whether this operator observed the round, and so finishes it without waiting."""
        return self.config is None or stored.proposer == self.address

    def new_round(self, observed: Observation, answer: int, proposer: str) -> NewRound:
        """What is recorded of a round that was observed."""
        payload = self.unsigned(observed, answer)
        return NewRound(
            key=RoundKey(self.id, payload.round),
            observed_at=observed.observed_at,
            expires_at=payload.report.expires_at,
            answer=answer,
            source=observed.source_file,
            source_digest=observed.source_digest,
            inputs=observed.inputs,
            signing_hash="0x" + payload.signing_hash.hex(),
            config_digest=payload.config_digest,
            proposer=proposer,
        )

    def attested(self, unsigned: FeedPayload, signatures: Iterable[bytes]) -> FeedPayload:
        """The payload with enough signatures, in their order; raises FeedSignatureError if there are too few."""
        if self.config is None:
            return unsigned
        arranged = self.config.arrange(unsigned.signing_hash, [unpacked(one) for one in signatures])
        return replace(unsigned, signatures=arranged)


def packed(signature: Signature) -> bytes:
    """A signature in 65 bytes: r, s and v."""
    return signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.v])


def unpacked(data: bytes) -> Signature:
    """The signature that `packed` wrote; raises FeedFormatError for anything else."""
    if len(data) != SIGNATURE_BYTES:
        raise FeedFormatError(f"A signature has {SIGNATURE_BYTES} bytes, not {len(data)}.")
    return Signature(int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"), data[64])
