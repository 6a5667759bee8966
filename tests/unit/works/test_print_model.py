import hashlib
import math

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.errors import InputError
from zkinfer.works import print_model

LENGTHS = (64, 256)


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32)).astype(np.uint8)


def cosine(v, y):
    return math.cos(math.pi * (2 * y + 1) * v / 64)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_entry_is_the_nearest_multiple(length):
    found, worst = print_model.matrix(length), 0.0
    for bit, (v, u) in enumerate(print_model._places(length)):
        exact = np.array([[cosine(v, y) * cosine(u, x) for x in range(32)] for y in range(32)]) * 2**24
        worst = max(worst, np.abs(found[:, bit].reshape(32, 32) - exact).max())
    assert worst < 0.5


def test_margin_is_twice_the_largest_error_of_a_coefficient():
    waves = np.array([[cosine(k, place) for place in range(32)] for k in range(16)])
    exact = [np.outer(waves[v], waves[u]).ravel() for v, u in print_model._places(256)]
    errors = np.abs(print_model.matrix(256) - np.transpose(exact) * 2**24).sum(axis=0)
    assert print_model.margin(256) == pytest.approx(2 * 255 * errors.max(), rel=1e-4)
    assert print_model.margin(256) / 2**24 < 0.014


def test_order_of_outputs_is_block_by_block():
    places = list(print_model._places(256))
    assert places[:9] == [*((0, u) for u in range(8)), (1, 0)]
    assert (places[64], places[128], places[192], places[255]) == ((0, 8), (8, 0), (8, 8), (15, 15))


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (64, "63ab78677d2a2a00165885d58d195a768dad09b730ef78dd4fed1677c3a4fbd3"),
        (256, "9c7f60fb95b0c8491c41e74e597216313d12230dda0069564df1200266067649"),
    ],
)
def test_network_has_the_same_bytes_everywhere(length, digest):
    assert hashlib.sha256(print_model.print_network(length)).hexdigest() == digest


@pytest.mark.parametrize("length", LENGTHS)
def test_network_computes_the_coefficients(length):
    network = ReferenceEvaluator(onnx.load_from_string(print_model.print_network(length)))
    [found] = network.run(None, {"pixels": pixels(1).reshape(1, -1).astype(np.float32)})
    expected = print_model.coefficients(pixels(1), length) / 2**24
    assert np.abs(found[0] - expected).max() < 0.2  # float32 sums of 1,024 products


def test_outputs_stay_far_below_the_engines_limit():
    assert np.abs(print_model.matrix(256)).sum(axis=0).max() * 255 < 1 << 43


def test_run_arguments_are_a_canonical_recipe():
    assert AshlarRecipe.parse(print_model.run_arguments(256)).weights == {"coefficients": 24}


@pytest.mark.parametrize("bad", [np.zeros((31, 32), np.uint8), np.zeros((32, 32), np.float32)])
def test_other_pixels_are_refused(bad):
    with pytest.raises(InputError, match="32 x 32 pixels of 8 bits"):
        print_model.coefficients(bad)


def test_other_length_is_refused():
    with pytest.raises(InputError, match="no fingerprint of 128 bits"):
        print_model.print_network(128)
