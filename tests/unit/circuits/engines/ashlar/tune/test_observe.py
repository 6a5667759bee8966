import numpy as np
import pytest
from tests.unit.circuits.engines.ashlar.lowering.networks import model, whole

from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.tune.observe import Spread, observe


def test_rare_numbers_count_for_the_largest_and_not_for_the_usual():
    spread = Spread()
    spread.add(np.full(100_000, 0.9))
    spread.add(np.array([-700.0]))
    assert (spread.largest, spread.usual) == (700, 1)


@pytest.mark.parametrize("values", [[0.0, 0.0], [3.0, -5.0], [1e-300], [1e60]])
def test_usual_is_never_above_the_largest(values):
    spread = Spread()
    spread.add(np.array(values))
    assert 0 <= spread.usual <= spread.largest


def test_values_before_and_behind_each_activation_are_seen():
    graph = model(
        [1, 3],
        "y",
        ("MatMul", "x w", "a"),
        ("Relu", "a", "u"),
        ("MatMul", "u v", "y"),
        w=whole(1, 3, 4),
        v=whole(2, 4, 2),
    )
    inputs = np.random.default_rng(0).normal(size=(20, 1, 3)).astype(np.float32)
    observed = observe(graph, plan(graph), inputs)
    assert set(observed.spreads) == {"a", "u"}
    before = inputs.reshape(20, 3) @ whole(1, 3, 4)
    assert observed.spreads["a"].largest == pytest.approx(np.abs(before).max(), rel=1e-6)
    assert observed.spreads["u"].largest == pytest.approx(before.max(), rel=1e-6)


def test_activation_of_the_input_itself_is_seen():
    graph = model([1, 3], "y", ("Relu", "x", "y"))
    observed = observe(graph, plan(graph), np.float32([[[1, -4, 2]]]))
    assert observed.spreads["x"].largest == 4


def test_network_without_activations_needs_no_run():
    graph = model([1, 3], "y", ("MatMul", "x w", "y"), w=whole(1, 3, 2))
    assert observe(graph, plan(graph), np.zeros((2, 1, 3), np.float32)).spreads == {}
