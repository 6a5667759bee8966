"""Plots of fidelity: the distribution of errors, and the trade-off between accuracy and cost.

They need matplotlib, an optional extra that is imported on first use. Equal figures give equal bytes under the same
version of it, independent of the user's style settings.
"""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from zkinfer.circuits.engines.base import Option
    from zkinfer.circuits.manifest import FidelityReport

_BLUE, _ORANGE, _GREY = "#1f5f99", "#d9730d", "#5f5f5f"
_MAX_TICK_LABELS = 8
_NO_MATPLOTLIB = ("Pictures need matplotlib.", "Run pip install 'zkinfer[pictures]'.")
_METADATA: dict[str, dict[str, None]] = {".png": {"Software": None}, ".svg": {"Date": None}}
_KINDS = {
    "held-out": "held out from calibration",
    "calibration": "that were used for calibration",
    "synthetic": "of random numbers",
}
# Positions of a point's label, in order of preference: offsets to the right and up, and the label's alignment there.
_LabelPosition = tuple[float, float, Literal["left", "center", "right"], Literal["bottom", "center", "top"]]
_LABEL_POSITIONS: list[_LabelPosition] = [
    (9, 0, "left", "center"),
    (-9, 0, "right", "center"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
]
_LABEL_POSITIONS += [(16, up, "left", "center") for far in (18, 32, 46, 60, 74, 88, 102) for up in (far, -far)]
_LABEL_POSITIONS += [(-right, up, "right", base) for right, up, _, base in _LABEL_POSITIONS[4:]]
_LEADER = {"arrowstyle": "-", "color": _GREY, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 5}


def draw_errors(report: FidelityReport, out: Path) -> None:
    """Write a histogram of a circuit's errors to a .png or .svg file; an existing file is replaced.

    Raises:
        InputError: another suffix, matplotlib is not installed, or the file cannot be written.
    """
    edges, counts = report.error_histogram.edges, report.error_histogram.counts
    shown = _shown_bins(counts)
    with _picture(out) as axes:
        bars = axes.bar([index - 0.5 for index in shown], [counts[index] for index in shown], 0.94, color=_BLUE)
        above = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        labels = [f"{counts[index]:,}" if counts[index] else "" for index in shown]
        axes.bar_label(bars, labels, padding=3, zorder=4, bbox=above)
        _mark(axes, edges, "median", report.error_p50, "--")
        _mark(axes, edges, "99th percentile", report.error_p99, "-")
        ticks = range(max(shown[0] - 1, 0), min(shown[-1] + 1, len(edges)))
        step = 2 if len(ticks) > _MAX_TICK_LABELS else 1
        axes.set_xticks(list(ticks), ["" if index % step else _percent(edges[index]) for index in ticks])
        axes.set_xlim(shown[0] - 1.1, shown[-1] + 0.1)
        axes.margins(y=0.12)
        axes.set(xlabel="error, as a share of the column's range", ylabel="count of output numbers")
        axes.legend(frameon=False)
        samples = "1 sample" if report.samples == 1 else f"{report.samples:,} samples"
        _title(axes, "Errors of the circuit", f"{_quality(report)}\nmeasured on {samples} {_KINDS[report.data]}")


def draw_trade_off(options: Sequence[Option], out: Path) -> None:
    """Plot cost against error of several settings to a .png or .svg file; an existing file is replaced.

    Both axes are logarithmic; settings without an error are drawn on the lower edge, those without a cost are omitted.

    Raises:
        InputError: as `draw_errors`, or no option has a cost, or a cost or error is out of range or not finite.
    """
    points = [option for option in options if option.cost is not None]
    if not points or not all(_is_drawable(point) for point in points):
        raise InputError("A trade-off plot needs options with a finite cost above 0 and a finite error of 0 or more.")
    seconds = [point.prove_seconds for point in points]
    least = min((point.fidelity.decisive_error for point in points if point.fidelity.decisive_error), default=1e-3)
    errors = [max(point.fidelity.decisive_error, least / 3) for point in points]
    with _picture(out) as axes:
        axes.set(xscale="log", yscale="log", xlim=_around(seconds, 1.6), ylim=_around(errors, 1.5))
        _write_plain_ticks(axes)
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.set(xlabel="seconds for a proof", ylabel="error (99th percentile) of the worst column, share of its range")
        below = "each point is a choice of settings\nin brackets the share of answers equal to the float model's"
        _title(axes, "What accuracy costs", below)
        for point, error in sorted(zip(points, errors, strict=True), key=lambda pair: pair[0].chosen):
            axes.plot(point.prove_seconds, error, **_marker(point))
        _add_legend(axes, points)
        _label(axes, points, errors)


def refuse_undrawable(out: Path) -> None:
    """Raise InputError if no plot can be written to this path; call it before the work that the plot shows."""
    if out.suffix.lower() not in _METADATA:
        raise InputError(f"{out} cannot be drawn: it ends neither in .png nor in .svg.", "Choose another name.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out} cannot be written: its folder does not exist.", "Create the folder first.")
    if find_spec("matplotlib") is None:
        raise InputError(*_NO_MATPLOTLIB)


@contextmanager
def _picture(out: Path) -> Iterator[Axes]:
    """Yield axes to draw on; the file is written when the block ends."""
    suffix = out.suffix.lower()
    if suffix not in _METADATA:
        raise InputError(f"{out} cannot be drawn: it ends neither in .png nor in .svg.", "Choose another name.")
    try:
        from matplotlib import style  # noqa: PLC0415 - optional, and slow to load
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as err:
        raise InputError(*_NO_MATPLOTLIB) from err
    with style.context(["default", {"svg.hashsalt": "zkinfer", "font.size": 11}]):
        figure = Figure(figsize=(8.5, 5), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        yield axes
        drawn = io.BytesIO()
        figure.savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix])
    try:
        write_atomically(out, drawn.getvalue())
    except OSError as err:
        raise InputError(f"{out} cannot be written: {why(err)}.") from err


def _title(axes: Axes, title: str, below: str) -> None:
    """A title, and two lines in grey below it."""
    axes.set_title(title, loc="left", pad=42, fontsize=14, fontweight="bold")
    axes.text(0, 1.03, below, transform=axes.transAxes, color=_GREY, fontsize=10.5, in_layout=False, parse_math=False)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


# --- errors


def _shown_bins(counts: Sequence[int]) -> range:
    """The bins to show: from the first non-empty one to the last, plus one on either side."""
    filled = [index for index, count in enumerate(counts) if count] or [0]
    return range(max(filled[0] - 1, 0), min(filled[-1] + 2, len(counts)))


def _mark(axes: Axes, edges: Sequence[float], name: str, error: float, line: str) -> None:
    axes.axvline(_position(edges, error), color=_ORANGE, linestyle=line, label=f"{name}: {_percent(error)}")


def _position(edges: Sequence[float], error: float) -> float:
    """The position of an error on an axis with edge i at i, logarithmic between edges."""
    if error < edges[0]:
        return -0.5
    for index, (low, high) in enumerate(pairwise(edges)):
        if error < high:
            return index + math.log(error / low) / math.log(high / low)
    return len(edges) - 0.5


def _quality(report: FidelityReport) -> str:
    same = f"{report.agreement:.1%} same answers"
    if report.accuracy is None:
        return same
    return f"{same}, accuracy {report.accuracy.model:.1%} (float) and {report.accuracy.circuit:.1%} (circuit)"


# --- trade-off


def _is_drawable(point: Option) -> bool:
    numbers = (point.prove_seconds, point.fidelity.decisive_error, point.fidelity.agreement)
    return all(map(math.isfinite, numbers)) and point.prove_seconds > 0 and point.fidelity.decisive_error >= 0


def _around(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Limits of a logarithmic axis with room for labels, wide enough for at least one tick."""
    spread = max(values) / min(values)
    room = margin * max(spread, 2.0) ** 0.18
    return min(values) / room, max(values) * room


def _write_plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415

    for axis, text in ((axes.xaxis, "{:.3g}".format), (axes.yaxis, _percent)):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, text=text: text(value)))


def _marker(point: Option) -> dict[str, Any]:
    colour = _ORANGE if point.chosen else _BLUE
    return {
        "marker": "o",
        "linestyle": "",
        "markersize": 11 if point.chosen else 8,
        "markeredgewidth": 1.6,
        "markeredgecolor": colour,
        "markerfacecolor": colour if point.within_budget else "white",
    }


def _add_legend(axes: Axes, points: Sequence[Option]) -> None:
    """Add a legend of the kinds of points that occur."""
    kinds = {(point.within_budget, point.chosen): point for point in points}
    for (within, chosen), point in sorted(kinds.items(), reverse=True):
        name = ("chosen" if chosen else "within the budget") if within else "misses the budget"
        axes.plot([], [], label=name if within or not chosen else f"chosen, {name}", **_marker(point))
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=len(kinds), frameon=False)


def _label(axes: Axes, points: Sequence[Option], errors: Sequence[float]) -> None:
    """Label every point at the position where the label covers the least."""
    axes.figure.canvas.draw()  # computes the layout
    taken = [_box_of_marker(axes, point.prove_seconds, error) for point, error in zip(points, errors, strict=True)]
    for point, error in sorted(zip(points, errors, strict=True), key=lambda pair: not pair[0].chosen):
        trial = _annotation(axes, point, error, _LABEL_POSITIONS[0])
        size = trial.get_window_extent().size
        trial.remove()
        boxes = [_box_of_label(axes, point.prove_seconds, error, size, position) for position in _LABEL_POSITIONS]
        best = min(range(len(boxes)), key=lambda index: _covered(axes, boxes[index], taken))
        taken.append(boxes[best])
        _annotation(axes, point, error, _LABEL_POSITIONS[best])


def _annotation(axes: Axes, point: Option, error: float, position: _LabelPosition) -> Annotation:
    right, up, side, base = position
    exact = "" if point.fidelity.decisive_error else ", no error"
    return axes.annotate(
        f"{point.name} ({point.fidelity.agreement:.1%}{exact})",
        (point.prove_seconds, error),
        (right, up),
        textcoords="offset points",
        ha=side,
        va=base,
        arrowprops=_LEADER | {"relpos": (float(side == "right"), 0.5)} if abs(up) > 9 else None,
        fontsize=9.5,
        fontweight="bold" if point.chosen else "normal",
        parse_math=False,
        in_layout=False,
    )


def _box_of_label(axes: Axes, seconds: float, error: float, size: Sequence[float], position: _LabelPosition) -> Bbox:
    """The bounding box of a label, in pixels like all boxes here."""
    from matplotlib.transforms import Bbox  # noqa: PLC0415

    right, up, side, base = position
    x, y = axes.transData.transform((seconds, error)) + np.array([right, up]) * axes.figure.dpi / 72
    shift = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
    return Bbox.from_bounds(x - shift[side] * size[0], y - shift[base] * size[1], size[0], size[1])


def _box_of_marker(axes: Axes, seconds: float, error: float) -> Bbox:
    from matplotlib.transforms import Bbox  # noqa: PLC0415

    x, y = axes.transData.transform((seconds, error))
    return Bbox.from_extents(x - 12, y - 12, x + 12, y + 12)


def _covered(axes: Axes, box: Bbox, taken: Sequence[Bbox]) -> float:
    """The area that a label would cover, in pixels; area outside the axes counts as covered."""
    from matplotlib.transforms import Bbox  # noqa: PLC0415

    overlaps = [Bbox.intersection(box, other) for other in taken]
    inside = Bbox.intersection(box, axes.bbox)
    hidden = sum(overlap.width * overlap.height for overlap in overlaps if overlap is not None)
    area = box.width * box.height
    return hidden + area - (inside.width * inside.height if inside is not None else 0.0)
