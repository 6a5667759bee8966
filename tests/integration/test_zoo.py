"""Every supported kind of model is compiled, proven and verified with the real engine; others are refused."""

from contextlib import closing

import numpy as np
import pytest
from tests.integration import bench, stored

from zkinfer.circuits import Budget, CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.tensors import dequantise
from zkinfer.prover import Prover
from zkinfer.prover.quantised_inputs import integers_of

MODELS = sorted(path for path in stored.ZOO.glob("*.onnx") if not path.name.startswith("refused"))
REFUSED = {
    "refused_isolation": "LabelEncoder.*hummingbird",
    "refused_svc": "SVMClassifier.*hummingbird",
    "refused_words": "returns string labels.*LabelEncoder",
}
MAX_ERROR = Budget().max_error
# Error bounds of models whose circuits miss the budget on held-out samples after the quick search.
OVER_BUDGET = {
    "attention": 0.08,
    "layer_norm": 0.07,
    "lightgbm_regressor": 0.14,
    "sklearn_forest_binary": 0.14,
    "sklearn_normalizer": 0.09,
    "softmax": 0.08,
    "xgboost_binary": 0.08,
    "xgboost_classes": 0.25,
}
# One model of each kind runs always, the others of that kind nightly.
EVERY_RUN = {"attention", "conv_max", "dense", "lstm_cell", "sklearn_tree", "xgboost_binary"}
# One model of each kind is searched again; `make coverage` searches all of them.
SEARCHED = {"conv_max", "dense", "sklearn_tree", "tanh", "two_inputs"}
SEARCH = CompileOptions(setup="insecure-dev", effort="quick")


def parameter(model):
    return pytest.param(model, id=model.stem, marks=() if model.stem in EVERY_RUN else pytest.mark.nightly)


def compiled(model, folder, home, options=SEARCH):
    return compile_model(
        model,
        folder / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=model.with_suffix(".npz"),
        options=options,
    ).circuit


def answers_of_a_session(circuit, inputs):
    """The outputs by name; a session skips the circuit's own checks of inputs and outputs."""
    program = circuit.manifest.program
    with closing(EzklEngine().session(circuit.folder, program)) as session:
        answered = session.forward(integers_of(inputs, program.inputs))
    return {spec.name: dequantise(tensor, spec) for spec, tensor in zip(program.outputs, answered, strict=True)}


def first_sample(model):
    with np.load(model.with_suffix(".npz"), allow_pickle=False) as samples:
        return {name: samples[name][0] for name in samples}


@pytest.mark.slow
@pytest.mark.parametrize("model", [parameter(model) for model in MODELS])
def test_zoo_model_is_compiled_proven_and_verified(model, home, tmp_path):
    options = SEARCH if model.stem in SEARCHED else stored.options(f"zoo/{model.stem}")
    circuit, inputs = compiled(model, tmp_path, home, options), first_sample(model)
    attestation = Prover(home=home).prove(circuit, inputs)
    inference = bench.verifier_of(home, model).verify(attestation, bench.policy_of(circuit), expected_inputs=inputs)
    assert set(inference.outputs) == {spec.name for spec in circuit.manifest.program.outputs}
    for name, answer in answers_of_a_session(circuit, inputs).items():
        np.testing.assert_array_equal(answer, inference.outputs[name])
    assert circuit.manifest.fidelity.agreement >= 0.9
    assert circuit.manifest.fidelity.error_p99 <= OVER_BUDGET.get(model.stem, MAX_ERROR)


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_model_is_refused_with_advice_before_any_setup(name, home, tmp_path):
    with pytest.raises(UnsupportedModelError, match=REFUSED[name]):
        compiled(stored.ZOO / f"{name}.onnx", tmp_path, home)
    assert not (tmp_path / "circuit").exists()


def test_every_stored_model_is_tested():
    refused = {path.stem for path in stored.ZOO.glob("refused*.onnx")}
    assert refused == set(REFUSED)
    assert len(MODELS) > 30
    assert OVER_BUDGET.keys() | SEARCHED | EVERY_RUN <= {model.stem for model in MODELS}


def test_run_arguments_are_stored_for_exactly_the_tested_models():
    kept = {name for name in stored.found_once() if name.startswith("zoo/")}
    assert kept == {f"zoo/{model.stem}" for model in MODELS}


@pytest.mark.parametrize("name", stored.found_once())
def test_stored_run_arguments_are_acceptable(name):
    EzklEngine().check_run_arguments(stored.found_once()[name])


def test_model_without_stored_run_arguments_is_an_error():
    with pytest.raises(KeyError, match="zoo/refused_svc"):
        stored.options("zoo/refused_svc")
