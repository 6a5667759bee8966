"""The digest that stands for the input in mode 1: anybody with the input and the setup file recomputes it (5.1).

A digest binds a proof to one input. It is no fingerprint: a prover may commit to coefficients that no cell has, so one
input has several digests with valid proofs, and this one only is recomputed from the input.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import DataError, InputError, RangeError, SetupError
from zkinfer.circuits.srs.bn254 import MultiSum, Point, negate
from zkinfer.circuits.srs.file_format import BATCH, G1_BYTES, HEADER_BYTES, decode_g1, read_outline
from zkinfer.verifier.ashlar.program import CLAMP_S, HASHED, POINT, WORD
from zkinfer.verifier.ashlar.statement import elements
from zkinfer.verifier.ashlar.verify import read_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zkinfer.verifier.ashlar.program import Block, Program
    from zkinfer.verifier.ashlar.verify import Key

_INTEGER_BITS, _WINDOW = 16, 8


def commit_input(key: bytes, inputs: Sequence[int], setup: Path) -> bytes:
    """Compute the input digest of a statement in mode 1, in seconds for thousands of elements.

    Args:
        key: the verifying key.
        inputs: the integers of the input tensor, row-major.
        setup: the setup file of the key's ceremony; its points are checked as far as they are used.

    Returns:
        The 32 bytes that the statement has in the place of its inputs.

    Raises:
        MalformedKeyError: the key is not well formed.
        InputError: the key's inputs are not hashed.
        DataError: there are more or fewer inputs than the key has.
        RangeError: an integer is outside the range of the key's inputs.
        SetupError: the file is not readable, too small, damaged, or of another ceremony.
    """
    read = read_key(key)
    if read.header.mode != HASHED:
        raise InputError(
            "The inputs of this key are not hashed.", "Recompute digests for keys with hashed inputs only."
        )
    _require_inputs(inputs, read.program)
    box = _in_box(inputs, read.program.blocks[0])
    size = 1 << read.header.c
    sums = [MultiSum(_INTEGER_BITS, _WINDOW) for _ in range(read.sizes.x_chunks)]
    for first, points in _setup_points(setup, read, min(size, len(box))):
        for chunk, total in enumerate(sums):
            begin = chunk * size + first
            _add(total, points, box[begin : begin + len(points)])
    return keccak256(b"".join(_encode(total.total()) for total in sums)).value


def _require_inputs(inputs: Sequence[int], program: Program) -> None:
    count, table = elements(program.blocks[0].dims), program.tables[program.blocks[0].table]
    if len(inputs) != count:
        raise DataError(f"There are {len(inputs)} inputs; the key has {count}.", "Give all elements, row-major.")
    least, most = -(1 << table.b) if table.kind == CLAMP_S else 0, (1 << table.b) - 1
    for index, value in enumerate(inputs):
        if not least <= value <= most:
            raise RangeError(f"Input {index} is {value}, outside {least} to {most}.", "No proof of it exists.")


def _in_box(inputs: Sequence[int], block: Block) -> list[int]:
    """The elements at their positions in the input's box, 0 elsewhere."""
    box = [0] * (1 << block.bits)
    for indices, value in zip(product(*(range(dim.size) for dim in block.dims)), inputs, strict=True):
        position = 0
        for dim, index in zip(block.dims, indices, strict=True):
            position = (position << dim.bits) + index
        box[position] = value
    return box


def _setup_points(path: Path, key: Key, count: int) -> Iterator[tuple[int, list[Point]]]:
    """The first points of a setup file in batches, each with the index of its first point."""
    try:
        file = path.open("rb")
    except OSError as err:
        raise SetupError(f"{path.name} cannot be read.", "Give the path of the setup file.") from err
    with file:
        outline = read_outline(file, path.name)
        if outline.tau_g2 != key.tau_g2:
            raise SetupError(f"{path.name} is of another ceremony than the key.", "Give the setup that the key names.")
        if count > 1 << outline.k:
            raise SetupError(f"{path.name} has 2^{outline.k} powers, too few for {count}.", "Give a larger setup.")
        file.seek(HEADER_BYTES)
        for first in range(0, count, BATCH):
            yield first, decode_g1(file.read(G1_BYTES * min(BATCH, count - first)), "monomial", first)


def _add(total: MultiSum, points: Sequence[Point], values: Sequence[int]) -> None:
    """Add value * point for each pair; a negative value counts for the opposite point."""
    pairs = [(point if value > 0 else negate(point), abs(value)) for point, value in zip(points, values, strict=True)]
    used = [(point, value) for point, value in pairs if value and point]
    total.add([point for point, _ in used], [value for _, value in used])


def _encode(point: Point | None) -> bytes:
    return bytes(POINT) if point is None else b"".join(number.to_bytes(WORD, "big") for number in point)
