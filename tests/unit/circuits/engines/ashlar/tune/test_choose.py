import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar.lowering.networks import model, whole

from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.tune.choose import Chooser, Widths, input_recipes
from zkinfer.circuits.engines.ashlar.tune.observe import Observed, observe


def seen(inputs):
    return Observed({}, np.asarray(inputs))


def dense(**given):
    nodes = [("Gemm", "x w b", "g"), ("Relu", "g", "r"), ("Gemm", "r v", "y")]
    constants = {"w": 0.3 * whole(1, 4, 5), "b": whole(2, 5), "v": 0.01 * whole(3, 5, 2)} | given
    return model([1, 4], "y", *nodes, **constants)


def chosen(graph, inputs, *, bits=8, **widths):
    planned = plan(graph)
    observed = observe(graph, planned, np.float32(inputs))
    given = input_recipes(planned, observed)[-1]
    planned = plan(graph, listed=not isinstance(given.scale, int))
    recipe = Chooser(planned, observed, Widths(bits, False, 13, **widths), given).recipe(12)
    return planned, recipe, draft(planned, recipe)


SAMPLES = np.random.default_rng(1).normal(size=(64, 1, 4))


def test_pixels_take_the_fewest_bits_that_hold_them_exactly():
    [recipe] = input_recipes(plan(dense()), seen(np.random.default_rng(2).integers(0, 17, (50, 1, 4)) / 16))
    assert (recipe.scale, recipe.bits, recipe.signed) == (4, 5, False)


def test_numbers_have_a_margin_of_two_to_four():
    for recipe in input_recipes(plan(dense()), seen(SAMPLES)):
        largest = np.abs(SAMPLES).max(axis=(0, 1))
        limits = (1 << recipe.bits - 1) / np.exp2(np.array(recipe.scales))
        assert ((limits >= 1.99 * largest) & (limits <= 4.01 * largest.max())).all()


def test_numbers_of_few_samples_have_twice_the_margin():
    for recipe in input_recipes(plan(dense()), seen(SAMPLES[:63])):
        limits = (1 << recipe.bits - 1) / np.exp2(np.array(recipe.scales))
        assert (limits >= 3.99 * np.abs(SAMPLES[:63]).max(axis=(0, 1))).all()


def test_features_of_unlike_size_have_a_scale_each():
    inputs = SAMPLES * [1, 1000, 1e-3, 0]
    for recipe in input_recipes(plan(dense()), seen(inputs)):
        assert recipe.scale[1] < recipe.scale[0] < recipe.scale[2]


@pytest.mark.parametrize(("kind", "bits"), [(bool, 1), (np.uint8, 8), (np.int8, 8)])
def test_integer_types_keep_their_bits(kind, bits):
    graph = model([1, 4], "y", ("Cast", "x", "f", {"to": 1}), ("MatMul", "f w", "y"), kind=2, w=whole(1, 4, 2))
    [recipe] = input_recipes(plan(graph), seen(np.ones((3, 1, 4), kind)))
    assert (recipe.scale, recipe.bits) == (0, bits)


def test_activation_has_the_largest_scale_that_holds_what_was_seen():
    _, recipe, _ = chosen(dense(), SAMPLES)
    before = SAMPLES.reshape(-1, 4) @ (0.3 * whole(1, 4, 5)) + whole(2, 5)
    a, b = recipe.activations["r"]
    assert b == 8
    assert before.max() * 2**a <= 255 < before.max() * 2 ** (a + 1)


def test_hidden_weights_stay_below_eleven_bits_and_shifts_at_most_twelve():
    planned, _, made = chosen(dense(), SAMPLES)
    assert planned.weights == ("g", "y")
    weights = made.blocks[0].terms[0].weights
    assert np.abs(weights).max() < 1 << 11
    assert 0 <= made.blocks[0].shift <= 12


def test_rows_of_output_weights_reach_eleven_bits():
    _, _, made = chosen(dense(v=np.float32([[1, 1e-4]] * 5)), SAMPLES)
    assert (np.abs(made.outputs[0].terms[0].weights).max(axis=1) >= 1 << 11).all()


def test_rows_beyond_thirty_one_bits_take_what_there_is():
    _, _, made = chosen(dense(v=np.float32([[1, 1e-12]] * 5)), SAMPLES)
    weights = np.abs(made.outputs[0].terms[0].weights)
    assert 1 << 29 < weights.max() < 1 << 31


def test_large_matrices_are_cut_where_that_saves_much():
    graph = model(
        [1, 513],
        "y",
        ("Gemm", "x w", "g"),
        ("Relu", "g", "r"),
        ("Gemm", "r v", "y"),
        w=whole(1, 513, 520),
        v=whole(2, 520, 2),
    )
    _, recipe, _ = chosen(graph, np.random.default_rng(1).normal(size=(4, 1, 513)))
    assert recipe.tiles == {"g": ("in", "out")}


def test_stored_tables_of_shares_hold_one_as_the_largest():
    nodes = [
        ("MatMul", "x w", "g"),
        ("Sigmoid", "g", "s"),
        ("MatMul", "s v", "u"),
        ("Relu", "u", "r"),
        ("MatMul", "r w2", "y"),
    ]
    graph = model([1, 4], "y", *nodes, w=whole(1, 4, 5), v=whole(2, 5, 3), w2=whole(3, 3, 2))
    _, recipe, _ = chosen(graph, SAMPLES)
    assert recipe.activations["s"] == (8, 8, 7)
    _, recipe, _ = chosen(graph, SAMPLES, lowered={"s": 2})
    assert recipe.activations["s"] == (8, 8, 5)


def test_values_that_are_always_zero_are_taken():
    _, recipe, made = chosen(dense(w=np.zeros((4, 5)), b=-np.ones(5)), SAMPLES)
    assert recipe.activations["r"][1] == 8
    assert made.blocks[0].shift >= 0
