"""The column layout of a program in ezkl, and the resulting commitments, evaluations, and sizes of key and proof.

All counts follow from the engine's settings, before there is a key. The formulas were found by comparing proving keys,
proofs and verifying key artifacts of circuits that differ in one respect at a time [measured]. The terms are those of
Halo2: advice, fixed and instance columns, lookup arguments by logarithmic derivatives, a permutation argument in
chunks, a quotient in pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits.engines.ezkl.run_args import MAX_BLOCKS, MAX_LOG_ROWS, MIN_LOG_ROWS, RESERVED_ROWS, EzklArguments

_POINT, _SCALAR = 64, 32  # bytes of a commitment and of an evaluation in a proof, and of a field element in a key
_OPENING_POINTS = 2
_Count = Annotated[int, Field(ge=0)]
_Range = Annotated[list[int], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one circuit.

    `blocks` counts the repetitions of the columns, more than one if the rows do not hold the program; `inner` the inner
    columns of one block, each of two operands and a result; `constants` the columns of constants. `range_parts` holds
    the number of columns of each range table, since long tables are cut into parts; `functions` counts function tables,
    and `function_parts` the columns of each. `searches` counts the kinds of lookup into values that the circuit itself
    computes: shuffles (sorting, maxima) and gathering. `instances` counts the public values.
    """

    log_rows: int
    blocks: int
    inner: int
    constants: int
    range_parts: tuple[int, ...]
    functions: int
    function_parts: int
    searches: int
    instances: int

    @property
    def rows(self) -> int:
        """Rows of every column."""
        return 1 << self.log_rows

    @property
    def columns(self) -> int:
        """Inner columns of all blocks."""
        return self.inner * self.blocks

    @property
    def advice(self) -> int:
        """Advice columns."""
        return 3 * self.columns + (3 if self.searches else 0)

    @property
    def degree(self) -> int:
        """Degree of the constraints: inner columns are multiplied together, and parts of tables have selectors."""
        parts = max((*self.range_parts, self.function_parts), default=1)
        return max(5, self.inner + 2, 4 + parts if parts > 1 else 0, 6 if self.searches else 0)

    @property
    def lookups(self) -> int:
        """Lookup arguments: one per part of a table and inner column, merged as far as the degree allows."""
        parts = [*self.range_parts, *([self.function_parts] * self.functions)]
        merged = (-(-self.columns // max(1, (self.degree - 3) // (1 + part))) for part in parts)
        return sum(part * each for part, each in zip(parts, merged, strict=True)) + self.searches * self.columns

    @property
    def extension(self) -> int:
        """Size of the extended domain, on which the quotient is computed, in multiples of the rows."""
        return 1 << (self.degree - 2).bit_length()

    @property
    def permuted(self) -> int:
        """Columns in the permutation argument: advice, constants, instances."""
        return self.advice + self.constants + 1

    @property
    def products(self) -> int:
        """Grand products of the permutation argument."""
        return -(-self.permuted // (self.degree - 2))

    @property
    def fixed(self) -> int:
        """Fixed columns: constants, tables (functions share their arguments), selectors after compression."""
        tables = sum(self.range_parts) + (self.function_parts * (1 + self.functions) if self.functions else 0)
        selectors = (len(self.range_parts) + self.functions) * self.columns + self.searches * (self.columns + 1)
        return self.constants + tables + selectors + self._gates

    @property
    def _gates(self) -> int:
        compressed = -(-(3 * self.columns + 6 * self.blocks) // (self.degree - 2))
        return compressed + {1: 0, 2: 1}.get(self.inner, self.blocks)

    @property
    def commitments(self) -> int:
        """Commitments of a proof: advice, lookups (multiplicity, sum), products, a random one, quotient pieces."""
        return self.advice + 2 * self.lookups + self.products + 1 + (self.degree - 1)

    @property
    def evaluations(self) -> int:
        """Evaluations of a proof: advice (results at two rotations), permutation, lookups, fixed, the random one."""
        permutation = self.permuted + 3 * self.products - 1
        return self.advice + self.blocks + permutation + 3 * self.lookups + self.fixed + 1

    @property
    def proof_bytes(self) -> int:
        """Length of a proof."""
        return _POINT * (self.commitments + _OPENING_POINTS) + _SCALAR * self.evaluations

    @property
    def proving_key_bytes(self) -> int:
        """Length of a proving key: fixed and permutation columns as values, as polynomials, on the extended domain."""
        elements = (self.fixed + self.permuted) * (2 + self.extension) + 3 * self.extension
        return elements * self.rows * _SCALAR

    def fits(self) -> bool:
        """Whether program and tables fit into `MAX_BLOCKS`."""
        return max(self.blocks, self.constants, *self.range_parts, self.function_parts) <= MAX_BLOCKS


class _RunArgs(BaseModel):
    model_config = ConfigDict(strict=True)

    decomp_base: Annotated[int, Field(ge=2)]
    logrows: Annotated[int, Field(ge=MIN_LOG_ROWS, le=MAX_LOG_ROWS)]
    num_inner_cols: Annotated[int, Field(ge=1, le=16)]
    lookup_range: _Range


class _Settings(BaseModel):
    """The settings of a finished program that are used here; the engine writes more."""

    model_config = ConfigDict(strict=True)

    run_args: _RunArgs
    required_lookups: list[Any]
    required_range_checks: list[_Range]
    total_assignments: _Count
    total_const_size: _Count
    num_rows: _Count
    num_shuffles: _Count
    num_dynamic_lookups: _Count
    model_instance_shapes: list[list[_Count]]
    model_output_scales: list[int]


def is_complete(settings: dict[str, Any]) -> bool:
    """Whether settings from a file have all fields that are used here, with valid values."""
    try:
        _Settings.model_validate(settings)
    except ValidationError:
        return False
    return True


def layout_as_built(settings: dict[str, Any]) -> Layout:
    """The layout of a program, from its own settings."""
    given = settings["run_args"]
    own = {name: given[name] for name in ("decomp_base", "logrows", "num_inner_cols")}
    return layout_of(settings, EzklArguments.model_construct(**own, lookup_range=tuple(given["lookup_range"])))


def layout_of(settings: dict[str, Any], arguments: EzklArguments) -> Layout:
    """The layout that a program with these settings would have under these arguments.

    The arguments may differ from those of the settings in the number of rows, the base, the lookup range and the inner
    columns: these do not affect the assigned cells and the kinds of tables (inner columns hardly do).
    """
    usable = arguments.rows - RESERVED_ROWS
    low, high = arguments.lookup_range
    functions = len(settings["required_lookups"])
    spans = _range_spans(settings, arguments.decomp_base)
    return Layout(
        log_rows=arguments.logrows,
        blocks=max(1, -(-int(settings["total_assignments"]) // (arguments.num_inner_cols * usable))),
        inner=arguments.num_inner_cols,
        constants=max(1, -(-int(settings["total_const_size"]) // usable)),
        range_parts=tuple(-(-span // usable) for span in spans),
        functions=functions,
        function_parts=-(-(high - low + 1) // usable) if functions else 0,
        searches=(settings["num_shuffles"] > 0) + (settings["num_dynamic_lookups"] > 0),
        instances=sum(math.prod(shape) for shape in settings["model_instance_shapes"]),
    )


def _range_spans(settings: dict[str, Any], base: int) -> list[int]:
    """Sizes of the range tables; that of the decomposition's digits is the base."""
    digits = [0, settings["run_args"]["decomp_base"] - 1]
    spans = (range_ if range_ != digits else [0, base - 1] for range_ in settings["required_range_checks"])
    return [high - low + 1 for low, high in spans]


def publishes_digests(settings: dict[str, Any]) -> bool:
    """Whether the program hashes its inputs."""
    _, digests = settings["module_sizes"]["poseidon"]
    return bool(sum(digests))


def min_log_rows(settings: dict[str, Any]) -> int:
    """The minimum log2 of the rows for everything that cannot be spread over several blocks of columns.

    These are the public values, the hashing of inputs, and the values that are searched.
    """
    instances = sum(math.prod(shape) for shape in settings["model_instance_shapes"])
    hashing, digests = settings["module_sizes"]["poseidon"]
    searched = settings["total_dynamic_col_size"] + settings["total_shuffle_col_size"]
    rows: int = max(instances + sum(digests), hashing, searched)
    return max(MIN_LOG_ROWS, (rows + RESERVED_ROWS - 1).bit_length())
