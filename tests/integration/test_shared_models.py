"""Third-party models, compiled, proven, verified and compared with onnxruntime."""

import numpy as np
import onnxruntime
import pytest
from tests.integration import bench, stored

from zkinfer.circuits import read_inputs
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, ModelIs, SetupIs, Trusted, Verifier

TOLERANCE = 0.06  # of the largest output


def files_of(name):
    model, data = stored.shared_files(name)
    if not model.is_file():
        pytest.skip(f"the optional model {model.parent} is not here")
    return model, data


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


def compiled(model, samples, folder, home, options):
    return compile_model(
        model, folder / "circuit", engine=EzklEngine(), home=home, calibration=samples, options=options
    ).circuit


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "1l_mlp" else pytest.mark.nightly) for name in stored.SHARED_MODELS]
)
def test_shared_model_is_proven_and_agrees_with_onnxruntime(home, tmp_path, name):
    model, data = files_of(name)
    samples = stored.samples_like(data, model, tmp_path)
    circuit = compiled(model, samples, tmp_path, home, stored.options(f"shared/{name}"))
    inputs = read_inputs(data, circuit.manifest.program.inputs)
    inference = proven(circuit, home, inputs, bench.policy_of(circuit))
    assert inference.on_expected_input
    assert_close(inference.outputs, float_answers(model, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1l_mlp", "digits"])
def test_model_under_a_real_ceremony_needs_no_unsafe_option(real_home, tmp_path, name):
    model, data = (bench.MODEL, None) if name == "digits" else files_of(name)
    samples = stored.samples_like(data, model, tmp_path) if data else bench.CALIBRATION
    circuit = compiled(model, samples, tmp_path, real_home, CompileOptions(setup="hermez", effort="quick"))
    inputs = read_inputs(data, circuit.manifest.program.inputs) if data else bench.image(3)
    inference = proven(circuit, real_home, inputs, AllOf(ModelIs(circuit.model_id), SetupIs("hermez")))
    assert inference.recipe.setup.ceremony == "hermez"
    assert_close(inference.outputs, float_answers(model, inputs))
