"""The ezkl engine, seen from zkinfer: every call runs in a killable child, and no answer is trusted unchecked."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from zkinfer.circuits import child
from zkinfer.circuits.digest import Digest, sha256_file
from zkinfer.circuits.engines import ezkl_tuner
from zkinfer.circuits.engines.base import Estimate, Keys, Program, Proof, RunArguments, slots_in_order
from zkinfer.circuits.engines.ezkl_arguments import MAX_BLOCK_BITS, EzklArguments, log_rows_least, log_rows_needed
from zkinfer.circuits.engines.ezkl_process import EzklProcess
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Progress, TuneRequest
    from zkinfer.circuits.engines.ezkl_process import Built
    from zkinfer.circuits.tensors import TensorSpec

# Measured on two cores (see docs/benchmarks.md): bytes of proving key per row, for the program and per block of
# columns; seconds per row and block; resident memory as a multiple of the proving key.
_KEY_PER_ROW, _KEY_PER_BLOCK_ROW = 1400, 2700
_SETUP_SECONDS_PER_ROW, _PROVE_SECONDS_PER_ROW = 1.2e-4, 1.5e-4
_LEAST_PATIENCE, _PATIENCE = 60.0, 30.0
_MEMORY_PER_KEY, _BASE_MEMORY = 2.5, 150 << 20


class EzklEngine:
    """Halo2 with KZG commitments over BN254, as ezkl arranges it. Stateless."""

    production = True

    def __init__(self, limits: child.Limits | None = None) -> None:
        self._process = EzklProcess(limits or child.Limits.for_engine())

    @property
    def id(self) -> str:
        """`ezkl/` and the installed version."""
        return f"ezkl/{version('ezkl')}"

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Raise EngineError unless the arguments are complete, within bounds, and bind the weights."""
        EzklArguments.parse(run_arguments)

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> RunArguments:
        """Find the cheapest arguments within the budget; see `ezkl_tuner`."""
        return ezkl_tuner.tune(self._process, request, progress or (lambda _: None))

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        run_arguments: RunArguments,
        folder: Path,
    ) -> Program:
        """Write `network.onnx` and `settings.json`."""
        arguments = EzklArguments.parse(run_arguments)
        if any(spec.visibility != arguments.input_visibility for spec in inputs):
            raise EngineError("The run arguments publish inputs in another way than the recipe says.")
        built = self._process.build(network, inputs, outputs, arguments, folder)
        _refuse_misfit(built, arguments)
        return Program(
            inputs=built.inputs,
            outputs=built.outputs,
            slots=slots_in_order(built.inputs, built.outputs),
            rows=built.settings["num_rows"],
            log_rows=arguments.logrows,
            integer_limit=arguments.integer_limit,
        )

    def estimate(self, program: Program) -> Estimate:
        """From the number of rows and of blocks of columns that the program spreads over."""
        rows = 1 << program.log_rows
        blocks = -(-program.rows // rows)
        key = rows * (_KEY_PER_ROW + _KEY_PER_BLOCK_ROW * blocks)
        return Estimate(
            setup_seconds=0.2 + _SETUP_SECONDS_PER_ROW * rows * blocks,
            prove_seconds=0.2 + _PROVE_SECONDS_PER_ROW * rows * blocks,
            memory_bytes=_BASE_MEMORY + int(_MEMORY_PER_KEY * key),
            proving_key_bytes=key,
        )

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Write `vk.key` and `vka.bin` to the folder, and the proving key where it is wanted."""
        answer = self._process.call(
            "make_keys",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            proving_key=None if proving_key is None else str(proving_key.resolve()),
        )
        return Keys(
            verifying_key_digest=Digest("keccak256", bytes.fromhex(answer["digest"])),
            verifying_key_bytes=answer["vk_bytes"],
            proving_key=None if proving_key is None else sha256_file(proving_key),
            proving_key_bytes=0 if proving_key is None else proving_key.stat().st_size,
            proof_bytes=answer["proof_bytes"],
        )

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """Run the forward pass of the circuit on a batch, in one child."""
        return self._process.forward(folder, batch, len(program.outputs)).outputs

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path,
        inputs: Sequence[Sequence[int]],
        context: Sequence[int],
    ) -> Proof:
        """Witness, proof and the engine's own check of it, in one child."""
        # The engine's threads have been seen to wait for each other for ever, so time is bounded by what it may take.
        patience = _LEAST_PATIENCE + _PATIENCE * self.estimate(program).prove_seconds
        answer = self._process.within(patience).call(
            "prove",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            proving_key=str(proving_key.resolve()),
            inputs=[list(context), *(list(tensor) for tensor in inputs)],
        )
        if len(answer["instances"]) != program.instance_count:
            raise EngineError("The engine proved another number of public values than the program has.")
        return Proof(bytes.fromhex(answer["proof"]), tuple(answer["instances"]))

    def commit(self, integers: Sequence[int]) -> int:
        """The Poseidon hash that ezkl publishes for a hashed tensor."""
        element: int = self._process.call("poseidon", integers=list(integers))
        return element

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:  # noqa: ARG002
        """Check the pairing equation; count, range and length are the caller's, since the engine is lax there."""
        self._process.call(
            "verify",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            proof=proof.data.hex(),
            instances=list(proof.instances),
        )


def _refuse_misfit(built: Built, arguments: EzklArguments) -> None:
    """Refuse a program that its arguments were not made for: one circuit must not have several recipes."""
    if not built.uses_lookups and arguments.lookup_range != (0, 0):
        raise EngineError("Run argument lookup_range is for lookup tables, and the program has none.")
    if log_rows_needed(built.settings, arguments) > arguments.logrows + MAX_BLOCK_BITS:
        raise EngineError(f"The program does not fit four blocks of 2^{arguments.logrows} rows.")
    if log_rows_least(built.settings) > arguments.logrows:
        raise EngineError(f"The public values, or the hashing of inputs, do not fit 2^{arguments.logrows} rows.")
