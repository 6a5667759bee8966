"""What a network becomes whatever the recipe: blocks and outputs in order, as sums of parts with real weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import Axis, Factor, Span, StoredFunction
    from zkinfer.circuits.engines.ashlar.lowering.trees import Ensemble

    Floats = NDArray[np.float64]

Given = Literal["bit", "difference", "maximum"]
"""Tables that no recipe chooses: of a tree's tests, and of the steps and the last block of a MaxPool."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A block that a part reads, by name, with the fraction bits that pools add to its own."""

    block: str
    pooled: int = 0


@dataclass(frozen=True, slots=True)
class Bias:
    """Weights alone: `values` has one dimension for each axis with weights, in the order of these dimensions."""

    axes: tuple[Axis, ...]
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class WeightedPart:
    """Weights times cells of one block.

    `values` is [rows, columns, ...]; reshaped to `shape` it has one dimension for each axis with weights. Columns are
    the elements that are summed over; `summed` is the only range of the source that they come from, if they do from one
    dimension. `exact` stands for all weights where they are one rational number. `inner` and `outer` are the
    dimensions of `shape` that tiles may cut.
    """

    reading: Reading
    axes: tuple[Axis, ...]
    values: Floats
    shape: tuple[int, ...]
    summed: tuple[Span, ...] = ()
    exact: Fraction | None = None
    inner: frozenset[int] = frozenset()
    outer: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Weighted:
    """A node with weights and an exponent of its own, by the name `key`; `sign` is -1 behind a Sub.

    `offsets` are exact addends to the columns of all parts, in order (D7).
    """

    key: str
    parts: tuple[WeightedPart, ...]
    bias: Bias | None = None
    sign: int = 1
    offsets: tuple[Fraction, ...] | None = None
    tiles: bool = False


@dataclass(frozen=True, slots=True)
class Scaled:
    """Cells times one rational factor, with an exponent of its own."""

    key: str
    reading: Reading
    axes: tuple[Axis, ...]
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Copied:
    """Cells as they are, or negated; `coefficient` is 1 or -1."""

    reading: Reading
    axes: tuple[Axis, ...]
    coefficient: int = 1


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant operand of a sum, or its negative; it takes the scale of the sum."""

    bias: Bias
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Exact:
    """A term whose integers are known: of trees. It has no scale."""

    block: str | None
    axes: tuple[Axis, ...]
    coefficient: int = 1
    weights: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the tests of a tree ensemble subtract from their features; it depends on the scales of `block`."""

    block: str
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    ensemble: Ensemble


Part = Weighted | Scaled | Copied | Constant | Exact | Thresholds


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """A hidden block.

    `name` is the value that it stands for, `before` that before its activation. `function` is stored in a table;
    `rectified` says that the activation is Relu. `given` blocks take their table from section 1.6; `source` is the one
    whose scale and clamp a MaxPool keeps.
    """

    name: str
    before: str
    factors: tuple[Factor, ...]
    parts: tuple[Part, ...]
    function: StoredFunction | None = None
    rectified: bool = False
    given: Given | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """An output of the network, by the name of its port."""

    name: str
    factors: tuple[Factor, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """The input; `integers` for an integer type. `listed` says whether it may have a scale for each feature.

    `features` is the size of the last axis.
    """

    name: str
    factors: tuple[Factor, ...]
    features: int
    integers: bool
    listed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A network without its recipe."""

    input: PlannedInput
    blocks: tuple[PlannedBlock, ...]
    outputs: tuple[PlannedOutput, ...]
    clamps: tuple[str, ...] = field(default=())
    stored: tuple[str, ...] = field(default=())
    weights: tuple[str, ...] = field(default=())
    tiled: tuple[str, ...] = field(default=())
