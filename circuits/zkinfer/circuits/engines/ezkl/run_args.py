"""Run arguments of the ezkl engine: which exist, which are safe, and how rows follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import RunArguments

RESERVED_ROWS = 16  # blinding factors and rows that the proof system keeps for itself, rounded up
MIN_LOG_ROWS, MAX_LOG_ROWS = 6, 24
INNER_COLUMNS = (2, 1, 3, 4)  # of one block, that are worth a try
MAX_BLOCKS = 4  # of columns that a program, or parts that a table, may spread over


def reach_of(multiplier: int) -> int:
    """How many bits a decomposition may reach under this `scale_rebase_multiplier`."""
    return 63 if multiplier == 1 else 96 // multiplier


class EzklArguments(BaseModel):
    """The settings of ezkl that decide a circuit.

    Everything that would weaken it is a constant here: weights are fixed columns, so that the verifying key binds
    them; range checks of inputs and outputs stay on; Freivalds' algorithm stays off, since it is not audited. Products
    are brought back to a scale, and so range-checked, when their scale exceeds `scale_rebase_multiplier` times the
    common one; `overflow` shows for each network that nothing wraps around the field before that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    input_scale: Annotated[int, Field(ge=1, le=20)]
    param_scale: Annotated[int, Field(ge=1, le=20)]
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
        """Validate published run arguments; raises EngineError where one is missing, unknown or unsafe."""
        try:
            given = canonical.dump(run_arguments)
            parsed = cls.model_validate_json(given)
        except ValidationError as err:
            first = err.errors()[0]
            where = ascii(".".join(str(part) for part in first["loc"])[:80])
            raise EngineError(f"Run argument {where} is not acceptable: {first['msg']}.") from err
        except (TypeError, ValueError) as err:
            raise EngineError("Run arguments are no JSON.") from err
        if set(run_arguments) != set(cls.model_fields):
            missing = sorted(set(cls.model_fields) - set(run_arguments))
            raise EngineError(f"Run arguments are incomplete: {', '.join(missing)}.")
        switches = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, bool)}
        if odd := [name for name, switch in switches.items() if run_arguments[name] is not switch]:
            raise EngineError(f"Run argument {odd[0]} must be {switches[odd[0]]}.")
        if canonical.dump(parsed.to_run_arguments()) != given:
            raise EngineError("A run argument is spelt in another way than it is written.")
        parsed._refuse_extremes()
        return parsed

    def _refuse_extremes(self) -> None:
        """Refuse what is unsound, or costs an auditor hours: tables that need many blocks of columns.

        Checked values stay below 2^63; where several of them meet in a product before the next check, that many
        stay below 2^96 together. What a network makes of them is for `overflow` to bound.
        """
        low, high = self.lookup_range
        if not low <= 0 <= high:
            raise EngineError("Run argument lookup_range must enclose zero.")
        if self.integer_limit > 1 << 63:
            raise EngineError("Run arguments decomp_base and decomp_legs reach beyond 63 bits.")
        if max(self.decomp_base, high - low + 1) > MAX_BLOCKS * (self.rows - RESERVED_ROWS):
            raise EngineError(f"Run arguments ask for tables that do not fit four blocks of 2^{self.logrows} rows.")
        if self.integer_limit > 1 << reach_of(self.scale_rebase_multiplier):
            raise EngineError("Run arguments decomp_base and decomp_legs reach too far for scale_rebase_multiplier.")

    def to_run_arguments(self) -> RunArguments:
        """The JSON form that is published."""
        dumped: dict[str, Any] = self.model_dump(mode="json")
        return dumped

    @property
    def rows(self) -> int:
        """Rows of every column."""
        return 1 << self.logrows

    @property
    def integer_limit(self) -> int:
        """Every range-checked value stays below base^legs in magnitude."""
        limit: int = self.decomp_base**self.decomp_legs
        return limit
