"""Indices that depend on integer inputs: which may be out of range, and which of a sample are."""

import numpy as np
import pytest

from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.indices import IndexCheck, lookups

TOKENS, TABLE = "int64[1,3] t", "<float[5,2] e = {0,1,2,3,4,5,6,7,8,9}, int64 one = {1}, int64[4] next = {3,1,4,0}>"
OUTPUT = "float[1,c,d] y"


@pytest.fixture
def check(model):
    """The first index out of range of a model's inputs, in words."""

    def first(body, inputs, arrays, constants=TABLE, outputs=OUTPUT):
        found = IndexCheck(model(body, inputs, outputs, constants)).first(arrays)
        return None if found is None else " ".join(found)

    return first


@pytest.mark.parametrize(
    ("body", "inputs", "known"),
    [
        ("y = Gather(e, t)", TOKENS, False),
        ("a = Cast<to=7>(t) y = Gather(e, a)", "uint8[1,3] t", False),
        ("a = Cast<to=7>(t) y = Gather(e, a)", "bool[1,3] t", True),
        ("a = ArgMax<axis=1>(t) y = Gather(e, a)", "float[1,5] t", True),
        ("a = ArgMax<axis=1>(t) y = Gather(e, a)", "float[1,6] t", False),
        ("a = ArgMax<axis=1>(t) b = Sub(a, one) y = Gather(e, b)", "float[1,5] t", False),
        ("a = ArgMax<axis=1>(t) b = Gather(next, a) y = Gather(e, b)", "float[1,4] t", True),
        ("z = Less(t, t) y1 = Where(z, one, two) y = Gather(e, y1)", "float[1,3] t", True),
        ("a = Min(t, two) b = Max(a, one) y = Gather(e, b)", TOKENS, True),
        ("a = Cast<to=7>(t) b = Mul(a, four) y = Gather(e, b)", "bool[1,3] t", True),
        ("a = Cast<to=7>(t) b = Add(a, four) y = Gather(e, b)", "bool[1,3] t", False),
        ("a = Cast<to=7>(t) b = Mul(a, four) i = Concat<axis=-1>(b, a) y = GatherND(e, i)", "bool[1,3,1] t", True),
    ],
)
def test_indices_are_known_to_be_in_range_from_types_constants_and_operators(model, body, inputs, known):
    constants = TABLE.replace(">", ", int64 two = {2}, int64 four = {4}>")
    outputs = "float[a,b] y" if "GatherND" in body else OUTPUT
    found = lookups(shapes.inferred(model(body, inputs, outputs, constants)))
    assert [one.sizes for one in found] == ([] if known else [(5,)])


def test_token_outside_of_its_table_is_named(check):
    assert check("y = Gather(e, t)", TOKENS, {"t": np.array([[4, 0, 1]])}) is None
    found = check("y = Gather(e, t)", TOKENS, {"t": np.array([[4, 7, 9]])})
    assert found == (
        "Input 't' is 7 at element [0, 1], which is no index into the model's table of 5 entries. "
        "Give indices from 0 to 4."
    )


def test_negative_token_is_refused_with_its_reason(check):
    found = check("y = Gather(e, t)", TOKENS, {"t": np.array([[4, 0, -1]])})
    assert "Input 't' is -1 at element [0, 2]" in found
    assert "circuits do not support negative ones, which count from the end" in found


@pytest.mark.parametrize(
    "body",
    [
        "a = Cast<to=6>(t) y = Gather(e, a)",
        "a = Transpose<perm=[1,0]>(t) y = Gather(e, a)",
        "a = Flatten<axis=0>(t) y = Gather(e, a)",
        "a = Gather<axis=1>(t, backwards) y = Gather(e, a)",
    ],
)
def test_token_that_was_moved_is_named_where_it_was_given(check, body):
    constants = TABLE.replace(">", ", int64[3] backwards = {2,1,0}>")
    found = check(
        body,
        TOKENS,
        {"t": np.array([[0, 0, 6]])},
        constants,
        "float[a,b,c] y" if "Flat" not in body else "float[b,c,d] y",
    )
    assert "Input 't' is 6 at element [0, 2]" in found


@pytest.mark.parametrize(
    ("body", "tokens", "message"),
    [
        ("a = Add(t, one) y = Gather(e, a)", [3, 0, 1], None),
        ("a = Add(t, one) y = Gather(e, a)", [3, 4, 1], "computes from input 't' is 5 (element [0, 1]), outside of"),
        ("a = Sub(t, one) y = Gather(e, a)", [3, 0, 1], "is -1 (element [0, 1])"),
        ("a = Gather(next, t) b = Add(a, one) y = Gather(e, b)", [1, 3, 0], None),
        (
            "a = Gather(next, t) b = Add(a, one) y = Gather(e, b)",
            [1, 2, 0],
            "is 5 (element [0, 1]), outside of its table",
        ),
        ("a = Gather(next, t) b = Add(a, one) y = Gather(e, b)", [1, 4, 0], "Input 't' is 4 at element [0, 1]"),
        ("z = Equal(t, one) a = Where(z, t, next3) y = Gather(e, a)", [1, 9, 9], None),
    ],
)
def test_computed_index_is_computed_and_compared(check, body, tokens, message):
    constants = TABLE.replace(">", ", int64[1,3] next3 = {0,4,4}>")
    found = check(body, TOKENS, {"t": np.array([tokens])}, constants)
    assert found is None if message is None else message in found


@pytest.mark.parametrize(
    ("body", "indices", "message"),
    [
        ("y = GatherND(e, t)", [[0, 1], [4, 0]], None),
        (
            "y = GatherND(e, t)",
            [[0, 1], [4, 2]],
            "Input 't' is 2 at element [1, 1], which is no index into the model's table of 2",
        ),
        (
            "y = GatherND(e, t)",
            [[5, 1], [4, 0]],
            "Input 't' is 5 at element [0, 0], which is no index into the model's table of 5",
        ),
        ("y = GatherElements<axis=1>(e, t)", [[0, 1], [1, 2]], "table of 2 entries"),
        ("y = GatherElements<axis=0>(e, t)", [[0, 4], [1, 5]], "table of 5 entries"),
        ("y = ScatterElements<axis=1>(e, t, u)", [[0, 1], [1, 2]], "table of 2 entries"),
        ("y = ScatterND(e, t, w)", [[0, 1], [1, 2]], "table of 2 entries"),
    ],
)
def test_every_kind_of_index_is_compared_with_its_own_axis(check, body, indices, message):
    constants = TABLE.replace(">", ", float[2,2] u = {0,1,2,3}, float[2] w = {0,1}>")
    outputs = "float[a] y" if "GatherND" in body else "float[a,b] y"
    found = check(body, "int64[2,2] t", {"t": np.array(indices)}, constants, outputs)
    assert found is None if message is None else message in found


def test_index_that_depends_on_fractions_too_is_computed(check):
    body = "m = ArgMax<axis=1, keepdims=1>(x) a = Add(t, m) y = Gather(e, a)"
    inputs = f"{TOKENS}, float[1,4] x"
    arrays = {"t": np.array([[0, 1, 2]]), "x": np.array([[0, 0, 1, 0]], np.float32)}
    assert check(body, inputs, arrays) is None
    arrays["x"] = np.array([[0, 0, 0, 1]], np.float32)
    assert "computes from input 't' is 5 (element [0, 2])" in check(body, inputs, arrays)


def test_quantised_inputs_are_refused_as_out_of_range(model):
    check = IndexCheck(model("s = Mul(x, x) g = Gather(e, t) y = Mul(g, s)", f"float[1,2] x, {TOKENS}", OUTPUT, TABLE))
    check.refuse_integers([[512, -512], [0, 4, 2]], [8, 0])
    with pytest.raises(RangeError, match=r"Input 't' is 5 at element \[0, 2\].*Give indices from 0 to 4"):
        check.refuse_integers([[512, -512], [0, 4, 5]], [8, 0])
