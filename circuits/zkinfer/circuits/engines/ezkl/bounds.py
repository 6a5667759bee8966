"""What is known of the integers behind a value, in bits, and of a node with its operands.

`overflow_rules` has the rules by which bounds pass through operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend.operators import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx
    from numpy.typing import NDArray


_Sample = TypeVar("_Sample")
_Answer = TypeVar("_Answer")

OUT_OF_RANGE = (
    "A value of this inference does not fit the range that the circuit was compiled for.",
    "Check the input's magnitude, or compile again with calibration data that covers it.",
)
MOST_BITS = 60


def narrowest(
    samples: Sequence[_Sample], fitting: Callable[[int, Sequence[_Sample]], list[_Answer]], likely: int
) -> tuple[int, list[_Answer]]:
    """The fewest bits for all samples, and an answer for each.

    Args:
        samples: at least one.
        fitting: gives the answers to those of some samples, from the first on, that fit so many bits.
        likely: a guess; a good one saves time, and a bad one changes nothing.

    Raises:
        RangeError: a sample does not fit the most bits that can be held.
    """
    bits = _least(lambda bits: len(fitting(bits, samples[:1])) == 1, likely)
    answers = fitting(bits, samples)
    while len(answers) < len(samples):
        bits += 1
        if bits > MOST_BITS:
            raise RangeError(*OUT_OF_RANGE)
        answers += fitting(bits, samples[len(answers) :])
    return bits, answers


def _least(holds: Callable[[int], bool], likely: int) -> int:
    """The least number of bits for which something holds that then holds for all larger ones; the most if for none."""
    low, high = 1, MOST_BITS
    while low < high:
        guesses = (guess for guess in (likely, likely - 1, likely + 1, likely - 2) if low <= guess < high)
        middle = next(guesses, (low + high) // 2)
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


WITH_BIAS = words("Conv ConvTranspose Gemm")
PRODUCTS = words("Conv ConvTranspose Einsum Gemm MatMul Mul")
SUMS = words("Add CumSum ReduceL1 ReduceSum Sub Sum")
PAIRS = words("Add Sub")
MEANS = words("AveragePool GlobalAveragePool Mean ReduceMean")
MERGED = words("AveragePool GlobalAveragePool ReduceMean ReduceSum")  # with a product before them
MOVES = words(
    """
    Cast Clip Concat DepthToSpace Expand Flatten Gather GatherElements GatherND GlobalMaxPool Identity Max MaxPool Min
    Neg Pad ReduceMax ReduceMin Reshape Resize ScatterElements ScatterND Slice SpaceToDepth Split Squeeze TopK
    Transpose Unsqueeze Where
    """
)
"""Move values, or choose among them: their results are as wide as what they are given, at one scale."""
COMPARISONS = words("Equal Greater GreaterOrEqual Less LessOrEqual")
LOGIC = words("And Not Or Xor")
VERDICTS = COMPARISONS | LOGIC | words("ArgMax ArgMin Sign")
ALIGNED = words("Add Clip Concat Max Mean Min Pad ScatterElements ScatterND Sub Sum Where") | VERDICTS  # at one scale
KEPT = words("Abs Relu")  # decomposed, at the scale they were given
ROUNDED = words("Ceil Floor Round")
BOUNDED = words("Acos Asin Atan Cos Erf Sigmoid Sin Tanh")  # looked up, of no more than 4
UNBOUNDED = words("Acosh Atanh Cosh Exp Log Sinh Tan")  # as wide as a table holds
GENTLE = words("Asinh HardSwish")
EXPONENTIAL = words("Celu Elu LogSoftmax ReduceLogSum ReduceLogSumExp Selu Softplus")
ROOTED = words("InstanceNormalization LayerNormalization")
RECURRENT = words("GRU LSTM RNN")


MAX_SHIFT = 63  # bits; the engine multiplies by 0 where scales of operands are further apart
_DATA = {"Clip": 3, "Concat": None, "Max": None, "Mean": None, "Min": None, "Sum": None} | dict.fromkeys(PAIRS, 2)


@dataclass(frozen=True, slots=True)
class Bound:
    """Of the integers of a tensor.

    bits: magnitudes are below 2^bits.
    scale, top: the least and the largest scale that the engine may have given it.
    unchecked: as `bits`, for the case that the engine's reader drops the last check.
    """

    bits: float
    scale: int
    top: int
    unchecked: float = 0.0

    @property
    def widest(self) -> float:
        """Checked or not."""
        return max(self.bits, self.unchecked)


@dataclass(frozen=True, slots=True)
class Step:
    """One node with what is known of its operands; a result is the sum of at most 2^terms values."""

    node: onnx.NodeProto
    operands: tuple[Bound, ...]
    arrays: tuple[NDArray[np.float64] | None, ...]
    terms: float

    @property
    def kind(self) -> str:
        """The operator."""
        return self.node.op_type

    @property
    def top(self) -> int:
        """The largest scale of any operand."""
        return max((one.top for one in self.operands), default=0)

    @property
    def data(self) -> tuple[Bound, ...]:
        """Operands that end up in the result: no axes, indices or conditions."""
        if self.kind == "Where":
            return self.operands[1:]
        if self.kind in ("Pad", "ScatterElements", "ScatterND"):
            return self.operands[::2]
        many = self.kind in VERDICTS | RECURRENT | ROOTED
        return self.operands if many else self.operands[: _DATA.get(self.kind, 1)]

    @property
    def shift(self) -> int:
        """By how many bits the engine multiplies an operand at most to bring it to the scale of the others."""
        scales = [one.scale for one in self.data]
        return max(0, self.top - min(scales, default=0)) if self.kind in ALIGNED and len(scales) > 1 else 0

    @property
    def aligned(self) -> float:
        """Bits of the widest operand at the scale of all."""
        meet = self.kind in ALIGNED | RECURRENT | ROOTED and len(self.data) > 1
        top = self.top if meet else 0
        return max((one.bits + min(MAX_SHIFT, max(0, top - one.scale)) for one in self.data), default=0.0)

    @property
    def unchecked(self) -> float:
        """Bits of the widest operand without its last check."""
        return max((one.widest for one in self.data), default=0.0)

    @property
    def constant(self) -> int | None:
        """The place of the only constant of two operands."""
        places = [place for place, array in enumerate(self.arrays) if array is not None]
        return places[0] if len(self.arrays) == 2 and len(places) == 1 else None


def size_of(array: NDArray[np.float64]) -> float:
    """log2 of one more than the largest magnitude; infinite where an element is no number."""
    size = float(np.log2(1.0 + np.abs(array).max(initial=0.0)))
    return math.inf if math.isnan(size) else size
