"""The prover: runs a circuit on one inference and makes a signed attestation of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.proof_checks import require_statement
from zkinfer.circuits.errors import AnswerMismatchError, CircuitError, SetupError
from zkinfer.circuits.home import KeyRing, key_path
from zkinfer.circuits.progress import NULL_OBSERVER, Observer, Stages
from zkinfer.circuits.statement import Context
from zkinfer.prover.quantised_inputs import (
    integers_digest,
    integers_of,
    naming_largest_input,
    refuse_out_of_range,
)
from zkinfer.verifier import Attestation, ContextMismatchError, SigningKey, checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.prover.quantised_inputs import Inputs


class Prover:
    """Proves inferences and signs attestations.

    Args:
        home: this user's trusted setups and proving keys.
        key: signs the attestations; with None, each gets an ephemeral key, which does not identify the prover.
        engines: proving systems by id; by default the production engines.
        clock: gives the creation time of attestations, in UTC.
    """

    def __init__(
        self,
        *,
        home: Home,
        key: SigningKey | None = None,
        engines: Mapping[str, Engine] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._home = home
        self._key = key
        self._engines = production_engines() if engines is None else engines
        self._clock = clock
        self._keys = KeyRing()

    def prove(
        self,
        circuit: Circuit,
        inputs: Inputs,
        context: Context | None = None,
        *,
        observer: Observer = NULL_OBSERVER,
        timings: dict[str, float] | None = None,
    ) -> Attestation:
        """Run the circuit on one inference and prove the answer.

        The witness, which holds all inputs, exists only in the memory of a child process. Before anything is
        signed, the engine verifies its own proof, and the proof's public values are compared with this inference.

        Args:
            circuit: an opened circuit.
            inputs: arrays by name; see `zkinfer.circuits.tensor_files.conform` for the accepted shapes.
            context: binds the proof to a request; None for an offline context with a random request id.
            observer: notified of each stage.
            timings: receives the seconds of each stage.

        Raises:
            DataError: a missing or unknown input, a wrong shape or dtype, NaN.
            RangeError: a value leaves the range of the circuit.
            CircuitError, SetupError: the circuit's keys or trusted setup are not available.
            EngineError: the engine failed, or its proof states something else.
        """
        integers = integers_of(inputs, circuit.manifest.program.inputs)
        return self.prove_integers(circuit, integers, context, observer=observer, timings=timings)

    def prove_integers(
        self,
        circuit: Circuit,
        integers: Sequence[Sequence[int]],
        context: Context | None = None,
        *,
        observer: Observer = NULL_OBSERVER,
        timings: dict[str, float] | None = None,
    ) -> Attestation:
        """As `prove`, for quantised inputs: the integers of each input, in the program's order."""
        refuse_out_of_range(integers, circuit.manifest.program)
        stages = Stages(observer, {} if timings is None else timings)
        bound_to = context or Context.offline()
        with stages.stage("keys"):
            engine = self._engine_of(circuit)
            setup = self._setup_of(circuit)
            key_file = self._keys.key_for(circuit, engine, setup, self._home.keys)
            key = key_path(engine, key_file)
        program = circuit.manifest.program
        with stages.stage("prove"), naming_largest_input(integers, program.inputs):
            proof = engine.prove(circuit.folder, program, setup.path, key, integers, bound_to.hash)
            require_statement(
                proof,
                engine=engine,
                folder=circuit.folder,
                program=program,
                setup=setup.path,
                proof_bytes=circuit.manifest.keys.proof_bytes,
                inputs=integers,
                context=bound_to,
            )
        return Attestation.create(
            identity=circuit.manifest.identity,
            recipe=circuit.manifest.recipe,
            program=program,
            proof=proof,
            context=bound_to,
            key=self._key or SigningKey.ephemeral(),
            ephemeral=self._key is None,
            created_at=self._clock(),
        )

    def make_key(self, circuit: Circuit, *, observer: Observer = NULL_OBSERVER) -> Path:
        """The circuit's proving key in this user's cache, generated if it is missing or damaged.

        Raises:
            CircuitError, SetupError: the circuit's key or trusted setup is not available.
            EngineError: the engine failed.
        """
        with Stages(observer, {}).stage("keys"):
            return self._keys.key_for(circuit, self._engine_of(circuit), self._setup_of(circuit), self._home.keys)

    def warm(self, circuit: Circuit, heartbeat: Callable[[], object]) -> bool:
        """Check the circuit's proving key before it is needed; returns whether it is valid. No key is generated.

        `heartbeat` is called many times a second while the key is read.
        """
        return self._keys.warm(circuit, self._home.keys, heartbeat)

    def check(self, circuit: Circuit, attestation: bytes, context: Context, outputs: Digest) -> None:
        """Verify an attestation of this circuit before it is released, as its recipients will.

        The verifying key is the one in the circuit's folder, for which the proving key vouches; nothing is rebuilt.

        Args:
            circuit: an opened circuit.
            attestation: the file.
            context: the request to which it must be bound.
            outputs: `integers_digest` of the answer that it must state.

        Raises:
            RefusedError: it is malformed, bound to another request, or its signature is invalid.
            AnswerMismatchError: it states another answer.
            ProofRejectedError: the proof is invalid.
        """
        claim, program = Attestation.from_bytes(attestation), circuit.manifest.program
        statement = checks.checked_statement(claim.predicate, program)
        proof = Proof(checks.checked_proof_bytes(claim.proof, circuit.manifest.keys.proof_bytes), statement)
        self._engine_of(circuit).verify(circuit.folder, program, self._setup_of(circuit).path, proof)
        answer = checks.outputs(program, statement)
        if integers_digest([answer[spec.name] for spec in program.outputs]) != outputs:
            raise AnswerMismatchError("The proof is for another answer than the one given for this request.")
        checks.require_output_subject(claim.statement.output_digest, statement)
        checks.require_proven_context(context, statement)
        if claim.predicate.context != context:
            raise ContextMismatchError("The attestation names another request than the one it was made for.")
        checks.verified_signer(claim)

    def _engine_of(self, circuit: Circuit) -> Engine:
        wanted = circuit.manifest.recipe.engine
        if wanted not in self._engines:
            have = ", ".join(sorted(self._engines))
            raise CircuitError(
                f"The circuit was made for the engine {wanted}; installed: {have}.",
                "Install that version, or compile the model again.",
            )
        return self._engines[wanted]

    def _setup_of(self, circuit: Circuit) -> TrustedSetup:
        wanted = circuit.manifest.recipe.setup
        setup = self._home.setups.find_or_generate(circuit.manifest.program.setup_size, wanted.ceremony)
        if setup.identity["tauG2"] != wanted.tau_g2:
            raise SetupError(f"The trusted setup {wanted.ceremony} is not the one that the circuit was compiled with.")
        return setup
