"""Proving one inference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.proof_checks import require_statement
from zkinfer.circuits.errors import AnswerMismatchError, CircuitError, SetupError
from zkinfer.circuits.keycache import KeyRing
from zkinfer.circuits.progress import NULL_OBSERVER, Observer, Stages
from zkinfer.circuits.statement import Context
from zkinfer.prover.quantised_inputs import integers_digest, integers_of
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
    """Answers with attestations.

    Args:
        home: trusted setups and proving keys of this user.
        key: signs the attestations; None makes a new key for each, which says nothing about who proved.
        engines: proving systems by id; the default is those whose proofs mean something.
        clock: the time written into attestations, UTC.
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

        The witness, which holds all inputs, exists only in the memory of a child process. The engine checks its own
        proof, and the public values of that proof are compared with this inference, before anything is signed.

        Args:
            circuit: an opened circuit.
            inputs: arrays by name; see `zkinfer.circuits.tensor_files.conform` for the shapes that are taken.
            context: what the proof is for; None makes an offline one with a fresh request id.
            observer: is told about stages.
            timings: receives the seconds of each stage.

        Raises:
            DataError: a missing or unknown input, a wrong shape or dtype, NaN.
            RangeError: a value leaves the range of the circuit.
            CircuitError, SetupError: the keys or the setup of this circuit cannot be had.
            EngineError: the engine failed, or proved something else.
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
        """The same for inputs that were quantised before: the integers of each input, in the program's order."""
        stages = Stages(observer, {} if timings is None else timings)
        purpose = context or Context.offline()
        with stages.stage("keys"):
            engine = self._engine_of(circuit)
            setup = self._setup_of(circuit)
            kept = self._keys.key_for(circuit, engine, setup, self._home.keys)
            key = kept if engine.needs_proving_key else None
        with stages.stage("prove"):
            program = circuit.manifest.program
            proof = engine.prove(circuit.folder, program, setup.path, key, integers, purpose.hash)
            require_statement(
                proof,
                engine=engine,
                folder=circuit.folder,
                program=program,
                setup=setup.path,
                proof_bytes=circuit.manifest.keys.proof_bytes,
                inputs=integers,
                context=purpose,
            )
        return Attestation.create(
            identity=circuit.manifest.identity,
            recipe=circuit.manifest.recipe,
            program=program,
            proof=proof,
            context=purpose,
            key=self._key or SigningKey.ephemeral(),
            ephemeral=self._key is None,
            created_at=self._clock(),
        )

    def make_key(self, circuit: Circuit, *, observer: Observer = NULL_OBSERVER) -> Path:
        """The circuit's proving key in the cache of this user, made where it is missing or damaged.

        Raises:
            CircuitError, SetupError: the key or the setup of this circuit cannot be had.
            EngineError: the engine failed.
        """
        with Stages(observer, {}).stage("keys"):
            return self._keys.key_for(circuit, self._engine_of(circuit), self._setup_of(circuit), self._home.keys)

    def warm(self, circuit: Circuit, beat: Callable[[], object]) -> bool:
        """Read and check the circuit's proving key before it is needed; whether it is there. None is made.

        `beat` is called many times a second meanwhile.
        """
        return self._keys.warm(circuit, self._home.keys, beat)

    def check(self, circuit: Circuit, attestation: bytes, context: Context, outputs: Digest) -> None:
        """Look at an attestation of this circuit as its readers will, before it is given out.

        The verifying key is the one in the circuit's folder, for which the proving key vouches; nothing is rebuilt.

        Args:
            circuit: an opened circuit.
            attestation: the bytes that would be given out.
            context: what it must be for.
            outputs: `integers_digest` of the answer that it must be about.

        Raises:
            RefusedError: it is malformed, for another request, or wrongly signed.
            AnswerMismatchError: it is about another answer.
            ProofRejectedError: the proof does not hold.
        """
        claim, program = Attestation.from_bytes(attestation), circuit.manifest.program
        statement = checks.checked_statement(claim.predicate, program)
        proof = Proof(checks.checked_proof_bytes(claim.proof, circuit.manifest.keys.proof_bytes), statement)
        self._engine_of(circuit).verify(circuit.folder, program, self._setup_of(circuit).path, proof)
        answer = checks.outputs(program, statement)
        if integers_digest([answer[spec.name] for spec in program.outputs]) != outputs:
            raise AnswerMismatchError("The proof is about another answer than was given for this request.")
        checks.require_output_subject(claim.statement.output_digest, statement)
        checks.require_proven_context(context, statement)
        if claim.predicate.context != context:
            raise ContextMismatchError("The attestation names another request than it was made for.")
        checks.verified_signer(claim)

    def _engine_of(self, circuit: Circuit) -> Engine:
        wanted = circuit.manifest.recipe.engine
        if wanted not in self._engines:
            have = ", ".join(sorted(self._engines))
            raise CircuitError(
                f"The circuit was made for the engine {wanted}; here is {have}.",
                "Install that version, or compile the model again.",
            )
        return self._engines[wanted]

    def _setup_of(self, circuit: Circuit) -> TrustedSetup:
        wanted = circuit.manifest.recipe.setup
        setup = self._home.setups.serving(circuit.manifest.program.setup_size, wanted.ceremony)
        if setup.identity["tauG2"] != wanted.tau_g2:
            raise SetupError(f"The circuit's setup calls itself {wanted.ceremony} but is another one.")
        return setup
