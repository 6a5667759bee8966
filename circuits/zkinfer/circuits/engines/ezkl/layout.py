"""How ezkl lays a program out in columns, and what follows from it: commitments, evaluations, sizes of key and proof.

Everything here is counted from the engine's settings, before there is a key. The counts were found by comparing
proving keys, proofs and verifying key artifacts of circuits that differ in one thing at a time [measured]; the terms
are those of Halo2: advice, fixed and instance columns, lookup arguments by logarithmic derivatives, a permutation
argument in chunks, a quotient in pieces.
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
    """Columns of one circuit.

    `blocks` is how often the columns repeat, where the rows do not hold the program; `inner` the inner columns of
    one block, each two operands and a result; `constants` the columns of constants. `range_parts` holds one number
    for each table of a range: the columns it takes, since a long one is cut into parts; `functions` counts tables of
    functions, `function_parts` the columns of each. `searches` counts the kinds of lookup into what the circuit itself
    computed: shuffles (sorting, maxima) and gathering. `instances` are the public values.
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
        """Of the constraints: inner columns are multiplied with each other, and parts of tables have selectors."""
        parts = max((*self.range_parts, self.function_parts), default=1)
        return max(5, self.inner + 2, 4 + parts if parts > 1 else 0, 6 if self.searches else 0)

    @property
    def lookups(self) -> int:
        """Lookup arguments: for every part of every table and every inner column, merged where the degree allows."""
        parts = [*self.range_parts, *([self.function_parts] * self.functions)]
        merged = (-(-self.columns // max(1, (self.degree - 3) // (1 + part))) for part in parts)
        return sum(part * each for part, each in zip(parts, merged, strict=True)) + self.searches * self.columns

    @property
    def extension(self) -> int:
        """Size of the domain that the quotient is computed on, in multiples of the rows."""
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
        """Of a proof: advice, multiplicities and sums of lookups, products, a random one, pieces of the quotient."""
        return self.advice + 2 * self.lookups + self.products + 1 + (self.degree - 1)

    @property
    def evaluations(self) -> int:
        """Of a proof: advice (results at two rotations), permutation, lookups, fixed columns, the random one."""
        permutation = self.permuted + 3 * self.products - 1
        return self.advice + self.blocks + permutation + 3 * self.lookups + self.fixed + 1

    @property
    def proof_bytes(self) -> int:
        """Length of a proof."""
        return _POINT * (self.commitments + _OPENING_POINTS) + _SCALAR * self.evaluations

    @property
    def proving_key_bytes(self) -> int:
        """Length of a proving key: each fixed and permutation column as values, as polynomial, on the extension."""
        elements = (self.fixed + self.permuted) * (2 + self.extension) + 3 * self.extension
        return elements * self.rows * _SCALAR

    def fits(self) -> bool:
        """Whether program and tables stay within the blocks that are worth their cost."""
        return max(self.blocks, self.constants, *self.range_parts, self.function_parts) <= MAX_BLOCKS


class _RunArgs(BaseModel):
    model_config = ConfigDict(strict=True)

    decomp_base: Annotated[int, Field(ge=2)]
    logrows: Annotated[int, Field(ge=MIN_LOG_ROWS, le=MAX_LOG_ROWS)]
    num_inner_cols: Annotated[int, Field(ge=1, le=16)]
    lookup_range: _Range


class _Settings(BaseModel):
    """What is read of the settings of a finished program; the engine writes more."""

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
    """Whether settings that come from a file are such as the engine writes."""
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

    They may differ from those of the settings in the number of rows, the base, the lookup range and the inner
    columns, which change neither what is assigned nor the kinds of tables (or hardly, for inner columns).
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
    """Sizes of the range tables; the one of a decomposition's digits follows the base."""
    digits = [0, settings["run_args"]["decomp_base"] - 1]
    spans = (range_ if range_ != digits else [0, base - 1] for range_ in settings["required_range_checks"])
    return [high - low + 1 for low, high in spans]


def publishes_digests(settings: dict[str, Any]) -> bool:
    """Whether the program hashes its inputs."""
    _, digests = settings["module_sizes"]["poseidon"]
    return bool(sum(digests))


def log_rows_least(settings: dict[str, Any]) -> int:
    """The smallest power of two for what no second block of columns can hold.

    That is public values, hashing of inputs, and what is searched.
    """
    instances = sum(math.prod(shape) for shape in settings["model_instance_shapes"])
    hashing, digests = settings["module_sizes"]["poseidon"]
    searched = settings["total_dynamic_col_size"] + settings["total_shuffle_col_size"]
    rows: int = max(instances + sum(digests), hashing, searched)
    return max(MIN_LOG_ROWS, (rows + RESERVED_ROWS - 1).bit_length())
