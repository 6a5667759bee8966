"""Masks of a Softmax are held where they change no answer; other numbers that no circuit holds are named."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import runtime

LEAST = float(np.finfo(np.float32).min)
SCORES, ANSWERS = "float[1,4,4] x", "float[1,4,4] y"
PADDED = "float[1,4,4] x, int64[1,4] kept"
CHOSEN = "float[1,4,4] x, bool[1,1,4] kept"
CAUSAL = np.triu(np.ones((4, 4), bool), 1)


@pytest.fixture
def masked(model):
    """A model with a constant C, a causal mask M of C and 0, and where it masks, as `after`."""

    def make(body, value, inputs=SCORES, outputs=ANSWERS, opset=17, **more):
        made = model(body, inputs, outputs, opset=opset)
        number = np.array(value, np.float32)
        arrays = {"C": number, "M": np.where(CAUSAL, number, np.float32(0)), "after": CAUSAL}
        arrays |= {"zero": np.float32(0), "one": np.float32(1), "half": np.float32(0.5), "axis": np.int64([1])}
        arrays |= {"eye": np.eye(4, dtype=np.float32), "whole": np.array(-10000), "all": np.full((4, 4), number)} | more
        read = {name for node in made.graph.node for name in node.input}
        made.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items() if name in read
        )
        return made

    return make


def largest(normal):
    arrays = [numpy_helper.to_array(tensor) for tensor in normal.graph.initializer]
    return max(float(np.abs(array).max(initial=0)) for array in arrays if array.dtype.kind == "f")


ADDED = "s = Add(x, M) y = Softmax(s)"
PADDING = """u = Unsqueeze(kept, axis) f = Cast<to=1>(u) n = Sub(one, f) m = Mul(n, C)"""


@pytest.mark.parametrize("value", [-np.inf, LEAST, -1e9, -1e6, -131074.0])
@pytest.mark.parametrize(
    "body",
    [
        ADDED,
        "s = Add(M, x) y = Softmax(s)",
        "s = Where(after, C, x) y = Softmax(s)",
        "k = Not(after) s = Where(k, x, C) y = Softmax(s)",
        "n = Neg(M) r = Sub(x, n) s = Reshape(r, shape) t = Reshape(s, back) y = Softmax(t)",
        "s = Add(x, M) h = Mul(s, half) y = Softmax(h)",
        "h = Mul(x, half) s = Add(h, M) t = Transpose<perm=[0,2,1]>(s) y = Softmax<axis=1>(t)",
        "s = Add(x, M) d = Add(s, eye) m = Max(d, C) y = Softmax(m)",
        "s = Add(x, M) t = ReduceMax<axes=[-1]>(s) d = Sub(s, t) e = Exp(d) q = ReduceSum(e, axis2) y = Div(e, q)",
        "s = Add(x, M) e = Exp(s) q = ReduceSum(e, axis2) y = Div(e, q)",
    ],
)
def test_mask_is_held_however_it_is_written(body, value, masked):
    made = masked(body, value, axis2=np.int64([2]), shape=np.int64([16]), back=np.int64([1, 4, 4]))
    form = pipeline.normal_form(made, {}, 7)
    assert largest(form.model) <= 4096
    assert any(f"the mask constant {abs(value):.7g} of" in note.replace(" -", " ", 1) for note in form.notes)


@pytest.mark.parametrize(
    ("value", "inputs", "body"),
    [
        (LEAST, PADDED, f"{PADDING} s = Add(x, m) y = Softmax(s)"),
        (-10000.0, PADDED, f"{PADDING} s = Add(x, m) y = Softmax(s)"),
        (1e9, PADDED, f"{PADDING} s = Sub(x, m) y = Softmax(s)"),
        (
            -10000.0,
            PADDED,
            "u = Unsqueeze(kept, axis) m = Mul(u, whole) f = Cast<to=1>(m) s = Add(x, f) y = Softmax(s)",
        ),
        (
            -10000.0,
            "float[1,4,4] x, float[1,1,4] kept",
            "n = Sub(one, kept) m = Mul(n, C) s = Add(x, m) y = Softmax(s)",
        ),
        (LEAST, CHOSEN, "m = Where(kept, zero, C) s = Add(x, m) y = Softmax(s)"),
        (LEAST, CHOSEN, "m = Where(kept, zero, C) s = Add(m, x) b = Add(s, M) y = Softmax(b)"),
        (-1e9, CHOSEN, "s = Where(kept, x, C) y = Softmax(s)"),
        (-np.inf, CHOSEN, "s = Where(kept, x, C) y = Softmax(s)"),
        (-np.inf, CHOSEN, "m = Where(kept, zero, C) s = Add(x, m) p = Softmax(s) n = IsNaN(p) y = Where(n, zero, p)"),
        (LEAST, CHOSEN, "m = Where(kept, zero, C) s = Add(x, m) p = Softmax(s) n = IsNaN(p) y = Where(n, zero, p)"),
    ],
)
@pytest.mark.parametrize("kept", [[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
def test_mask_that_is_an_input_gives_the_float_answer_even_where_it_hides_all(value, inputs, body, kept, masked):
    made = masked(body, value, inputs)
    form = pipeline.normal_form(made, {}, 7)
    [spec] = [spec for spec in form.inputs if spec.name == "kept"]
    scores = np.random.default_rng(3).normal(size=(1, 4, 4)).astype(np.float32) * 5
    feed = {"x": scores, "kept": np.array(kept).reshape(spec.shape).astype(spec.dtype)}
    assert runtime.difference(made, form.model, [feed]) is None
    assert largest(form.model) <= 65536


def test_mask_before_opset_13_covers_all_axes_from_the_given_one(masked):
    made = masked("s = Add(x, M) y = Softmax<axis=1>(s)", LEAST, opset=11)
    form = pipeline.normal_form(made, {}, 7)
    assert largest(form.model) <= 2048
    assert runtime.difference(made, form.model, [{"x": np.ones((1, 4, 4), np.float32)}]) is None


def test_row_that_is_masked_whole_by_a_finite_constant_gives_equal_shares(masked):
    made = masked("s = Add(x, all) y = Softmax(s)", LEAST)
    form = pipeline.normal_form(made, {}, 7)
    answers = runtime.Session(form.model).run({"x": np.arange(16, dtype=np.float32).reshape(1, 4, 4)})
    assert np.allclose(answers["y"], 0.25)


def test_masks_of_two_layers_are_held_once_for_both(masked):
    body = "s = Add(x, M) p = Softmax(s) t = Add(p, M) y = Softmax(t)"
    notes = pipeline.normal_form(masked(body, LEAST), {}, 7).notes
    assert len(notes) == 2
    assert largest(pipeline.normal_form(masked(body, LEAST), {}, 7).model) <= 1024


@pytest.mark.parametrize("value", [-65504.0, -10000.0, -1025.0])
def test_mask_that_circuits_hold_stays_and_is_cut_after_the_shift(value, masked, kinds):
    form = pipeline.normal_form(masked(ADDED, value), {}, 7)
    assert "Softmax" not in kinds(form.model)
    assert largest(form.model) == -value
    assert form.notes == ()


@pytest.mark.parametrize("value", [-1024.0, -100.0, 5.0])
def test_number_that_a_circuit_holds_is_left(value, masked, kinds):
    form = pipeline.normal_form(masked(ADDED, value), {}, 7)
    assert kinds(form.model) == {"Add": 1, "Softmax": 1}
    assert form.notes == ()


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("s = Add(x, M) y = LogSoftmax(s)", "Add"),
        ("s = Add(x, M) l = LogSoftmax(s) p = Softmax(s) y = Add(l, p)", "Add"),
        ("s = Where(after, C, x) p = Softmax(s) y = Add(p, s)", "Where"),
        ("s = Where(after, C, x) y = Relu(s)", "Where"),
        ("s = Where(after, C, x) m = ReduceMax<axes=[-1]>(s) y = Add(x, m)", "Where"),
        ("s = Where(after, C, x) q = Mul(s, x) y = Softmax(q)", "Where"),
    ],
)
@pytest.mark.parametrize("value", [-np.inf, LEAST])
def test_number_that_something_else_reads_is_refused_by_name(body, operator, value, masked, normal):
    with pytest.raises(
        UnsupportedModelError, match=rf"{operator} 's' takes the constant '[CM]', which holds"
    ) as caught:
        normal(masked(body, value))
    assert "such as -100" in caught.value.cure


def test_masked_log_softmax_shows_its_mask_and_cuts_its_exponentials(masked, kinds):
    made = masked("s = Add(x, M) y = LogSoftmax(s)", -10000.0)
    form = pipeline.normal_form(made, {}, 7).model
    assert (largest(form), kinds(form)["Relu"]) == (10000, 1)


def test_mask_that_is_an_output_is_refused_by_name(masked, normal):
    made = masked("y = Where(after, C, x) p = Softmax(y)", -np.inf)
    with pytest.raises(UnsupportedModelError, match="Where 'y' takes the constant 'C', which holds -inf"):
        normal(made)


def test_weight_that_is_infinite_is_refused_with_the_training_as_its_cause(masked, normal):
    with pytest.raises(UnsupportedModelError, match=r"MatMul 'y' takes the constant 'M', which holds inf.*training"):
        normal(masked("y = MatMul(x, M)", np.inf))


def test_mask_times_infinity_is_refused_as_nan(masked, normal):
    with pytest.raises(ModelError, match=r"Mul 'm' computes NaN from constants.*0 · infinity"):
        normal(masked("m = Mul(eye, C) s = Add(x, m) y = Softmax(s)", -np.inf))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("y = Clip(x, zero, C)", np.inf),
        ("y = Clip(x, zero, C)", -LEAST),
        ("m = Max(x, C) y = Relu(m)", -np.inf),
        ("m = Min(C, x) y = Relu(m)", np.inf),
    ],
)
def test_bound_that_binds_nothing_is_dropped(body, value, masked, kinds, normal):
    assert kinds(normal(masked(body, value))) == {"Relu": 1}


@pytest.mark.parametrize(("body", "value"), [("y = Clip(x, C)", np.inf), ("y = Max(x, C)", np.inf)])
def test_bound_that_binds_everything_is_refused(body, value, masked, normal):
    with pytest.raises(UnsupportedModelError, match="'C', which holds inf"):
        normal(masked(body, value))


def test_long_chain_before_a_softmax_is_not_followed_for_ever(masked, normal):
    steps = " ".join(f"s{step} = Add(s{step - 1}, x)" for step in range(1, 300))
    with pytest.raises(UnsupportedModelError, match="'M', which holds -inf"):
        normal(masked(f"s0 = Add(x, M) {steps} y = Softmax(s299)", -np.inf))
