"""The gas of a transaction that verifies a proof on chain, by step, from the records of a program.

Follows what the contract does: section 7.5 lists the steps. The constants were fitted to transactions of 50 programs on
anvil, from one layer to ResNet-20 and a forest, and are within 2 % of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ashlar.draft import AxisKind, TableKind
from zkinfer.circuits.engines.ashlar.program import WORD, box_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.engines.ashlar.key import Shape
    from zkinfer.circuits.engines.ashlar.program import AxisRecord, Program, TermRecord

_TRANSACTION, _BYTE, _OUTPUT_WORD, _CALL = 21_000, 16, 338, 2_600
_EQ_BIT, _SELECTOR_BIT, _TABLE_BIT, _POWER_BIT = 92, 66, 44, 139
_WALK_BIT, _OFFSET_BIT, _BOUNDED_BIT = 183, 557, 1_430
_ROUND, _MULTIPLICATION, _PAIRING = 417, 6_852, 113_000
_KEY, _KEY_WORD, _SEED, _COORDINATE, _OUTPUT_PLACE, _OPENING, _SQUARE = 7_000, 224, 9_500, 161, 212, 4_800, 409
_BLOCK, _TABLE, _DIMENSION, _TERM, _AXIS = 2_130, 660, 220, 680, 450
_TILE, _KEPT, _PART, _HASHED = 480, 180, 61, 1_480
_ROW, _FAST_BYTE, _ELEMENT, _UNROLLED = 385, 35, 106, 8  # of public inputs
_DEEP = 6  # hidden blocks from which on the contract keeps kernels
_LEAST_PARTS, _MOST_PARTS = 4, 5


def gas_of(shape: Shape) -> dict[str, int]:
    """The gas of each step."""
    program, layout = shape.program, shape.layout
    box = max(1 << box_bits(output.factors) for output in program.outputs)
    rounds = shape.rounds + shape.vector_bits
    coordinates = max(shape.rounds, *(box_bits(output.factors) for output in program.outputs))
    statement = _BYTE * layout.inputs * layout.input_width + _OUTPUT_WORD * layout.outputs
    calldata = _CALL + _BYTE * WORD * shape.proof_words + statement
    return {
        "base and calldata": _TRANSACTION + calldata,
        "key, parsing, call": _KEY + _KEY_WORD * shape.key_words,
        "seed, challenges, outputs, public input": _SEED
        + _COORDINATE * coordinates
        + _OUTPUT_PLACE * box
        + _horner(shape),
        "rounds": _ROUND * rounds,
        "final value": _final_value(shape),
        "kernels": _kernels(shape),
        "opening": _OPENING + _SQUARE * shape.chunk_bits,
        "scalar multiplications": _MULTIPLICATION * (sum(shape.chunks.values()) + 4),
        "pairing": _PAIRING,
    }


def _horner(shape: Shape) -> int:
    """The sum over public inputs in the powers of t, by rows that are contiguous in the box; whole words are fast."""
    layout, row = shape.layout, 1
    if layout.visibility != "public":
        return 0
    for factor in reversed(shape.program.input.factors):
        if row & (row - 1):  # the rows of a size that is no power of two are apart
            break
        row *= factor.size
    fast = row - row % _UNROLLED if layout.input_width == 1 and not layout.signed else 0
    return round(layout.inputs // row * (_ROW + _FAST_BYTE * fast + _ELEMENT * (row - fast)))


def _final_value(shape: Shape) -> int:
    """E, tags, tables, the input and the terms without weights, at one point."""
    program = shape.program
    total = 2_200 + _EQ_BIT * shape.rounds
    total += sum(_BLOCK + _SELECTOR_BIT * (program.n - block.bits) for block in program.blocks)
    total += sum(_TABLE + _SELECTOR_BIT * (program.n_t - table.k) + _TABLE_BIT * table.k for table in program.tables)
    total += sum(_DIMENSION + _POWER_BIT * factor.bits for factor in program.input.factors) * (
        1 + (shape.visibility == "hashed")
    )
    return total + sum(_TERM + _axes(term) for term in _terms(program) if term.kind == 2)


def _kernels(shape: Shape) -> int:
    """K_j(sigma): the terms with weights, and selectors of the columns."""
    program = shape.program
    total = 870 + _EQ_BIT * shape.rounds + _SELECTOR_BIT * 7 * max(1, shape.vector_bits - shape.rounds)
    total += _HASHED * (shape.visibility == "hashed") + (_PART << _part_bits(shape))
    for table in program.tables:
        if table.kind == TableKind.STORED.value:
            total += _TABLE + _SELECTOR_BIT * (program.n_t + shape.vector_bits - 2 * table.k) + _EQ_BIT * table.k
    deep, kept = len(program.blocks) >= _DEEP, set[object]()
    for term in _terms(program):
        if term.kind == 2:
            continue
        total += _TERM
        for tile in term.tiles:
            total += _TILE + _SELECTOR_BIT * _selected_bits(shape, tile.bits)
            form = (term.axes, tile.spans)
            total += _KEPT if form in kept else _axes(term)
            if deep:
                kept.add(form)
    return total


def _part_bits(shape: Shape) -> int:
    """The highest bits of places of weights, whose selectors the contract has in a list."""
    own = shape.vector_bits - shape.chunk_bits
    return min(_MOST_PARTS, max(own, _LEAST_PARTS) if len(shape.program.blocks) >= _DEEP else own)


def _selected_bits(shape: Shape, low: int) -> int:
    """The bits of a tile's place that are multiplied one by one."""
    below = shape.vector_bits - _part_bits(shape)
    return below - low if low <= below else shape.vector_bits - low


def _terms(program: Program) -> Iterator[TermRecord]:
    for group in (*(block.terms for block in program.blocks), *(output.terms for output in program.outputs)):
        yield from group


def _axes(term: TermRecord) -> int:
    return sum(_AXIS + _axis(axis) for axis in term.axes)


def _axis(axis: AxisRecord) -> int:
    o, i = (span.bits if span else 0 for span in (axis.o, axis.i))
    if axis.kind is not AxisKind.WALK:
        return _EQ_BIT * max(o, i, axis.weight_bits) if axis.kind is not AxisKind.FREE else 0
    offset = max(axis.weight_bits, abs(axis.g).bit_length())
    length = max(i, offset, axis.k + o)
    if axis.bound < 1 << o:
        return length * _BOUNDED_BIT
    return offset * _OFFSET_BIT + (length - offset) * _WALK_BIT
