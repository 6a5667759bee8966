"""Small constants, small columns and a limit of the search, with the real engine."""

from contextlib import closing

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from zkinfer.circuits import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.departures import lost_constants, sentences
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import RangeError, TooCostlyError
from zkinfer.circuits.tensors import dequantise
from zkinfer.prover.quantised_inputs import integers_of

QUICK = CompileOptions(setup="insecure-dev", effort="quick")
SAMPLES = np.random.default_rng(3).normal(size=(24, 1, 8)).astype(np.float32)
NORMALISED = "n = ReduceL2 <axes = [1]> (x) c = Clip(n, e) y = Div(x, c)"
ROOT_MEAN_SQUARE = "s = Mul(x, x) m = ReduceMean <axes = [1]> (s) v = Add(m, e) d = Sqrt(v) y = Div(x, d)"
LAYER_NORM = "y = LayerNormalization <epsilon = 0.001> (x, ones)"


def written(folder, body, inputs="float[1,8] x", output="float[1,8] y", **constants):
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g ({inputs}) => ({output}) {{ {body} }}')
    made.graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    return folder / "model.onnx"


def compiled(folder, home, model, options=QUICK, **samples):
    np.savez(folder / "samples.npz", **samples)
    return compile_model(
        model, folder / "c", engine=EzklEngine(), home=home, calibration=folder / "samples.npz", options=options
    )


def answers(circuit, *feeds):
    program = circuit.manifest.program
    with closing(EzklEngine().session(circuit.folder, program)) as session:
        for feed in feeds:
            answer = session.forward(integers_of(feed, program.inputs))
            yield dequantise(answer[0], program.outputs[0])


@pytest.mark.parametrize(
    ("body", "epsilon", "scale", "multiplier", "named"),
    [
        (NORMALISED, 1e-12, 7, 1, ("Clip", "c", 7)),
        (NORMALISED, 1e-12, 7, 3, ("Clip", "c", 14)),
        (ROOT_MEAN_SQUARE, 1e-3, 4, 3, ("Add", "v", 8)),
        (ROOT_MEAN_SQUARE, 1e-3, 7, 3, None),
        (LAYER_NORM, 0, 7, 1, ("LayerNormalization", "y", 7)),
        (LAYER_NORM, 0, 10, 1, None),
    ],
)
def test_constant_that_a_scale_rounds_to_zero_is_found_with_node_and_scale(
    tmp_path, body, epsilon, scale, multiplier, named
):
    model, network = written(tmp_path, body, e=epsilon, ones=np.ones(8)), tmp_path / "network.onnx"
    EzklEngine().lower(model, network, dimensions={}, input_visibility="public")
    arguments = EzklArguments(
        input_scale=scale,
        param_scale=scale,
        scale_rebase_multiplier=multiplier,
        decomp_base=1 << 15,
        decomp_legs=4,
        lookup_range=(-1000, 1000),
        logrows=17,
    )
    bindings.write_settings(str(network), arguments.to_run_arguments(), tmp_path / "settings.json")
    found = lost_constants(network, tmp_path / "settings.json")
    said = sentences(found, onnx.load(model))
    if named is None:
        assert said == []
    else:
        [text] = said
        operator, node, steps = named
        assert f"the constant {epsilon or 0.001:g} of {operator} '{node}' is 0 in this circuit" in text
        assert f"the scale there is {steps}, " in text


def test_normalisation_of_zero_is_zero_and_its_epsilon_is_told_of(tmp_path, home):
    made = compiled(tmp_path, home, written(tmp_path, NORMALISED, e=1e-12), x=SAMPLES)
    [note] = made.notes
    assert note.startswith("the constant 1e-12 of Clip 'c' is 0 in this circuit")
    zero, one = answers(made.circuit, {"x": 0 * SAMPLES[0]}, {"x": SAMPLES[0]})
    assert not zero.any()
    np.testing.assert_allclose(one, SAMPLES[0] / np.linalg.norm(SAMPLES[0]), atol=0.05)
    [measured] = made.circuit.manifest.fidelity.inputs
    assert (measured.name, measured.low < -1, measured.high > 1) == ("x", True, True)
    assert made.circuit.manifest.unmeasured({"x": SAMPLES[0] / 100})
    assert not made.circuit.manifest.unmeasured({"x": SAMPLES[1]})


def test_quotient_of_more_than_zero_by_a_lost_divisor_has_no_proof(tmp_path, home):
    """The model answers 1e12, which no circuit holds: there must be no answer rather than another one."""
    model = written(
        tmp_path, "r = Relu(b) d = Max(r, e) y = Div(a, d)", "float[1,2] a, float[1,2] b", "float[1,2] y", e=1e-12
    )
    random = np.random.default_rng(5)
    a, b = (random.uniform(low, 2, (24, 1, 2)).astype(np.float32) for low in (-2, 0.25))
    circuit = compiled(tmp_path, home, model, a=a, b=b).circuit
    nothing, both = np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)
    zero, quotient = answers(circuit, {"a": nothing, "b": -both}, {"a": both, "b": 2 * both})
    assert not zero.any()
    np.testing.assert_allclose(quotient, 0.5, atol=0.05)
    with pytest.raises(RangeError):
        list(answers(circuit, {"a": both, "b": nothing}))


def test_small_column_beside_a_large_one_is_kept(tmp_path, home):
    random = np.random.default_rng(5)
    body = "p = MatMul(x, w) s = Sigmoid(p) a = Mul(s, k) b = MatMul(x, v) y = Concat <axis = 1> (a, b)"
    weights = {"w": random.normal(size=(8, 1)), "v": 1000 * random.normal(size=(8, 1)), "k": 0.02}
    made = compiled(tmp_path, home, written(tmp_path, body, output="float[1,2] y", **weights), x=SAMPLES)
    assert made.shortfall == ""
    worst = made.circuit.manifest.fidelity.columns[0]
    assert (worst.output, worst.column, worst.high < 0.03) == ("y", 0, True)
    assert worst.error_p99 <= 0.05


def test_search_of_a_moment_is_refused_and_one_of_a_minute_is_not(tmp_path, home):
    model = written(tmp_path, "y = Relu(x)")
    with pytest.raises(TooCostlyError, match="reached the limit of --search-seconds"):
        compiled(tmp_path, home, model, CompileOptions(setup="insecure-dev", search_seconds=0.02), x=SAMPLES)
    options = CompileOptions(setup="insecure-dev", effort="quick", search_seconds=120)
    assert compiled(tmp_path, home, model, options, x=SAMPLES).notes == ()
