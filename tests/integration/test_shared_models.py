"""Models that others made, compiled, proven, verified and compared with onnxruntime."""

import json

import numpy as np
import onnxruntime
import pytest
from tests.integration import bench

from zkinfer.circuits import read_inputs
from zkinfer.circuits.compiling import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl import EzklEngine
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, ModelIs, SetupIs, Trusted, Verifier

MODELS = ("1l_mlp", "1l_softmax", "4l_relu_conv_fc", "accuracy", "lstm", "xgboost")
TOLERANCE = 0.06  # of the largest output


def files_of(name):
    folder = bench.SHARED / "models" / name
    if not (folder / "network.onnx").is_file():
        pytest.skip(f"the optional model {folder} is not here")
    return folder / "network.onnx", folder / "input.json"


def like(data, model, folder):
    """Samples like the one that the model came with: that one, and seven with two per cent of noise."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(5)
    samples = {}
    for port, flat in zip(session.get_inputs(), json.loads(data.read_bytes())["input_data"], strict=True):
        shape = [size if isinstance(size, int) else 1 for size in port.shape]
        one = np.array(flat, np.float32).reshape(1, *shape)
        noise = 1 + 0.02 * random.standard_normal((7, *shape))
        samples[port.name] = np.concatenate([one, one * noise]).astype(np.float32)
    np.savez(folder / "samples.npz", **samples)
    return folder / "samples.npz"


def float_answers(model, inputs):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers = session.run(None, inputs)
    return dict(zip((output.name for output in session.get_outputs()), answers, strict=True))


def proven(circuit, home, inputs, policy):
    attestation = Prover(home=home).prove(circuit, inputs, bench.CONTEXT)
    verifier = Verifier(trusted=Trusted.of([circuit.folder / "model.onnx"], home.setups, home.rebuilt))
    return verifier.verify(attestation.to_bytes(), policy, expected_inputs=inputs)


def assert_close(found, wanted):
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        scale = max(float(np.abs(values).max()), 1e-6)
        assert np.abs(found[name].reshape(values.shape) - values).max() <= TOLERANCE * scale


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_shared_model_is_proven_and_answers_like_onnxruntime(home, tmp_path, name):
    model, data = files_of(name)
    options = CompileOptions(setup="insecure-dev", effort="quick")
    circuit = compile_model(
        model,
        tmp_path / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=like(data, model, tmp_path),
        options=options,
    ).circuit
    inputs = read_inputs(data, circuit.manifest.program.inputs)
    inference = proven(circuit, home, inputs, bench.policy_of(circuit))
    assert inference.on_expected_input
    assert_close(inference.outputs, float_answers(model, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1l_mlp", "digits"])
def test_model_under_a_real_ceremony_needs_no_unsafe_word(real_home, tmp_path, name):
    model, data = (bench.MODEL, None) if name == "digits" else files_of(name)
    calibration = like(data, model, tmp_path) if data else bench.CALIBRATION
    options = CompileOptions(setup="hermez", effort="quick")
    circuit = compile_model(
        model, tmp_path / "circuit", engine=EzklEngine(), home=real_home, calibration=calibration, options=options
    ).circuit
    inputs = read_inputs(data, circuit.manifest.program.inputs) if data else bench.image(3)
    inference = proven(circuit, real_home, inputs, AllOf(ModelIs(circuit.model_id), SetupIs("hermez")))
    assert inference.recipe.setup.ceremony == "hermez"
    assert_close(inference.outputs, float_answers(model, inputs))
