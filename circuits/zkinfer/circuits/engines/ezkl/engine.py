"""The ezkl engine: every call runs in a child process that can be killed, and every answer is checked."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.digest import Digest, keccak256, sha256_file
from zkinfer.circuits.engines.base import Keys, Program, Proof, RunArguments
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, VKA, damaged, read_settings, read_vka
from zkinfer.circuits.engines.ezkl.client import EzklProcess, EzklSession, require_types
from zkinfer.circuits.engines.ezkl.cost import least_work, measure_speed, search_seconds, with_shrinking, work_of
from zkinfer.circuits.engines.ezkl.instances import instances_of, limbs_of, proof_from, to_digest
from zkinfer.circuits.engines.ezkl.layout import (
    is_complete,
    layout_as_built,
    layout_of,
    min_log_rows,
    publishes_digests,
)
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments, max_input_bits
from zkinfer.circuits.engines.ezkl.tune import layout_search
from zkinfer.circuits.engines.ezkl.tune.trials import naming_nodes
from zkinfer.circuits.errors import EngineError, why
from zkinfer.circuits.frontend import findings, normalise_model
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.statement import DIGEST_BYTES, Layout
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.cost import Speed, Work
    from zkinfer.circuits.engines.base import Effort, Progress, Tuned, TuneRequest
    from zkinfer.circuits.engines.ezkl.client import Built
    from zkinfer.circuits.frontend import Finding, NormalisedModel, Workload
    from zkinfer.circuits.tensors import TensorSpec, Visibility

_LOWERING = "zkinfer.circuits.engines.ezkl.lowering.pipeline"
_MIN_TIMEOUT, _TIMEOUT_FACTOR = 60.0, 30.0
_MIN_SAMPLES, _SAMPLED_ROWS = 4, 150_000


class EzklEngine:
    """Halo2 with KZG commitments over BN254, as implemented by ezkl. Stateless."""

    production = True
    experimental = False
    labels = ()
    unavailable = ""
    needs_proving_key = True

    def __init__(self, limits: child.Limits | None = None) -> None:
        self._limits = limits or child.Limits.for_engine()
        self._process = EzklProcess(self._limits)

    @property
    def id(self) -> str:
        """`ezkl/` and the installed version."""
        return f"ezkl/{version('ezkl')}"

    def within(self, memory: int) -> EzklEngine:
        """The same, with each child limited to this many bytes."""
        return EzklEngine(self._limits.within(memory))

    def lower(
        self,
        model: Path,
        out: Path,
        *,
        dimensions: Mapping[str, int],
        input_visibility: Visibility,
        limits: child.Limits | None = None,
    ) -> NormalisedModel:
        """See `lowering.pipeline`."""
        return normalise_model(
            model,
            out,
            dimensions=dimensions,
            input_visibility=input_visibility,
            limits=limits,
            entry=f"{_LOWERING}:lower",
        )

    def supports(self, model: Path, *, limits: child.Limits | None = None) -> tuple[Finding, ...]:
        """See `lowering.pipeline`."""
        return findings(model, entry=f"{_LOWERING}:supports", limits=limits)

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Raise EngineError unless the arguments are complete, within bounds, and bind the weights."""
        EzklArguments.parse(run_arguments)

    def least_work(self, workload: Workload) -> Work:
        """Based on one cell for every multiplication and for every result of another operation."""
        return least_work(workload.cells)

    def search_seconds(self, workload: Workload, effort: Effort) -> float:
        """Proportional to the cells of the circuit; see `cost.search_seconds`."""
        return search_seconds(workload.cells, effort)

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:
        """See `cost.measure_speed`."""
        return measure_speed(self, setup, progress or (lambda _: None))

    def survey(self, request: TuneRequest) -> Work:
        """Estimated from the engine's settings under typical arguments; see `tune.layout_search`."""
        limit = request.search_seconds
        with naming_nodes(self._process, request, computing=False):
            return layout_search.survey(self._process if limit is None else self._process.within(limit), request)

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:
        """Find the cheapest arguments within the budget; see `tune.search`."""
        with naming_nodes(self._process, request, computing=True):
            return self._process.tune(request, progress or (lambda _: None))

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        run_arguments: RunArguments,
        folder: Path,
    ) -> Program:
        """Write `network.onnx` and `settings.json`.

        Raises EngineError if lesser run arguments give the same program: a circuit must not have several recipes.
        """
        arguments = EzklArguments.parse(run_arguments)
        if any(spec.visibility != arguments.input_visibility for spec in inputs):
            raise EngineError("The run arguments and the recipe differ in the visibility of inputs.")
        built = self._process.build(network, inputs, outputs, arguments, folder)
        _refuse_misfit(built, arguments)
        _refuse_larger_than_least(arguments, self._process.least(folder / NETWORK, arguments, built.settings))
        return Program(
            inputs=built.inputs,
            outputs=built.outputs,
            layout=layout_for(built.inputs, built.outputs, arguments.integer_limit),
            setup_size=arguments.logrows,
            integer_limit=arguments.integer_limit,
            figures={"rows": built.settings["num_rows"], "log2(rows)": arguments.logrows},
        )

    def work(self, folder: Path, setup_size: int | None = None) -> Work:
        """Predicted from the layout of the columns; see `cost`."""
        layout = layout_as_built(self._settings(folder))
        larger = setup_size is not None and setup_size > layout.log_rows
        return with_shrinking(work_of(layout), layout) if larger else work_of(layout)

    def lost_constants(self, folder: Path, model: Path) -> tuple[str, ...]:
        """See `lost_constants`."""
        return tuple(
            self._process.call(
                "lost_constants",
                folder=str(folder.resolve()),
                model=str(model.resolve()),
                digest=str(sha256_file(model)),
            )
        )

    @staticmethod
    def _settings(folder: Path) -> dict[str, Any]:
        settings = read_settings(folder)
        if not is_complete(settings):
            raise damaged(folder)
        return settings

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Write `vk.key` and `vka.bin` to the folder, and the proving key if requested."""
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
            proof_bytes=answer["proof_bytes"] + (DIGEST_BYTES if publishes_digests(read_settings(folder)) else 0),
        )

    def evm_verifier(self, folder: Path, setup: Path) -> str:
        """The Solidity source of the verifier for all circuits, as the engine generates it; `folder` may be of any one.

        It does not fully check the encoding of its calldata; the build of the contracts patches that.
        """
        with private_directory() as scratch:
            out = scratch / "verifier.sol"
            self._process.call(
                "evm_verifier",
                folder=str(folder.resolve()),
                setup=str(setup.resolve()),
                out=str(out.resolve()),
            )
            return out.read_text()

    evm_selector = keccak256(b"ezkl-23.0.5-halo2-kzg-bn254-v1").value[:4]

    def evm_key(self, folder: Path) -> bytes:
        """The words of the VKA, as an on-chain verifier takes them; raises EngineError if it is missing or damaged."""
        try:
            data = (folder / VKA).read_bytes()
        except OSError as err:
            raise EngineError(f"{folder / VKA} cannot be read: {why(err)}.") from err
        read_vka(data)
        return data[8:]

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """Run the forward pass of the circuit on a batch, in one child."""
        for sample in batch:
            require_types(program.inputs, sample)
        return self._process.forward(folder, batch, len(program.outputs)).outputs

    def session(self, folder: Path, program: Program) -> EzklSession:
        """A child that keeps the program compiled; see `forward`."""
        return EzklSession(folder, program, self._limits)

    def headroom(self, folder: Path, run_arguments: RunArguments, batch: Sequence[Sequence[Sequence[int]]]) -> float:
        """The minimum for decomposed and for looked-up integers, measured on as many samples as take a few seconds."""
        arguments = EzklArguments.parse(run_arguments)
        settings = self._settings(folder)
        some = batch[: max(_MIN_SAMPLES, _SAMPLED_ROWS // max(1, settings["num_rows"]))]
        with private_directory() as scratch:
            bits = self._process.bits_needed(folder / NETWORK, arguments, some, scratch)
        room = float(arguments.integer_limit / 2**bits)
        if not settings["required_lookups"]:
            return room
        seen = self._process.forward(folder, some, len(settings["model_output_scales"]))
        ends = zip(arguments.lookup_range, (seen.lookup_low, seen.lookup_high), strict=True)
        return float(min([room, *(end / extreme for end, extreme in ends if extreme)]))

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path | None,
        inputs: Sequence[Sequence[int]],
        context: bytes,
    ) -> Proof:
        """Compute the witness and the proof, and verify it, in one child."""
        if proving_key is None:
            raise EngineError("ezkl needs a proving key, and was given none.")
        require_types(program.inputs, inputs)
        # The engine's threads occasionally deadlock, so time is limited to a multiple of the predicted time.
        seconds = _MIN_TIMEOUT + _TIMEOUT_FACTOR * self.work(folder).prove
        answer = self._process.within(seconds).call(
            "prove",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            proving_key=str(proving_key.resolve()),
            inputs=[list(limbs_of(context)), *(list(tensor) for tensor in inputs)],
        )
        return proof_from(bytes.fromhex(answer["proof"]), answer["instances"], context, program.layout)

    def commit(
        self,
        folder: Path,  # noqa: ARG002 - one hash for all circuits
        program: Program,  # noqa: ARG002
        setup: Path,  # noqa: ARG002
        tensor: int,  # noqa: ARG002
        integers: Sequence[int],
        salt: bytes | None = None,
    ) -> bytes:
        """The Poseidon hash that ezkl publishes for a hashed tensor; salts are not supported."""
        if salt is not None:
            raise EngineError("ezkl hashes inputs without a salt.", "Leave the salt out.")
        return to_digest(self._process.call("poseidon", integers=list(integers)))

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:
        """Check the pairing equation; callers must check the proof's length, on which the engine is lax."""
        halo2, instances = instances_of(proof.statement, proof.data, program.layout)
        self._process.call(
            "verify",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            proof=halo2.hex(),
            instances=instances,
        )


def layout_for(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], limit: int) -> Layout:
    """The layout of ezkl's statements: public integers are encoded in two's complement."""
    ranges = [(max(spec.integer_range[0], 1 - limit), min(spec.integer_range[1], limit - 1)) for spec in inputs]
    least, largest = min(low for low, _ in ranges), max(high for _, high in ranges)
    return Layout.of(inputs, outputs, least=least, largest=largest, signed=inputs[0].visibility == "public")


def _refuse_misfit(built: Built, arguments: EzklArguments) -> None:
    """Raise EngineError if the run arguments do not fit the program: a circuit must not have several recipes."""
    if not built.uses_lookups and arguments.lookup_range != (0, 0):
        raise EngineError("Run argument lookup_range must be [0, 0] for a program without lookup tables.")
    if not layout_of(built.settings, arguments).fits():
        raise EngineError(f"The program does not fit four blocks of 2^{arguments.logrows} rows.")
    if (1 << max_input_bits(spec.dtype for spec in built.inputs)) < arguments.integer_limit:
        raise EngineError("Run arguments decomp_base and decomp_legs cover integers that an input's type cannot hold.")
    if min_log_rows(built.settings) > arguments.logrows:
        raise EngineError(f"The public values, or the hashing of inputs, do not fit 2^{arguments.logrows} rows.")


def _refuse_larger_than_least(given: EzklArguments, least: EzklArguments) -> None:
    arguments, wanted = given.to_run_arguments(), least.to_run_arguments()
    if changed := [name for name in arguments if arguments[name] != wanted[name]]:
        larger, lesser = (", ".join(f"{name} {one[name]}" for name in changed) for one in (arguments, wanted))
        raise EngineError(
            f"The run arguments {larger} give the same program as {lesser}; a circuit has one recipe, with the least.",
            "Compile the model again, or ask for the recipe with the least run arguments.",
        )
