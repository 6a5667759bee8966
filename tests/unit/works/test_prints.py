import iscc_core
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import DataError
from zkinfer.works.print_model import coefficients, margin
from zkinfer.works.prints import Print, compare, pixels_commitment, print_of, read_print

outputs = st.lists(st.integers(-(2**44), 2**44), min_size=64, max_size=64, unique=True)


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32)).astype(np.uint8)


def official(picture, length):
    return iscc_core.soft_hash_image_v0(picture.ravel().tolist(), bits=length)


@pytest.mark.parametrize("length", [64, 256])
def test_sure_bits_are_those_of_the_standard(length):
    for seed in range(40):
        found, expected = print_of(pixels(seed), length), int.from_bytes(official(pixels(seed), length), "big")
        assert (found.bits ^ expected) & found.sure == 0
        assert found.sure.bit_count() >= length - 4


def test_short_print_is_the_first_block_of_the_long_one():
    long, short = print_of(pixels(3)), print_of(pixels(3), 64)
    assert long.bits >> 192 == short.bits
    assert short.digest == official(pixels(3), 64)


@given(outputs)
def test_half_of_the_bits_are_set_and_above_the_others(values):
    bits = [read_print(values).bits >> (63 - place) & 1 for place in range(64)]
    assert sum(bits) == 32
    assert min(v for v, bit in zip(values, bits, strict=True) if bit) > max(
        v for v, bit in zip(values, bits, strict=True) if not bit
    )


@given(outputs, st.data())
def test_no_rounding_within_the_margin_changes_a_sure_bit(values, data):
    shift = margin(64) // 2
    moved = [value + data.draw(st.sampled_from([-shift, 0, shift])) for value in values]
    before = read_print(values)
    try:
        after = read_print(moved)
    except DataError:
        return
    assert (before.bits ^ after.bits) & before.sure == 0


def test_bit_a_margin_from_the_threshold_is_not_sure():
    edge = margin(64)
    at = read_print([-edge] * 32 + [edge] * 32)
    beyond = read_print([-edge - 1] * 32 + [edge + 1] * 32)
    assert (at.sure, beyond.sure) == (0, 2**64 - 1)


def test_flat_picture_has_no_print():
    with pytest.raises(DataError, match=r"Block 0 .* no median"):
        print_of(np.full((32, 32), 77, np.uint8))


@pytest.mark.parametrize(("values", "reason"), [([1] * 63, "64 or 256"), ([2**60, *range(63)], "2\\^60")])
def test_other_outputs_are_refused(values, reason):
    with pytest.raises(DataError, match=reason):
        read_print(values)


def test_commitment_is_the_hash_of_the_bytes():
    picture = pixels(4)
    assert pixels_commitment(picture) == keccak256(bytes(picture.ravel().tolist())).value


def test_commitment_of_other_pixels_is_refused():
    with pytest.raises(DataError, match="Give 32 x 32"):
        pixels_commitment(np.zeros((32, 32), np.int64))


def test_comparison_counts_common_sure_bits():
    found = compare(Print(0b1100, 0b0111, 64), Print(0b1010, 0b1110, 64))
    assert (found.distance, found.compared, found.similar) == (1 + 1, 2, False)


@pytest.mark.parametrize(("distance", "unsure", "similar"), [(24, 32, True), (25, 0, False), (0, 33, False)])
def test_similar_takes_both_limits(distance, unsure, similar):
    sure = 2**256 - 2**unsure
    one, other = Print(0, sure, 256), Print((2**distance - 1) << 200, sure, 256)
    assert compare(one, other).similar is similar


def test_prints_of_different_lengths_are_not_compared():
    with pytest.raises(DataError, match="64 and 256"):
        compare(print_of(pixels(1), 64), print_of(pixels(1)))


def test_reencoded_pixels_are_near_and_others_far():
    near = np.clip(pixels(5).astype(int) + np.random.default_rng(1).integers(-2, 3, (32, 32)), 0, 255).astype(np.uint8)
    assert compare(print_of(pixels(5)), print_of(near)).similar
    assert compare(print_of(pixels(5)), print_of(pixels(6))).distance > 80


def test_outputs_are_read_like_numpy_computes_them():
    assert read_print(coefficients(pixels(7)).tolist()) == print_of(pixels(7))
