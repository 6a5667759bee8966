"""Gemm, MatMul and Conv with constant weights, and what is folded into them (rules D3 and D7, passes 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(slots=True)
class Window:
    """How a Conv walks along one spatial axis."""

    kernel: int
    stride: int
    pad: int

    @property
    def log_stride(self) -> int:
        """The k of a WALK axis."""
        return self.stride.bit_length() - 1


@dataclass(slots=True)
class Linear:
    """Weights, bias and geometry in float64.

    A matrix has weights [N, K]; the axis `summed` of its source has size K; its block has the source's other axes, then
    the features, and `order` permutes these into the result. `features` says whether the result has the last one. A
    Conv has weights [C, C / groups, *kernel] and `windows`. The bias broadcasts to the block, or has one number for
    each channel. `offsets` are the exact addends of pass 4, one for each element that is summed over.
    """

    weights: Floats
    bias: Floats | None
    summed: int
    order: tuple[int, ...] = ()
    features: bool = True
    groups: int = 1
    windows: tuple[Window, ...] = ()
    offsets: list[Fraction] | None = None
    factors: list[Fraction] | None = None  # of pass 4, so far

    @property
    def feature_axis(self) -> int | None:
        """The axis of the result that has the output features or channels; None if it has none."""
        if self.windows:
            return 1
        return self.order.index(len(self.order) - 1) if self.features else None

    def scaled(self, by: Floats, *, divide: bool) -> None:
        """Multiply or divide the result, feature by feature, in place."""
        shaped = by.reshape(-1, *[1] * (self.weights.ndim - 1))
        self.weights = self.weights / shaped if divide else self.weights * shaped
        if self.bias is not None:
            self.bias = self.bias / by if divide else self.bias * by

    def shifted(self, by: Floats) -> None:
        """Add to the result, feature by feature, in place; a missing bias is 0."""
        self.bias = by + 0.0 if self.bias is None else self.bias + by

    def normalised(self, gamma: Floats, beta: Floats, mean: Floats, spread: Floats) -> None:
        """Apply a batch normalisation to the result, in place; `spread` is the variance plus epsilon (D3)."""
        factor = gamma / np.sqrt(spread)
        bias = np.zeros(len(mean)) if self.bias is None else self.bias
        self.weights = self.weights * factor.reshape(-1, *[1] * (self.weights.ndim - 1))
        self.bias = (bias - mean) * factor + beta

    def behind(self, op: str, by: Floats) -> None:
        """Fold a node before this one, which has one constant for each element that is summed over (D7), in place."""
        if op in ("Mul", "Div"):
            shape = by.reshape(1, -1, *[1] * (self.weights.ndim - 2))
            self.weights = self.weights / shape if op == "Div" else self.weights * shape
            exact = [Fraction(one) for one in by.tolist()]
            known = self.factors or [Fraction(1)] * len(exact)
            self.factors = [old / one if op == "Div" else old * one for old, one in zip(known, exact, strict=True)]
            return
        known = self.factors or [Fraction(1)] * len(by)
        addends = [Fraction(one if op == "Add" else -one) / old for one, old in zip(by.tolist(), known, strict=True)]
        before = self.offsets or [Fraction(0)] * len(by)
        self.offsets = [old + new for old, new in zip(before, addends, strict=True)]
