import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import MAX_ELEMENTS, TensorSpec, dequantise, quantise

SCALES = st.integers(-16, 24)


def spec(shape=(1, 2), dtype="float32", scale=0, **others):
    return TensorSpec(name="x", dtype=dtype, shape=shape, scale=scale, **others)


def one(value, scale=0, dtype="float64"):
    return quantise(np.array([value], dtype=dtype), spec((1,), dtype, scale))[0]


@pytest.mark.parametrize(
    ("value", "integer"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (3.5, 4), (-0.5, 0), (-1.5, -2), (-2.5, -2), (0.49, 0), (0.51, 1), (-0.0, 0)],
)
def test_quantise_rounds_ties_to_even(value, integer):
    assert one(value) == integer


@pytest.mark.parametrize(
    ("value", "scale", "integer"),
    [(1.0, 8, 256), (0.3, 4, 5), (6.0, -1, 3), (5.0, -1, 2), (7.0, -2, 2), (-1e-9, 20, 0)],
)
def test_quantise_scales_by_a_power_of_two(value, scale, integer):
    assert one(value, scale) == integer


def test_quantise_is_row_major_and_returns_plain_integers():
    integers = quantise(np.array([[1.0, 2.0], [3.0, 4.0]], order="F"), spec((2, 2), scale=1))
    assert integers == [2, 4, 6, 8]
    assert {type(integer) for integer in integers} == {int}


def test_quantise_with_a_scale_for_each_feature_scales_the_last_axis():
    table = TensorSpec(name="x", dtype="float32", shape=(2, 3), scale=(0, 3, -2))
    array = np.array([[1.4, 0.25, 12.0], [-1.6, -0.125, 6.0]])
    assert quantise(array, table) == [1, 2, 3, -2, -1, 2]
    assert dequantise([1, 2, 3, -2, -1, 2], table).tolist() == [[1, 0.25, 12], [-2, -0.125, 8]]
    assert (table.number(2, 1), table.number(2, 5)) == (0.25, 8.0)
    assert table.describe_scaled() == "x float32[2, 3] × 2^-2 to 2^3"


def test_common_scale_of_a_tensor_with_one_for_each_feature_is_refused():
    assert TensorSpec(name="x", dtype="float32", shape=(3,), scale=7).common_scale == 7
    with pytest.raises(DataError, match="a scale for each feature"):
        _ = TensorSpec(name="x", dtype="float32", shape=(2,), scale=(0, 3)).common_scale


@pytest.mark.parametrize("scale", [(), (0, 1), (0, 1, 2, 3), (0, 1, 128)])
def test_spec_with_another_number_of_scales_than_features_is_refused(scale):
    with pytest.raises(ValidationError):
        TensorSpec(name="x", dtype="float32", shape=(2, 3), scale=scale)


def test_spec_with_a_scale_for_each_feature_survives_json():
    table = TensorSpec(name="x", dtype="float32", shape=(2, 3), scale=(0, 3, -2))
    assert TensorSpec.model_validate_json(table.model_dump_json()) == table


def test_quantise_scalar_and_bool_tensors():
    assert quantise(np.array(2.0), spec((), scale=3)) == [16]
    assert quantise(np.array([True, False]), spec((2,), "bool")) == [1, 0]


@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 2, 1), (1, 3), ()])
def test_quantise_refuses_the_wrong_shape(shape):
    with pytest.raises(DataError, match=r"Tensor 'x' has shape \[.*\], not \[1, 2\]"):
        quantise(np.zeros(shape), spec())


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_quantise_refuses_non_finite_numbers(value, shown):
    with pytest.raises(DataError, match=f"holds {shown} at element 1. Circuits support finite numbers only"):
        quantise(np.array([[0.0, value]]), spec())


def test_quantise_refuses_values_that_overflow_when_scaled():
    with pytest.raises(DataError, match="'x'"):
        one(1e308, scale=8)


@pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, -(2**53) - 1])
def test_quantise_keeps_large_integers_exact(value):
    assert one(value, dtype="int64") == value


@given(st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=2), SCALES)
def test_dequantise_then_quantise_is_the_identity(integers, scale):
    wanted = spec(dtype="float64", scale=scale)
    assert quantise(dequantise(integers, wanted), wanted) == integers


@given(st.floats(-1e6, 1e6), SCALES)
def test_quantise_then_dequantise_is_within_half_a_step(value, scale):
    wanted = spec((1,), "float64", scale)
    back = dequantise([one(value, scale)], wanted)
    assert abs(float(back[0]) - value) <= 2.0 ** -(scale + 1)


@pytest.mark.parametrize(
    ("dtype", "scale", "kind"), [("float32", 8, "float64"), ("float16", 0, "float64"), ("int8", 0, "int64")]
)
def test_dequantise_gives_shape_and_kind(dtype, scale, kind):
    array = dequantise([1, -2], spec((2, 1), dtype, scale))
    assert (array.shape, array.dtype.name) == ((2, 1), kind)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_dequantise_refuses_the_wrong_number_of_values(count):
    with pytest.raises(DataError, match=f"needs 2 values, not {count}"):
        dequantise([0] * count, spec())


def test_dequantise_refuses_integers_beyond_64_bits():
    with pytest.raises(DataError, match="'x'"):
        dequantise([2**63, 0], spec(dtype="int64"))


def test_describe_names_type_and_shape():
    assert spec((1, 64)).describe() == "x float32[1, 64]"


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "n" * 257},
        {"name": 1},
        {"dtype": "complex64"},
        {"dtype": "uint64"},
        {"shape": (0,)},
        {"shape": (-1,)},
        {"shape": (1,) * 9},
        {"shape": (MAX_ELEMENTS + 1,)},
        {"shape": (True,)},
        {"shape": ("N",)},
        {"scale": 128},
        {"scale": -128},
        {"scale": 1.0},
        {"visibility": "secret"},
        {"strides": (1,)},
    ],
    ids=str,
)
def test_spec_out_of_bounds_is_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        TensorSpec(**{"name": "x", "dtype": "float32", "shape": (1,)} | change)
