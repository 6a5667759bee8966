"""The parser of compiled programs, on a valid one and on malformed ones."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.engines.ezkl.instances import MODULUS
from zkinfer.circuits.engines.ezkl.program import LARGEST, UnknownProgramError, read_compiled

FLOAT32, NODE, CONSTANT, INPUT, POLYNOMIAL, LOOKUP = 2, 0, 4, 3, 0, 1
ADDITION = struct.pack("<II", POLYNOMIAL, 12)
HASHED, FIXED = (b"\x01" + struct.pack("<I", variant) for variant in (2, 4))


def many(*parts):
    return struct.pack("<Q", len(parts)) + b"".join(parts)


def naturals(*values):
    return many(*(struct.pack("<Q", value) for value in values))


def outlets(*numbers):
    return many(*(struct.pack("<QQ", number, 0) for number in numbers))


def node(number, operator, operands, shape, uses=1):
    return (
        struct.pack("<QI", number, NODE)
        + operator
        + struct.pack("<i", 7)
        + outlets(*operands)
        + naturals(*shape)
        + struct.pack("<QQ", number, uses)
    )


def constant(*values, visibility=FIXED):
    elements = many(*((value % MODULUS).to_bytes(32, "little") for value in values))
    raw = many(*(struct.pack("<f", 0.5) for _ in values)) + naturals(len(values)) + b"\x00\x00"
    scale = b"\x01" + struct.pack("<i", 7)
    return struct.pack("<I", CONSTANT) + elements + naturals(len(values)) + scale + visibility + raw + b"\x01"


def port(kind=FLOAT32):
    return struct.pack("<IiI?", INPUT, 7, kind, True)


def program(*, values=(3, -4), kind=FLOAT32, operator=ADDITION, uses=1, **change):
    nodes = [
        node(0, port(kind), (), (2,)),
        node(1, constant(*values, **change), (), (2,), uses),
        node(5, operator, (0, 1), (2,)),
    ]
    return many(*nodes) + naturals(0) + outlets(5)


def test_compiled_program_is_parsed():
    read = read_compiled(program())
    assert (read.inputs, read.outputs, list(read.nodes)) == ((0,), (5,), [0, 1, 5])
    assert [one.operator.name for one in read.nodes.values()] == ["Input", "Constant", "Add"]
    assert read.nodes[5].operands == (0, 1)
    values, _ = read.nodes[1].operator.arguments
    assert values.tolist() == [3, -4]


@given(st.lists(st.integers(-LARGEST + 1, LARGEST - 1), min_size=2, max_size=2))
def test_constants_are_decoded_from_field_elements(values):
    found, _ = read_compiled(program(values=values)).nodes[1].operator.arguments
    assert found.dtype == np.int64
    assert found.tolist() == values


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 1 << 64, -(1 << 64), 1 << 128, MODULUS // 2])
def test_constant_beyond_64_bits_makes_the_program_unknown(value):
    with pytest.raises(UnknownProgramError, match="62 bits"):
        read_compiled(program(values=(value, 1)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": 0}, "booleans"),
        ({"operator": struct.pack("<II", LOOKUP, 0)}, "unsupported operator, variant 1"),
        ({"operator": struct.pack("<II", POLYNOMIAL, 27)}, "unsupported operator, variant 27"),
        ({"visibility": HASHED}, "hashed"),
    ],
)
def test_unsupported_operator_makes_the_program_unknown(change, why):
    with pytest.raises(UnknownProgramError, match=why):
        read_compiled(program(**change))


def test_truncated_program_is_unknown():
    whole = program()
    for end in range(len(whole)):
        with pytest.raises(UnknownProgramError):
            read_compiled(whole[:end])


@given(st.binary(max_size=200), st.integers(0, len(program())))
def test_corrupted_program_is_parsed_or_unknown(junk, place):
    whole = program()
    with suppress(UnknownProgramError):
        read_compiled(whole[:place] + junk + whole[place + len(junk) :])
