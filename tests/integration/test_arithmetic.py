"""The integer arithmetic agrees with the engine on the same compiled programs."""

from contextlib import contextmanager

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import parser
from tests.integration import stored

from zkinfer.circuits.engines.ezkl import forward as forward_worker
from zkinfer.circuits.engines.ezkl import worker as ezkl_worker
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, read_settings
from zkinfer.circuits.engines.ezkl.bindings import Answer, answer_of
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.interpreter import Arithmetic, TooLargeError
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.program import UnknownProgramError
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments, max_decomposition_bits
from zkinfer.circuits.engines.ezkl.tune import narrow
from zkinfer.circuits.errors import OUT_OF_RANGE, EngineError, RangeError
from zkinfer.circuits.frontend.prune import serialised

ARGUMENTS = EzklArguments(
    input_scale=7,
    param_scale=7,
    decomp_base=1 << 9,
    decomp_legs=2,  # 18 bits, which large inputs exceed
    lookup_range=(0, 0),
    logrows=15,
)
LARGEST_BITS = (4, 8, 11, 14, 17, 20, 26, 40, 61)
ROW, IMAGE, SERIES = "float[2,3] x", "float[1,2,5,5] x", "float[1,2,6] x"
CONSTANTS = """<float[2,3] c = {0.5,-1.0,0.25,2.0,-0.75,1.5}, float[3,2] w = {0.5,-0.25,1.0,0.125,-1.5,0.75},
    float[2] bias = {0.5,-0.25}, float low = {-0.5}, float high = {0.75}, int64[2] i = {2,0}, int64[1] axis = {1},
    int64[3] to = {2,1,3}, int64[3] shape = {2,2,3}, int64[4] pads = {0,1,1,0},
    int64[1] one = {1}, int64[1] three = {3},
    float[2,2,3,2] k = {1.0,-0.5,0.25,0.75,-1.0,0.5,0.125,-0.25,0.5,1.5,-0.75,0.25,
                        0.5,0.25,-1.0,0.75,1.0,-0.5,0.25,0.5,-0.25,1.0,0.75,-1.5},
    float[4,1,3,3] d = {1.0,-0.5,0.25,0.75,-1.0,0.5,0.125,-0.25,0.5,1.5,-0.75,0.25,0.5,0.25,-1.0,0.75,1.0,-0.5,
                        0.25,0.5,-0.25,1.0,0.75,-1.5,0.5,-0.5,0.25,-0.75,1.0,0.5,1.25,-0.25,0.5,1.0,-0.5,0.75},
    float[2,2,3] along = {0.5,-0.25,1.0,0.125,-1.5,0.75,0.5,1.0,-0.5,0.25,0.75,-1.0}>"""
BODIES = {
    "absolute": ("y = Abs(x)", ROW),
    "average": ("y = AveragePool<kernel_shape=[2,3], strides=[2,1]>(x)", IMAGE),
    "average_padded": ("y = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0], count_include_pad=1>(x)", IMAGE),
    "above": ("g = Greater(x, c) y = Cast<to=1>(g)", ROW),
    "below": ("g = Less(x, c) y = Cast<to=1>(g)", ROW),
    "concatenated": ("n = Neg(x) y = Concat<axis=1>(x, n, c)", ROW),
    "convolved": ("y = Conv<strides=[2,1], pads=[1,0,1,1]>(x, k, bias)", IMAGE),
    "convolved_along": ("y = Conv<strides=[2]>(x, along)", SERIES),
    "convolved_apart": ("y = Conv<group=2, pads=[1,1,1,1]>(x, d)", IMAGE),
    "dense": ("h = Gemm(x, w, bias) r = Relu(h) y = Gemm<transB=1>(r, w)", ROW),
    "divided": ("t = Constant<value_float=3.0>() y = Div(x, t)", ROW),
    "expanded": ("u = Unsqueeze(x, axis) y = Expand(u, shape)", ROW),
    "gathered": ("y = Gather<axis=1>(x, i)", ROW),
    "leaky": ("y = LeakyRelu<alpha=0.25>(x)", ROW),
    "meaned": ("y = ReduceMean<keepdims=0>(x, axis)", ROW),
    "moved": ("t = Transpose<perm=[2,0,1]>(x) y = Mul(t, t)", "float[2,3,2] x"),
    "padded": ("p = Pad(x, pads) y = Add(p, p)", ROW),
    "powered": ("t = Constant<value_float=3.0>() y = Pow(x, t)", ROW),
    "reshaped": ("r = Reshape(x, to) y = Mul(r, r)", ROW),
    "scaled": ("m = Mul(x, c) n = Mul(m, c) o = Mul(n, c) y = Sub(o, x)", ROW),
    "sliced": ("y = Slice(x, one, three, axis)", ROW),
    "summed": ("y = ReduceSum<keepdims=1>(x, axis)", ROW),
    "at_least": ("g = GreaterOrEqual(x, c) y = Cast<to=1>(g)", ROW),
    "at_most": ("g = LessOrEqual(x, c) y = Cast<to=1>(g)", ROW),
}


class ArithmeticOnly:
    """The arithmetic as used by a session, without the fallback to the engine."""

    def __init__(self, arithmetic, limit):
        self.input_sizes = arithmetic.input_sizes
        self.or_by = lambda other: forward_worker.with_fallback(arithmetic, other, limit, outputs_wanted=None)
        self.forward = self.or_by(too_large)


def too_large(_):
    raise TooLargeError


@contextmanager
def both_ways(model, folder, arguments=ARGUMENTS):
    """The forward passes of a program by the arithmetic and by the engine."""
    normal, *_ = pipeline.normal_form(model, {}, 7)
    (folder / NETWORK).write_bytes(serialised(pipeline.with_context(normal, output=False)))
    ezkl_worker.build(str(folder / NETWORK), arguments.to_run_arguments(), str(folder))
    made = read_settings(folder)
    with forward_worker.arithmetic_only(folder, made) as program, open(program, "rb") as file:  # noqa: PTH123
        yield (
            ArithmeticOnly(Arithmetic(file.read()), arguments.integer_limit),
            lambda sample: answer_of(made, program, sample, len(normal.graph.output)).outputs,
        )


def graph_of(body, inputs):
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> g ({inputs}) => (float y) {CONSTANTS} {{ {body} }}'
    )


def sample_of(arithmetic, bits, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(-(1 << bits), 1 << bits, size).tolist() for size in arithmetic.input_sizes]


def outcome(forward, sample):
    try:
        return forward(sample)
    except RangeError:
        return "refused"


@pytest.mark.parametrize("name", BODIES)
def test_operator_agrees_with_the_engine(name, tmp_path):
    with both_ways(graph_of(*BODIES[name]), tmp_path) as (arithmetic, by_engine):
        held = 0
        for bits in LARGEST_BITS * 3:
            sample = sample_of(arithmetic, bits, seed=held)
            try:
                found = outcome(arithmetic.forward, sample)
            except TooLargeError:
                assert bits >= 20
                continue
            assert found == outcome(by_engine, sample), sample
            held += found != "refused"
    assert held >= 6


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("y = Sigmoid(x)", ROW),  # a lookup
        ("y = MaxPool<kernel_shape=[2,2]>(x)", IMAGE),
        ("y = Softmax(x)", ROW),
        ("s = Sign(x) y = Mul(s, x)", ROW),
    ],
)
def test_unsupported_operator_is_left_to_the_engine(body, inputs, tmp_path):
    with pytest.raises(UnknownProgramError), both_ways(graph_of(body, inputs), tmp_path):
        pass


COMPUTED = {
    "batch_norm",
    "conv_average",
    "dense",
    "dense_dynamic",
    "leaky_relu",
    "lightgbm_regressor",
    "residual",
    "sklearn_forest_binary",
    "sklearn_forest_regressor",
    "sklearn_linear",
    "xgboost_regressor",
}


@pytest.mark.parametrize("name", sorted(COMPUTED))
def test_model_agrees_with_the_engine(name, tmp_path):
    arguments = EzklArguments.parse(stored.found_once()[f"zoo/{name}"])
    with both_ways(onnx.load(stored.ZOO / f"{name}.onnx"), tmp_path, arguments) as (arithmetic, by_engine):
        for bits in range(4, 24):
            sample = sample_of(arithmetic, bits, seed=bits)
            assert outcome(arithmetic.forward, sample) == outcome(by_engine, sample)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scales=st.tuples(st.integers(2, 14), st.integers(2, 14), st.integers(1, 3)),
    decomposition=st.tuples(st.integers(2, 12), st.integers(1, 4)),
    bits=st.integers(1, 30),
    seed=st.integers(0, 1 << 20),
)
def test_network_agrees_with_the_engine_under_any_run_arguments(scales, decomposition, bits, seed, tmp_path):
    """Scales decide where products are rescaled, the decomposition which values are refused."""
    given_scale, param, multiplier = scales
    base, legs = decomposition
    assume(base * legs <= max_decomposition_bits(multiplier))
    arguments = EzklArguments(
        input_scale=given_scale,
        param_scale=param,
        scale_rebase_multiplier=multiplier,
        decomp_base=1 << base,
        decomp_legs=legs,
        lookup_range=(0, 0),
        logrows=15,
    )
    with both_ways(graph_of(*BODIES["dense"]), tmp_path, arguments) as (arithmetic, by_engine):
        sample = sample_of(arithmetic, bits, seed)
        try:
            found = outcome(arithmetic.forward, sample)
        except TooLargeError:
            assert bits + given_scale + param * 2 > 45
        else:
            assert found == outcome(by_engine, sample)


SIZES = [2]


def test_session_is_not_opened_if_both_implementations_disagree():
    with pytest.raises(EngineError, match="give different answers"):
        forward_worker.require_agreement(lambda _: [[1]], lambda _: [[2]], SIZES)


def refusing(_):
    raise RangeError(*OUT_OF_RANGE)


def test_refusal_by_only_one_implementation_is_a_disagreement():
    forward_worker.require_agreement(refusing, refusing, SIZES)
    with pytest.raises(EngineError, match="give different answers"):
        forward_worker.require_agreement(lambda _: [[1]], refusing, SIZES)


def test_integers_beyond_64_bits_are_computed_by_the_engine(tmp_path):
    with both_ways(graph_of("y = Add(x, x)", ROW), tmp_path) as (ours, by_engine):
        sample = [[0] * LIMBS, [1 << 61] * 6]
        with pytest.raises(TooLargeError):
            ours.forward(sample)
        assert ours.or_by(by_engine)(sample) == [[1 << 62] * 6]


@pytest.mark.parametrize("name", ["conv_average", "dense", "sklearn_forest_regressor"])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_bits_and_answers_match_the_engine(name, multiplier, tmp_path, monkeypatch):
    arguments = EzklArguments(
        input_scale=6,
        param_scale=7,
        scale_rebase_multiplier=multiplier,
        decomp_base=1 << 15,
        decomp_legs=2,
        lookup_range=(0, 0),
        logrows=17,
    )
    with both_ways(onnx.load(stored.ZOO / f"{name}.onnx"), tmp_path, arguments) as (ours, _):
        batch = [sample_of(ours, bits, seed=bits) for bits in (3, 9, 5)]

    def found():
        run_arguments = arguments.to_run_arguments()
        return ezkl_worker.try_out(str(tmp_path / NETWORK), run_arguments, batch, 1, 0, str(tmp_path))

    sooner = found()
    monkeypatch.setattr(narrow, "_computed", lambda *_: [])
    assert sooner == found()


@pytest.mark.parametrize(("bits", "value"), [(0, 1), (-1, 0), (1, 0)])
def test_arithmetic_that_disagrees_with_the_engine_is_not_used(bits, value, tmp_path, monkeypatch):
    with both_ways(graph_of(*BODIES["dense"]), tmp_path) as (ours, _):
        batch = [sample_of(ours, 5, seed=1)]
    call = (str(tmp_path / NETWORK), ARGUMENTS.to_run_arguments(), batch, 1, 0, str(tmp_path))
    right = ezkl_worker.try_out(*call)
    [[[first, *rest]]] = right["outputs"]
    wrong = right["bits"] + bits, Answer([[first + value, *rest]], 0, 0)
    monkeypatch.setattr(narrow, "_computed", lambda *_: [wrong])
    assert ezkl_worker.try_out(*call) == right
