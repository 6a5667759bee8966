"""Labels: a detector's proven verdict on a picture, with what it rests on.

A label embeds the attestation of the verdict, so whoever was labelled verifies it from their own file with `zkinfer
verify label.json --model detector.onnx --input FILE`. The proof shows that this detector gave these scores to these
pixels. Whether the detector is right is another question, which its accuracy answers in part: the label repeats
what the detector's circuit says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.recipe import Sha256
from zkinfer.circuits.statement import Word
from zkinfer.verifier import Attestation
from zkinfer.works.model_inputs import INPUT_RULE
from zkinfer.works.statement import Claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.manifest import Manifest

TYPE: Final = "urn:zkinfer:label:v1"
MAX_BYTES: Final = 1 << 25
_SCORES: Final = 2
_Share = Annotated[float, Field(ge=0, le=1)]


class Fidelity(Claim):
    """How often detector and circuit were right, as the circuit's manifest says: its publisher's measurement."""

    data: Literal["held-out", "calibration", "synthetic"]
    samples: Annotated[int, Field(ge=1)]
    model_accuracy: _Share
    circuit_accuracy: _Share


class Detector(Claim):
    """The model that gave the scores; `fidelity` is None where its publisher measured none."""

    model: Sha256
    model_id: Word
    fidelity: Fidelity | None


class Evidence(Claim):
    """What the label rests on: a signed attestation, which contains a proof, but no record of a ledger."""

    level: Literal["attested"]
    attestation: Sha256


class Label(Claim):
    """A label file.

    `scores` are the detector's output integers: of a captured or drawn picture first, of a generated one second.
    `rule` turns a file into the detector's input.
    """

    type: Literal["urn:zkinfer:label:v1"] = TYPE
    ai_generated: bool
    basis: Literal["detector"]
    evidence: Evidence
    detector: Detector
    scores: Annotated[tuple[Annotated[str, Field(pattern=r"^-?[0-9]{1,20}$")], ...], Field(min_length=2, max_length=2)]
    rule: Literal["luma-area/1"]
    attestation: Annotated[str, Field(max_length=MAX_BYTES)]

    @classmethod
    def of(cls, attestation: Attestation, manifest: Manifest) -> Self:
        """Label a picture by an attestation of a detector.

        Args:
            attestation: of the detector's answer for the picture.
            manifest: of the detector's circuit, for its accuracy.

        Raises:
            DataError: the circuit is no detector, since it has other outputs than two scores.
        """
        claim, data = attestation.predicate, attestation.to_bytes()
        scores = _scores(claim.statement.outputs)
        return cls(
            ai_generated=scores[1] > scores[0],
            basis="detector",
            evidence=Evidence(level="attested", attestation=str(sha256(data))),
            detector=Detector(
                model=claim.circuit.model, model_id=claim.circuit.claimed_model_id, fidelity=_fidelity(manifest)
            ),
            scores=tuple(str(score) for score in scores),
            rule=INPUT_RULE,
            attestation=data.decode(),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a label, and check that it says what its attestation says. The attestation itself is not verified.

        Raises:
            JsonError, DataError: not the canonical form of a label, or it contradicts its attestation.
            RefusedError: its attestation is malformed.
        """
        canonical.load_canonical(data, max_bytes=MAX_BYTES, what="label")
        try:
            label = cls.model_validate_json(data)
        except ValidationError as err:
            first = err.errors()[0]
            where = ascii(".".join(map(str, first["loc"]))[:80])
            raise DataError(f"The label's field {where} is not acceptable: {first['msg']}.") from err
        label._refuse_contradiction()
        return label

    def to_bytes(self) -> bytes:
        """The file: canonical JSON."""
        return canonical.dump(self.model_dump(mode="json", by_alias=True))

    def attestation_bytes(self) -> bytes:
        """The attestation file."""
        return self.attestation.encode()

    def _refuse_contradiction(self) -> None:
        claim = Attestation.from_bytes(self.attestation_bytes()).predicate
        scores = _scores(claim.statement.outputs)
        held = {
            "scores": self.scores == tuple(map(str, scores)),
            "aiGenerated": self.ai_generated == (scores[1] > scores[0]),
            "evidence": self.evidence.attestation == str(sha256(self.attestation_bytes())),
            "detector.model": self.detector.model == claim.circuit.model,
            "detector.modelId": self.detector.model_id == claim.circuit.claimed_model_id,
        }
        for field, agrees in held.items():
            if not agrees:
                raise DataError(
                    f"The label's {field} differs from what its attestation says.",
                    "It was edited: do not rely on it, and ask whoever labelled you for their reasons.",
                )


def is_label(data: bytes) -> bool:
    """Whether a file's last bytes are those of a label: its type comes last in the canonical form."""
    return data.endswith(f'"type":"{TYPE}"}}'.encode())


def _fidelity(manifest: Manifest) -> Fidelity | None:
    found, accuracy = manifest.fidelity, manifest.fidelity.accuracy
    if accuracy is None:
        return None
    return Fidelity(
        data=found.data, samples=found.samples, model_accuracy=accuracy.model, circuit_accuracy=accuracy.circuit
    )


def _scores(outputs: Sequence[int]) -> tuple[int, int]:
    if len(outputs) != _SCORES:
        raise DataError(
            f"A detector has two scores, not {len(outputs)}: of a captured picture, then of a generated one.",
            "Use a detector's circuit.",
        )
    return outputs[0], outputs[1]
