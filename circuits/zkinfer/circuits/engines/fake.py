"""An engine for tests: instant, and its proofs bind without proving anything.

A fake proof is a digest of the verifying key and the statement, so every change of a proof, of a public value, of the
model, of the run arguments or of the setup is still rejected; but anyone can make one. The engine is not registered: no
name or setting selects it, and it must be passed as an object.

It deliberately encodes statements differently from ezkl: unsigned integers with an offset, SHA-256 digests, all 256
bits of the context. A caller that assumes one engine's encoding fails with the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical
from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.digest import keccak256, sha256_file
from zkinfer.circuits.engines.base import Keys, Program, Proof, RunArguments, Tuned
from zkinfer.circuits.engines.proof_checks import stated_inputs
from zkinfer.circuits.errors import EngineCrashedError, EngineError, ProofRejectedError, RangeError
from zkinfer.circuits.frontend import normalise_model
from zkinfer.circuits.statement import Layout, Statement
from zkinfer.circuits.tensors import TensorSpec, dequantise, quantise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Effort, Progress, TuneRequest
    from zkinfer.circuits.frontend import Finding, NormalisedModel, Workload
    from zkinfer.circuits.sandbox.child import Limits
    from zkinfer.circuits.tensors import Visibility

_LIMIT = 1 << 30
_NO_WORK = Work(keys=0.0, prove=0.0, memory_bytes=0, proving_key_bytes=32, proof_bytes=32, gas=0)


class FakeEngine:
    """Proofs bind statements but prove nothing. Writes `network.onnx`, `program.json` and `vk` to the folder."""

    id = "fake/1"
    production = False
    experimental = False
    labels = ()
    unavailable = ""
    evm_selector = None

    def __init__(self, *, needs_proving_key: bool = True) -> None:
        self.needs_proving_key = needs_proving_key

    def lower(
        self,
        model: Path,
        out: Path,
        *,
        dimensions: Mapping[str, int],
        input_visibility: Visibility,
        limits: Limits | None = None,
    ) -> NormalisedModel:
        """The frontend's own normal form: this engine supports every operator that onnx can evaluate."""
        return normalise_model(model, out, dimensions=dimensions, input_visibility=input_visibility, limits=limits)

    def supports(self, model: Path, *, limits: Limits | None = None) -> tuple[Finding, ...]:  # noqa: ARG002
        """Every node is supported."""
        return ()

    def within(self, memory: int) -> FakeEngine:  # noqa: ARG002 - it has no child processes
        """This engine."""
        return self

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Accept `{"scale": n}` with n in 0..16."""
        scale = run_arguments.get("scale")
        if set(run_arguments) != {"scale"} or type(scale) is not int or not 0 <= scale <= 16:
            raise EngineError("The fake engine's run arguments are one integer, scale, in 0..16.")

    def least_work(self, workload: Workload) -> Work:  # noqa: ARG002 - no circuit costs anything
        """No work."""
        return _NO_WORK

    def search_seconds(self, workload: Workload, effort: Effort) -> float:  # noqa: ARG002 - no search takes time
        """No time."""
        return 0.0

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:  # noqa: ARG002
        """Zero for every figure: no work takes time."""
        return Speed(0.0, 0.0, 0.0, 0.0)

    def survey(self, request: TuneRequest) -> Work:  # noqa: ARG002
        """No work."""
        return _NO_WORK

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:  # noqa: ARG002
        """Choose scale 8, whatever the request."""
        return Tuned({"scale": 8}, ())

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        run_arguments: RunArguments,
        folder: Path,
    ) -> Program:
        """Copy the network and store the run arguments."""
        self.check_run_arguments(run_arguments)
        (folder / "network.onnx").write_bytes(network.read_bytes())
        (folder / "program.json").write_bytes(canonical.dump(run_arguments | {"visibility": inputs[0].visibility}))
        ins = tuple(_scaled(spec, run_arguments["scale"]) for spec in inputs)
        outs = tuple(_scaled(spec, run_arguments["scale"]) for spec in outputs)
        return Program(
            inputs=ins,
            outputs=outs,
            layout=Layout.of(ins, outs, least=-_LIMIT, largest=_LIMIT - 1, signed=ins[0].visibility == "public"),
            setup_size=3,
            integer_limit=_LIMIT,
            figures={"elements": sum(spec.size for spec in (*ins, *outs))},
        )

    def work(self, folder: Path, setup_size: int | None = None) -> Work:  # noqa: ARG002 - no circuit costs anything
        """No work."""
        return _NO_WORK

    def lost_constants(self, folder: Path, model: Path) -> tuple[str, ...]:  # noqa: ARG002
        """None: the engine computes with floats."""
        return ()

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Both keys are the same digest of the program and of the setup's last point, tau*G2."""
        with setup.open("rb") as file:
            file.seek(-128, 2)
            tau = file.read()
        seed = b"".join(sha256_file(folder / name).value for name in ("network.onnx", "program.json"))
        key = hashlib.sha256(b"fake verifying key" + seed + tau).digest()
        (folder / "vk").write_bytes(key)
        made = None
        if proving_key is not None and self.needs_proving_key:
            proving_key.write_bytes(key)
            made = sha256_file(proving_key)
        return Keys(keccak256(key), len(key), made, 32 if made else 0, proof_bytes=32)

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """Evaluate the network in floating point and round."""
        return [self._forward_one(folder, program, sample) for sample in batch]

    def session(self, folder: Path, program: Program) -> FakeSession:
        """A session that evaluates single samples."""
        return FakeSession(self, folder, program)

    def _forward_one(self, folder: Path, program: Program, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - heavy; the package must import light

        feeds: dict[str, Any] = {}
        for spec, integers in zip(program.inputs, sample, strict=True):
            if any(abs(value) >= program.integer_limit for value in integers):
                raise RangeError(f"Input {spec.name!r} exceeds the range of the circuit.")
            feeds[spec.name] = dequantise(integers, spec).astype(spec.dtype)
        names = [spec.name for spec in program.outputs]
        answers = ReferenceEvaluator(str(folder / "network.onnx")).run(names, feeds)
        return [
            quantise(np.asarray(answer).reshape(spec.shape), spec)
            for spec, answer in zip(program.outputs, answers, strict=True)
        ]

    def headroom(
        self,
        folder: Path,  # noqa: ARG002
        run_arguments: RunArguments,  # noqa: ARG002
        batch: Sequence[Sequence[Sequence[int]]],
    ) -> float:
        """The headroom of the inputs alone."""
        largest = max((abs(value) for sample in batch for tensor in sample for value in tensor), default=1)
        return _LIMIT / max(1, largest)

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path | None,
        inputs: Sequence[Sequence[int]],
        context: bytes,
    ) -> Proof:
        """Compute the digest of the key and the statement."""
        if self.needs_proving_key != (proving_key is not None):
            raise EngineError("The fake engine was given a superfluous proving key, or lacks one.")
        outputs = tuple(value for tensor in self._forward_one(folder, program, inputs) for value in tensor)
        statement = Statement(context, stated_inputs(self, folder, program, setup, inputs), outputs)
        key = (folder / "vk" if proving_key is None else proving_key).read_bytes()
        proof = Proof(binding(key, statement), statement)
        self.verify(folder, program, setup, proof)
        return proof

    def commit(
        self,
        folder: Path,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        setup: Path,  # noqa: ARG002
        tensor: int,
        integers: Sequence[int],
        salt: bytes | None = None,
    ) -> bytes:
        """SHA-256 of the tensor's index, the salt and the integers: unlike ezkl's, not below any modulus."""
        message = b"fake commitment" + repr((tensor, salt, list(integers))).encode()
        return hashlib.sha256(message).digest()

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:  # noqa: ARG002
        """Check the digest and the statement's sizes."""
        statement = proof.statement
        sizes = (len(statement.context), len(statement.inputs), len(statement.outputs))
        if sizes != (32, program.layout.input_bytes, program.layout.outputs):
            raise ProofRejectedError("The statement does not have the layout of this circuit.")
        if proof.data != binding((folder / "vk").read_bytes(), statement):
            raise ProofRejectedError("The proof does not hold for these public values under this verifying key.")

    def evm_key(self, folder: Path) -> bytes:
        """Not available."""
        raise EngineError(f"The fake engine has no on-chain verifier for {folder}.")


class FakeSession:
    """Runs forward passes in this process until it is closed or killed."""

    def __init__(self, engine: FakeEngine, folder: Path, program: Program) -> None:
        self._engine, self._folder, self._program = engine, folder, program
        self.usable = True

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """As `FakeEngine.forward`, for one sample."""
        if not self.usable:
            raise EngineCrashedError("The session with the engine is over.", "Open another one.")
        return self._engine.forward(self._folder, self._program, [sample])[0]

    def kill(self) -> None:
        """End the session."""
        self.usable = False

    def close(self) -> None:
        """End the session."""
        self.usable = False


def binding(key: bytes, statement: Statement) -> bytes:
    """The proof that binds a statement to a key; anyone can make one."""
    offset = b"".join((value + (1 << 64)).to_bytes(16, "little") for value in statement.outputs)
    return hashlib.sha256(b"fake proof" + key + statement.context + statement.inputs + offset).digest()


def _scaled(spec: TensorSpec, scale: int) -> TensorSpec:
    return spec.model_copy(update={"scale": scale if spec.is_float else 0})
