"""Pictures are written correctly; their looks are not tested."""

import json
import sys
from xml.etree import ElementTree as ET

import pytest
from tests.unit.circuits.factories import DOCUMENT, everything_under

from zkinfer.circuits.cost import Cost, Work
from zkinfer.circuits.engines.base import Option
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.fidelity import Fidelity
from zkinfer.circuits.manifest import ErrorHistogram, FidelityReport
from zkinfer.circuits.plots import draw_errors, draw_trade_off, refuse_undrawable

REPORT = FidelityReport.model_validate_json(json.dumps(DOCUMENT["fidelity"]))


def option(name="scale 7", prove_seconds=0.2, error_p99=0.02, **changes):
    cost = Cost(Work(1.0, 1.0, 1, 1, 1, 1), 0.1, prove_seconds)
    fidelity = Fidelity(9, 0.985, 0.001, 0.01, error_p99, 0.1, 0.5, ())
    return Option(**{"cost": cost, "within_budget": False, "chosen": False} | changes, name=name, fidelity=fidelity)


OPTIONS = [option(), option("scale 9", 0.4, 0.004, within_budget=True, chosen=True), option(cost=None)]
PNG = b"\x89PNG\r\n\x1a\n"
DRAWN = {
    "errors": lambda out: draw_errors(REPORT, out),
    "trade-off": lambda out: draw_trade_off(OPTIONS, out),
}
both = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


@both
@pytest.mark.parametrize("name", ["a.png", "a.PNG"])
def test_png_replaces_an_existing_file_and_leaves_nothing_else(tmp_path, draw, name):
    (tmp_path / name).write_bytes(b"old")
    draw(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(PNG)
    assert everything_under(tmp_path) == {name}


@both
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture_is_reproducible_under_any_style(tmp_path, draw, suffix):
    import matplotlib as mpl  # noqa: PLC0415

    draw(tmp_path / f"a{suffix}")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        draw(tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@both
def test_svg_has_no_date(tmp_path, draw):
    draw(tmp_path / "a.svg")
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert "date" not in (tmp_path / "a.svg").read_text()


@both
@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", ".png"])
def test_file_with_another_suffix_is_refused(tmp_path, draw, name):
    with pytest.raises(InputError, match=r"ends neither in \.png nor in \.svg"):
        draw(tmp_path / name)
    assert everything_under(tmp_path) == set()


@both
def test_unwritable_file_is_refused(tmp_path, draw):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"a\.png cannot be written: is a directory"):
        draw(tmp_path / "a.png")
    assert everything_under(tmp_path) == {"a.png"}


@both
def test_missing_matplotlib_is_refused_with_the_cure(tmp_path, monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"need matplotlib.*pip install 'zkinfer\[pictures\]'"):
        draw(tmp_path / "a.png")


@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 0, 0), (0, 0, 9), (1, 0, 10**9)])
def test_errors_of_any_distribution_are_drawn(tmp_path, counts):
    histogram = ErrorHistogram(edges=(0.125, 0.25), counts=counts)
    figures = {"error_histogram": histogram, "error_p50": 0.0, "error_p99": 5.0, "accuracy": None, "samples": 1}
    draw_errors(REPORT.model_copy(update=figures), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_name_that_looks_like_a_formula_is_drawn_verbatim(tmp_path):
    draw_trade_off([option(r"$\frac{$")], tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "points",
    [
        [option()],
        [option(error_p99=0.0)],
        [option(f"scale {number}") for number in range(30)],
        [option(prove_seconds=1e-6, error_p99=1e-12), option(prove_seconds=1e6, error_p99=1e3)],
    ],
    ids=["one", "without error", "all in one place", "far apart"],
)
def test_points_at_any_position_are_drawn(tmp_path, points):
    draw_trade_off(points, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize("change", [{"prove_seconds": 0.0}, {"prove_seconds": float("inf")}, {"error_p99": -0.1},
                                    {"error_p99": float("nan")}])  # fmt: skip
def test_point_without_a_finite_cost_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="A trade-off plot needs options with a finite cost above 0"):
        draw_trade_off([option(), option(**change)], tmp_path / "a.png")


@pytest.mark.parametrize("options", [[], [option(cost=None)]], ids=["nothing", "without a cost"])
def test_empty_trade_off_is_refused(tmp_path, options):
    with pytest.raises(InputError, match="A trade-off plot needs options"):
        draw_trade_off(options, tmp_path / "a.png")


# --- checks before the work


def test_drawable_picture_is_accepted_up_front(tmp_path):
    refuse_undrawable(tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"), [("a.pdf", "ends neither in"), ("a", "ends neither in"), ("b/a.png", "folder does not exist")]
)
def test_unwritable_picture_is_refused_up_front(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        refuse_undrawable(tmp_path / name)


def test_picture_without_matplotlib_is_refused_up_front(tmp_path, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.plots.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"need matplotlib.*zkinfer\[pictures\]"):
        refuse_undrawable(tmp_path / "a.png")
