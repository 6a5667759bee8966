"""MaxPool by pairs, compared with onnxruntime and cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar.lowering.networks import assert_exact, integers, model, whole

from zkinfer.circuits.engines.ashlar.draft import TableKind
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.errors import UnsupportedModelError


def maximum(shape, *after, before=("Identity", "x", "u"), constants=None, **given_):
    return model(shape, "y", before, ("MaxPool", "u", "p", given_), *after, **(constants or {}))


@given(
    sides=st.tuples(st.integers(1, 13), st.integers(1, 9)),
    logs=st.tuples(st.integers(0, 3), st.integers(0, 2)),
)
@settings(max_examples=40, deadline=None)
def test_maxima_over_windows_of_any_power_of_two(sides, logs):
    windows = [min(1 << log, 1 << side.bit_length() - 1) for log, side in zip(logs, sides, strict=True)]
    assert_exact(maximum([1, 2, *sides], ("Identity", "p", "y"), kernel_shape=windows, strides=windows), count=2)


def test_maximum_along_one_axis():
    assert_exact(maximum([1, 3, 10], ("Identity", "p", "y"), kernel_shape=[2], strides=[2]))


def test_two_by_two_takes_three_blocks_of_a_half_and_two_quarters():
    graph = maximum([1, 2, 4, 4], ("Identity", "p", "y"), kernel_shape=[2, 2], strides=[2, 2])
    assert [[factor.size for factor in block.factors] for block in plan(graph).blocks] == [
        [1, 2, 2, 4],
        [1, 2, 2, 2],
        [1, 2, 2, 2],
    ]


def test_maximum_of_an_activation_keeps_its_clamp():
    before = ("Relu", "x", "u")
    graph = maximum([1, 2, 4, 4], ("Identity", "p", "y"), before=before, kernel_shape=[2, 2], strides=[2, 2])
    assert plan(graph).clamps == ("u",)
    assert_exact(graph)


def test_activation_behind_the_maximum_is_its_table():
    graph = maximum([1, 2, 4, 4], ("Relu", "p", "y"), kernel_shape=[2, 2], strides=[2, 2])
    assert plan(graph).clamps == ("y",)
    assert_exact(graph)


def test_maximum_of_a_stored_table_takes_the_least_clamp():
    after, weights = [("Flatten", "p", "f"), ("MatMul", "f w", "y")], {"w": whole(1, 8, 2)}
    windows = {"kernel_shape": [2, 2], "strides": [2, 2]}
    graph = maximum([1, 2, 4, 4], *after, before=("Sigmoid", "x", "u"), constants=weights, **windows)
    planned = plan(graph)
    arguments = {
        "semantics": 1, "profile": "plain", "chunkBits": 10, "input": {"scale": 2, "bits": 5, "signed": True},
        "activations": {"u": [7, 7, 2]}, "weights": {"y": 0},
    }  # fmt: skip
    made = draft(planned, AshlarRecipe.parse(arguments))
    assert [block.table.kind for block in made.blocks][:2] == [TableKind.STORED, TableKind.CLAMP_U]
    assert made.blocks[-1].table.image_of == 1
    answers = integers(graph, np.arange(64).reshape(2, 1, 2, 4, 4) % 30 - 15, scale=6, bits=6, a=6, width=6)
    assert np.isfinite(answers[0]).all()


def test_maximum_feeds_a_padded_convolution():
    after = [("Conv", "p w", "y", {"pads": [1, 1, 1, 1]})]
    for side in (4, 5, 7):
        graph = maximum(
            [1, 2, side, side], *after, constants={"w": whole(1, 2, 2, 3, 3)}, kernel_shape=[2, 2], strides=[2, 2]
        )
        assert_exact(graph)


@pytest.mark.parametrize(
    "given_",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2]},
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [3, 3]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 0, 0, 0]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    ],
)
def test_other_maxima_are_refused(given_):
    with pytest.raises(UnsupportedModelError, match=r"MaxPool 'p'.*Use windows and strides of the same power of two"):
        plan(maximum([1, 1, 7, 7], ("Identity", "p", "y"), **given_))
