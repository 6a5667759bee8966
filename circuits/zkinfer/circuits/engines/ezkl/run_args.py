"""Run arguments of the ezkl engine: their types, bounds and soundness checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zkinfer.circuits.engines.base import RunArguments

RESERVED_ROWS = 16  # blinding factors and other rows that the proof system reserves, rounded up
MIN_LOG_ROWS, MAX_LOG_ROWS = 6, 24
INNER_COLUMNS = (2, 1, 3, 4)  # numbers per block to try
_MAX_SCALE = 20
_SCALES = frozenset(range(1, _MAX_SCALE + 1))
MAX_BLOCKS = 4  # blocks of columns of a program, and parts of a table
_MAX_BITS = 63
_HELD_BITS = {"int32": 31, "uint32": 32}


def max_decomposition_bits(multiplier: int) -> int:
    """The maximum number of bits of a decomposition under this `scale_rebase_multiplier`."""
    return _MAX_BITS if multiplier == 1 else 96 // multiplier


def max_input_bits(dtypes: Iterable[str]) -> int:
    """The maximum number of bits of a decomposition for inputs of these types.

    Circuits compare narrower integers with the range of their type (`lowering.guards`). Wider ones cannot leave it if
    no larger integer can be represented.
    """
    return min((_HELD_BITS.get(dtype, _MAX_BITS) for dtype in dtypes), default=_MAX_BITS)


class EzklArguments(BaseModel):
    """The settings of ezkl that determine a circuit.

    Settings that could weaken the circuit are constants: weights are fixed columns, so that the verifying key binds
    them; range checks of inputs and outputs stay on; Freivalds' algorithm stays off, since it is not audited. Products
    are rescaled, and so range-checked, if their scale exceeds `scale_rebase_multiplier` times the common one;
    `overflow` checks for each network that nothing wraps around the field before that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    input_scale: Annotated[int, Field(ge=1, le=_MAX_SCALE)]
    param_scale: Annotated[int, Field(ge=1, le=_MAX_SCALE)]
    decomp_base: Annotated[int, Field(ge=2, le=1 << 16)]
    decomp_legs: Annotated[int, Field(ge=1, le=8)]
    lookup_range: tuple[int, int]
    logrows: Annotated[int, Field(ge=MIN_LOG_ROWS, le=MAX_LOG_ROWS)]
    num_inner_cols: Annotated[int, Field(ge=1, le=16)] = 2
    scale_rebase_multiplier: Annotated[int, Field(ge=1, le=3)] = 1
    input_visibility: Literal["public", "hashed", "private"] = "public"
    output_visibility: Literal["public"] = "public"
    param_visibility: Literal["fixed"] = "fixed"
    disable_freivalds: Literal[True] = True
    ignore_range_check_inputs_outputs: Literal[False] = False
    bounded_log_lookup: Literal[False] = False
    rebase_frac_zero_constants: Literal[False] = False
    check_mode: Literal["unsafe"] = "unsafe"  # a debugging aid of the engine, not a property of the circuit

    @classmethod
    def parse(cls, run_arguments: RunArguments) -> EzklArguments:
        """Validate published run arguments; raises EngineError if one is missing, unknown or unsafe."""
        try:
            given = canonical.dump(run_arguments)
            parsed = cls.model_validate_json(given)
        except ValidationError as err:
            first = err.errors()[0]
            where = ascii(".".join(str(part) for part in first["loc"])[:80])
            raise EngineError(f"Run argument {where} is not acceptable: {first['msg']}.") from err
        except (TypeError, ValueError) as err:
            raise EngineError("Run arguments are not valid JSON.") from err
        if set(run_arguments) != set(cls.model_fields):
            missing = sorted(set(cls.model_fields) - set(run_arguments))
            raise EngineError(f"Run arguments are incomplete: {', '.join(missing)}.")
        switches = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, bool)}
        if wrong := [name for name, switch in switches.items() if run_arguments[name] is not switch]:
            raise EngineError(f"Run argument {wrong[0]} must be {switches[wrong[0]]}.")
        if canonical.dump(parsed.to_run_arguments()) != given:
            raise EngineError("A run argument is not in canonical form.")
        parsed._refuse_extremes()
        return parsed

    def _refuse_extremes(self) -> None:
        """Reject arguments that are unsound, or that cost an auditor hours: tables that need many blocks of columns.

        Range-checked values stay below 2^63; if several can be multiplied before the next check, their product stays
        below 2^96. `overflow` bounds the values of a particular network.
        """
        low, high = self.lookup_range
        if not low <= 0 <= high:
            raise EngineError("Run argument lookup_range must enclose zero.")
        if self.integer_limit > 1 << 63:
            raise EngineError("Run arguments decomp_base and decomp_legs cover more than 63 bits.")
        if max(self.decomp_base, high - low + 1) > MAX_BLOCKS * (self.rows - RESERVED_ROWS):
            raise EngineError(f"Run arguments require tables that do not fit four blocks of 2^{self.logrows} rows.")
        if self.integer_limit > 1 << max_decomposition_bits(self.scale_rebase_multiplier):
            raise EngineError("Run arguments decomp_base and decomp_legs cover too much for scale_rebase_multiplier.")

    def lesser(self, *, whole_inputs: bool) -> Iterator[EzklArguments]:
        """Smaller arguments that might give the same program, in ascending order.

        A program may need no rescaling, or hold no constants, so that the arguments concerned have no effect. They are
        ordered by multiplier, scale of inputs, scale of weights. The threshold of rescaling is a product, which smaller
        multipliers and larger scales can give too, or come near enough; constants may bear a larger scale up to some
        limit. Under one multiplier the scales of the same program are adjacent, so that the next smaller ones suffice.

        Args:
            whole_inputs: whether all inputs are integers; if not, a different scale changes their meaning.
        """
        multiplier, inputs, params = self._ordered
        threshold = multiplier * max(inputs, params)
        found = {(multiplier, inputs, params - 1)}
        if whole_inputs:
            found |= {(multiplier, inputs - 1, params), (multiplier, params, inputs)}
        for less in range(1, multiplier):
            below, above = (min(scale, _MAX_SCALE) for scale in (threshold // less, -(-threshold // less)))
            found |= {(less, inputs, params)} | {(less, inputs, scale) for scale in range(params + 1, above + 1)}
            if whole_inputs:
                found |= {(less, below, params), (less, above, params)}
        for less, of_inputs, of_params in sorted(found):
            if (less, of_inputs, of_params) >= self._ordered or not {of_inputs, of_params} <= _SCALES:
                continue
            scales = {"input_scale": of_inputs, "param_scale": of_params}
            yield self.model_copy(update=scales | {"scale_rebase_multiplier": less})

    @property
    def _ordered(self) -> tuple[int, int, int]:
        return self.scale_rebase_multiplier, self.input_scale, self.param_scale

    def to_run_arguments(self) -> RunArguments:
        """The published JSON form."""
        dumped: dict[str, Any] = self.model_dump(mode="json")
        return dumped

    @property
    def rows(self) -> int:
        """Rows of every column."""
        return 1 << self.logrows

    @property
    def integer_limit(self) -> int:
        """base^legs: every range-checked value is smaller in magnitude."""
        limit: int = self.decomp_base**self.decomp_legs
        return limit
