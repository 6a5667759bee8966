"""Bit widths of integers: the minimum that a set of samples needs, and bounds of the operands of a node.

`overflow_rules` propagates the bounds through operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from zkinfer.circuits.errors import OUT_OF_RANGE, RangeError
from zkinfer.circuits.frontend.operators import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx
    from numpy.typing import NDArray


_Sample = TypeVar("_Sample")
_Answer = TypeVar("_Answer")

MAX_BITS = 60


def narrowest(
    samples: Sequence[_Sample], fitting: Callable[[int, Sequence[_Sample]], list[_Answer]], likely: int
) -> tuple[int, list[_Answer]]:
    """The minimum bit width for all samples, and the answer to each.

    Args:
        samples: at least one.
        fitting: returns the answers to the given samples up to the first that does not fit the given bit width.
        likely: an initial guess; affects the time only.

    Raises:
        RangeError: a sample exceeds the largest supported bit width.
    """
    bits = _least(lambda bits: len(fitting(bits, samples[:1])) == 1, likely)
    answers = fitting(bits, samples)
    while len(answers) < len(samples):
        bits += 1
        if bits > MAX_BITS:
            raise RangeError(*OUT_OF_RANGE)
        answers += fitting(bits, samples[len(answers) :])
    return bits, answers


def _least(holds: Callable[[int], bool], likely: int) -> int:
    """The least bit width for which a monotonic condition holds; `MAX_BITS` if for none."""
    low, high = 1, MAX_BITS
    while low < high:
        guesses = (guess for guess in (likely, likely - 1, likely + 1, likely - 2) if low <= guess < high)
        middle = next(guesses, (low + high) // 2)
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


# Groups of operators with the same rule.
WITH_BIAS = words("Conv ConvTranspose Gemm")
PRODUCTS = words("Conv ConvTranspose Einsum Gemm MatMul Mul")
SUMS = words("Add CumSum ReduceL1 ReduceSum Sub Sum")
BINARY_SUMS = words("Add Sub")
MEANS = words("AveragePool GlobalAveragePool Mean ReduceMean")
MERGED_BY_READER = words("AveragePool GlobalAveragePool ReduceMean ReduceSum")  # with a preceding product
MOVES = words(
    """
    Cast Clip Concat DepthToSpace Expand Flatten Gather GatherElements GatherND GlobalMaxPool Identity Max MaxPool Min
    Neg Pad ReduceMax ReduceMin Reshape Resize ScatterElements ScatterND Slice SpaceToDepth Split Squeeze TopK
    Transpose Unsqueeze Where
    """
)
"""Move or select values: their results are as wide as their operands, at one scale."""
COMPARISONS = words("Equal Greater GreaterOrEqual Less LessOrEqual")
LOGIC = words("And Not Or Xor")
DISCRETE = COMPARISONS | LOGIC | words("ArgMax ArgMin Sign")  # at scale 0
ALIGNED = words("Add Clip Concat Max Mean Min Pad ScatterElements ScatterND Sub Sum Where") | DISCRETE  # at one scale
DECOMPOSED = words("Abs Relu")  # at the scale of their operand
ROUNDED = words("Ceil Floor Round")
BOUNDED = words("Acos Asin Atan Cos Erf Sigmoid Sin Tanh")  # magnitudes of at most 4
UNBOUNDED = words("Acosh Atanh Cosh Exp Log Sinh Tan")  # as wide as a table can hold
LOOKED_UP = BOUNDED | UNBOUNDED | words("Asinh HardSwish")  # these two grow at most linearly
EXPONENTIAL = words("Celu Elu LogSoftmax ReduceLogSum ReduceLogSumExp Selu Softplus")
NORMALISATIONS = words("InstanceNormalization LayerNormalization")
RECURRENT = words("GRU LSTM RNN")


MAX_SHIFT = 63  # bits; the engine multiplies by 0 if scales of operands are further apart
_DATA_OPERANDS = dict.fromkeys(BINARY_SUMS, 2) | {"Clip": 3} | dict.fromkeys(words("Concat Max Mean Min Sum"))


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound of the integers of a tensor.

    bits: magnitudes are below 2^bits.
    scale, top: the smallest and the largest scale that the engine may have given it.
    unchecked: as `bits`, if the engine's reader drops the last check.
    """

    bits: float
    scale: int
    top: int
    unchecked: float = 0.0

    @property
    def widest(self) -> float:
        """The larger of `bits` and `unchecked`."""
        return max(self.bits, self.unchecked)


@dataclass(frozen=True, slots=True)
class Step:
    """A node with the bounds of its operands; an element of its result is the sum of at most 2^terms values."""

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
        """Operands whose values affect the result's: no axes, indices or conditions."""
        if self.kind == "Where":
            return self.operands[1:]
        if self.kind in ("Pad", "ScatterElements", "ScatterND"):
            return self.operands[::2]
        many = self.kind in DISCRETE | RECURRENT | NORMALISATIONS
        return self.operands if many else self.operands[: _DATA_OPERANDS.get(self.kind, 1)]

    @property
    def shift(self) -> int:
        """The maximum number of bits by which the engine shifts an operand to the scale of the others."""
        scales = [one.scale for one in self.data]
        return max(0, self.top - min(scales, default=0)) if self.kind in ALIGNED and len(scales) > 1 else 0

    @property
    def aligned(self) -> float:
        """Bits of the widest operand at their common scale."""
        shares_scale = self.kind in ALIGNED | RECURRENT | NORMALISATIONS and len(self.data) > 1
        top = self.top if shares_scale else 0
        return max((one.bits + min(MAX_SHIFT, max(0, top - one.scale)) for one in self.data), default=0.0)

    @property
    def unchecked(self) -> float:
        """Bits of the widest operand without its last check."""
        return max((one.widest for one in self.data), default=0.0)

    @property
    def constant(self) -> int | None:
        """The index of the only constant among two operands."""
        found = [index for index, array in enumerate(self.arrays) if array is not None]
        return found[0] if len(self.arrays) == 2 and len(found) == 1 else None


def size_of(array: NDArray[np.float64]) -> float:
    """log2 of one more than the largest magnitude; infinite if an element is NaN."""
    size = float(np.log2(1.0 + np.abs(array).max(initial=0.0)))
    return math.inf if math.isnan(size) else size
