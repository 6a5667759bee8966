"""Verify an attestation offline, step by step, against what the auditor trusts and what the caller requires.

Each step relies on those before it, and cheap checks come before costly ones. `StepReporter` reports their results:

 1. the file parses strictly and has a known version
 2. engine, normaliser and trusted setup are accepted; `insecure-dev` only if the policy allows it
 3. the auditor has the ONNX file with the claimed digest
 4. the verifying key, rebuilt from that file and the published recipe, has the claimed digests and tensors
 5. the statement has the circuit's layout, and its integers are in range
 6. the proof has the exact length
 7. the proof is valid
 8. the subject is the proven output; optionally, the inputs are the expected ones
 9. the context is the hash of the claimed request
10. the signature is by the key that the statement names
11. the caller's policy is met
12. optionally, a chain's record agrees: the caller supplies it, since the verifier itself is offline
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import checks
from zkinfer.verifier.attestation import Attestation
from zkinfer.verifier.errors import CHAIN_RECORD, TITLES, RefusedError, Step
from zkinfer.verifier.inference import SEAL, ProvenAnswer, VerifiedInference
from zkinfer.verifier.policy import refuse_offer
from zkinfer.verifier.statement import read_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.statement import Statement
    from zkinfer.verifier.errors import Status
    from zkinfer.verifier.inference import ChainRecord
    from zkinfer.verifier.opinions import IndependentVerifier
    from zkinfer.verifier.policy import Offer, Policy
    from zkinfer.verifier.signing import PublicKey
    from zkinfer.verifier.trust import Trusted


class Verifier:
    """Checks attestations offline.

    Args:
        trusted: models, setups and engines.
        clock: returns the current time, with a time zone; used by the policy only.
        second_opinion: verify each proof with two implementations, and reject it if they differ.
        independent: second implementations, by the engine's name, beside those that this package contains.
    """

    def __init__(
        self,
        *,
        trusted: Trusted,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        second_opinion: bool = False,
        independent: Mapping[str, IndependentVerifier] | None = None,
    ) -> None:
        self._trusted = trusted
        self._clock = clock
        self._require_valid_proof = partial(
            checks.require_valid_proof, second_opinion=second_opinion, independent=independent
        )

    def refuse_offer(self, offer: Offer, policy: Policy) -> None:
        """Raise RefusedError if no proof of this circuit can be accepted: ask before a proof is made, not after.

        Returning promises nothing: the offer is a claim, and a proof of it must be verified.

        Raises:
            InsecureDevSetupError: the setup is `insecure-dev`, and the policy does not accept it.
            UntrustedEngineError, UntrustedSetupError, UnknownModelError: outside of what the auditor trusts.
            PolicyRefusedError: the policy requires another model or setup.
        """
        checks.require_dev_setup_allowed(offer.ceremony, policy)
        checks.accepted_engine(self._trusted, offer.engine, policy)
        self._trusted.require_ceremony(offer.ceremony)
        self._trusted.model(offer.model)
        refuse_offer(policy, offer)

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
            attestation: the file's bytes, or the parsed attestation; strictly parsed again in either case.
            policy: the caller's requirements for the inference.
            expected_inputs: if given, the proof must be about exactly these inputs.
            record: if given, it must confirm that a chain has recorded this answer.
            observer: called with each step, in order; if one fails, the later ones are reported as not reached.

        Raises:
            RefusedError: the attestation is rejected; the class says why, and `step` where.
            SetupError: the trusted setup is accepted, but the auditor lacks the file.
            InputError: a second opinion is wanted, and there is none.
            RecordUnavailableError: step 12 cannot be performed.
            EngineError, CircuitError: the engine or the cache failed, so that there is no verdict.
            DataError: the expected inputs hold NaN or infinity.
        """
        steps = StepReporter(observer)
        trusted = self._trusted
        with steps.step(1) as details:
            data = attestation if isinstance(attestation, bytes) else attestation.to_bytes()
            claim = Attestation.from_bytes(data)
            predicate, recipe = claim.predicate, claim.predicate.recipe
            details.append(str(claim.digest))
        with steps.step(2) as details:
            checks.require_dev_setup_allowed(recipe.setup.ceremony, policy)
            engine = checks.accepted_engine(trusted, recipe.engine, policy)
            checks.require_known_normaliser(recipe)
            setup = trusted.setup(recipe.setup, predicate.setup_size)
            details += [recipe.engine, recipe.setup.ceremony]
        with steps.step(3) as details:
            model = trusted.model(predicate.circuit.model)
            details.append(predicate.circuit.model)
        with steps.step(4) as details:
            circuit = checks.rebuild_circuit(predicate, model, engine=engine, setup=setup, cache=trusted.cache)
            program = circuit.program
            details.append(f"model id {circuit.identity.model_id}")
        with steps.step(5) as details:
            statement = checks.checked_statement(predicate, program)
            details.append(f"{len(statement.inputs)} bytes of inputs, {len(statement.outputs)} outputs")
        with steps.step(6) as details:
            proof = Proof(checks.checked_proof_bytes(claim.proof, circuit.proof_bytes), statement)
            details.append(f"{len(proof.data)} bytes")
        with steps.step(7) as details:
            details.append(self._require_valid_proof(engine, circuit, setup, proof))
        with steps.step(8) as details:
            checks.require_output_subject(claim.statement.output_digest, statement)
            if expected_inputs is not None:
                checks.require_expected_inputs(engine, circuit, setup, statement, expected_inputs)
            details.append("input not compared" if expected_inputs is None else "on the expected input")
        with steps.step(9):
            checks.require_proven_context(predicate.context, statement)
        with steps.step(10) as details:
            key = checks.verified_signer(claim)
            details.append(key.fingerprint)
        with steps.step(11):
            compared = expected_inputs is not None
            inference = _inference(claim, circuit, statement, key, on_expected_input=compared, engine=engine)
            policy.check(inference, self._clock())
        if record is None:
            steps.skip(CHAIN_RECORD, "offline")
        else:
            with steps.step(CHAIN_RECORD) as details:
                recorded = record.agree(ProvenAnswer(inference.context, inference.model_id, statement))
                inference = replace(inference, recorded=recorded, seal=SEAL)
                details.append(str(recorded))
        return inference


def _inference(
    claim: Attestation,
    circuit: Rebuilt,
    statement: Statement,
    key: PublicKey,
    *,
    on_expected_input: bool,
    engine: Engine,
) -> VerifiedInference:
    """The result of steps (1) to (10), for the policy to check."""
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
        labels=engine.labels,
        experimental=engine.experimental,
        seal=SEAL,
    )


class StepReporter:
    """Reports every step to an observer exactly once and in order, even if the verification fails."""

    def __init__(self, observer: Callable[[Step], None] | None) -> None:
        self._observer = observer

    @contextmanager
    def step(self, number: int) -> Iterator[list[str]]:
        """Run one step; the block may append details to the yielded list.

        Any ZkinferError raised in the block fails the step; a RefusedError also gets its `step` set.
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
