"""The engine Ashlar: every call that reads a model or computes runs in a child process that can be killed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.engines.ashlar import core, speed
from zkinfer.circuits.engines.ashlar.files import read_estimate, read_key
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.engines.base import Keys, Program, Proof, RunArguments
from zkinfer.circuits.engines.messages import pack_request, unpack_result
from zkinfer.circuits.errors import EngineCrashedError, EngineError
from zkinfer.circuits.frontend import findings, normalise_model
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.session import Session, SessionUser
from zkinfer.circuits.statement import Statement, split_by_tensor
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Effort, Progress, Tuned, TuneRequest
    from zkinfer.circuits.frontend import Finding, NormalisedModel, Workload
    from zkinfer.circuits.tensors import TensorSpec, Visibility

VERSION = "0.1.0"
_LOWERING = "zkinfer.circuits.engines.ashlar.lowering.pipeline"
_CALLS = "zkinfer.circuits.engines.ashlar.worker:"
_FORWARD_SECONDS = 60.0
_STARTS = 3
_GRACE = 5.0  # seconds in which a search whose time has passed finishes a recipe, and then says how many it tried
LABELS: Final = (
    "Ashlar is an experimental proof system. It has not been audited. Do not let value depend on it alone.",
    "Proofs of this circuit are not zero-knowledge: weights, inputs and intermediate values can be learned from them.",
)


class AshlarEngine:
    """Exact integer networks, sumchecks and lookups over BN254 with one KZG opening. Stateless."""

    id = f"ashlar/{VERSION}"
    production = True
    experimental = True
    labels = LABELS
    needs_proving_key = False
    evm_selector = keccak256(b"ashlar-1-kzg-bn254").value[:4]

    def __init__(self, limits: child.Limits | None = None) -> None:
        self._limits = limits or child.Limits.for_engine()

    @property
    def unavailable(self) -> str:
        """The native core is an optional package."""
        return core.missing()

    def within(self, memory: int) -> AshlarEngine:
        """The same, with each child limited to this many bytes."""
        return AshlarEngine(self._limits.within(memory))

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
        """Raise EngineError unless they are a recipe in canonical form."""
        AshlarRecipe.parse(run_arguments)

    def least_work(self, workload: Workload) -> Work:
        """Based on one committed cell for every result, and on the weights that must be committed."""
        return speed.least_work(workload)

    def search_seconds(self, workload: Workload, effort: Effort) -> float:
        """Proportional to the operations of the forward passes of a search."""
        return speed.search_seconds(workload, effort)

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:
        """Prove two dense networks of known cost, and start children that do nothing; see `speed.measure`."""
        self._require_core()
        path = setup(speed.CHUNK_BITS)
        measured = Speed(**self._call("measure_speed", progress, setup=str(path.resolve())))
        return replace(measured, prove_start=measured.prove_start + self._start_seconds())

    def _start_seconds(self) -> float:
        """Seconds to start a child and to receive its answer: part of every proof."""
        times = []
        for _ in range(_STARTS):
            began = time.perf_counter()
            self._call("do_nothing")
            times.append(time.perf_counter() - began)
        return min(times)

    def survey(self, request: TuneRequest) -> Work:
        """The work under the default recipe."""
        with private_directory() as folder:
            return Work(**self._timed(request, 0.0)._call("survey", request=pack_request(request, folder)))

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:
        """Find the cheapest recipe within the budget; see `tune`."""
        self._require_core()
        with private_directory() as folder:
            timed = self._timed(request, _GRACE)
            return unpack_result(timed._call("tune", progress, request=pack_request(request, folder)))

    def _timed(self, request: TuneRequest, grace: float) -> AshlarEngine:
        """The same, with children that are killed so many seconds after the time of a search."""
        limit = request.search_seconds
        seconds = self._limits.seconds if limit is None else min(self._limits.seconds, limit + grace)
        return AshlarEngine(replace(self._limits, seconds=seconds))

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        run_arguments: RunArguments,
        folder: Path,
    ) -> Program:
        """Write `network.onnx`, `program.bin` and `weights.bin`."""
        AshlarRecipe.parse(run_arguments)
        answer = self._call(
            "build",
            network=str(network.resolve()),
            inputs=[spec.model_dump(mode="json") for spec in inputs],
            outputs=[spec.model_dump(mode="json") for spec in outputs],
            run_arguments=run_arguments,
            folder=str(folder.resolve()),
        )
        return Program.model_validate_json(answer)

    def work(self, folder: Path, setup_size: int | None = None) -> Work:  # noqa: ARG002 - a larger setup costs nothing
        """As predicted when the program was built; see `cost`."""
        return read_estimate(folder).work()

    def lost_constants(self, folder: Path, model: Path) -> tuple[str, ...]:  # noqa: ARG002
        """None: every tensor of weights has an exponent of its own, and tables hold constants exactly."""
        return ()

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Write `key.bin`; there is no proving key. In Python where the core is missing, which takes some seconds."""
        if proving_key is not None:
            raise EngineError("Ashlar needs no proving key, and was asked to write one.")
        self._call("make_key", folder=str(folder.resolve()), setup=str(setup.resolve()))
        key = read_key(folder)
        return Keys(
            verifying_key_digest=keccak256(key),
            verifying_key_bytes=len(key),
            proving_key=None,
            proving_key_bytes=0,
            proof_bytes=read_estimate(folder).proof_bytes,
        )

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """Run the native forward pass on a batch, in one child."""
        self._require_core()
        samples = [list(sample[0]) for sample in batch]
        answers = self._call("forward", folder=str(folder.resolve()), samples=samples, spec=_input_of(program))
        return [_split(answer, program) for answer in answers]

    def session(self, folder: Path, program: Program) -> AshlarSession:
        """A child that keeps the program loaded."""
        self._require_core()
        return AshlarSession(folder, program, self._limits)

    def headroom(self, folder: Path, run_arguments: RunArguments, batch: Sequence[Sequence[Sequence[int]]]) -> float:  # noqa: ARG002
        """The input's limit over the largest input: nothing else can leave its range."""
        least, most = AshlarRecipe.parse(run_arguments).input.limits
        values = [value for sample in batch for tensor in sample for value in tensor]
        low, high = min(values, default=0), max(values, default=0)
        return float(min(most / high if high > 0 else 2.0**64, least / low if low < 0 else 2.0**64))

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path | None,
        inputs: Sequence[Sequence[int]],
        context: bytes,
    ) -> Proof:
        """Compute and verify the proof, in one child."""
        self._require_core()
        if proving_key is not None:
            raise EngineError("Ashlar needs no proving key, and was given one.")
        answer = self._call(
            "prove",
            folder=str(folder.resolve()),
            setup=str(setup.resolve()),
            integers=list(inputs[0]),
            context=context.hex(),
            spec=_input_of(program),
        )
        statement = Statement(context, bytes.fromhex(answer["inputs"]), tuple(answer["outputs"]))
        return Proof(bytes.fromhex(answer["proof"]), statement)

    def commit(
        self,
        folder: Path,
        program: Program,  # noqa: ARG002
        setup: Path,
        tensor: int,  # noqa: ARG002 - there is one input
        integers: Sequence[int],
        salt: bytes | None = None,
    ) -> bytes:
        """The digest of the commitment to the input; salts come with a profile that hides."""
        self._require_core()
        if salt is not None:
            raise EngineError("The plain profile hashes inputs without a salt.", "Leave the salt out.")
        digest = self._call(
            "commit_input", folder=str(folder.resolve()), setup=str(setup.resolve()), integers=list(integers)
        )
        return bytes.fromhex(digest)

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:  # noqa: ARG002
        """Verify with the native core. The caller has checked that the key is that of the setup."""
        self._require_core()
        statement = proof.statement
        self._call(
            "verify",
            folder=str(folder.resolve()),
            context=statement.context.hex(),
            inputs=statement.inputs.hex(),
            outputs=list(statement.outputs),
            proof=proof.data.hex(),
        )

    def evm_key(self, folder: Path) -> bytes:
        """The verifying key: contracts take it as it is."""
        return read_key(folder)

    def _require_core(self) -> None:
        if reason := core.missing():
            raise EngineError(reason)

    def _call(self, name: str, progress: Progress | None = None, /, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        return child.run(_CALLS + name, arguments, limits=self._limits, progress=progress)


class AshlarSession(SessionUser):
    """One program in one child process."""

    def __init__(self, folder: Path, program: Program, limits: child.Limits) -> None:
        self._program = program
        self._session = Session(
            f"{_CALLS}open_forward",
            {"folder": str(folder.resolve()), "spec": _input_of(program)},
            limits=replace(limits, seconds=min(limits.seconds, _FORWARD_SECONDS)),
        )

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """The outputs for one sample."""
        return _split(self._session.ask(sample=list(sample[0])), self._program)


def _input_of(program: Program) -> dict[str, Any]:
    """The one input, which an error about its range names."""
    return program.inputs[0].model_dump(mode="json")


def _split(answer: object, program: Program) -> list[list[int]]:
    """The integers of each output; raises EngineCrashedError unless there are as many as the program has."""
    if not isinstance(answer, list) or len(answer) != program.layout.outputs:
        raise EngineCrashedError("The engine returned another number of outputs than the program has.")
    if not all(type(value) is int for value in answer):
        raise EngineCrashedError("The engine returned outputs that are no integers.")
    return list(split_by_tensor(answer, program.outputs).values())
