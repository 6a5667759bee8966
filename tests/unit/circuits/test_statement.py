import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.statement import Layout, output_words, split
from zkinfer.circuits.tensors import TensorSpec


def spec(name, shape=(2,), visibility="public"):
    return TensorSpec(name=name, dtype="float32", shape=shape, visibility=visibility)


def layout(**changes):
    usual = {"visibility": "public", "input_width": 2, "signed": True, "inputs": 3, "outputs": 1}
    return Layout(**usual | changes)


@pytest.mark.parametrize(
    ("least", "largest", "signed", "width"),
    [
        (-128, 127, True, 1), (-129, 0, True, 2), (0, 128, True, 2), (0, 255, False, 1), (0, 256, False, 2),
        (-(1 << 31), 0, True, 4), (0, 1 << 31, True, 8), (-(1 << 63), (1 << 63) - 1, True, 8),
        (0, (1 << 64) - 1, False, 8),
    ],
)  # fmt: skip
def test_width_is_the_least_that_holds_the_range(least, largest, signed, width):
    made = Layout.of([spec("x")], [spec("y")], least=least, largest=largest, signed=signed)
    assert (made.input_width, made.inputs, made.outputs) == (width, 2, 2)


@pytest.mark.parametrize(("least", "largest", "signed"), [(0, 1 << 64, False), (-1, 0, False), (0, 1 << 63, True)])
def test_range_that_no_width_holds_is_refused(least, largest, signed):
    with pytest.raises(InputError, match="do not fit 8 bytes"):
        Layout.of([spec("x")], [spec("y")], least=least, largest=largest, signed=signed)


@pytest.mark.parametrize(("visibility", "width", "inputs"), [("hashed", 32, 2), ("private", 0, 0)])
def test_layout_of_hidden_inputs_has_digests_or_nothing(visibility, width, inputs):
    tensors = [spec("a", visibility=visibility), spec("b", visibility=visibility)]
    made = Layout.of(tensors, [spec("y")], least=0, largest=1, signed=False)
    assert (made.input_width, made.inputs, made.input_bytes) == (width, inputs, width * inputs)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_width": 3}, {"input_width": 32}, {"input_width": 0}, {"inputs": 0}, {"inputs": -1}, {"outputs": 0},
        {"outputs": (1 << 17) + 1}, {"visibility": "private"}, {"visibility": "hashed"}, {"visibility": "hidden"},
        {"visibility": "hashed", "input_width": 32}, {"signed": 1}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_layout_is_refused(changes):
    with pytest.raises(ValidationError):
        layout(**changes)


@given(st.lists(st.integers(-(1 << 15), (1 << 15) - 1), min_size=3, max_size=3))
def test_unpack_gives_what_was_packed(integers):
    packed = layout().pack(integers)
    assert len(packed) == 6
    assert layout().unpack(packed) == integers


def test_integers_are_big_endian_in_twos_complement():
    assert layout(inputs=2).pack([1, -2]) == bytes.fromhex("0001fffe")
    assert layout(inputs=2, signed=False, input_width=1).pack([1, 255]) == b"\x01\xff"


@pytest.mark.parametrize("integers", [[1, 2, 1 << 15], [-(1 << 15) - 1, 0, 0]])
def test_integer_beyond_the_width_is_refused(integers):
    with pytest.raises(InputError, match="does not fit 2 bytes"):
        layout().pack(integers)


@pytest.mark.parametrize("integers", [[], [1, 2], [1, 2, 3, 4]])
def test_another_number_of_integers_is_refused(integers):
    with pytest.raises(InputError, match=f"3 public integers, not {len(integers)}"):
        layout().pack(integers)


@pytest.mark.parametrize("size", [0, 5, 7, 12])
def test_inputs_of_another_length_are_refused(size):
    with pytest.raises(InputError, match=f"have {size} bytes; the layout has 6"):
        layout().unpack(bytes(size))


def test_digests_are_taken_apart_and_nothing_else_is():
    hashed = layout(visibility="hashed", input_width=32, signed=False, inputs=2)
    assert hashed.digests(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    with pytest.raises(InputError, match="have 63 bytes"):
        hashed.digests(bytes(63))
    with pytest.raises(InputError):
        layout().digests(bytes(6))
    with pytest.raises(InputError):
        hashed.unpack(bytes(64))


def test_split_gives_each_tensor_its_integers():
    assert split([1, 2, 3], [spec("a"), spec("b", (1,))]) == {"a": [1, 2], "b": [3]}


@pytest.mark.parametrize("integers", [[1, 2], [1, 2, 3, 4]])
def test_split_of_another_count_is_refused(integers):
    with pytest.raises(InputError, match=f"{len(integers)} integers for tensors of 3"):
        split(integers, [spec("a"), spec("b", (1,))])


def test_outputs_are_words_as_in_a_contract():
    assert output_words([1, -1]) == bytes(31) + b"\x01" + b"\xff" * 32
