"""Every kind of model that Ashlar takes is compiled, proven and verified with its core; others are refused."""

from contextlib import closing

import numpy as np
import pytest
from tests.integration import bench, stored

from zkinfer.circuits import CompileOptions, Home, compile_model
from zkinfer.circuits.cost import REFERENCE_SPEED
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.ashlar import core
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import write_scores
from zkinfer.circuits.home import measured_speed
from zkinfer.circuits.tensors import dequantise
from zkinfer.prover import Prover
from zkinfer.prover.quantised_inputs import integers_of
from zkinfer.verifier import AllOf, EngineIs

needs_core = pytest.mark.skipif(bool(core.missing()), reason=core.missing())
REFUSED = {
    "attention": "multiplies two computed tensors",
    "hummingbird_forest": "Gather .* picks elements by index",
    "layer_norm": "LayerNormalization .* is a norm of computed values",
    "lstm": "LSTM .* is recurrent",
    "lstm_cell": "has 3 inputs",
    "refused_isolation": "LabelEncoder",
    "refused_svc": "SVMClassifier",
    "refused_words": "returns string labels",
    "sklearn_normalizer": "ReduceL2 .* is a norm of computed values",
    "two_inputs": "has 2 inputs",
}
# Labels, Softmax or pairs of probabilities, which `zkinfer scores` cuts off.
AS_SCORES = {
    "lightgbm_binary",
    "lightgbm_classes",
    "sklearn_boosting",
    "sklearn_forest",
    "sklearn_forest_binary",
    "sklearn_logistic",
    "sklearn_logistic_binary",
    "sklearn_mlp",
    "sklearn_sgd",
    "sklearn_svc_linear",
    "sklearn_tree",
    "softmax",
    "xgboost_binary",
    "xgboost_classes",
}
TAKEN = sorted({path.stem for path in stored.ZOO.glob("*.onnx")} - set(REFUSED))
EVERY_RUN = {"batch_norm", "conv_max", "residual", "sklearn_tree", "xgboost_regressor"}
DIRECT = sorted(set(TAKEN) - AS_SCORES)


class _Reference(AshlarEngine):
    """The engine on the reference machine: measuring takes long."""

    def measure_speed(self, *_, **__):
        return REFERENCE_SPEED


@pytest.fixture(scope="module")
def ashlar_home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("ashlar"))
    measured_speed(_Reference(), home)
    return home


def parameters(names):
    return [pytest.param(name, marks=() if name in EVERY_RUN else pytest.mark.nightly) for name in names]


def compiled(name, folder, home):
    model = stored.ZOO / f"{name}.onnx"
    if name in AS_SCORES:
        model = folder / "scores.onnx"
        write_scores(stored.ZOO / f"{name}.onnx", model)
    samples, options = stored.ZOO / f"{name}.npz", CompileOptions(setup="insecure-dev", strict=True)
    made = compile_model(
        model, folder / "circuit", engine=engine_named("ashlar"), home=home, calibration=samples, options=options
    )
    return model, made.circuit


@needs_core
@pytest.mark.slow
@pytest.mark.parametrize("name", parameters(TAKEN))
def test_zoo_model_is_compiled_proven_and_verified_under_ashlar(name, ashlar_home, tmp_path):
    model, circuit = compiled(name, tmp_path, ashlar_home)
    with np.load(stored.ZOO / f"{name}.npz", allow_pickle=False) as samples:
        inputs = {key: samples[key][-1] for key in samples}
    attestation = Prover(home=ashlar_home).prove(circuit, inputs)
    policy = AllOf(*bench.policy_of(circuit).policies, EngineIs("ashlar"))
    inference = bench.verifier_of(ashlar_home, model).verify(attestation, policy, expected_inputs=inputs)
    program = circuit.manifest.program
    with closing(engine_named("ashlar").session(circuit.folder, program)) as session:
        answered = session.forward(integers_of(inputs, program.inputs))
    for spec, tensor in zip(program.outputs, answered, strict=True):
        np.testing.assert_array_equal(dequantise(tensor, spec), inference.outputs[spec.name])
    assert circuit.manifest.fidelity.agreement == 1.0


@needs_core
@pytest.mark.parametrize("name", REFUSED)
def test_model_that_ashlar_lacks_is_refused_with_its_reason(name, ashlar_home, tmp_path):
    with pytest.raises(UnsupportedModelError, match=REFUSED[name]) as caught:
        compiled(name, tmp_path, ashlar_home)
    assert caught.value.cure


@needs_core
@pytest.mark.parametrize("name", sorted(AS_SCORES))
def test_classifier_as_exported_is_refused_with_the_command_that_helps(name, ashlar_home):
    found = engine_named("ashlar").supports(stored.ZOO / f"{name}.onnx")
    assert "zkinfer scores" in found[0].cure


def test_every_stored_model_is_either_taken_or_refused():
    stems = {path.stem for path in stored.ZOO.glob("*.onnx")}
    assert stems == set(REFUSED) | AS_SCORES | set(DIRECT)
    assert not AS_SCORES & set(REFUSED)
    assert set(TAKEN) >= EVERY_RUN
