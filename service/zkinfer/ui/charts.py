"""Numbers of pictures: where marks and ticks lie on a logarithmic scale of errors, and how long bars of costs are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.cost import duration, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.ui.server_values import ModelFidelity, ServedModel

_LEFT, _RIGHT = 30.0, 330.0
_LEAST, _MOST = -6, 0
"""Powers of ten at the ends of the scale: from a millionth of the output's range to all of it."""
_COSTS: Final = (("seconds", duration), ("memory_bytes", size), ("proof_bytes", size), ("gas", "{:,}".format))


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the scale and its text."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An error on the scale: `median`, `p99` or `max`."""

    name: str
    x: float
    value: float


@dataclass(frozen=True, slots=True)
class ErrorScale:
    """Errors as shares of the output's range, in a picture 360 wide; marks are in ascending order."""

    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class CostRow:
    """One cost of a model; `share` is that of the costliest model on the server. The text is empty if unknown."""

    name: str
    share: float
    text: str


def error_scale(fidelity: ModelFidelity) -> ErrorScale:
    """The scale of a model's errors; those beyond its ends lie on them."""
    values = {"median": fidelity.error_p50, "p99": fidelity.error_p99, "max": fidelity.error_max}
    ticks = tuple(Tick(_place(10.0**power), _power(power)) for power in range(_LEAST, _MOST + 1, 2))
    return ErrorScale(ticks, tuple(Mark(name, _place(value), value) for name, value in values.items()))


def cost_rows(model: ServedModel, models: Sequence[ServedModel]) -> tuple[CostRow, ...]:
    """The costs of a model beside those of all models; none if they are unknown."""
    if model.cost is None:
        return ()
    rows = []
    for name, form in _COSTS:
        own = getattr(model.cost, name)
        most = max((getattr(one.cost, name) or 0 for one in models if one.cost is not None), default=0)
        rows.append(CostRow(name, own / most if own and most else 0.0, "" if own is None else form(own)))
    return tuple(rows)


def _place(error: float) -> float:
    power = math.log10(error) if error > 0 else _LEAST
    share = (min(max(power, _LEAST), _MOST) - _LEAST) / (_MOST - _LEAST)
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def _power(power: int) -> str:
    return f"{100 * 10.0**power:.10g}%"
