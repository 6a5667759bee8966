"""The verifier: an attestation, what we trust and what the caller requires in; a verified inference out.

The steps, in an order where each may rely on those before it, and nothing costly is done for a hopeless file:

 1. parse strictly; known version
 2. engine, normaliser and trusted setup accepted; `insecure-dev` only where the policy says so
 3. the ONNX file of the claimed digest is one of our own
 4. rebuild the verifying key from that file and the published recipe; compare digests and tensors
 5. the statement has the circuit's layout, and its integers are in range
 6. exact proof length
 7. the proof itself
 8. the subject is the proven output; optionally, the inputs are the expected ones
 9. the context is the hash of the claimed request
10. the signature is by the key that the statement names
11. the caller's policy
12. the chain's record, if the caller brings one to ask: this verifier itself is offline
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import checks
from zkinfer.verifier.attestation import Attestation
from zkinfer.verifier.errors import CHAIN_RECORD, TITLES, RefusedError, Step
from zkinfer.verifier.inference import SEAL, ProvenAnswer, VerifiedInference
from zkinfer.verifier.statement import read_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.statement import Statement
    from zkinfer.verifier.errors import Status
    from zkinfer.verifier.inference import ChainRecord
    from zkinfer.verifier.policy import Policy
    from zkinfer.verifier.signing import PublicKey
    from zkinfer.verifier.trust import Trusted


class StepReporter:
    """Reports every step to an observer exactly once and in order, also if the verification fails."""

    def __init__(self, observer: Callable[[Step], None] | None) -> None:
        self._observer = observer

    @contextmanager
    def step(self, number: int) -> Iterator[list[str]]:
        """Run one step; the block may append details to the yielded list.

        A RefusedError raised in the block gets its `step` set; other errors of zkinfer fail the step as well.
        """
        details: list[str] = []
        try:
            yield details
        except ZkinferError as err:
            step = self._report(number, "failed", str(err))
            if isinstance(err, RefusedError):
                err.step = step
            for later in range(number + 1, len(TITLES) + 1):
                self._report(later, "not_reached")
            raise
        self._report(number, "passed", "; ".join(details))

    def skip(self, number: int, why: str) -> None:
        """Report a step that this verification does not perform."""
        self._report(number, "skipped", why)

    def _report(self, number: int, status: Status, detail: str = "") -> Step:
        step = Step(number, TITLES[number - 1], status, detail)
        if self._observer is not None:
            self._observer(step)
        return step


class Verifier:
    """Checks attestations offline.

    Args:
        trusted: models, setups and engines.
        clock: tells the time, with a zone; for the policy only.
    """

    def __init__(self, *, trusted: Trusted, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._trusted = trusted
        self._clock = clock

    def verify(
        self,
        attestation: Attestation | bytes,
        policy: Policy,
        *,
        expected_inputs: Mapping[str, NDArray[np.generic]] | None = None,
        record: ChainRecord | None = None,
        observer: Callable[[Step], None] | None = None,
    ) -> VerifiedInference:
        """Return the inference if all of the numbered steps pass.

        Args:
            attestation: the file's bytes, or what was read from them; read again strictly in either case.
            policy: what the caller requires of a proven inference.
            expected_inputs: if given, the proof must be about exactly these inputs.
            record: if given, it must agree that a chain has this answer on record.
            observer: told about each step, in order; all steps are reported also when one fails.

        Raises:
            RefusedError: the attestation is refused; the class says why and `step` where.
            SetupError: the trusted setup is an accepted one, but the auditor lacks the file.
            EngineError, CircuitError: the engine or the cache failed, so that there is no verdict.
            DataError: the expected inputs hold NaN or infinities.
        """
        steps = StepReporter(observer)
        trusted = self._trusted
        with steps.step(1) as details:
            data = attestation if isinstance(attestation, bytes) else attestation.to_bytes()
            claim = Attestation.from_bytes(data)
            predicate, recipe = claim.predicate, claim.predicate.recipe
            details.append(str(claim.digest))
        with steps.step(2) as details:
            checks.dev_setup_allowed(recipe, policy)
            engine = trusted.engine(recipe.engine)
            checks.normaliser_known(recipe)
            setup = trusted.setup(recipe.setup, predicate.setup_size)
            details += [recipe.engine, recipe.setup.ceremony]
        with steps.step(3) as details:
            model = trusted.model(predicate.circuit.model)
            details.append(predicate.circuit.model)
        with steps.step(4) as details:
            circuit = checks.rebuilt_circuit(predicate, model, engine=engine, setup=setup, cache=trusted.cache)
            program = circuit.program
            details.append(f"model id {circuit.identity.model_id}")
        with steps.step(5) as details:
            statement = checks.stated(predicate, program)
            details.append(f"{len(statement.inputs)} bytes of inputs, {len(statement.outputs)} outputs")
        with steps.step(6) as details:
            proof = Proof(checks.proof_of_length(claim.proof, circuit.proof_bytes), statement)
            details.append(f"{len(proof.data)} bytes")
        with steps.step(7):
            checks.proof_holds(engine, circuit, setup, proof)
        with steps.step(8) as details:
            checks.subject_is_output(claim.statement.output_digest, statement)
            if expected_inputs is not None:
                checks.input_expected(engine, circuit, setup, statement, expected_inputs)
            details.append("input not compared" if expected_inputs is None else "on the expected input")
        with steps.step(9):
            checks.context_is_proven(predicate.context, statement)
        with steps.step(10) as details:
            key = checks.signer(claim)
            details.append(key.fingerprint)
        with steps.step(11):
            inference = _inference(claim, circuit, statement, key, on_expected_input=expected_inputs is not None)
            policy.check(inference, self._clock())
        if record is None:
            steps.skip(CHAIN_RECORD, "offline")
        else:
            with steps.step(CHAIN_RECORD) as details:
                details.append(record.agree(ProvenAnswer(inference.context, inference.model_id, statement)))
        return inference


def _inference(
    claim: Attestation, circuit: Rebuilt, statement: Statement, key: PublicKey, *, on_expected_input: bool
) -> VerifiedInference:
    """What steps (1) to (10) established."""
    predicate, program = claim.predicate, circuit.program
    return VerifiedInference(
        model_id=circuit.identity.model_id,
        identity=circuit.identity,
        recipe=predicate.recipe,
        inputs=checks.tensors(program.inputs, checks.public_inputs(program, statement)),
        outputs=checks.tensors(program.outputs, checks.outputs(program, statement)),
        context=predicate.context,
        signer=key.fingerprint,
        ephemeral=predicate.signer.ephemeral,
        created_at=read_time(predicate.created_at),
        attestation_digest=claim.digest,
        on_expected_input=on_expected_input,
        seal=SEAL,
    )
