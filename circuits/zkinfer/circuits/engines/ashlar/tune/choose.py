"""One recipe for given widths: scales from what was observed, exponents from the weights (section 2.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import Factor
from zkinfer.circuits.engines.ashlar.lowering.plan import Copied, Exact, Scaled, Thresholds, Weighted
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe, InputRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.plan import Part, Plan, PlannedBlock, Reading, WeightedPart
    from zkinfer.circuits.engines.ashlar.tune.observe import Observed, Spread

Side = Literal["in", "out"]
WEIGHT_BITS, FINE_WEIGHT_BITS = 11, 14
MOST_WEIGHT_BITS, MOST_OUTPUT_BITS = 15, 31
USUAL_SHIFT, FINE_SHIFT, LARGEST_SHIFT = 12, 14, 16
IMAGE_BITS, TABLE_BITS, TREE_BITS = (9,), (10, 12), (12, 14)
FINE_INPUT_BITS = (14,)
OUTPUT_BITS = 14  # of stored tables that make outputs only: their values cost nothing
MARGIN = 2.0  # a power of two as scale makes it 2 to 4
FEW_SAMPLES, FEW_MARGIN = 64, 4.0  # of one feature among many, the largest of few samples is too small by chance
TILE_SAVING = 1 << 18
_LARGEST_INPUT_BITS = 14
_BOUNDED = 0.1  # the share of samples that attain the largest number, where numbers are bounded as pixels are


@dataclass(frozen=True, slots=True)
class Widths:
    """What is tried.

    `bits` are those of activations and `rows` those of the rows of stored tables; `clipped` says that rare large values
    are, and `fine` that weights and shifts have more bits than usual. By block, `saturate` is the recipe's,
    `lowered` what the fraction bits of a stored table's q are less, and `narrowed` what the bits of a clamp are less;
    `narrow` says to narrow clamps, instead of saturating, where static bounds are too wide.
    """

    bits: int
    clipped: bool
    rows: int
    fine: bool = False
    narrow: bool = False
    saturate: Mapping[str, int] = field(default_factory=dict)
    lowered: Mapping[str, int] = field(default_factory=dict)
    narrowed: Mapping[str, int] = field(default_factory=dict)


def input_recipes(plan: Plan, observed: Observed, *, fine: bool = False) -> list[InputRecipe]:
    """Scales of the input to try: images have one, tables of numbers one for each feature, with a margin."""
    values = observed.inputs.reshape(-1, plan.input.features).astype(np.float64)
    signed = bool((values < 0).any())
    if plan.input.integers:
        return [_integers(observed.inputs, signed=signed)]
    if _is_bounded(observed.inputs):
        return [_one_scale(values, 1.0, bits, signed=signed) for bits in (FINE_INPUT_BITS if fine else IMAGE_BITS)]
    if not plan.input.listed:
        return [_one_scale(values, MARGIN, bits, signed=signed) for bits in (FINE_INPUT_BITS if fine else TABLE_BITS)]
    trees = any(isinstance(part, Thresholds) for block in plan.blocks for part in block.parts)
    usual = TREE_BITS if trees else TABLE_BITS
    return [_many_scales(values, bits, signed=signed) for bits in (FINE_INPUT_BITS if fine else usual)]


def _many_scales(values: NDArray[np.float64], bits: int, *, signed: bool) -> InputRecipe:
    largest = (MARGIN if len(values) >= FEW_SAMPLES else FEW_MARGIN) * np.abs(values).max(axis=0)
    usual = float(np.median(largest[largest > 0])) if (largest > 0).any() else 1.0
    scales = [_scale(one or usual, bits - signed) for one in largest.tolist()]
    return InputRecipe(scale=scales[0] if len(set(scales)) == 1 else tuple(scales), bits=bits, signed=signed)


def _integers(inputs: NDArray[np.generic], *, signed: bool) -> InputRecipe:
    if inputs.dtype.kind == "b":
        return InputRecipe(scale=0, bits=1, signed=False)
    if inputs.dtype.itemsize == 1:
        return InputRecipe(scale=0, bits=8, signed=inputs.dtype.kind == "i")
    largest = int(MARGIN * max(1.0, float(np.abs(inputs.astype(np.float64)).max())))
    return InputRecipe(scale=0, bits=min(largest.bit_length() + signed, 15), signed=signed)


def _is_bounded(inputs: NDArray[np.generic]) -> bool:
    """Whether numbers have a largest value that many samples attain, such as white pixels."""
    peaks = np.abs(inputs.reshape(len(inputs), -1).astype(np.float64)).max(axis=1)
    return bool((peaks == peaks.max()).mean() >= _BOUNDED) and len(peaks) > 1 and inputs[0].size > 1


def _one_scale(values: NDArray[np.float64], margin: float, bits: int, *, signed: bool) -> InputRecipe:
    """The scale at which the largest number fits; fewer bits if all numbers are exact with them."""
    largest = margin * float(np.abs(values).max(initial=0.0)) or 1.0
    scale = _scale(largest, bits - signed)
    while scale > 0 and bits > 2 and (np.ldexp(values, scale - 1) % 1 == 0).all():
        scale, bits = scale - 1, bits - 1
    return InputRecipe(scale=scale, bits=bits, signed=signed)


def _scale(largest: float, bits: int) -> int:
    """The most fraction bits with which a number stays below 2^bits."""
    return math.floor(math.log2(((1 << bits) - 1) / largest)) if largest > 0 else bits


class Chooser:
    """Fills the entries of a recipe, block by block."""

    def __init__(self, plan: Plan, observed: Observed, widths: Widths, given: InputRecipe) -> None:
        self._plan, self._observed, self._widths, self._input = plan, observed, widths, given
        self._scales: dict[str, int] = {plan.input.name: max(given.scales)}
        self.activations: dict[str, tuple[int, int] | tuple[int, int, int]] = {}
        self.weights: dict[str, int] = {}
        self._read_again = {name for block in plan.blocks for part in block.parts for name in _blocks_read(part)}

    def recipe(self, chunk_bits: int) -> AshlarRecipe:
        """The whole recipe."""
        for block in self._plan.blocks:
            self._choose(block)
        for output in self._plan.outputs:
            for part in output.parts:
                self._choose_output(part)
        return AshlarRecipe(
            semantics=1,
            profile="plain",
            chunk_bits=chunk_bits,
            input=self._input,
            activations=self.activations,
            weights=self.weights,
            saturate=dict(self._widths.saturate),
            tiles=_tiles(self._plan),
        )

    def _choose(self, block: PlannedBlock) -> None:
        if block.given is not None:
            self._scales[block.name] = 0 if block.given == "bit" else self._scales[block.source]
            return
        largest, b = self._seen(self._observed.spreads[block.name]), self._widths.bits
        b -= self._widths.narrowed.get(block.name, 0)
        if block.function is not None and block.name not in self._read_again:
            b = max(b, OUTPUT_BITS)
        q = a = _scale(largest, b)
        if block.function is not None:
            a = b if 0.5 < largest <= 1 else a  # 1 becomes 1 - 2^-b
            q = self._widths.bits - 1 - self._widths.lowered.get(block.name, 0)
        most = self._most(block)
        q = min(q, most)
        a = a if block.function is not None else q
        for part in block.parts:
            self._choose_exponent(part, block, q)
        self.activations[block.name] = (a, b) if block.function is None else (a, b, q)
        self._scales[block.name] = a

    def _seen(self, spread: Spread) -> float:
        return spread.usual if self._widths.clipped else spread.largest

    def _most(self, block: PlannedBlock) -> int:
        """The most fraction bits that a block's z can have."""
        copies = [self._of(part.reading) for part in block.parts if isinstance(part, Copied)]
        reach = [
            _exponent(self._magnitude(part), MOST_WEIGHT_BITS) + self._read(part)
            for part in block.parts
            if isinstance(part, (Scaled, Weighted))
        ]
        return max([*copies, *reach], default=0)

    def _choose_exponent(self, part: Part, block: PlannedBlock, q: int) -> None:
        """The largest exponent below 2^11, lowered to the usual shift, but never to a negative one."""
        if not isinstance(part, (Scaled, Weighted)):
            return
        magnitude, read = self._magnitude(part), self._read(part)
        copies = [self._of(one.reading) for one in block.parts if isinstance(one, Copied)]
        fine = self._widths.fine
        usual = _exponent(magnitude, FINE_WEIGHT_BITS if fine else WEIGHT_BITS)
        exponent = min(usual, q + (FINE_SHIFT if fine else USUAL_SHIFT) - read)
        least = max([q, *copies])
        if exponent + read < least:
            exponent = min(least - read, _exponent(magnitude, MOST_WEIGHT_BITS))
        self.weights[part.key] = exponent

    def _choose_output(self, part: Part) -> None:
        """The least exponent with which the largest weight of every row reaches 2^11."""
        if isinstance(part, Scaled):
            self.weights[part.key] = _exponent(self._magnitude(part), 20)
        elif isinstance(part, Weighted):
            rows = np.max([self._rows(one, part) for one in part.parts], axis=0)
            rows = rows[rows > 0]
            wanted = max((_exponent(float(row), WEIGHT_BITS) + 1 for row in rows), default=0)
            self.weights[part.key] = min(wanted, _exponent(self._magnitude(part), MOST_OUTPUT_BITS))

    def _of(self, reading: Reading) -> int:
        return self._scales[reading.block] + reading.pooled

    def _read(self, part: Scaled | Weighted) -> int:
        return self._of(part.reading) if isinstance(part, Scaled) else max(self._of(one.reading) for one in part.parts)

    def _magnitude(self, part: Scaled | Weighted) -> float:
        """The largest weight, as it counts at the common scale of what is read."""
        if isinstance(part, Scaled):
            return abs(float(part.factor))
        return max(float(self._rows(one, part).max(initial=0.0)) for one in part.parts)

    def _rows(self, one: WeightedPart, part: Weighted) -> NDArray[np.float64]:
        """The largest weight of each row."""
        if one.exact is not None:
            return np.array([float(one.exact)])
        read = self._read(part)
        if one.reading.block == self._plan.input.name and len(self._input.scales) > 1:
            lifted = np.array([read - scale for scale in self._input.scales])
            return np.asarray(np.ldexp(_columns(one), lifted).max(axis=1))
        return np.ldexp(_largest(one), read - self._of(one.reading))


@lru_cache(maxsize=1024)
def _largest(part: WeightedPart) -> NDArray[np.float64]:
    """The largest magnitude of each row's weights."""
    return np.asarray(_columns(part).max(axis=1))


def _columns(part: WeightedPart) -> NDArray[np.float64]:
    """The magnitudes of weights, [rows, columns]: the largest of each kernel."""
    sizes = np.abs(part.values)
    return np.asarray(sizes.reshape(*sizes.shape[:2], -1).max(axis=2))


def _blocks_read(part: Part) -> list[str]:
    if isinstance(part, Weighted):
        return [one.reading.block for one in part.parts]
    if isinstance(part, (Copied, Scaled)):
        return [part.reading.block]
    return [part.block] if isinstance(part, (Exact, Thresholds)) and part.block is not None else []


def _exponent(magnitude: float, bits: int) -> int:
    """The largest exponent with which a number rounds to less than 2^bits."""
    if magnitude <= 0:
        return 0
    exponent = bits - math.frexp(magnitude)[1]
    return exponent if round(math.ldexp(magnitude, exponent)) < 1 << bits else exponent - 1


def _tiles(plan: Plan) -> dict[str, tuple[Side, ...]]:
    """The axes of matrices whose box has many more entries than weights."""
    result, sides = dict[str, tuple[Side, ...]](), tuple[Side, ...](("in", "out"))
    blocks = [part for block in plan.blocks for part in block.parts]
    for part in [*blocks, *(part for output in plan.outputs for part in output.parts)]:
        if isinstance(part, Weighted) and part.tiles:
            axes = tuple(name for name in sides if any(_saving(one, name) >= TILE_SAVING for one in part.parts))
            if axes:
                result[part.key] = axes
    return result


def _saving(part: WeightedPart, axis: Side) -> int:
    """Entries of F that are saved by cutting an axis."""
    cut = part.inner if axis == "in" else part.outer
    whole = math.prod(1 << Factor(size).bits for size in part.shape)
    kept = math.prod(size if at in cut else 1 << Factor(size).bits for at, size in enumerate(part.shape))
    return whole - kept
