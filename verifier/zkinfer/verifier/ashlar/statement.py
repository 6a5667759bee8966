"""What a proof is about: context, inputs and outputs, and the sums over them that enter the proof (5.1 and 7.4)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from zkinfer.verifier.ashlar.errors import OutputRangeError, StatementLengthError
from zkinfer.verifier.ashlar.field import eq_table, powers
from zkinfer.verifier.ashlar.program import CLAMP_S, HASHED, PRIVATE, PUBLIC, WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.verifier.ashlar.field import Scalar
    from zkinfer.verifier.ashlar.program import Dim, Header, Output, Program

OUTPUT_LIMIT = 1 << 60
"""Outputs have a smaller magnitude, so that different integers are different numbers modulo the order."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The lengths of a statement: bytes of each input, number of inputs, number of outputs."""

    visibility: int
    input_width: int
    inputs: int
    outputs: int

    @classmethod
    def of(cls, header: Header, program: Program) -> Layout:
        """The layout that follows from a key."""
        width, inputs = {
            PUBLIC: (_input_width(program), elements(program.blocks[0].dims)),
            HASHED: (WORD, 1),
            PRIVATE: (0, 0),
        }[header.mode]
        return cls(header.mode, width, inputs, sum(elements(output.dims) for output in program.outputs))


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim: for this request, the outputs are those of the network on the inputs."""

    context: bytes
    inputs: bytes
    outputs: tuple[int, ...]

    def encode(self) -> bytes:
        """The bytes that the transcript begins with, after the digest of the key."""
        words = b"".join((output % (1 << 256)).to_bytes(WORD, "big") for output in self.outputs)
        return self.context + self.inputs + words


def elements(dims: Sequence[Dim]) -> int:
    """The number of valid elements of a tensor."""
    return prod(dim.size for dim in dims)


def _input_width(program: Program) -> int:
    """The least of 1, 2, 4 and 8 bytes that hold the image of the input's table."""
    table = program.tables[program.blocks[0].table]
    bits = table.b + (table.kind == CLAMP_S)
    return next(width for width in (1, 2, 4, 8) if 8 * width >= bits)


def require_lengths(statement: Statement, layout: Layout) -> None:
    """Step 2: the three parts have exactly the lengths of the layout."""
    if len(statement.context) != WORD:
        raise StatementLengthError(f"The context has {len(statement.context)} bytes, not {WORD}.")
    if len(statement.inputs) != layout.input_width * layout.inputs:
        length = layout.input_width * layout.inputs
        raise StatementLengthError(f"The inputs have {len(statement.inputs)} bytes; those of this key have {length}.")
    if len(statement.outputs) != layout.outputs:
        raise StatementLengthError(f"There are {len(statement.outputs)} outputs; this key has {layout.outputs}.")


def require_range(outputs: Sequence[int]) -> None:
    """Step 3: every output has a magnitude below 2^60."""
    for output in outputs:
        if abs(output) >= OUTPUT_LIMIT:
            raise OutputRangeError(f"The output {output} has a magnitude of 2^60 or more.")


def decode_inputs(inputs: bytes, program: Program, layout: Layout) -> list[int]:
    """Step 3: the public integers; signed ones, in two's complement, where the input's table is."""
    signed, width = program.tables[program.blocks[0].table].kind == CLAMP_S, layout.input_width
    return [int.from_bytes(inputs[at : at + width], "big", signed=signed) for at in range(0, len(inputs), width)]


def public_input_at(t: Scalar, values: Sequence[int], dims: Sequence[Dim]) -> Scalar:
    """The sum of t^(position in the box) times value over the valid elements, listed row-major."""
    return _contract(values, dims, [powers(base, dim.size) for dim, base in zip(dims, steps(t, dims), strict=True)])


def outputs_at(tau: Sequence[Scalar], values: Sequence[int], output: Output) -> Scalar:
    """The multilinear extension of an output's box at the low coordinates of tau; `values` are the valid elements."""
    high, weights = output.bits, []
    for dim in output.dims:
        weights.append(eq_table(tau[high - dim.bits : high], dim.size))
        high -= dim.bits
    return _contract(values, output.dims, weights)


def steps(t: Scalar, dims: Sequence[Dim]) -> list[Scalar]:
    """For each dimension, t to the power of the distance of neighbours along it."""
    inner = [sum(dim.bits for dim in dims[place + 1 :]) for place in range(len(dims))]
    return [powers_of_two(t, bits) for bits in inner]


def powers_of_two(t: Scalar, bits: int) -> Scalar:
    """t^(2^bits)."""
    for _ in range(bits):
        t = t * t
    return t


def _contract(values: Sequence[int], dims: Sequence[Dim], weights: Sequence[Sequence[Scalar]]) -> Scalar:
    """Sum the elements, each times the product of the weights of its indices, the innermost dimension first."""
    sums: list[Scalar] = list(values)
    for dim, along in zip(reversed(dims), reversed(weights), strict=True):
        rows = (sums[at : at + dim.size] for at in range(0, len(sums), dim.size))
        sums = [sum((w * v for w, v in zip(along, row, strict=True)), start=0) for row in rows]
    return sums[0]
