"""Proving one inference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.context import Context
from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, SetupError
from zkinfer.circuits.keycache import proving_key_for
from zkinfer.circuits.stages import NOBODY, Observer, Stages
from zkinfer.circuits.statement import require_statement
from zkinfer.prover.inputs import integers_of
from zkinfer.verifier import Attestation, SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.setups import TrustedSetup
    from zkinfer.prover.inputs import Inputs


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

    def prove(
        self,
        circuit: Circuit,
        inputs: Inputs,
        context: Context | None = None,
        *,
        observer: Observer = NOBODY,
        timings: dict[str, float] | None = None,
    ) -> Attestation:
        """Run the circuit on one inference and prove the answer.

        The witness, which holds all inputs, exists only in the memory of a child process. The engine checks its own
        proof, and the public values of that proof are compared with this inference, before anything is signed.

        Args:
            circuit: an opened circuit.
            inputs: arrays by name; see `zkinfer.circuits.data.conform` for the shapes that are taken.
            context: what the proof is for; None makes an offline one with a fresh request id.
            observer: is told about stages.
            timings: receives the seconds of each stage.

        Raises:
            DataError: a missing or unknown input, a wrong shape or dtype, NaN.
            RangeError: a value leaves the range of the circuit.
            CircuitError, SetupError: the keys or the setup of this circuit cannot be had.
            EngineError: the engine failed, or proved something else.
        """
        stages = Stages(observer, {} if timings is None else timings)
        purpose = context or Context.offline()
        integers = integers_of(inputs, circuit.manifest.program.inputs)
        with stages.stage("keys"):
            engine = self._engine_of(circuit)
            setup = self._setup_of(circuit)
            key = proving_key_for(circuit, engine, setup, self._home.keys)
        with stages.stage("prove"):
            program = circuit.manifest.program
            proof = engine.prove(circuit.folder, program, setup.path, key, integers, purpose.limbs)
            require_statement(
                proof,
                engine=engine,
                program=program,
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
        setup = self._home.setups.serving(circuit.manifest.program.log_rows, wanted.ceremony)
        if setup.identity["tauG2"] != wanted.tau_g2:
            raise SetupError(f"The circuit's setup calls itself {wanted.ceremony} but is another one.")
        return setup
