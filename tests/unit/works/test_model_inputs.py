import numpy as np
import pytest

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.works.model_inputs import model_input
from zkinfer.works.pixels import normalise


def spec(shape=(1, 64), dtype="float32", scale=8, name="picture"):
    return TensorSpec(name=name, dtype=dtype, shape=shape, scale=scale, visibility="public")


def rgb(size=16):
    return np.random.default_rng(2).integers(0, 256, (size, size, 3)).astype(np.uint8)


def test_rendered_picture_becomes_the_numbers_again():
    levels = np.random.default_rng(1).integers(0, 256, (8, 8)).astype(np.uint8)
    shown = np.repeat(levels.repeat(4, axis=0).repeat(4, axis=1)[..., None], 3, axis=2)
    found = model_input(shown, [spec()])["picture"]
    assert found.shape == (1, 64)
    assert np.array_equal(found, (levels / 255).astype(np.float32).reshape(1, 64))


def test_input_without_fraction_bits_takes_levels():
    found = model_input(rgb(), [spec((1, 1024), scale=0, name="pixels")])["pixels"]
    assert np.array_equal(found.reshape(32, 32), normalise(rgb()))


@pytest.mark.parametrize(
    "specs",
    [[spec((1, 63))], [spec(dtype="int64", scale=0)], [spec(), spec(name="other")]],
    ids=["size", "type", "two"],
)
def test_other_inputs_are_refused(specs):
    with pytest.raises(DataError, match="A picture is no input of this model"):
        model_input(rgb(), specs)
