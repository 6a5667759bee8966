"""What is known of the integers behind a value, in bits, and of a node with its operands.

`ezkl_growth` has the rules by which bounds pass through operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines import ezkl_groups as groups

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

MAX_SHIFT = 63  # bits; the engine multiplies by 0 where scales of operands are further apart
_DATA = {"Clip": 3, "Concat": None, "Max": None, "Mean": None, "Min": None, "Sum": None} | dict.fromkeys(
    groups.PAIRS, 2
)


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
        many = self.kind in groups.VERDICTS | groups.RECURRENT | groups.ROOTED
        return self.operands if many else self.operands[: _DATA.get(self.kind, 1)]

    @property
    def shift(self) -> int:
        """By how many bits the engine multiplies an operand at most to bring it to the scale of the others."""
        scales = [one.scale for one in self.data]
        return max(0, self.top - min(scales, default=0)) if self.kind in groups.ALIGNED and len(scales) > 1 else 0

    @property
    def aligned(self) -> float:
        """Bits of the widest operand at the scale of all."""
        meet = self.kind in groups.ALIGNED | groups.RECURRENT | groups.ROOTED and len(self.data) > 1
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
