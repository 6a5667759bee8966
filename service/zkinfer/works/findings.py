"""What can be looked at of a work, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from zkinfer.works.evidence import UNPROVEN, Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.verifier.attestation import Attestation
    from zkinfer.works.content import Content
    from zkinfer.works.credentials import Marks
    from zkinfer.works.iscc import Fingerprint

_STRENGTH: Final = (Level.CLAIMED, Level.ATTESTED, Level.PROVEN)


class Records(Protocol):
    """A ledger, as far as this needs it."""

    def require_recorded(self, record: str, model_id: str | None, outputs: Sequence[int]) -> str:
        """Where this model's answer is on record; raises RefusedError or WorkError if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence about the work, and what it rests on."""

    level: Level
    text: str


@dataclass
class Finding:
    """What was found.

    Args:
        statements: what holds, each with its level.
        problems: what does not.
        unchecked: what could not be looked at, and what would be needed.
        generated: what the statement that a model made it rests on; None if nobody says so.
    """

    statements: list[Statement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    generated: Level | None = None

    def raise_generated(self, level: Level) -> None:
        """Note that a model is said to have made the work; the strongest evidence counts."""
        if self.generated is None or _STRENGTH.index(level) > _STRENGTH.index(self.generated):
            self.generated = level

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def ai_generated(self) -> str:
        """`proven`, `attested` or `claimed` if a model is said to have made the work; else `unknown`."""
        return "unknown" if self.generated is None else str(self.generated)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "ok": self.holds,
            "aiGenerated": self.ai_generated,
            "statements": [{"level": str(one.level), "text": one.text} for one in self.statements],
            "problems": self.problems,
            "unchecked": self.unchecked,
            "notProven": list(UNPROVEN),
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the caller has besides the certificate; None for what is missing.

    Args:
        content: the file.
        pixels: of the file, `[height, width, 3]`, if it is a picture.
        prints: its fingerprint, if it is a picture.
        marks: its C2PA credentials.
        attestation: of the inference that made it, and the SHA-256 of its file as hex.
        records: of a ledger.
        signers: fingerprints of the keys whose signatures are wanted, of the certificate and of the attestation.
    """

    content: Content | None = None
    pixels: NDArray[np.uint8] | None = None
    prints: Fingerprint | None = None
    marks: Marks | None = None
    attestation: tuple[Attestation, str] | None = None
    records: Records | None = None
    signers: frozenset[str] = frozenset()
