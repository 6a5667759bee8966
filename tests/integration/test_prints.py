"""Proven fingerprints have the outputs of plain arithmetic, and the commitment that a work is registered with."""

import iscc_core
import numpy as np
import pytest
from tests.integration import bench

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, EngineIs
from zkinfer.works.print_model import coefficients, compile_print, print_network
from zkinfer.works.prints import pixels_commitment, read_print


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32)).astype(np.uint8)


@pytest.fixture(scope="module", params=[64, 256])
def circuit(request, run_folder):
    engine = AshlarEngine()
    if engine.unavailable:
        pytest.skip(engine.unavailable)
    home = bench.home_in(run_folder)
    out = run_folder / f"print-{request.param}.circuit"
    return compile_print(request.param, out, engine=engine, home=home, setup="insecure-dev").circuit


def test_forward_pass_and_plain_arithmetic_agree(circuit):
    program = circuit.manifest.program
    length = program.layout.outputs
    batch = [[picture(seed).ravel().tolist()] for seed in range(50)]
    found = AshlarEngine().forward(circuit.folder, program, batch)
    assert found == [[coefficients(picture(seed), length).tolist()] for seed in range(50)]


def test_proof_states_pixels_and_bits_and_verifies(circuit, home, tmp_path):
    attestation = Prover(home=home).prove(circuit, {"pixels": picture(1).reshape(1, -1).astype(np.float32)})
    statement = attestation.predicate.statement
    assert keccak256(statement.inputs).value == pixels_commitment(picture(1))
    found = read_print(statement.outputs)
    official = iscc_core.soft_hash_image_v0(picture(1).ravel().tolist(), bits=found.length)
    assert (found.bits ^ int.from_bytes(official, "big")) & found.sure == 0
    model = tmp_path / "print.onnx"
    model.write_bytes(print_network(found.length))
    bench.verifier_of(home, model).verify(attestation, AllOf(bench.policy_of(circuit), EngineIs("ashlar")))
