"""A plan and a recipe become a draft: every part gets its integers, every block its shift and table."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.draft import EXACT, Block, Draft, InputBlock, Output, Table, TableKind, Term
from zkinfer.circuits.engines.ashlar.lowering.plan import (
    Constant,
    Copied,
    Exact,
    Scaled,
    Thresholds,
    Weighted,
)
from zkinfer.circuits.engines.ashlar.lowering.quantise import (
    BIAS_BITS,
    OUTPUT_WEIGHT_BITS,
    WEIGHT_BITS,
    coefficient,
    offset_bias,
    power,
    rounded,
    shifted,
)
from zkinfer.circuits.errors import EngineError, UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import Axis, Factor
    from zkinfer.circuits.engines.ashlar.lowering.plan import Part, Plan, PlannedBlock, Reading, WeightedPart
    from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe

MAX_OUTPUT_SCALE = 127
MAX_TREE_BITS = 14


def draft(plan: Plan, recipe: AshlarRecipe) -> Draft:
    """The integers of a network.

    Raises:
        EngineError: the recipe's names are not those of the plan, or its input is not what the plan takes.
        UnsupportedModelError: a weight, shift or scale is out of its range; the message names the node and a cure.
    """
    recipe.require_names(clamps=plan.clamps, stored=plan.stored, weights=plan.weights, tiled=plan.tiled)
    drafter = _Drafter(plan, recipe)
    return Draft(
        drafter.input(),
        tuple(drafter.block(block) for block in plan.blocks),
        tuple(drafter.output(output.name, output.factors, output.parts) for output in plan.outputs),
    )


@dataclass(slots=True)
class _Sum:
    """The terms of a constraint at one scale: those with a source, then biases, then constants (L7)."""

    terms: list[Term] = field(default_factory=list)
    biases: list[Term] = field(default_factory=list)
    constants: list[Term] = field(default_factory=list)

    @property
    def all(self) -> tuple[Term, ...]:
        return (*self.terms, *self.biases, *self.constants)


class _Drafter:
    """Blocks in order; `_numbers`, `_scales` and `_tables` are of those drafted so far, the input first."""

    def __init__(self, plan: Plan, recipe: AshlarRecipe) -> None:
        self._plan, self._recipe = plan, recipe
        name = plan.input.name
        self._numbers = {name: 0}
        scales = recipe.input.scales
        self._scales = {name: max(scales)}
        self._features = scales
        self._tables = {name: self._input_table()}

    def input(self) -> InputBlock:
        """Block 0."""
        plan, recipe = self._plan.input, self._recipe.input
        listed = not isinstance(recipe.scale, int)
        if listed and (not plan.listed or len(recipe.scales) != plan.features):
            raise EngineError(
                f"The recipe has {len(recipe.scales)} scales for the input {plan.name!r}, which takes "
                f"{f'one, or {plan.features}' if plan.listed else 'one'}.",
                "A scale for each feature needs readers that sum over the features; give one number otherwise.",
            )
        if plan.integers and any(recipe.scales):
            raise EngineError(f"The input {plan.name!r} holds integers, which have scale 0.", "Set its scale to 0.")
        return InputBlock(plan.name, plan.factors, self._tables[plan.name], recipe.scales)

    def block(self, planned: PlannedBlock) -> Block:
        """The next block."""
        z, terms = self._summed(planned.parts, planned.name, WEIGHT_BITS)
        table, scale, q = self._table(planned)
        if z - q < 0:
            raise UnsupportedModelError(
                f"{planned.name!r} has {z} fraction bits before its activation, fewer than the {q} that it needs.",
                "Raise the exponent of its weights, or lower the scale of its activation.",
            )
        self._numbers[planned.name] = len(self._numbers)
        self._scales[planned.name], self._tables[planned.name] = scale, table
        saturation = self._recipe.saturate.get(planned.name)
        return Block(planned.name, planned.factors, z - q, table, terms, saturation)

    def output(self, name: str, factors: tuple[Factor, ...], parts: tuple[Part, ...]) -> Output:
        """An output, whose scale follows."""
        scale, terms = self._summed(parts, name, OUTPUT_WEIGHT_BITS)
        if abs(scale) > MAX_OUTPUT_SCALE:
            raise UnsupportedModelError(
                f"Output {name!r} has {scale} fraction bits.",
                f"Choose exponents that keep it within {MAX_OUTPUT_SCALE}.",
            )
        return Output(name, factors, scale, terms)

    # --- tables

    def _input_table(self) -> Table:
        bits = self._recipe.input.bits
        if self._recipe.input.signed:
            return Table(TableKind.CLAMP_S, bits - 1)
        return Table(TableKind.CLAMP_U, bits)

    def _table(self, planned: PlannedBlock) -> tuple[Table, int, int]:
        """A block's table, and the fraction bits of y and of q."""
        if planned.given == "bit":
            return Table(TableKind.CLAMP_U, 1), 0, 0
        if planned.given is not None:
            scale = self._scales[planned.source]
            return self._pooled(planned), scale, scale
        entry = self._recipe.activations[planned.name]
        a, b = entry[:2]
        if planned.function is not None:
            q = entry[-1]
            return Table(TableKind.STORED, b, planned.function, q_scale=q, scale=a), a, q
        return Table(TableKind.CLAMP_U if planned.rectified else TableKind.CLAMP_S, b), a, a

    def _pooled(self, planned: PlannedBlock) -> Table:
        if planned.given == "difference":
            return Table(TableKind.CLAMP_U, EXACT)
        source = self._tables[planned.source]
        if source.kind is TableKind.STORED:
            return Table(TableKind.CLAMP_S, EXACT, image_of=self._numbers[planned.source])
        return source

    # --- terms

    def _summed(self, parts: tuple[Part, ...], name: str, limit: int) -> tuple[int, tuple[Term, ...]]:
        """The common scale of a constraint, and its terms."""
        scales = [scale for part in parts if (scale := self._scale(part)) is not None]
        scale, result = max(scales, default=0), _Sum()
        for part in parts:
            self._add(part, scale, result, name, limit)
        return scale, result.all

    def _scale(self, part: Part) -> int | None:
        if isinstance(part, Weighted):
            return self._recipe.weights[part.key] + self._read_scale(part)
        if isinstance(part, Scaled):
            return self._recipe.weights[part.key] + self._of(part.reading)
        if isinstance(part, Copied):
            return self._of(part.reading)
        return None

    def _of(self, reading: Reading) -> int:
        return self._scales[reading.block] + reading.pooled

    def _read_scale(self, part: Weighted) -> int:
        return max(self._of(one.reading) for one in part.parts)

    def _add(self, part: Part, scale: int, result: _Sum, name: str, limit: int) -> None:
        if isinstance(part, Weighted):
            self._add_weighted(part, scale, result, limit)
        elif isinstance(part, Scaled):
            e = self._recipe.weights[part.key]
            number = coefficient(part.factor * power(e), part.key) << scale - e - self._of(part.reading)
            result.terms.append(self._term(part.reading.block, part.axes, coefficient(Fraction(number), part.key)))
        elif isinstance(part, Copied):
            number = part.coefficient << scale - self._of(part.reading)
            result.terms.append(self._term(part.reading.block, part.axes, coefficient(Fraction(number), name)))
        elif isinstance(part, Constant):
            integers = np.asarray(part.sign * rounded(part.bias.values, scale, BIAS_BITS, name))
            result.constants.append(Term(None, part.bias.axes, weights=integers))
        elif isinstance(part, Exact):
            term = Term(self._numbers.get(part.block or ""), part.axes, part.coefficient, part.weights)
            (result.terms if part.block is not None else result.biases).append(term)
        else:
            result.biases.append(Term(None, part.axes, weights=self._thresholds(part)))

    def _term(self, block: str, axes: tuple[Axis, ...], number: int) -> Term:
        return Term(self._numbers[block], axes, number)

    def _add_weighted(self, part: Weighted, scale: int, result: _Sum, limit: int) -> None:
        e, read = self._recipe.weights[part.key], self._read_scale(part)
        lifted = scale - e - read
        integers, columns = list["NDArray[np.int64]"](), list[int]()
        tiles = self._recipe.tiles.get(part.key, ()) if part.tiles else ()
        for one in part.parts:
            own = self._column_scales(one)
            integers.append(self._integers(one, e, read, own, limit, part.key))
            columns += own if len(own) > 1 else own * one.values.shape[1]
            weights = shifted(part.sign * integers[-1], lifted, limit, part.key).reshape(one.shape)
            tiled = (one.inner if "in" in tiles else frozenset()) | (one.outer if "out" in tiles else frozenset())
            result.terms.append(Term(self._numbers[one.reading.block], one.axes, weights=weights, tiled=tiled))
        if part.bias is None:
            return
        values = part.bias.values
        if part.offsets is None:
            bias = rounded(values, e + read, BIAS_BITS, part.key)
        else:
            rows = np.concatenate(integers, axis=1)
            bias = offset_bias(values, e + read, rows, part.offsets, columns, part.key)
        bias = shifted(part.sign * bias, lifted, BIAS_BITS, part.key)
        result.biases.append(Term(None, part.bias.axes, weights=bias))

    def _column_scales(self, part: WeightedPart) -> list[int]:
        """The scales of the cells that are summed over: one, or one for each column."""
        if part.reading.block == self._plan.input.name and len(self._features) > 1:
            return list(self._features)
        return [self._of(part.reading)]

    def _integers(
        self, part: WeightedPart, e: int, read: int, own: list[int], limit: int, name: str
    ) -> NDArray[np.int64]:
        """D1, with the exponent of each column that D2 asks for."""
        if part.exact is not None:
            return np.full(part.values.shape, coefficient(part.exact * power(e), name), np.int64)
        exponents = np.array([e + read - scale for scale in own], np.int64)
        return rounded(part.values, exponents.reshape(1, -1, *[1] * (part.values.ndim - 2)), limit, name)

    def _thresholds(self, part: Thresholds) -> NDArray[np.int64]:
        table, name = self._tables[part.block], part.block
        low, high = 0 if table.kind is TableKind.CLAMP_U else -(1 << table.width), (1 << table.width) - 1
        if table.width + (low < 0) > MAX_TREE_BITS:
            raise UnsupportedModelError(
                f"A tree ensemble reads {name!r} with {table.width + (low < 0)} bits.",
                f"Lower its scale and its width to {MAX_TREE_BITS} bits at most, sign included.",
            )
        scales = list(self._features) if name == self._plan.input.name else [self._scales[name]]
        scales = scales * part.ensemble.features if len(scales) == 1 else scales
        return part.ensemble.thresholds(scales, low, high).reshape(part.shape)
