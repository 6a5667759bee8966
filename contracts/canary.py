"""The canary: the circuit of y = max(x, 0) for one number, whose output a contract can compute.

Its verifying key is made under the setup of a real ceremony, so that its proofs cannot be forged, and is stored in
the artifacts. If no file of that ceremony is found (in a folder of ZKINFER_SETUP_PATH, or in ../shared/srs beside the
checkout), the stored key is reused; everything else is rebuilt.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from zkinfer.circuits import Circuit, Home
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.recipe import INSECURE_DEV

HERE = Path(__file__).resolve().parent
CANARY = HERE / "zkinfer/contracts/compiled/canary.json"
CEREMONY = "hermez"
ARGUMENTS = EzklArguments(
    input_scale=2, param_scale=1, decomp_base=128, decomp_legs=4, lookup_range=(0, 0), logrows=8, num_inner_cols=1
).to_run_arguments()
_SHARED = HERE.parent.parent / "shared/srs"


def model() -> bytes:
    """The ONNX file."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "canary", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString(deterministic=True))


def setup_folders() -> tuple[Path, ...]:
    """The folders to search for files of real ceremonies."""
    named = [Path(name) for name in os.environ.get("ZKINFER_SETUP_PATH", "").split(os.pathsep) if name]
    return tuple(folder for folder in (_SHARED, *named) if folder.is_dir())


def compile_canary(base: Path, setup: str) -> Circuit:
    """Compile the canary below `base`."""
    onnx_file, samples = base / "canary.onnx", base / "canary.npz"
    onnx_file.write_bytes(model())
    onnx.checker.check_model(onnx.load(onnx_file))
    np.savez(samples, x=np.linspace(-8, 8, 32, dtype=np.float32).reshape(32, 1))
    home = Home(base / "home", setup_search=setup_folders())
    options = CompileOptions(setup=setup, run_arguments=ARGUMENTS)
    compile_model(onnx_file, base / "circuit", engine=EzklEngine(), home=home, calibration=samples, options=options)
    return Circuit.open(base / "circuit")


@dataclass(frozen=True, slots=True)
class Built:
    """The canary's artifact, and the source of the verifier for all circuits, which is the same for each."""

    document: str
    verifier: str


def build() -> Built:
    """Compile the canary and generate the verifier's source."""
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        setups = Home(base / "home", setup_search=setup_folders()).setups
        real = any(setup.ceremony == CEREMONY for setup in setups.list())
        circuit = compile_canary(base, CEREMONY if real else INSECURE_DEV)
        setup = setups.find_or_generate(circuit.manifest.program.setup_size, None if real else INSECURE_DEV)
        source = EzklEngine().evm_verifier(base / "circuit", setup.path)
        if not real:
            print(f"no file of the {CEREMONY} ceremony found: the canary's stored key is reused")
            return Built(CANARY.read_text(), source)
        return Built(document_of(circuit, (base / "circuit/vka.bin").read_bytes()[8:]), source)


def document_of(circuit: Circuit, words: bytes) -> str:
    """The canary's artifact."""
    manifest = circuit.manifest
    made = {
        "key": "0x" + words.hex(),
        "keyDigest": "0x" + manifest.identity.verifying_key.removeprefix("keccak256:"),
        "onnx": "0x" + model().hex(),
        "runArguments": manifest.recipe.run_arguments,
        "setup": "0x" + manifest.recipe.setup.tau_g2.removeprefix("sha256:"),
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":")) + "\n"
