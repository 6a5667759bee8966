"""Tables of a circuit's fidelity, its cost, and the trade-off among the compared settings."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.table import Table

from zkinfer.cli.console import console, plain, print_facts, print_result, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zkinfer.circuits.cost import Cost
    from zkinfer.circuits.engines.base import Option
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.manifest import ColumnReport, ErrorHistogram, FidelityReport


_BAR_CELLS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def fidelity_line(report: FidelityReport) -> str:
    """Agreement, error and accuracy in one line, with the worst column if there are several."""
    accuracy = report.accuracy
    worst = "".join(f", {one.error_p99:.2%} in column {one.column} of {one.output}" for one in report.columns[:1])
    labelled = "" if accuracy is None else f", accuracy {accuracy.circuit:.1%} (float: {accuracy.model:.1%})"
    return (
        f"{report.agreement:.1%} same answers{labelled}, error {report.error_p50:.2%} (median), "
        f"{report.error_p99:.2%} (99th percentile{worst}) on {report.samples} {report.data} samples"
    )


def provenance(report: FidelityReport) -> str:
    """The kind of samples that fidelity was measured on; rich markup, coloured if it is a warning."""
    count = "1 sample" if report.samples == 1 else f"{report.samples} samples"
    if report.data == "held-out":
        return f"measured on {count} held out from calibration"
    if report.data == "calibration":
        return (
            f"[yellow]measured on {count} used for calibration[/]: too few or too similar to hold some out; "
            "expect a larger error"
        )
    return f"[yellow]measured on {count} of random numbers[/], which say little about real inputs; give --calibration"


def show_fidelity(report: FidelityReport) -> None:
    """Show a full report."""
    from zkinfer.verifier.report.card import fidelity_figures

    print_result(f"\n[bold]fidelity[/], {provenance(report)}")
    print_facts(fidelity_figures(report))
    print_result("\n[dim]number of output values by error, as a share of their column's range[/]")
    print_table(_histogram_table(report.error_histogram))
    if report.columns:
        print_result("\n[dim]columns (by index of the last axis) with the largest errors, as shares of their range[/]")
        print_table(_columns_table(report.columns))
    if report.worst and report.data != "synthetic":
        print_result("\n[dim]worst samples, by their index in the data file, from 0[/]")
        print_table(_worst_table(report))


def _columns_table(columns: Sequence[ColumnReport]) -> Table:
    from zkinfer.verifier.report.card import share

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("output")
    for name in ("column", "model from", "to", "99th perc.", "maximum", "absolute"):
        table.add_column(name, justify="right")
    for one in columns:
        figures = (f"{one.low:.3g}", f"{one.high:.3g}", share(one.error_p99), share(one.error_max))
        table.add_row(plain(one.output), str(one.column), *figures, f"{one.absolute_max:.3g}")
    return table


def _histogram_table(histogram: ErrorHistogram) -> Table:
    from zkinfer.verifier.report.card import bin_names

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(no_wrap=True, min_width=_BAR_CELLS)
    table.add_column(justify="right", no_wrap=True)
    rows = list(zip(bin_names(histogram.edges), histogram.counts, strict=True))
    filled = [place for place, (_, count) in enumerate(rows) if count] or [0]
    most = max(1, *histogram.counts)
    for name, count in rows[filled[0] : filled[-1] + 1]:
        table.add_row(name, bar(count / most), f"{count:,}")
    return table


def bar(share: float) -> str:
    """A bar of at most 30 cells; a positive share is always visible."""
    eighths = max(round(share * _BAR_CELLS * 8), 1 if share else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _worst_table(report: FidelityReport) -> Table:
    from zkinfer.verifier.report.card import share

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("sample", justify="right")
    table.add_column("largest error", justify="right")
    table.add_column("answer")
    for one in report.worst:
        table.add_row(plain(one.sample), share(one.error), "same" if one.same_answer else "[yellow]different[/]")
    return table


def show_trade_off(options: Sequence[Option]) -> None:
    """A table of the settings on the Pareto front, cheapest first; nothing if there is only one."""
    front = [option for option in options if option.chosen or not _is_dominated(option, options)]
    if len(front) >= 2:
        print_table(_table("settings within the budget (predicted cost)", sorted(front, key=_seconds)))


@contextmanager
def showing_trade_off_on_error(picture: Path | None) -> Iterator[None]:
    """If the block raises BudgetError, show and plot the compared settings to help choose another budget."""
    from zkinfer.circuits.errors import BudgetError

    try:
        yield
    except BudgetError as err:
        if err.options:
            table = _table("compared settings (predicted cost)", sorted(err.options, key=_error))
            print_table(table, to=console)
        if picture is not None and any(option.cost is not None for option in err.options):
            plot(err.options, picture)
        raise


def require_plottable(picture: Path) -> None:
    """Raise InputError before the work if the plot could not be written after it."""
    from zkinfer.circuits import plots

    plots.refuse_undrawable(picture)


def _table(title: str, options: Sequence[Option]) -> Table:
    from zkinfer.circuits.cost import size

    table = Table(title=title, title_justify="left", box=None)
    for name, justify in (("", "left"), ("settings", "left"), ("proof", "right"), ("memory", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich requires literals
    for name in ("gas", "same answers", "error (p99, worst column)"):
        table.add_column(name, justify="right")
    for option in options:
        cost, fidelity = option.cost, option.fidelity
        row = ["", "", ""]
        if cost is not None:
            row = [f"{cost.prove_seconds:.2f} s", size(cost.work.memory_bytes), f"{cost.work.gas:,}"]
        row += [f"{fidelity.agreement:.1%}", f"{fidelity.decisive_error:.2%}"]
        table.add_row("→" if option.chosen else "", plain(option.name), *row, style="bold" if option.chosen else None)
    return table


def plot(options: Sequence[Option], picture: Path) -> None:
    """Plot the compared settings into a file (.png or .svg)."""
    from zkinfer.circuits.plots import draw_trade_off

    draw_trade_off(options, picture)
    print_result(f"[green]✓[/] {plain(picture)}")


def cost_report(cost: Cost) -> dict[str, Any]:
    """The JSON form of a predicted cost; seconds on this machine."""
    return {
        "keysSeconds": round(cost.keys_seconds, 3),
        "proveSeconds": round(cost.prove_seconds, 3),
        "memoryBytes": cost.work.memory_bytes,
        "provingKeyBytes": cost.work.proving_key_bytes,
        "proofBytes": cost.work.proof_bytes,
        "gas": cost.work.gas,
    }


def trade_off_report(options: Sequence[Option]) -> list[dict[str, Any]]:
    """The JSON form of the compared settings; the cost is null if the budget was missed."""
    return [
        {
            "settings": option.name,
            "cost": None if option.cost is None else cost_report(option.cost),
            "samples": option.fidelity.samples,
            "agreement": option.fidelity.agreement,
            "errorP99": option.fidelity.error_p99,
            "worstColumn": _column_report(option.fidelity),
            "withinBudget": option.within_budget,
            "chosen": option.chosen,
        }
        for option in options
    ]


def _column_report(fidelity: Fidelity) -> dict[str, Any] | None:
    """The JSON form of the column with the largest error; null without float outputs."""
    worst = next(iter(fidelity.columns), None)
    return None if worst is None else {"output": worst.output, "column": worst.index, "errorP99": worst.error_p99}


def _is_dominated(option: Option, options: Sequence[Option]) -> bool:
    """Whether another option dominates this one in time, gas and error; or this one has no cost."""
    return option.cost is None or any(
        other.cost is not None
        and other is not option
        and _figures(other) != _figures(option)
        and all(theirs <= own for theirs, own in zip(_figures(other), _figures(option), strict=True))
        for other in options
    )


def _figures(option: Option) -> tuple[float, float, float]:
    gas = option.cost.work.gas if option.cost is not None else 0
    return round(_seconds(option), 3), gas, round(option.fidelity.decisive_error, 4)


def _error(option: Option) -> tuple[float, float]:
    return -option.fidelity.agreement, option.fidelity.decisive_error


def _seconds(option: Option) -> float:
    return 0.0 if option.cost is None else option.cost.prove_seconds
