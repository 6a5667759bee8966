"""zkinfer against the plain engine on the demo's model: proving, verifying, keys, proof, accuracy.

    python benchmarks/engine.py [RUNS]     prints a table and writes docs/benchmarks.md

"Plain" is ezkl as its own documentation uses it: gen_settings with default arguments, calibrate_settings with target
"resources", compile, setup, gen_witness, prove, verify, all in one process that has loaded everything already. zkinfer
is measured as its user calls it: `Prover.prove` and `Verifier.verify`, with the children they start, the context input,
the check of its own proof, and the signature. Both run alternately, in one run; figures are medians.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import ezkl
import numpy as np

from zkinfer.circuits import CompileOptions, Home, compile_model, production_engines
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "service/zkinfer/cli/demo/digits"
MODEL, CALIBRATION, HELD_OUT = DIGITS / "digits.onnx", DIGITS / "calibration.npz", DIGITS / "held-out.npz"
INTRODUCTION = """\
The demo's model (64-32-10 dense classifier) through zkinfer and through the plain engine, as its own documentation
uses it. zkinfer's figures include what the plain calls do not do: starting a limited child, the context input, the
check of its own proof, the signature; and, to verify, the whole checklist."""


@dataclass
class Contestant:
    """One way to do it: calls to time, and facts that do not vary."""

    prove: Callable[[], Any]
    verify: Callable[[], Any]
    facts: dict[str, float]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as scratch:
        image = np.load(HELD_OUT)["image"][0]
        contestants = {"plain": plain(Path(scratch, "plain"), image), "zkinfer": ours(Path(scratch, "ours"), image)}
        times: dict[str, dict[str, list[float]]] = {name: {"prove": [], "verify": []} for name in contestants}
        for _ in range(runs + 1):  # the first round warms up and is not counted
            for name, contestant in contestants.items():
                times[name]["prove"].append(seconds(contestant.prove))
                times[name]["verify"].append(seconds(contestant.verify))
    rows = {name: figures(times[name], contestant.facts) for name, contestant in contestants.items()}
    text = page(rows, runs)
    (ROOT / "docs/benchmarks.md").write_text(text)
    print(text)


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def figures(times: dict[str, list[float]], facts: dict[str, float]) -> dict[str, float]:
    return {f"{name}, s": median(found[1:]) for name, found in times.items()} | facts


def plain(folder: Path, image: np.ndarray[Any, Any]) -> Contestant:
    folder.mkdir()
    path = {
        name: str(folder / name) for name in ("settings", "compiled", "srs", "vk", "pk", "input", "witness", "proof")
    }
    arguments = ezkl.PyRunArgs()
    visible = {"input_visibility": "public", "output_visibility": "public", "param_visibility": "fixed"}
    for name, value in visible.items():
        setattr(arguments, name, value)
    arguments.variables = [("batch", 1)]  # type: ignore[attr-defined]  # missing in its stubs
    network = str(MODEL)
    samples = np.load(CALIBRATION)["image"].reshape(-1, 64)[:16]
    Path(path["input"]).write_text(json.dumps({"input_data": [image.ravel().tolist()]}))
    (folder / "calibration").write_text(json.dumps({"input_data": [samples.ravel().tolist()]}))
    start = time.perf_counter()
    ezkl.gen_settings(network, path["settings"], arguments)
    ezkl.calibrate_settings(str(folder / "calibration"), network, path["settings"], "resources", 2.0, None, [1], None)
    ezkl.compile_circuit(network, path["compiled"], path["settings"])
    log_rows = json.loads(Path(path["settings"]).read_text())["run_args"]["logrows"]
    ezkl.gen_srs(path["srs"], log_rows)
    ezkl.setup(path["compiled"], path["vk"], path["pk"], path["srs"], None, disable_selector_compression=False)
    compiled = time.perf_counter() - start

    def prove() -> None:
        ezkl.gen_witness(path["input"], path["compiled"], path["witness"], None, None)
        ezkl.prove(path["witness"], path["compiled"], path["pk"], path["proof"], path["srs"])

    def verify() -> None:
        ezkl.verify(path["proof"], path["settings"], path["vk"], path["srs"], reduced_srs=False)

    prove()
    facts = {
        "compile, s": compiled,
        "log2 of rows": log_rows,
        "proving key, MB": Path(path["pk"]).stat().st_size / 1e6,
        "proof, bytes": len(json.loads(Path(path["proof"]).read_text())["proof"]),
    }
    return Contestant(prove, verify, facts)


def ours(folder: Path, image: np.ndarray[Any, Any]) -> Contestant:
    home = Home(folder / "home")
    engine = next(iter(production_engines().values()))
    options = CompileOptions(setup="insecure-dev")
    made = compile_model(MODEL, folder / "circuit", engine=engine, home=home, calibration=CALIBRATION, options=options)
    prover, inputs = Prover(home=home), {"image": image}
    attestation = prover.prove(made.circuit, inputs).to_bytes()
    verifier = Verifier(trusted=Trusted.of([MODEL], home.setups, home.rebuilt))
    policy = AllOf(ModelIs(made.circuit.model_id), UnsafeAcceptDevSetup())
    manifest = made.circuit.manifest
    facts = {
        "compile, s": sum(made.timings.values()),
        "log2 of rows": manifest.program.log_rows,
        "proving key, MB": manifest.keys.proving_key_bytes / 1e6,
        "proof, bytes": manifest.keys.proof_bytes,
    }
    return Contestant(
        lambda: prover.prove(made.circuit, inputs),
        lambda: verifier.verify(attestation, policy, expected_inputs=inputs),
        facts,
    )


def page(rows: dict[str, dict[str, float]], runs: int) -> str:
    lines = [
        "# Benchmarks",
        "",
        INTRODUCTION,
        "",
        f"Medians of {runs} alternating runs on {machine()}. Repeat with `make bench`.",
        "",
        "| | plain | zkinfer | plain / zkinfer |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, theirs in rows["plain"].items():
        own = rows["zkinfer"][name]
        lines.append(f"| {name} | {theirs:,.3g} | {own:,.3g} | {theirs / own:.2f} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
