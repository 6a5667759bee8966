"""An engine for tests: instant, and its proofs bind without proving anything.

A fake proof is a digest over the verifying key and the instances, so every change of a proof, of a public value,
of the model, of the run arguments or of the setup is still refused; but anyone can make one. Whoever takes an
engine refuses this one unless it is handed over explicitly: no name and no setting reaches it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits import canonical, field
from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.digest import keccak256, sha256_file
from zkinfer.circuits.engines.base import Keys, Program, Proof, RunArguments, Tuned, slots_in_order
from zkinfer.circuits.errors import EngineCrashedError, EngineError, ProofRejectedError, RangeError
from zkinfer.circuits.tensors import TensorSpec, dequantise, quantise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Progress, Slot, TuneRequest
    from zkinfer.circuits.frontend import Workload

_LIMIT = 1 << 30
_NO_WORK = Work(keys=0.0, prove=0.0, memory_bytes=0, proving_key_bytes=32, proof_bytes=32, gas=0)


class FakeEngine:
    """Binds, proves nothing, takes no time. Files: `network.onnx` and `program.json` in the circuit's folder."""

    id = "fake/1"
    production = False

    def within(self, memory: int) -> FakeEngine:  # noqa: ARG002 - it takes none
        """Itself."""
        return self

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Accept `{"scale": n}` with n in 0..16."""
        scale = run_arguments.get("scale")
        if set(run_arguments) != {"scale"} or type(scale) is not int or not 0 <= scale <= 16:
            raise EngineError("The fake engine's run arguments are one integer, scale, in 0..16.")

    def least_work(self, workload: Workload) -> Work:  # noqa: ARG002 - the cost is nothing for all
        """Nothing at all."""
        return _NO_WORK

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:  # noqa: ARG002
        """No machine is slow at nothing."""
        return Speed(0.0, 0.0, 0.0, 0.0)

    def survey(self, request: TuneRequest) -> Work:  # noqa: ARG002
        """Nothing at all."""
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
        """Copy the network and note the arguments."""
        self.check_run_arguments(run_arguments)
        (folder / "network.onnx").write_bytes(network.read_bytes())
        (folder / "program.json").write_bytes(canonical.dump(run_arguments))
        ins = tuple(_scaled(spec, run_arguments["scale"]) for spec in inputs)
        outs = tuple(_scaled(spec, run_arguments["scale"]) for spec in outputs)
        return Program(
            inputs=ins,
            outputs=outs,
            slots=slots_in_order(ins, outs),
            rows=sum(spec.size for spec in (*ins, *outs)),
            log_rows=3,
            integer_limit=_LIMIT,
        )

    def work(self, folder: Path, setup_log_rows: int | None = None) -> Work:  # noqa: ARG002 - nothing for all
        """Nothing at all."""
        return _NO_WORK

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """The verifying key is a digest of the program and the setup's last point, tau*G2; so is the proving key."""
        with setup.open("rb") as file:
            file.seek(-128, 2)
            tau = file.read()
        seed = b"".join(sha256_file(folder / name).value for name in ("network.onnx", "program.json"))
        key = hashlib.sha256(b"fake verifying key" + seed + tau).digest()
        (folder / "vk").write_bytes(key)
        if proving_key is not None:
            proving_key.write_bytes(key)
        made = None if proving_key is None else sha256_file(proving_key)
        return Keys(keccak256(key), len(key), made, 32 if made else 0, proof_bytes=32)

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """Evaluate the network in floating point and round."""
        return [self._forward_one(folder, program, sample) for sample in batch]

    def session(self, folder: Path, program: Program) -> FakeSession:
        """The same, one by one."""
        return FakeSession(self, folder, program)

    def _forward_one(self, folder: Path, program: Program, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - heavy; the package must import light

        feeds: dict[str, Any] = {"ctx": np.zeros((1, 5), np.float32)}
        for spec, integers in zip(program.inputs, sample, strict=True):
            if any(abs(value) >= program.integer_limit for value in integers):
                raise RangeError(f"Input {spec.name!r} leaves the range of the circuit.")
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
        """Of the inputs alone."""
        largest = max((abs(value) for sample in batch for tensor in sample for value in tensor), default=1)
        return _LIMIT / max(1, largest)

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path,
        inputs: Sequence[Sequence[int]],
        context: Sequence[int],
    ) -> Proof:
        """Digest the key and the instances."""
        outputs = self._forward_one(folder, program, inputs)
        integers = {("context", "ctx"): context, ("context-digest", "ctx"): context}
        integers |= {("input", spec.name): tensor for spec, tensor in zip(program.inputs, inputs, strict=True)}
        integers |= {("output", spec.name): tensor for spec, tensor in zip(program.outputs, outputs, strict=True)}
        instances = tuple(value for slot in program.slots for value in self._values(slot, integers))
        proof = Proof(_binding(proving_key.read_bytes(), instances), instances)
        self.verify(folder, program, setup, proof)
        return proof

    def _values(self, slot: Slot, integers: Mapping[tuple[str, str], Sequence[int]]) -> list[int]:
        tensor = integers[slot.role, slot.name]
        return [self.commit(tensor)] if slot.hashed else [field.encode(value) for value in tensor]

    def commit(self, integers: Sequence[int]) -> int:
        """SHA-256 of the integers, below the field's modulus."""
        digest = hashlib.sha256(b"fake commitment" + repr(list(integers)).encode()).digest()
        return int.from_bytes(digest, "big") % field.MODULUS

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:  # noqa: ARG002
        """Compare the digest."""
        if proof.data != _binding((folder / "vk").read_bytes(), proof.instances):
            raise ProofRejectedError("The proof does not hold for these public values under this verifying key.")


class FakeSession:
    """Answers in this process, until it is closed or killed."""

    def __init__(self, engine: FakeEngine, folder: Path, program: Program) -> None:
        self._engine, self._folder, self._program = engine, folder, program
        self.usable = True

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """As the engine does."""
        if not self.usable:
            raise EngineCrashedError("The session with the engine is over.", "Open another one.")
        return self._engine.forward(self._folder, self._program, [sample])[0]

    def kill(self) -> None:
        """Answer no more."""
        self.usable = False

    def close(self) -> None:
        """Answer no more."""
        self.usable = False


def _binding(key: bytes, instances: Sequence[int]) -> bytes:
    words = b"".join(instance.to_bytes(32, "big") for instance in instances)
    return hashlib.sha256(b"fake proof" + key + words).digest()


def _scaled(spec: TensorSpec, scale: int) -> TensorSpec:
    return spec.model_copy(update={"scale": scale if spec.is_float else 0})
