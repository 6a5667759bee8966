"""What is known of the integers behind a value, in bits, and of a node with its operands.

`overflow_rules` has the rules by which bounds pass through operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.frontend.operators import words

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray


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
