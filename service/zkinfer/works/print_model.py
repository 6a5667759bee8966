"""The fingerprint of a picture as a network: the ISCC Image-Code's transform as one integer matrix.

The Image-Code (ISO 24138) takes the two-dimensional DCT-II of 32 x 32 grey pixels,

    c(v, u) = sum over y, x of p(y, x) cos(pi (2y + 1) v / 64) cos(pi (2x + 1) u / 64),

and has a bit for each of the first 8 x 8 or 16 x 16 coefficients: whether it is above the median of its block of 8 x 8.
Both sums are one linear map of the 1,024 pixels. As a single matrix, its outputs are exact integers: between two
matrices the intermediate values would be rounded to 16 bits, which moves coefficients by more than 1. Pixels enter
as the integers 0 to 255, the matrix has 24 fraction bits, and the only error is that of its own rounding (`margin`).

The outputs are in the order of the code's bits, the most significant bit first: blocks top-left, top-right,
bottom-left, bottom-right, each row by row.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.compile import Compiled
    from zkinfer.circuits.engines.base import Engine, RunArguments
    from zkinfer.circuits.home import Home

Length = Literal[64, 256]

SIDE: Final = 32
PIXELS: Final = SIDE * SIDE
BLOCK: Final = 8
FRACTION_BITS: Final = 24  # the most with which float32, the matrix's form in the ONNX file, holds every entry exactly
_BRIGHTEST = 255
_DIGITS = 60
_HALVINGS = 4  # pi/4 halved so often is pi/64
_CHUNK_BITS: Final[dict[Length, int]] = {64: 15, 256: 16}  # measured: docs/measurements/fingerprints.md
_INPUT, _OUTPUT = "pixels", "coefficients"


def print_network(length: Length) -> bytes:
    """The ONNX file: the same bytes on every machine.

    Args:
        length: 64 bits to look works up, 256 as evidence.

    Raises:
        InputError: another length.
    """
    weights = matrix(length).astype(np.float64) / (1 << FRACTION_BITS)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [_INPUT, "transform"], [_OUTPUT])],
        f"iscc-image-{length}",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [1, PIXELS])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [1, length])],
        [numpy_helper.from_array(weights.astype(np.float32), "transform")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def run_arguments(length: Length) -> RunArguments:
    """The settings under which Ashlar's circuit has the integers of `matrix`."""
    return {
        "semantics": 1,
        "profile": "plain",
        "chunkBits": _CHUNK_BITS[_known(length)],
        "input": {"scale": 0, "bits": 8, "signed": False},
        "activations": {},
        "weights": {_OUTPUT: FRACTION_BITS},
    }


def compile_print(length: Length, out: Path, *, engine: Engine, home: Home, setup: str | None = None) -> Compiled:
    """Compile the network into the circuit folder `out`, with public pixels.

    Args:
        length: 64 or 256 bits.
        out: the folder to create; must not exist.
        engine: Ashlar.
        home: the user's trusted setups and caches.
        setup: a ceremony's name; None selects the smallest of a real ceremony that is large enough.

    Raises:
        InputError, SetupError, EngineError: as `compile_model`.
    """
    with private_directory() as scratch:
        model, samples = scratch / "print.onnx", scratch / "samples.npz"
        model.write_bytes(print_network(length))
        pictures = np.random.default_rng(length).integers(0, _BRIGHTEST + 1, (16, 1, PIXELS))
        np.savez(samples, pixels=pictures.astype(np.float32))
        options = CompileOptions(setup=setup, run_arguments=run_arguments(length))
        return compile_model(model, out, engine=engine, home=home, calibration=samples, options=options)


def coefficients(pixels: NDArray[np.uint8], length: Length = 256) -> NDArray[np.int64]:
    """The circuit's outputs `[length]`, computed without a circuit: exact, below 2^43 in magnitude.

    Args:
        pixels: `[32, 32]`, or the 1,024 of them in rows.
        length: 64 or 256.

    Raises:
        InputError: another shape, dtype or length.
    """
    if pixels.dtype != np.uint8 or pixels.size != PIXELS:
        raise InputError(
            f"A fingerprint takes 32 x 32 pixels of 8 bits, not {pixels.shape} of {pixels.dtype}.",
            "Normalise the picture first.",
        )
    return pixels.reshape(-1).astype(np.int64) @ matrix(length)


@cache
def matrix(length: Length) -> NDArray[np.int64]:
    """The transform `[1024, length]`, each entry rounded to the nearest multiple of 2^-24, as integers."""
    return _rounded(length)[0]


@cache
def margin(length: Length) -> int:
    """How far from its block's threshold an output decides its bit whatever the rounding, in units of 2^-24.

    An output differs from 2^24 times the coefficient by at most `d = 255 sum |entry - 2^24 exact|` over the pixels, for
    the worst coefficient. The threshold is half-way between the two middle values of a block; if no value moves by more
    than `d`, neither does it. So an output farther from it than `2 d` is on the same side as its coefficient.
    """
    return _rounded(length)[1]


@cache
def _rounded(length: Length) -> tuple[NDArray[np.int64], int]:
    """The integers, and the margin that follows from their rounding."""
    with localcontext() as context:
        context.prec = _DIGITS
        table, unit = _cosines(), Decimal(1 << FRACTION_BITS)
        waves = [[table[(2 * place + 1) * k % 128] for place in range(SIDE)] for k in range(2 * BLOCK)]
        exact = [[unit * row * column for row in waves[v] for column in waves[u]] for v, u in _places(length)]
        entries = [[int(value.to_integral_value()) for value in column] for column in exact]
        errors = (
            sum(abs(value - entry) for value, entry in zip(column, integers, strict=True))
            for column, integers in zip(exact, entries, strict=True)
        )
        worst = 2 * _BRIGHTEST * max(errors)
    integers = np.array(entries, np.int64).T.copy()
    integers.setflags(write=False)
    return integers, int(worst) + 1


def _places(length: Length) -> Iterator[tuple[int, int]]:
    """Row and column of the coefficient of each bit."""
    for block in range(_known(length) // BLOCK**2):
        for place in range(BLOCK**2):
            yield BLOCK * (block // 2) + place // BLOCK, BLOCK * (block % 2) + place % BLOCK


def _cosines() -> list[Decimal]:
    """cos(pi m / 64) for m below 128, from square roots alone, so that no library's cosine decides a bit."""
    step = Decimal(2).sqrt() / 2
    for _ in range(_HALVINGS):
        step = ((1 + step) / 2).sqrt()
    quarter = [Decimal(1), step]
    while len(quarter) < SIDE:
        quarter.append(2 * step * quarter[-1] - quarter[-2])
    half = [*quarter, Decimal(0), *(-each for each in reversed(quarter[1:]))]  # up to m = 63
    return [*half, *(-each for each in half)]


def _known(length: Length) -> Length:
    if length not in _CHUNK_BITS:
        raise InputError(f"There is no fingerprint of {length} bits.", "Use 64 or 256.")
    return length
