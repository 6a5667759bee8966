"""What calibration chose for a network, as the published run arguments of the engine (section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from zkinfer.circuits.engines.base import RunArguments

MIN_CHUNK_BITS, MAX_CHUNK_BITS = 4, 24
_OPTIONAL = ("saturate", "tiles")
_CURE = "Use the run arguments as the compiler wrote them, or compile the model again."

Name = Annotated[str, Field(min_length=1, max_length=256)]
Scale = Annotated[int, Field(ge=-64, le=64)]
_Width = Annotated[int, Field(ge=0, le=15)]
_Tiled = Annotated[tuple[Literal["in", "out"], ...], Field(min_length=1, max_length=2)]


class InputRecipe(BaseModel):
    """How a number of the input becomes an integer.

    `scale` is the number of fraction bits, or a list with one for each feature of the last axis; `bits` count a sign.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scale: Scale | Annotated[tuple[Scale, ...], Field(min_length=1)]
    bits: Annotated[int, Field(ge=1, le=16)]
    signed: bool

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales as a tuple: one for all features, or one for each."""
        return (self.scale,) if isinstance(self.scale, int) else self.scale

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest integer of the input."""
        return (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)


class AshlarRecipe(BaseModel):
    """The settings that turn a normalised network into one program.

    `activations` holds `(a, b)` for clamps and `(a, b, aq)` for stored tables, `weights` the exponents e, `saturate`
    the d of saturation in two blocks, and `tiles` the axes of weights that are cut into powers of two. Names are those
    of values of the normalised network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    semantics: Literal[1]
    profile: Literal["plain"]
    chunk_bits: Annotated[int, Field(ge=MIN_CHUNK_BITS, le=MAX_CHUNK_BITS, alias="chunkBits")]
    input: InputRecipe
    activations: dict[Name, tuple[Scale, _Width] | tuple[Scale, _Width, Scale]]
    weights: dict[Name, Scale]
    saturate: dict[Name, Annotated[int, Field(ge=1, le=15)]] = {}
    tiles: dict[Name, _Tiled] = {}

    @classmethod
    def parse(cls, run_arguments: RunArguments) -> AshlarRecipe:
        """Read published run arguments.

        Raises:
            EngineError: a key is unknown, missing or out of bounds, or the document is not in canonical form.
        """
        if run_arguments.get("profile") == "hiding":
            raise EngineError("Profile 'hiding' is not available in this version.", "Use profile 'plain'.")
        try:
            given = canonical.dump(run_arguments)
            parsed = cls.model_validate_json(given)
        except ValidationError as err:
            first = err.errors()[0]
            where = ascii(".".join(str(part) for part in first["loc"])[:80])
            raise EngineError(f"Run argument {where} is not acceptable: {first['msg']}.", _CURE) from err
        except (TypeError, ValueError) as err:
            raise EngineError("Run arguments are not valid JSON.", _CURE) from err
        if canonical.dump(parsed.to_run_arguments()) != given:
            raise EngineError("The run arguments are not in canonical form.", _CURE)
        parsed._refuse_extremes()
        return parsed

    def to_run_arguments(self) -> RunArguments:
        """The published JSON form: `saturate` and `tiles` are left out if empty."""
        dumped: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return {key: value for key, value in dumped.items() if value or key not in _OPTIONAL}

    def require_names(
        self, *, clamps: Collection[str], stored: Collection[str], weights: Collection[str], tiled: Collection[str]
    ) -> None:
        """Compare the recipe's names with those of a network.

        Args:
            clamps: the blocks that need `[a, b]`; only they may be saturated in two blocks.
            stored: the blocks that need `[a, b, aq]`.
            weights: the nodes that need an exponent.
            tiled: the nodes whose weights may be cut into tiles.

        Raises:
            EngineError: an entry is missing, is of no use to the network, or has the wrong length.
        """
        _require("activations", self.activations, {*clamps, *stored})
        _require("weights", self.weights, weights)
        _refuse_unused("saturate", self.saturate, clamps)
        _refuse_unused("tiles", self.tiles, tiled)
        for name, values in self.activations.items():
            if (len(values) == 3) != (name in stored):
                wanted = "[a, b, aq]" if name in stored else "[a, b]"
                raise EngineError(f"Run argument activations.{name!r} must have the form {wanted}.", _CURE)

    def _refuse_extremes(self) -> None:
        """Refuse what no table can hold, and lists that are written in two ways."""
        if not self.input.signed and self.input.bits > 15:
            raise EngineError("An unsigned input has at most 15 bits.", "Lower its scale and its bits.")
        if unsorted := [name for name, axes in self.tiles.items() if list(axes) != sorted(set(axes))]:
            raise EngineError(f"Run argument tiles.{unsorted[0]!r} must name each axis once, 'in' first.", _CURE)


def _require(key: str, given: Mapping[str, object], needed: Collection[str]) -> None:
    if missing := sorted(set(needed) - set(given)):
        raise EngineError(f"Run argument {key} has no entry for {missing[0]!r}.", _CURE)
    _refuse_unused(key, given, needed)


def _refuse_unused(key: str, given: Mapping[str, object], known: Collection[str]) -> None:
    if unused := sorted(set(given) - set(known)):
        raise EngineError(f"Run argument {key}.{unused[0]!r} is used by no node of the network.", _CURE)
