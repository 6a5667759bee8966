"""The verifying key: its header, the commitment to F, and the words that a contract stores (section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.digest import Digest, keccak256
from zkinfer.circuits.engines.ashlar.draft import TableKind, element_count
from zkinfer.circuits.engines.ashlar.program import WORD, Program, box_bits
from zkinfer.circuits.errors import SetupError, UnsupportedModelError
from zkinfer.circuits.srs.bn254 import MultiSum, negate
from zkinfer.circuits.srs.file_format import BATCH, G1_BYTES, HEADER_BYTES, decode_g1, read_outline
from zkinfer.circuits.statement import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.srs.bn254 import Point
    from zkinfer.circuits.tensors import Visibility

MAGIC = b"zkinfer.ashlar.1"
MAX_KEY_WORDS = 767
MODES: dict[Visibility, int] = {"public": 0, "hashed": 1, "private": 2}
_PLAIN, _CHUNK_BITS_AT = 1, 21
_INPUT_BYTES, _DIM_BYTES, _TABLE_BYTES = 8, 5, 12  # of the records INPUT (without its dimensions), DIM and TABLE
_SETUP_WORDS = 4
_WIDTHS = (1, 2, 4, 8)
_MAX_VECTOR_BITS = 28
_MAX_PROGRAM_WORDS = 0xFFFF


@dataclass(frozen=True, slots=True)
class Shape:
    """All sizes that follow from a program, the size of chunks and the mode (rules L5 and L6, section 5.3)."""

    program: Program
    chunk_bits: int
    visibility: Visibility

    @property
    def lengths(self) -> dict[str, int]:
        """Entries of the vectors F, X, P and H."""
        cells, rows = 1 << self.program.n, 1 << self.program.n_t
        box = 1 << box_bits(self.program.input.factors) if self.visibility == "hashed" else 0
        return {"F": self.program.weights, "X": box, "P": 3 * cells + rows, "H": 2 * cells + rows}

    @property
    def chunks(self) -> dict[str, int]:
        """Chunks of the vectors F, X, P and H: points of their commitments."""
        return {name: -(-length >> self.chunk_bits) for name, length in self.lengths.items()}

    @property
    def vector_bits(self) -> int:
        """nB: rounds of the second sumcheck."""
        return max(self.chunk_bits, *((length - 1).bit_length() for length in self.lengths.values() if length))

    @property
    def rounds(self) -> int:
        """mA: rounds of the first sumcheck."""
        return max(self.program.n, self.program.n_t)

    @property
    def has_stored_tables(self) -> bool:
        """Whether a proof holds y*."""
        return any(table.kind == TableKind.STORED.value for table in self.program.tables)

    @property
    def proof_words(self) -> int:
        """Words of a proof."""
        points = sum(count for name, count in self.chunks.items() if name != "F")
        optional = (self.visibility == "hashed") + self.has_stored_tables
        return 2 * points + 3 * self.rounds + 2 * self.vector_bits + 19 + optional

    @property
    def layout(self) -> Layout:
        """How a statement about this program is encoded (section 5.1)."""
        outputs = sum(element_count(output.factors) for output in self.program.outputs)
        if self.visibility != "public":
            width, inputs = (WORD, 1) if self.visibility == "hashed" else (0, 0)
            return Layout(visibility=self.visibility, input_width=width, signed=False, inputs=inputs, outputs=outputs)
        table = self.program.tables[self.program.input.table]
        signed = table.kind == TableKind.CLAMP_S.value
        return Layout(
            visibility="public",
            input_width=next(width for width in _WIDTHS if 8 * width >= table.width + signed),
            signed=signed,
            inputs=element_count(self.program.input.factors),
            outputs=outputs,
        )

    @property
    def key_words(self) -> int:
        """Words of the verifying key."""
        return 1 + _SETUP_WORDS + 2 * self.chunks["F"] + len(self.program.encode()) // WORD


def chunk_bits(code: bytes) -> int:
    """c, the size of chunks, of a header."""
    return code[_CHUNK_BITS_AT]


def input_limits(code: bytes) -> tuple[int, int]:
    """The least and the largest integer of the input: the image of its table, in the records of a header's program."""
    table, rank = code[WORD + 1], code[WORD + 2]
    kind, _, width = code[WORD + _INPUT_BYTES + _DIM_BYTES * rank + _TABLE_BYTES * table :][:3]
    return 0 if kind == TableKind.CLAMP_U.value else -(1 << width), (1 << width) - 1


def encode_code(shape: Shape) -> bytes:
    """The key's header and the program: the key without tau*G2 and commitments.

    Raises:
        UnsupportedModelError: a number does not fit its field, or the key would not fit a contract.
    """
    program, data = shape.program, shape.program.encode()
    words = len(data) // WORD
    if shape.key_words > MAX_KEY_WORDS or words > _MAX_PROGRAM_WORDS:
        raise UnsupportedModelError(
            f"The verifying key has {shape.key_words} words, more than the {MAX_KEY_WORDS} that fit a contract.",
            "Use a larger trusted setup, which allows larger chunks, or make the model smaller.",
        )
    if shape.vector_bits > _MAX_VECTOR_BITS:
        raise UnsupportedModelError("The model has more than 2^28 weights or cells.", "Make the model smaller.")
    sizes = (program.n, program.n_t, shape.vector_bits, shape.chunk_bits, program.tables[0].k, len(program.tables))
    counts = (len(program.blocks), len(program.outputs), shape.chunks["F"], words)
    head = MAGIC + bytes((_PLAIN, MODES[shape.visibility], *sizes))
    return head + b"".join(count.to_bytes(2, "big") for count in counts) + data


def commit_weights(weights: NDArray[np.int64], chunk_bits: int, setup: Path) -> bytes:
    """The commitments to the chunks of F, 64 bytes each.

    About four microseconds for each weight and six bits of its magnitude; the Rust core is a hundred times faster.

    Args:
        weights: F.
        chunk_bits: c.
        setup: a file of at least 2^c powers that the store has checked.

    Raises:
        SetupError: the file is too small, not a setup, or damaged.
    """
    size = 1 << chunk_bits
    chunks = [weights[first : first + size] for first in range(0, len(weights), size)]
    largest = max((abs(int(edge)) for edge in (weights.max(), weights.min())), default=0) if len(weights) else 0
    sums = [MultiSum(max(1, largest.bit_length()), _window(largest)) for _ in chunks]
    with setup.open("rb") as file:
        if read_outline(file, setup.name).k < chunk_bits:
            raise SetupError(f"{setup.name} has fewer than 2^{chunk_bits} powers.", "Fetch a larger setup.")
        file.seek(HEADER_BYTES)
        for first in range(0, min(size, len(weights)), BATCH):
            points = decode_g1(file.read(G1_BYTES * min(BATCH, size - first)), "monomial", first)
            for chunk, total in zip(chunks, sums, strict=True):
                _add(total, points, chunk[first : first + BATCH])
    return b"".join(_encode(total.total()) for total in sums)


def make_key(code: bytes, commitments: bytes, tau_g2: bytes) -> bytes:
    """The words of the verifying key.

    Args:
        code: header and program.
        commitments: 64 bytes for each chunk of F.
        tau_g2: 128 bytes as in EIP-197.
    """
    return code[:WORD] + tau_g2 + commitments + code[WORD:]


def key_digest(key: bytes) -> Digest:
    """vkDigest."""
    return keccak256(key)


def _window(largest: int) -> int:
    """Bits of a digit: one or two digits for usual weights."""
    return min(8, max(4, -(-largest.bit_length() // 2)))


def _add(total: MultiSum, points: list[Point], weights: NDArray[np.int64]) -> None:
    """Add weight times point, with the sign in the point."""
    used = np.flatnonzero(weights)
    signed = [points[at] if weights[at] > 0 else _opposite(points[at]) for at in used]
    total.add(signed, [abs(int(weight)) for weight in weights[used]])


def _opposite(point: Point) -> Point:
    return negate(point) or point


def _encode(point: Point | None) -> bytes:
    return b"".join(coordinate.to_bytes(32, "big") for coordinate in point or (0, 0))
