import numpy as np
import pytest

from zkinfer.circuits.fidelity import Fidelity, measure
from zkinfer.circuits.tensors import TensorSpec


def spec(name="y", size=2, dtype="float32", scale=0):
    return TensorSpec(name=name, dtype=dtype, shape=(1, size), scale=scale)


def reference(*rows, name="y"):
    return {name: np.array(rows, dtype=np.float64)[:, None, :]}


def test_equal_answers_agree_without_error():
    found = measure([spec(scale=2)], [[[4, 8]], [[-4, 0]]], reference([1, 2], [-1, 0]))
    assert found == Fidelity(samples=2, agreement=1.0, error_p50=0.0, error_p99=0.0, error_max=0.0)


def test_error_is_relative_to_the_largest_magnitude_of_all_samples():
    found = measure([spec()], [[[1, 2]], [[-3, 0]]], reference([1, 2], [-4, 0]))
    assert found == Fidelity(2, 1.0, error_p50=0.0, error_p99=pytest.approx(0.2425), error_max=0.25)


def test_agreement_is_the_share_of_equal_places_of_the_largest():
    found = measure([spec(size=3)], [[[5, 1, 2]], [[1, 5, 2]], [[0, 1, 2]], [[3, 2, 1]]], reference(*[[9, 1, 2]] * 4))
    assert found.agreement == 0.5


def test_quantiles_are_over_all_numbers():
    answers = [[[value, 0]] for value in range(100)]
    found = measure([spec()], answers, reference(*[[0, 100]] * 100))
    assert (found.samples, found.error_p50, found.error_max) == (100, pytest.approx(0.995), 1.0)


def test_single_number_always_agrees_and_is_judged_by_its_error():
    found = measure([spec(size=1)], [[[1]], [[2]]], reference([-1], [2]))
    assert (found.agreement, found.error_max) == (1.0, 1.0)


@pytest.mark.parametrize(("answer", "agreement"), [([3, 1], 1.0), ([3, 2], 0.0), ([4, 1], 0.0)])
def test_integer_output_agrees_only_when_all_of_it_is_equal(answer, agreement):
    assert measure([spec(dtype="int64")], [[answer]], reference([3, 1])).agreement == agreement


def test_sample_agrees_only_when_every_output_does():
    outputs = [spec("y"), spec("label", 1, "int64")]
    wanted = reference([1, 0], [1, 0], [0, 1]) | reference([7], [7], [7], name="label")
    found = measure(outputs, [[[1, 0], [7]], [[1, 0], [8]], [[1, 0], [7]]], wanted)
    assert found.agreement == pytest.approx(1 / 3)


def test_output_of_zeros_does_not_divide_by_zero():
    assert measure([spec()], [[[0, 0]]], reference([0, 0])).error_max == 0.0
    assert measure([spec()], [[[1, 0]]], reference([0, 0])).error_max == pytest.approx(1e9)
