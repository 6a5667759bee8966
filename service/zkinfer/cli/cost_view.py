"""Showing what a circuit costs, and what else was weighed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.table import Table

from zkinfer.cli.console import console, plain, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zkinfer.circuits.cost import Cost
    from zkinfer.circuits.engines.base import Option


def show_trade_off(options: Sequence[Option]) -> None:
    """A table of the settings worth choosing among, cheapest first; nothing where there was no choice."""
    worthy = [option for option in options if option.chosen or not _is_beaten(option, options)]
    if len(worthy) >= 2:
        console.print(_table("settings that keep the budget (predicted cost)", sorted(worthy, key=_seconds)))


@contextmanager
def showing_what_missed(picture: Path | None) -> Iterator[None]:
    """Where a budget is missed in this block, show and draw what was weighed: to choose another by."""
    from zkinfer.circuits.errors import BudgetError

    try:
        yield
    except BudgetError as err:
        if err.options:
            console.print(_table("settings that were weighed (predicted cost)", sorted(err.options, key=_error)))
        if picture is not None and any(option.cost is not None for option in err.options):
            draw(err.options, picture)
        raise


def refuse_undrawable(picture: Path) -> None:
    """Before the work: raise InputError where the picture could not be drawn after it."""
    from zkinfer.circuits import pictures

    pictures.refuse_undrawable(picture)


def _table(title: str, options: Sequence[Option]) -> Table:
    from zkinfer.circuits.cost import size

    table = Table(title=title, title_justify="left", box=None)
    for name, justify in (("", "left"), ("settings", "left"), ("proof", "right"), ("memory", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich wants literals
    for name in ("gas", "same answers", "error (99%)"):
        table.add_column(name, justify="right")
    for option in options:
        cost, fidelity = option.cost, option.fidelity
        row = ["", "", ""]
        if cost is not None:
            row = [f"{cost.prove_seconds:.2f} s", size(cost.work.memory_bytes), f"{cost.work.gas:,}"]
        row += [f"{fidelity.agreement:.1%}", f"{fidelity.error_p99:.2%}"]
        table.add_row("→" if option.chosen else "", plain(option.name), *row, style="bold" if option.chosen else None)
    return table


def draw(options: Sequence[Option], picture: Path) -> None:
    """Draw the same into a file (.png or .svg)."""
    from zkinfer.circuits.pictures import draw_trade_off

    draw_trade_off(options, picture)
    say(f"[green]✓[/] {plain(picture)}")


def cost_report(cost: Cost) -> dict[str, Any]:
    """The JSON form of a predicted cost; seconds are this machine's."""
    return {
        "keysSeconds": round(cost.keys_seconds, 3),
        "proveSeconds": round(cost.prove_seconds, 3),
        "memoryBytes": cost.work.memory_bytes,
        "provingKeyBytes": cost.work.proving_key_bytes,
        "proofBytes": cost.work.proof_bytes,
        "gas": cost.work.gas,
    }


def trade_off_report(options: Sequence[Option]) -> list[dict[str, Any]]:
    """The JSON form of what was weighed; a cost is null where the budget was broken."""
    return [
        {
            "settings": option.name,
            "cost": None if option.cost is None else cost_report(option.cost),
            "samples": option.fidelity.samples,
            "agreement": option.fidelity.agreement,
            "errorP99": option.fidelity.error_p99,
            "withinBudget": option.within_budget,
            "chosen": option.chosen,
        }
        for option in options
    ]


def _is_beaten(option: Option, options: Sequence[Option]) -> bool:
    """Whether another is no dearer in time and gas and no less faithful, and better in one; or there is no cost."""
    return option.cost is None or any(
        other.cost is not None
        and other is not option
        and _figures(other) != _figures(option)
        and all(theirs <= own for theirs, own in zip(_figures(other), _figures(option), strict=True))
        for other in options
    )


def _figures(option: Option) -> tuple[float, float, float]:
    gas = option.cost.work.gas if option.cost is not None else 0
    return round(_seconds(option), 3), gas, round(option.fidelity.error_p99, 4)


def _error(option: Option) -> tuple[float, float]:
    return -option.fidelity.agreement, option.fidelity.error_p99


def _seconds(option: Option) -> float:
    return 0.0 if option.cost is None else option.cost.prove_seconds
