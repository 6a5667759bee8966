"""What a program costs: seconds and memory of the prover, and gas of a verification on chain, by step.

Seconds (section 11.3) hold for two cores of a server of 2024. Their constants, and those of memory, were fitted to
ten programs from a perceptron of 4-16-3 to ResNet-20, a forest and 14 dense layers: processor time, which two cores
share evenly, within 6 %, and the peak of the process that proves within 8 %. Gas adds up the unit costs of section 7.5
over the records of a program; the constants beside them were fitted to transactions of 51 programs on anvil, from a
perceptron to ResNet-20 and a forest, and are within 5 % of each.
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

_CORES = 2
_FIXED, _PER_POINT, _PER_CELL, _PER_ROW, _PER_WEIGHT = 0.006, 6.7e-6, 0.81e-6, 0.58e-6, 0.057e-6
_SCALAR, _INTEGER, _COUNT = 32, 8, 4  # bytes
_PROCESS_BYTES, _HEAP = 65_000_000, 1.25  # of the interpreter with its modules; what the heap holds back

_TRANSACTION, _BYTE, _OUTPUT_WORD, _CALL = 21_000, 16, 338, 2_900
_EQ_BIT, _SELECTOR_BIT, _TABLE_BIT, _POWER_BIT = 96, 84, 60, 190
_WALK_BIT, _PADDED_BIT, _BOUNDED_BIT = 350, 690, 1_640
_ROUND, _MULTIPLICATION, _PAIRING = 524, 6_880, 113_000
_BLOCK, _TERM, _AXIS = 2_500, 700, 570
_ROW, _FAST_BYTE, _ELEMENT, _UNROLLED = 400, 36.5, 126, 8  # of public inputs
_FURTHER_TILE = 2_900


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one proof: seconds and bytes of the prover, bytes of the proof, words of the key, gas by step.

    `seconds` are those of two cores, `memory_bytes` the peak of the process that proves.
    """

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
        seconds = _CORES * self.seconds
        return Work(
            keys=0.1 * seconds,
            prove=seconds,
            memory_bytes=self.memory_bytes,
            proving_key_bytes=0,
            proof_bytes=self.proof_bytes,
            gas=self.transaction,
        )


def estimate(shape: Shape) -> Estimate:
    """The cost of a program with these chunks and in this mode."""
    return Estimate(_seconds(shape), _memory(shape), shape.proof_words * WORD, shape.key_words, _gas(shape))


def _seconds(shape: Shape) -> float:
    """The opening and the commitments over one chunk, then one term for each committed cell, row and weight."""
    cells, rows = 1 << shape.program.n, 1 << shape.program.n_t
    witness = _PER_CELL * cells + _PER_ROW * rows
    return _FIXED + _PER_POINT * (1 << shape.chunk_bits) + witness + _PER_WEIGHT * shape.program.weights


def _memory(shape: Shape) -> int:
    """The process, and what the prover holds in the larger of its two sumchecks (section 11.1)."""
    cells, rows, weights = 1 << shape.program.n, 1 << shape.program.n_t, shape.chunks["F"] << shape.chunk_bits
    p, h = shape.lengths["P"], shape.lengths["H"]
    always = _COUNT * p + _INTEGER * (cells + weights) + 3 * _SCALAR * rows
    first, second = 8 * cells + 6 * rows, 3 * h + 3 * (p + weights) // 2
    return _PROCESS_BYTES + round(_HEAP * (always + _SCALAR * max(first, second)))


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
