"""Masked attention and composites of exponentials on the real engine: up to a proof, or up to where there is none."""

import numpy as np
import pytest
from onnx import numpy_helper, parser
from tests.integration import bench
from tests.unit.circuits.engines.ezkl.compiled_programs import least_arguments

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend.prune import serialised
from zkinfer.circuits.frontend.runtime import Session
from zkinfer.circuits.tensors import dequantise, quantise
from zkinfer.prover import Prover

LEAST = np.finfo(np.float32).min
# As torch exports scaled_dot_product_attention(q, k, v, is_causal=True).
CAUSAL = """
<ir_version: 10, opset_import: ["": 18]> g (float[1,3,4] x) => (float[1,1,3,4] y)
<int64[4] heads = {1,1,3,4}, int64[3] flat = {-1,3,4}, int64[4] back = {1,1,4,3}, float[1] root = {0.70710677}> {
  q = Reshape(x, heads)  f = Reshape(q, flat)  t = Transpose<perm=[0,2,1]>(f)  k = Reshape(t, back)
  a = Mul(q, root)  b = Mul(k, root)  s = MatMul(a, b)  m = Add(s, mask)  p = Softmax<axis=-1>(m)  y = MatMul(p, q)
}"""
GUARDED = """
<ir_version: 8, opset_import: ["": 17]> g (float[1,3,3] x, bool[1,1,3] kept) => (float[1,3,3] y)
{ m = Where(kept, x, mask)  %s }"""
PLAIN, TESTED = "y = Softmax(m)", "p = Softmax(m)  n = IsNaN(p)  y = Where(n, zero, p)"
ARGUMENTS = EzklArguments(
    input_scale=9, param_scale=9, decomp_base=1024, decomp_legs=4, lookup_range=(-16384, 16384), logrows=15
).to_run_arguments()


def made(text, mask):
    model = parser.parse_model(text)
    arrays = {"mask": np.asarray(mask, np.float32), "zero": np.float32(0), "last": np.array([1])}
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items() if name in read
    )
    return model


@pytest.fixture
def answered(tmp_path):
    """The answer of the circuit, and of the float model."""

    def answer(model, **feed):
        form = pipeline.normal_form(model, {}, 7)
        network = tmp_path / "network.onnx"
        finer = pipeline.with_finer_inputs(form.model, form.inputs)
        network.write_bytes(serialised(pipeline.with_context(finer, output=False)))
        engine = EzklEngine()
        least = least_arguments(network, ARGUMENTS)
        program = engine.build(network, form.inputs, form.outputs, least, tmp_path)
        integers = [quantise(feed[spec.name], spec) for spec in program.inputs]
        [[found]] = engine.forward(tmp_path, program, [integers])
        return dequantise(found, program.outputs[0]), Session(model).run(feed)["y"]

    return answer


SCORES = np.array([[[0.5, 2.0, -1.0], [30.0, -5.0, 1.0], [-2.0, -2.5, 0.0]]], np.float32)


@pytest.mark.parametrize("mask", [-np.inf, LEAST])
def test_mask_that_is_an_input_hides_what_it_says(mask, answered):
    found, wanted = answered(made(GUARDED % PLAIN, mask), x=SCORES, kept=np.array([[[True, False, True]]]))
    assert np.abs(found - wanted).max() < 0.01
    assert not found[..., 1].any()


def test_row_that_minus_infinity_hides_whole_has_no_answer(answered):
    with pytest.raises(RangeError):
        answered(made(GUARDED % PLAIN, -np.inf), x=SCORES, kept=np.zeros((1, 1, 3), bool))


def test_row_that_is_hidden_whole_gets_what_the_model_puts_for_nan(answered):
    found, wanted = answered(made(GUARDED % TESTED, -np.inf), x=SCORES, kept=np.zeros((1, 1, 3), bool))
    assert not found.any()
    assert not wanted.any()


@pytest.mark.parametrize(
    "body",
    [
        "y = Softplus(x)",
        "e = Exp(x)  s = ReduceSum(e, last)  y = Log(s)",
        "t = ReduceLogSumExp<axes=[1]>(x)  d = Sub(x, t)  y = Exp(d)",
        "l = Softmax(x)  y = Log(l)",
    ],
)
def test_composite_of_large_numbers_is_near_the_float_answer(body, answered):
    text = f'<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => (float[1,n] y) {{ {body} }}'
    found, wanted = answered(made(text, 0), x=np.array([[-40, -20, 15, 14]], np.float32))
    assert np.abs(found - wanted).max() < 0.02


@pytest.mark.slow
def test_causal_attention_goes_to_a_verified_proof_and_says_what_was_held(tmp_path, run_folder):
    model, home = tmp_path / "causal.onnx", bench.home_in(run_folder)
    mask = np.where(np.triu(np.ones((3, 3)), 1), LEAST, 0).reshape(1, 1, 3, 3)
    model.write_bytes(made(CAUSAL, mask).SerializeToString())
    samples = np.random.default_rng(5).normal(size=(12, 1, 3, 4)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=samples)
    options = CompileOptions(setup="insecure-dev", effort="quick")
    compiled = compile_model(
        model,
        tmp_path / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=tmp_path / "samples.npz",
        options=options,
    )
    assert [note for note in compiled.notes if "-3.402823e+38 of Add 'm' is held at -1024" in note]
    attestation = Prover(home=home).prove(compiled.circuit, {"x": samples[0]}, bench.CONTEXT)
    assert bench.verifier_of(home, model).verify(attestation, bench.policy_of(compiled.circuit))
