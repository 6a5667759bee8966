"""The demo's model, compiled for cheap verification on a chain, as its stored proofs and the gas figures use it."""

from __future__ import annotations

from pathlib import Path

from zkinfer.circuits import Circuit, Home
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments

DEMO = Path(__file__).resolve().parents[1] / "service/zkinfer/cli/demo/digits"
ARGUMENTS = EzklArguments(
    input_scale=4,
    param_scale=4,
    decomp_base=1024,
    decomp_legs=3,
    lookup_range=(0, 0),
    logrows=11,
    num_inner_cols=3,
    scale_rebase_multiplier=3,
).to_run_arguments()


def digits_circuit(base: Path, home: Home) -> Circuit:
    """Compile it below `base`, under the setup of a real ceremony, which `home` must have."""
    options = CompileOptions(setup="hermez", run_arguments=ARGUMENTS)
    calibration = DEMO / "calibration.npz"
    engine = EzklEngine()
    compile_model(
        DEMO / "digits.onnx", base / "digits", engine=engine, home=home, calibration=calibration, options=options
    )
    return Circuit.open(base / "digits")
