import pytest

from zkinfer.circuits.engines.ashlar.draft import AxisKind, Factor, Span
from zkinfer.circuits.engines.ashlar.program import (
    AxisRecord,
    BlockRecord,
    InputRecord,
    OutputRecord,
    Program,
    TableRecord,
    TermRecord,
    TileRecord,
)
from zkinfer.circuits.errors import UnsupportedModelError

WALK = AxisRecord(AxisKind.WALK, Span(2, 3), Span(4, 5), 6, k=1, g=-2, bound=7)


def test_axis_has_16_bytes():
    assert WALK.encode().hex() == "0202030405060100" + "fffffffe" + "00000007"


def test_absent_and_empty_ranges_are_0():
    empty = AxisRecord(AxisKind.FIX, Span(9, 0), None, g=5)
    assert empty.encode().hex() == "0500000000000000" + "00000005" + "00000000"


def test_term_of_each_kind():
    tile = TileRecord(64, (Span(2, 1), Span(0, 3)))
    assert TermRecord(3, 1, (WALK,), (tile,)).encode().hex() == (
        "0101000300000001" + WALK.encode().hex() + "00010000004000000002010000000003"
    )
    assert TermRecord(3, -2, ()).encode().hex() == "02000003fffffffe"
    assert TermRecord(None, 1, (), (TileRecord(5, ()),)).encode().hex() == "0300ffff00000001" + "000100000005"


def test_input_table_block_and_output():
    dims = (Factor(3), Factor(1))
    assert InputRecord(dims, 1, 8).encode().hex() == "020102000000000800000003020000000100"
    assert TableRecord(3, 9, 0, 512, 1024).encode().hex() == "030900000000020000000400"
    term = TermRecord(0, 1, ())
    assert BlockRecord("h", 2, 1, 5, 4, (term,)).encode().hex() == "0201050100000004" + term.encode().hex()
    assert OutputRecord("y", dims, (term,)).encode().hex() == "0201020000000003020000000100" + term.encode().hex()


def test_output_without_dimensions_has_one_of_size_1():
    assert OutputRecord("y", (), (TermRecord(0, 1, ()),)).encode().hex()[:18] == "000101000000000100"


def whole(*terms, rank=1):
    dims = (Factor(1),) * rank
    tables = (TableRecord(0, 1, 0, 16), TableRecord(1, 4, 3, 0))
    return Program(InputRecord(dims, 1, 0), tables, (), (OutputRecord("y", dims, terms),), 1, 5, 0)


def test_program_is_padded_to_words():
    data = whole(TermRecord(0, 1, ())).encode()
    assert len(data) == 64
    assert not any(data[13 + 24 + 9 + 8 :])


@pytest.mark.parametrize("coefficient", [1 << 31, -(1 << 31) - 1])
def test_coefficient_beyond_32_bits_is_refused_and_the_last_accepted(coefficient):
    whole(TermRecord(0, coefficient - (1 if coefficient > 0 else -1), ())).encode()
    with pytest.raises(UnsupportedModelError, match=r"'y' is .*32 bits"):
        whole(TermRecord(0, coefficient, ())).encode()


def test_ninth_dimension_is_refused():
    whole(TermRecord(0, 1, ()), rank=8).encode()
    with pytest.raises(UnsupportedModelError, match="9 dimensions"):
        whole(TermRecord(0, 1, ()), rank=9).encode()


def test_256th_term_is_refused():
    term = TermRecord(0, 1, ())
    whole(*[term] * 255).encode()
    with pytest.raises(UnsupportedModelError, match="256 terms"):
        whole(*[term] * 256).encode()


def test_tile_beyond_16_bits_is_refused():
    tiles = tuple(TileRecord(at, ()) for at in range(0x10000))
    with pytest.raises(UnsupportedModelError, match="65536 tiles"):
        whole(TermRecord(0, 1, (), tiles)).encode()
