"""A network as blocks of exact integers, before layout: what the lowering makes, and the back end turns into bytes.

A draft says what is computed, on valid elements only. Masks, bounds, tiles, table sizes, offsets and the canonical
order of axes are left to the back end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray


class AxisKind(Enum):
    """How an axis relates a range of bits of `o`, one of `i` and an index of the weights (section 1.3)."""

    EQ = 1
    WALK = 2
    MASK = 3
    FREE = 4
    FIX = 5


class TableKind(Enum):
    """The function that a block's table applies (section 1.4)."""

    CLAMP_U = 1
    CLAMP_S = 2
    STORED = 3
    EXCESS = 4


@dataclass(frozen=True, slots=True)
class Factor:
    """A dimension of a box: its valid size. It takes `bits` bits of an index of the box."""

    size: int

    @property
    def bits(self) -> int:
        """The least number of bits with 2^bits >= size."""
        return (self.size - 1).bit_length()


def element_count(factors: Iterable[Factor]) -> int:
    """The number of valid elements of a box."""
    return math.prod(factor.size for factor in factors)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bits of a block's index; bit 0 is the least significant."""

    first: int
    bits: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One condition of a term's relation.

    `o` and `i` are None where the axis does not look at the block or at the source. `weight` is the dimension of the
    term's weights that the axis indexes. WALK relates them by i = 2^k o + d + g; `constant` is the value of FIX.

    `bound` is that of MASK, [o < bound]. A lowering writes MASK only where it is part of the function (trees by
    levels); masks over padding cells, and the bounds of WALK, are the back end's.
    """

    kind: AxisKind
    o: Span | None = None
    i: Span | None = None
    weight: int | None = None
    k: int = 0
    g: int = 0
    constant: int = 0
    bound: int | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """What a term adds to a cell: weights times cells, cells, or weights alone.

    `source` is the index of a block of the draft, 0 for the input, None for a bias. `weights` holds integers of valid
    size, one dimension for each axis with a weight index. `tiled` names the dimensions that the recipe cuts.
    """

    source: int | None
    axes: tuple[Axis, ...]
    coefficient: int = 1
    weights: NDArray[np.int64] | None = None
    tiled: frozenset[int] = frozenset()

    @property
    def kind(self) -> int:
        """1 weights times cells, 2 cells, 3 weights (section 1.3)."""
        if self.source is None:
            return 3
        return 2 if self.weights is None else 1


@dataclass(frozen=True, slots=True)
class StoredFunction:
    """The real function of a stored table: a chain of operators, evaluated at rational points (rule D5).

    `identity` is equal for equal chains, constants and attributes. `value` returns an exact rational where the function
    has one, a decimal of 60 digits otherwise, and None where the function is undefined.
    """

    identity: str
    value: Callable[[Fraction], object] = field(compare=False)


EXACT = -1
"""A clamp's width that the static bounds decide: b = k - 1, so that CLAMP_U is Relu, and CLAMP_S takes nothing away."""


@dataclass(frozen=True, slots=True)
class Table:
    """A block's table, without its number of rows.

    `width` is b, or EXACT. A stored table maps q, with `q_scale` fraction bits, to y with `scale`, in
    [-2^width, 2^width - 1]. A clamp with `image_of` is the least that holds every value of that block of the draft,
    CLAMP_U if none is negative, whatever `kind` and `width` say: the last block of a maximum behind a stored table.
    """

    kind: TableKind
    width: int
    function: StoredFunction | None = None
    q_scale: int = 0
    scale: int = 0
    image_of: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A hidden block. `name` is that of the value which it computes; `saturation` the d of section 1.5, or None."""

    name: str
    factors: tuple[Factor, ...]
    shift: int
    table: Table
    terms: tuple[Term, ...]
    saturation: int | None = None


@dataclass(frozen=True, slots=True)
class InputBlock:
    """The input, with its clamp; `scales` holds one number, or one for each feature of the last axis."""

    name: str
    factors: tuple[Factor, ...]
    table: Table
    scales: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A list of exact integers at the scale `scale`, which may be negative."""

    name: str
    factors: tuple[Factor, ...]
    scale: int
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A network: block 0 is `input`, block i is `blocks[i - 1]`."""

    input: InputBlock
    blocks: tuple[Block, ...]
    outputs: tuple[Output, ...]
