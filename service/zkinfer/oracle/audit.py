"""Audit the rounds of a feed from chain data and published files alone.

The caller has compared the deployment's code, and the listing with a circuit that was rebuilt from the auditor's ONNX
file. For each round that the hub reported:

(1) if the payload is in the transaction: enough of the feed's signers signed it
(2) if it is there and proven: the proof is valid
(3) the source file is the one that the report names
(4) by the recipe it gives the inputs that the report commits to, at the time of the report
(5) the circuit answers these inputs with the reported answer, within the feed's tolerance

Signatures and proof come first, so that they are told of a round whose source file is missing or was changed. For (2)
the auditor's own verifier is asked; that the hub's accepted the proof is on record. The payload is missing if another
contract passed it to the hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import ZkinferError
from zkinfer.circuits.statement import Statement
from zkinfer.contracts.errors import ChainError
from zkinfer.contracts.feed_formats import NO_CONFIG, Level
from zkinfer.contracts.identifiers import input_commitment
from zkinfer.oracle.answers import answer_of
from zkinfer.oracle.errors import AuditError
from zkinfer.oracle.observations import replay
from zkinfer.oracle.recipes import Recipe
from zkinfer.oracle.reports import context_of, require_same_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.feed_events import ReportedRound
    from zkinfer.contracts.feed_formats import FeedPayload, FeedSpec, SignerConfig
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.published import Published

_FAILURES: Final = (ZkinferError, ChainError)


@dataclass(frozen=True, slots=True)
class RoundVerdict:
    """What the audit of one report found.

    Args:
        reported: what the hub reported.
        answer: the circuit's, in the feed's decimals; None if it could not be derived.
        signatures: how many of the feed's signers signed, 0 if that is not enough or one is wrong; None if the payload
            is not in the transaction.
        proof: `valid`, `none`, or `on record` if only the hub's verifier was asked.
        problem: why the round does not hold; empty if it does.
    """

    reported: ReportedRound
    answer: int | None
    signatures: int | None
    proof: str
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether every check passed."""
        return not self.problem

    @property
    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "round": self.reported.round,
            "level": self.reported.level.name.lower(),
            "observedAt": self.reported.observed_at,
            "reported": str(self.reported.answer),
            "derived": None if self.answer is None else str(self.answer),
            "signatures": self.signatures,
            "proof": self.proof,
            "sourceDigest": self.reported.source_digest,
            "transaction": self.reported.transaction,
            "holds": self.holds,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Auditor:
    """Audits the rounds of one feed.

    Args:
        spec: as the hub has it; its hash must be the feed's id.
        observe: gives the observation of a reported round again: `published_observation`, or one on the chain.
        signers_of: the signers with a digest; None if there are none.
        circuit: rebuilt from the auditor's ONNX file, or compared with what was.
        engine: of the circuit.
        setup: the circuit's trusted setup.
    """

    spec: FeedSpec
    observe: Callable[[ReportedRound], Observation]
    signers_of: Callable[[str], SignerConfig | None]
    circuit: Circuit
    engine: Engine
    setup: Path

    def audit(self, reported: ReportedRound, payload: FeedPayload | None) -> RoundVerdict:
        """The verdict on one report, with the payload that posted it if it is known."""
        answer: int | None = None
        signatures = None if payload is None else 0
        proof = "on record" if reported.level == Level.PROVEN else "none"
        try:
            if payload is not None:
                self._require_payload(reported, payload)
                signatures = self._signatures(payload)  # (1)
                proof = self._proof(payload)  # (2)
            observation = self._observation(reported)  # (3), (4)
            answer = answer_of(self.circuit, self.engine, self.spec, observation.inputs).value
            self._require_answer(reported, answer)  # (5)
        except _FAILURES as err:
            return RoundVerdict(reported, answer, signatures, proof, str(err))
        return RoundVerdict(reported, answer, signatures, proof)

    def _observation(self, reported: ReportedRound) -> Observation:
        found = self.observe(reported)
        if input_commitment(found.inputs) != reported.input_commitment:
            raise AuditError(
                "The source gives other inputs than the report commits to.", "The signers misread the source."
            )
        if found.observed_at != reported.observed_at:
            raise AuditError(f"The source was observed at {found.observed_at}, not at {reported.observed_at}.")
        return found

    def _require_answer(self, reported: ReportedRound, answer: int) -> None:
        if abs(answer - reported.answer) > self.spec.tolerance:
            raise AuditError(
                f"The circuit answers {answer}, and {reported.answer} was reported; the tolerance is "
                f"{self.spec.tolerance}.",
                "The signers signed an answer that the model does not give.",
            )

    def _require_payload(self, reported: ReportedRound, payload: FeedPayload) -> None:
        said = (payload.report.answer, payload.report.observed_at, input_commitment(payload.inputs))
        if said != (reported.answer, reported.observed_at, reported.input_commitment):
            raise AuditError("The transaction holds another report than the hub's log.", "Ask another node.")

    def _signatures(self, payload: FeedPayload) -> int:
        if payload.config_digest == NO_CONFIG and not self.spec.signed:
            return 0
        config = self.signers_of(payload.config_digest)
        if config is None:
            raise AuditError(f"The hub knows no signers {payload.config_digest}.", "Ask another node.")
        return len(config.require(payload.signing_hash, payload.signatures))

    def _proof(self, payload: FeedPayload) -> str:
        if payload.level != Level.PROVEN:
            return "none"
        statement = Statement(context_of(payload).hash, payload.inputs, payload.outputs)
        program = self.circuit.manifest.program
        self.engine.verify(self.circuit.folder, program, self.setup, Proof(payload.proof, statement))
        require_same_answer(self.spec, payload, payload.outputs)
        return "valid"


def published_observation(recipe: Recipe, published: Published) -> Callable[[ReportedRound], Observation]:
    """Checks (3) and (4) up to the inputs, for feeds whose source files are published."""
    return lambda reported: replay(recipe, published.read(reported.source_digest))


def recipe_of(spec: FeedSpec, published: Published) -> Recipe:
    """The recipe that a specification names; raises SourceError or RecipeError if it is not published as such."""
    return Recipe.from_bytes(published.read(spec.recipe))
