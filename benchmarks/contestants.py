"""Measure one way to prove a model, plain ezkl or zkinfer, in a process of its own.

    python benchmarks/contestants.py KIND MODEL.onnx SAMPLES.npz FOLDER HOME PROOFS [MAX_ERROR]

prepares FOLDER if necessary, proves the first sample PROOFS times, and prints one JSON object: seconds of each proof
and verification, peak memory (also of the preparation), sizes, and how closely the answers follow the float model.
`memory` is that of the largest process; `child` that of the process that computes a proof.

KIND is one of
- plain: ezkl as its documentation uses it: gen_settings with default arguments, calibrate_settings, compile, setup,
  gen_witness, prove, verify;
- accurate: the same, calibrated for accuracy instead of resources;
- zkinfer: `Prover.prove` and `Verifier.verify`, with the default budget;
- faithful: the same, with MAX_ERROR as budget;
- ashlar: as zkinfer, under the engine Ashlar; also measures its two verifiers alone, without the checklist.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ezkl
import numpy as np

from zkinfer.circuits import Budget, Circuit, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import DEFAULT_ENGINE, engine_named
from zkinfer.circuits.engines.ashlar import core
from zkinfer.circuits.sandbox.usage import metered, peak_memory
from zkinfer.circuits.tensors import dequantise, quantise_batch
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, EngineIs, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier, ashlar

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.verifier import Attestation

    Array = np.ndarray[Any, Any]

_SAMPLES, _VERIFICATIONS = 16, 3


def main() -> None:
    kind, model, samples, folder, home, proofs, *max_error = sys.argv[1:]
    [(name, inputs)] = np.load(samples).items()
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    if kind in ("plain", "accurate"):
        found = plain(Path(model), inputs, where, kind)
    else:
        budget = Budget(max_error=float(max_error[0])) if kind == "faithful" else Budget()
        engine = engine_named("ashlar" if kind == "ashlar" else DEFAULT_ENGINE)
        found = zkinfer(Path(model), name, inputs, where, Home(Path(home)), budget, engine)
    times, children = [], []
    for _ in range(int(proofs)):
        with metered() as used:
            proving = seconds(found.prove)
        times.append((proving, seconds(found.verify)))
        children.append(used.memory)
    own, child = peak_memory(), max(children)  # plain ezkl proves in this process
    memory = {"memory": max(own, child), "child": child or own}
    import onnxruntime  # noqa: PLC0415 - outside of the measured memory

    expected = onnxruntime.InferenceSession(model).run(None, {name: inputs})[0].reshape(len(inputs), -1)
    print(
        json.dumps(
            found.facts
            | found.of_proof()
            | fidelity(found.answers, expected)
            | {"prove": [one for one, _ in times], "verify": [one for _, one in times]}
            | memory
        )
    )


class Contestant(NamedTuple):
    """What is timed, the answers [N, outputs] to the last samples, figures, and further ones of the last proof."""

    prove: Callable[[], Any]
    verify: Callable[[], Any]
    answers: Array
    facts: dict[str, Any]
    of_proof: Callable[[], dict[str, Any]]


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fidelity(answers: Array, expected: Array) -> dict[str, float]:
    """Agreement on the last samples, and the error of the worst column; answers are [N, outputs]."""
    ranges = np.minimum(np.ptp(expected, axis=0), np.abs(expected).max(axis=0))
    expected = expected[-len(answers) :]
    errors = np.quantile(np.abs(answers - expected), 0.99, axis=0) / ranges
    same = float((answers.argmax(axis=1) == expected.argmax(axis=1)).mean())
    return {"agreement": same, "error_p99": float(errors.max())}


def plain(model: Path, inputs: Array, folder: Path, kind: str) -> Contestant:
    files = ("settings", "compiled", "srs", "vk", "pk", "input", "witness", "proof", "calibration", "facts")
    path = {one: str(folder / one) for one in files}
    if not Path(path["facts"]).exists():
        prepare_plain(model, inputs, path, "accuracy" if kind == "accurate" else "resources")
    write_input(path["input"], inputs[:1])

    def prove() -> None:
        ezkl.gen_witness(path["input"], path["compiled"], path["witness"], None, None)
        ezkl.prove(path["witness"], path["compiled"], path["pk"], path["proof"], path["srs"])

    def verify() -> None:
        ezkl.verify(path["proof"], path["settings"], path["vk"], path["srs"], reduced_srs=False)

    def of_proof() -> dict[str, Any]:
        return {"proof": len(json.loads(Path(path["proof"]).read_text())["proof"])}

    facts = json.loads(Path(path["facts"]).read_text())
    return Contestant(prove, verify, plain_answers(path, inputs[-_SAMPLES:], folder / "one"), facts, of_proof)


def prepare_plain(model: Path, inputs: Array, path: dict[str, str], target: str) -> None:
    arguments = ezkl.PyRunArgs()
    visible = {"input_visibility": "public", "output_visibility": "public", "param_visibility": "fixed"}
    for one, value in visible.items():
        setattr(arguments, one, value)
    arguments.variables = [("batch", 1)]  # type: ignore[attr-defined]  # missing in its stubs
    network = str(model)
    write_input(path["calibration"], inputs[:_SAMPLES])
    start = time.perf_counter()
    ezkl.gen_settings(network, path["settings"], arguments)
    ezkl.calibrate_settings(path["calibration"], network, path["settings"], target, 2.0, None, [1], None)
    ezkl.compile_circuit(network, path["compiled"], path["settings"])
    settings = json.loads(Path(path["settings"]).read_text())
    taken = time.perf_counter() - start
    ezkl.gen_srs(path["srs"], settings["run_args"]["logrows"])
    start = time.perf_counter()
    ezkl.setup(path["compiled"], path["vk"], path["pk"], path["srs"], None, disable_selector_compression=False)
    facts = {
        "compile": taken + time.perf_counter() - start,
        "compile_memory": peak_memory(),
        "log_rows": settings["run_args"]["logrows"],
        "rows": settings["num_rows"],
        "key": Path(path["pk"]).stat().st_size,
    }
    Path(path["facts"]).write_text(json.dumps(facts))


def write_input(path: str, samples: Array) -> None:
    Path(path).write_text(json.dumps({"input_data": [samples.ravel().tolist()]}))


def plain_answers(path: dict[str, str], inputs: Array, scratch: Path) -> Array:
    scale = json.loads(Path(path["settings"]).read_text())["model_output_scales"][0]
    answers = []
    for sample in inputs:
        write_input(str(scratch), sample)
        ezkl.gen_witness(str(scratch), path["compiled"], str(scratch) + ".out", None, None)
        words = json.loads(Path(str(scratch) + ".out").read_text())["outputs"][0]
        answers.append([ezkl.felt_to_float(word, scale) for word in words])
    return np.array(answers)


def zkinfer(
    model: Path, name: str, inputs: Array, folder: Path, home: Home, budget: Budget, engine: Engine
) -> Contestant:
    if not (folder / "circuit").exists():
        samples: dict[str, Any] = {name: inputs[: 2 * _SAMPLES]}  # half of them are held out
        np.savez(folder / "calibration.npz", **samples)
        with metered() as used:
            compiled = compile_model(
                model,
                folder / "circuit",
                engine=engine,
                home=home,
                calibration=folder / "calibration.npz",
                options=CompileOptions(setup="insecure-dev", budget=budget),
            )
        predicted = {"seconds": compiled.cost.prove_seconds, "memory": compiled.cost.work.memory_bytes}
        facts = {
            "compile": sum(taken for stage, taken in compiled.timings.items() if stage != "setup"),
            "compile_memory": max(peak_memory(), used.memory),
            "predicted": predicted,
        }
        (folder / "facts").write_text(json.dumps(facts))
    circuit = Circuit.open(folder / "circuit")
    manifest, prover = circuit.manifest, Prover(home=home)
    [spec] = manifest.program.inputs
    one = {name: inputs[0].reshape(spec.shape)}
    made: list[Attestation] = []
    verifier = Verifier(trusted=Trusted.of([model], home.setups, home.rebuilt))
    policy = AllOf(ModelIs(circuit.model_id), EngineIs(engine.id.partition("/")[0]), UnsafeAcceptDevSetup())
    program = manifest.program
    held_out = inputs[-_SAMPLES:].reshape(_SAMPLES, *spec.shape)
    batch = quantise_batch({spec.name: held_out}, program.inputs)
    answers = [
        dequantise(outputs[0], program.outputs[0]).ravel() for outputs in engine.forward(circuit.folder, program, batch)
    ]
    facts = json.loads((folder / "facts").read_text()) | {
        "log_rows": program.figures.get("log2(rows)", program.setup_size),
        "rows": program.figures["rows"],
        "key": manifest.keys.proving_key_bytes,
        "proof": manifest.keys.proof_bytes,
        "gas": manifest.cost.gas,
    }

    def prove() -> None:
        made.append(prover.prove(circuit, one))

    def verify() -> None:
        verifier.verify(made[-1].to_bytes(), policy, expected_inputs=one)

    def of_proof() -> dict[str, Any]:
        return verifiers_alone(engine.evm_key(circuit.folder), made[-1]) if engine.experimental else {}

    return Contestant(prove, verify, np.array(answers), facts, of_proof)


def verifiers_alone(key: bytes, attestation: Attestation) -> dict[str, list[float]]:
    """Seconds of Ashlar's verifiers in this process: the core's and the one in Python."""
    statement, proof = attestation.predicate.statement, attestation.proof
    asked = key, statement.context, statement.inputs, statement.outputs, proof
    return {
        "verify_rust": [seconds(lambda: core.verify(*asked)) for _ in range(_VERIFICATIONS)],
        "verify_python": [seconds(lambda: ashlar.verify(*asked)) for _ in range(_VERIFICATIONS)],
    }


if __name__ == "__main__":
    main()
