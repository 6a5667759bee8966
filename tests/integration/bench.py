"""Shared by tests of the real engine: the demo's model, its compiled circuit, optional assets."""

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.paths import ANVIL, ROOT

from zkinfer.circuits import Circuit, Home
from zkinfer.circuits.build import assemble
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.cost import REFERENCE_SPEED, Speed
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.home import known_speed, measured_speed
from zkinfer.circuits.statement import Context
from zkinfer.verifier import AllOf, Attestation, ModelIs, SigningKey, Trusted, UnsafeAcceptDevSetup, Verifier

REPOSITORY = ROOT
DIGITS = REPOSITORY / "service/zkinfer/cli/demo/digits"
MODEL, CALIBRATION, HELD_OUT = DIGITS / "digits.onnx", DIGITS / "calibration.npz", DIGITS / "held-out.npz"
STUDIO = REPOSITORY / "examples/studio"
SHARED = REPOSITORY.parent / "shared"
_NAMED = [Path(name) for name in os.environ.get("ZKINFER_SETUP_PATH", "").split(os.pathsep) if name]
SETUP_FOLDERS = tuple(folder for folder in (SHARED / "srs", *_NAMED) if folder.is_dir())
CONTEXT = Context.model_validate({"requestId": "0x" + "5a" * 32})
# Fixed, so that keys of this model under insecure-dev can be pinned.
GOLDEN_ARGUMENTS = EzklArguments(
    input_scale=7, param_scale=7, decomp_base=512, decomp_legs=3, lookup_range=(0, 0), logrows=12
).to_run_arguments()


def skip_without_anvil() -> None:
    if not ANVIL.exists() or shutil.which("node") is None:
        pytest.skip("no anvil: install node and run npm install in contracts/")


class _Reference(EzklEngine):
    """The engine on the reference machine."""

    def measure_speed(self, *_: object, **__: object) -> Speed:
        return REFERENCE_SPEED


def home_in(base: Path) -> Home:
    """A home with the speed of the reference machine: measuring takes long and varies."""
    home = Home(base / "home")
    if known_speed(EzklEngine(), home) is None:
        measured_speed(_Reference(), home)
    return home


def image(number: int) -> dict[str, NDArray[np.generic]]:
    with np.load(HELD_OUT, allow_pickle=False) as data:
        return {"image": data["image"][number]}


def digits_circuit(base: Path) -> Circuit:
    """The demo's model, compiled once per test run under fixed run arguments."""
    folder = base / "digits.circuit"
    if not folder.exists():
        options = CompileOptions(setup="insecure-dev", run_arguments=GOLDEN_ARGUMENTS)
        compile_model(MODEL, folder, engine=EzklEngine(), home=home_in(base), calibration=CALIBRATION, options=options)
    return Circuit.open(folder)


def digits_under_ashlar(base: Path) -> Circuit:
    """The demo's model under Ashlar, compiled once per test run; skips if the core is missing."""
    engine, folder = AshlarEngine(), base / "digits.ashlar"
    if engine.unavailable:
        pytest.skip(engine.unavailable)
    if not folder.exists():
        options = CompileOptions(setup="insecure-dev")
        compile_model(MODEL, folder, engine=engine, home=home_in(base), calibration=CALIBRATION, options=options)
    return Circuit.open(folder)


def studio_circuit(base: Path, name: str, labels: str | None = None) -> Circuit:
    """The painter or the detector of examples/studio, compiled once per test run; skips without Ashlar's core."""
    engine, folder = AshlarEngine(), base / f"{name}.studio"
    if engine.unavailable:
        pytest.skip(engine.unavailable)
    if not folder.exists():
        options = CompileOptions(setup="insecure-dev", labels=labels)
        data = STUDIO / f"{name}-calibration.npz"
        compile_model(
            STUDIO / f"{name}.onnx", folder, engine=engine, home=home_in(base), calibration=data, options=options
        )
    return Circuit.open(folder)


def verifier_of(home: Home, *models: Path) -> Verifier:
    return Verifier(trusted=Trusted.of(models, home.setups, home.rebuilt))


def policy_of(circuit: Circuit) -> AllOf:
    return AllOf(ModelIs(circuit.model_id), UnsafeAcceptDevSetup())


def attacker_signs(circuit: Circuit, proof: Proof, context: Context = CONTEXT) -> Attestation:
    """An attestation of any proof, correctly signed with the attacker's own key."""
    return Attestation.create(
        identity=circuit.manifest.identity,
        recipe=circuit.manifest.recipe,
        program=circuit.manifest.program,
        proof=proof,
        context=context,
        key=SigningKey.generate(),
        ephemeral=False,
        created_at=datetime.now(UTC),
    )


def proof_of(attestation: Attestation) -> Proof:
    return Proof(attestation.proof, attestation.predicate.statement)


def rebuild_golden(folder: str, home: str) -> None:
    """Print the digests of the circuit built from the golden arguments; runs in a separate process."""
    target = Path(folder)
    made = assemble(
        MODEL,
        target,
        engine=EzklEngine(),
        run_arguments=GOLDEN_ARGUMENTS,
        setup=Home(Path(home)).setups.insecure_dev(12),
        dimensions={},
        proving_key=target.parent / f"{target.name}.pk",
    )
    files = {path.name: str(sha256_file(path)) for path in sorted(target.iterdir())}
    answer = {
        "vk": made.identity.verifying_key,
        "modelId": made.identity.model_id,
        "pk": str(made.keys.proving_key),
        "files": files,
    }
    sys.stdout.write(json.dumps(answer))
