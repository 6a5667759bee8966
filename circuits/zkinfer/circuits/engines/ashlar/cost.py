"""What a program costs: seconds and memory of the prover, and gas of a verification on chain, by step.

Seconds and memory are the formulas of sections 11.1 and 11.3, for two cores of a server of 2024. Gas adds up the unit
costs of section 7.5 over the records of a program; the constants beside them were fitted to transactions of 51
programs on anvil, from a perceptron to ResNet-20 and a forest, and are within 5 % of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import Work
from zkinfer.circuits.engines.ashlar.draft import AxisKind, TableKind
from zkinfer.circuits.engines.ashlar.program import WORD, box_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.engines.ashlar.key import Shape
    from zkinfer.circuits.engines.ashlar.program import AxisRecord, Program, TermRecord

_OPENING, _COMMITMENT, _CELL, _ENTRY, _LOOKUP, _WITNESS = 5.5e-6, 1.5e-6, 1.7e-6, 0.7e-6, 0.25e-6, 0.3e-6
_SCALAR, _POINT = 32, 64
_LEAST_MEMORY = 20_000_000

_TRANSACTION, _BYTE, _OUTPUT_WORD, _CALL = 21_000, 16, 338, 2_900
_EQ_BIT, _SELECTOR_BIT, _TABLE_BIT, _POWER_BIT = 96, 84, 60, 190
_WALK_BIT, _PADDED_BIT, _BOUNDED_BIT = 350, 690, 1_640
_ROUND, _MULTIPLICATION, _PAIRING = 524, 6_880, 113_000
_BLOCK, _TERM, _AXIS = 2_500, 700, 570
_ROW, _FAST_BYTE, _ELEMENT, _UNROLLED = 400, 36.5, 126, 8  # of public inputs
_FURTHER_TILE = 2_900


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one proof: seconds and bytes of the prover, bytes of the proof, words of the key, gas by step."""

    seconds: float
    memory_bytes: int
    proof_bytes: int
    key_words: int
    gas: dict[str, int]

    @property
    def transaction(self) -> int:
        """Gas of the whole transaction."""
        return sum(self.gas.values())

    def work(self) -> Work:
        """The engine-neutral form; there is no proving key, and the verifying key takes milliseconds."""
        return Work(
            keys=0.1 * self.seconds,
            prove=self.seconds,
            memory_bytes=self.memory_bytes,
            proving_key_bytes=0,
            proof_bytes=self.proof_bytes,
            gas=self.transaction,
        )


def estimate(shape: Shape) -> Estimate:
    """The cost of a program with these chunks and in this mode."""
    return Estimate(_seconds(shape), _memory(shape), shape.proof_words * WORD, shape.key_words, _gas(shape))


def _seconds(shape: Shape) -> float:
    size, cells = 1 << shape.chunk_bits, 1 << shape.program.n
    witness = _CELL * cells + _LOOKUP * 2 * cells + _WITNESS * shape.lengths["P"]
    return (_OPENING + _COMMITMENT) * size + _ENTRY * (1 << shape.vector_bits) + witness


def _memory(shape: Shape) -> int:
    """The larger of the two sumchecks, and the points that are mapped from the setup file."""
    first = _SCALAR * (10 << shape.program.n) + _SCALAR * (4 << shape.program.n_t)
    second = 2 * _SCALAR * sum(shape.lengths.values())
    return max(_LEAST_MEMORY, max(first, second) + (_POINT << shape.chunk_bits))


def _gas(shape: Shape) -> dict[str, int]:
    program, layout = shape.program, shape.layout
    box = max(1 << box_bits(output.factors) for output in program.outputs)
    rounds = shape.rounds + shape.vector_bits
    coordinates = max(shape.rounds, *(box_bits(output.factors) for output in program.outputs))
    statement = _BYTE * layout.inputs * layout.input_width + _OUTPUT_WORD * layout.outputs
    calldata = _BYTE * WORD * shape.proof_words + statement
    return {
        "base and calldata": _TRANSACTION + calldata,
        "key, parsing, call": _CALL + 5_000 + 147 * shape.key_words,
        "seed, challenges, outputs, public input": 8_600 + 164 * coordinates + 212 * box + _horner(shape),
        "rounds": _ROUND * rounds,
        "final value": _final_value(shape),
        "kernels": _kernels(shape),
        "opening": 1_500 + 457 * shape.chunk_bits,
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
    total = 3_000 + _EQ_BIT * shape.rounds
    total += sum(_BLOCK + _SELECTOR_BIT * (program.n - block.bits) for block in program.blocks)
    total += sum(900 + _SELECTOR_BIT * (program.n_t - table.k) + _TABLE_BIT * table.k for table in program.tables)
    total += sum(300 + _POWER_BIT * factor.bits for factor in program.input.factors) * (
        1 + (shape.visibility == "hashed")
    )
    return total + sum(_term(program, term, program.n) for term in _terms(program) if term.kind == 2)


def _kernels(shape: Shape) -> int:
    """K_j(sigma): the terms with weights, and selectors of the columns."""
    program = shape.program
    total = 1_000 + _EQ_BIT * shape.rounds + _SELECTOR_BIT * 7 * max(1, shape.vector_bits - shape.rounds)
    total += 1_700 * (shape.visibility == "hashed")
    for table in program.tables:
        if table.kind == TableKind.STORED.value:
            total += 400 + _SELECTOR_BIT * (program.n_t + shape.vector_bits - 2 * table.k) + _EQ_BIT * table.k
    for term in _terms(program):
        if term.kind != 2:
            total += _term(program, term, program.n)
            total += sum(_SELECTOR_BIT * (shape.vector_bits - tile.bits) for tile in term.tiles[:1])
            total += _FURTHER_TILE * (len(term.tiles) - 1)
    return total


def _terms(program: Program) -> Iterator[TermRecord]:
    for group in (*(block.terms for block in program.blocks), *(output.terms for output in program.outputs)):
        yield from group


def _term(program: Program, term: TermRecord, n: int) -> int:
    """A term's kernel and the selector of its source."""
    total = _TERM + sum(_AXIS + _axis(axis) for axis in term.axes)
    if term.source is None:
        return total
    source = program.blocks[term.source - 1].bits if term.source else box_bits(program.input.factors)
    return total + _SELECTOR_BIT * (n - source)


def _axis(axis: AxisRecord) -> int:
    o, i = (span.bits if span else 0 for span in (axis.o, axis.i))
    if axis.kind is not AxisKind.WALK:
        return _EQ_BIT * max(o, i, axis.weight_bits) if axis.kind is not AxisKind.FREE else 0
    length = max(i, axis.weight_bits, axis.k + o, abs(axis.g).bit_length())
    if axis.bound < 1 << o:
        return length * (_BOUNDED_BIT if axis.g else 2 * _WALK_BIT)
    return length * (_PADDED_BIT if axis.g else _WALK_BIT)
