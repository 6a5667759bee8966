import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.engines.ezkl.field import MODULUS, decode, encode, from_word, to_word
from zkinfer.circuits.errors import InputError

HALF = 1 << 127
INTEGERS = st.integers(-HALF + 1, HALF - 1)
ELEMENTS = st.integers(0, MODULUS - 1)


def word(value):
    return "0x" + value.to_bytes(32, "big").hex()


def test_modulus_is_that_of_bn254():
    assert MODULUS == 21888242871839275222246405745257275088548364400416034343698204186575808495617


@given(INTEGERS)
def test_encode_any_integer_is_decoded_as_itself(value):
    element = encode(value)
    assert 0 <= element < MODULUS
    assert decode(element) == value


@given(ELEMENTS)
def test_word_of_any_element_is_read_back_as_itself(element):
    assert to_word(element) == word(element)
    assert from_word(to_word(element)) == element


@pytest.mark.parametrize(
    ("value", "element"), [(0, 0), (1, 1), (-1, MODULUS - 1), (HALF - 1, HALF - 1), (1 - HALF, MODULUS - HALF + 1)]
)
def test_encode_boundaries_are_pinned(value, element):
    assert encode(value) == element
    assert decode(element) == value


@pytest.mark.parametrize("value", [HALF, -HALF, HALF + 1, -HALF - 1, MODULUS, -MODULUS, 1 << 300])
def test_encode_beyond_127_bits_is_refused(value):
    with pytest.raises(InputError, match="does not fit the 127 bits"):
        encode(value)


@pytest.mark.parametrize("element", [HALF, HALF + 1, MODULUS // 2, MODULUS - HALF - 1, MODULUS - HALF])
def test_decode_element_that_is_no_integer_is_refused(element):
    with pytest.raises(InputError, match=r"magnitude reaches 2\^127"):
        decode(element)


@given(st.integers(HALF, MODULUS - HALF))
def test_decode_any_element_of_the_gap_is_refused(element):
    with pytest.raises(InputError, match="is no circuit integer"):
        decode(element)


@pytest.mark.parametrize("element", [-1, MODULUS, MODULUS + 1, 1 << 256, -MODULUS])
def test_decode_other_than_canonical_element_is_refused(element):
    with pytest.raises(InputError, match="not a canonical field element"):
        decode(element)


@given(st.integers(0, (1 << 256) - 1 - MODULUS))
def test_from_word_second_spelling_of_an_element_is_refused(element):
    with pytest.raises(InputError, match="not below the field modulus"):
        from_word(word(element + MODULUS))


def test_from_word_of_the_largest_element_is_read():
    assert from_word("0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000000") == MODULUS - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0x1",
        "1" * 64,
        "0x" + "0" * 63,
        "0x" + "0" * 65,
        "0X" + "0" * 64,
        "0x" + "A" * 64,
        "0x" + "0" * 64 + "\n",
        " 0x" + "0" * 64,
        "0x-" + "0" * 63,
        "0x" + "0_" * 32,
        "0x" + "٣" * 64,
    ],
)
def test_from_word_other_spelling_is_refused(text):
    with pytest.raises(InputError, match="is not a 32-byte word"):
        from_word(text)


@given(st.text(max_size=80))
def test_from_word_any_text_is_read_or_refused_in_the_tree(text):
    with contextlib.suppress(InputError):
        assert to_word(from_word(text)) == text
