"""The views of a circuit's fidelity and of the compared settings."""

import json

import pytest
from tests.unit.circuits.factories import DOCUMENT, with_value

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.base import Option
from zkinfer.circuits.errors import BudgetError, EngineError, InputError
from zkinfer.circuits.fidelity import Fidelity
from zkinfer.circuits.manifest import FidelityReport
from zkinfer.cli import report_views
from zkinfer.cli.report_views import bar, fidelity_line, provenance, show_fidelity


def option(name, seconds=1.0, error=0.01, *, gas=500_000, chosen=False, costly=True):
    work = Work(keys=1.0, prove=seconds, memory_bytes=10**8, proving_key_bytes=1, proof_bytes=2, gas=gas)
    return Option(
        name=name,
        cost=work.at(Speed(0.0, 1.0, 0.0, 1.0)) if costly else None,
        fidelity=Fidelity(16, 0.9, 0.0, 0.0, error, error, error, (0,)),
        within_budget=costly,
        chosen=chosen,
    )


@pytest.fixture
def shown(capsys):
    def show(*options):
        report_views.show_trade_off(options)
        return capsys.readouterr().out

    return show


def test_options_are_shown_cheapest_first_with_the_chosen_one_marked(shown):
    lines = shown(option("slow", 4.0, 0.001), option("fast", 1.0, 0.02, chosen=True)).splitlines()
    places = {name: next(at for at, line in enumerate(lines) if name in line) for name in ("slow", "fast")}
    assert places["fast"] < places["slow"]
    assert lines[places["fast"]].strip().startswith("→")
    assert "1.00 s" in lines[places["fast"]]


def test_dominated_settings_are_left_out(shown):
    text = shown(option("good", 1.0, 0.01, chosen=True), option("cheap", 0.5, 0.02), option("bad", 2.0, 0.02))
    assert "bad" not in text


def test_dominated_settings_are_shown_if_chosen(shown):
    assert "odd" in shown(option("good", 1.0, 0.01), option("odd", 2.0, 0.02, chosen=True))


def test_settings_with_equal_figures_do_not_dominate_each_other(shown):
    text = shown(option("one", chosen=True), option("same"))
    assert "one" in text
    assert "same" in text


@pytest.mark.parametrize("options", [[], [option("only", chosen=True)], [option("dear", costly=False)]])
def test_nothing_is_shown_for_fewer_than_two_settings(shown, options):
    assert shown(*options) == ""


def test_markup_in_the_name_of_settings_is_escaped(shown):
    assert "[red]x[/]" in shown(option("[red]x[/]", 1.0, 0.02, chosen=True), option("b", 2.0, 0.01))


def test_report_of_settings_without_a_cost_has_a_null_cost():
    good, broken = report_views.trade_off_report([option("good", chosen=True), option("broken", costly=False)])
    assert (good["cost"]["proveSeconds"], good["chosen"], good["withinBudget"]) == (1.0, True, True)
    assert (broken["cost"], broken["withinBudget"]) == (None, False)


@pytest.mark.parametrize("options", [[], [option("dear", costly=False)]])
def test_plot_without_costs_is_refused(tmp_path, options):
    with pytest.raises(InputError, match="trade-off plot needs options"):
        report_views.plot(options, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_plot_of_an_impossible_cost_is_refused(tmp_path, seconds):
    with pytest.raises(InputError, match="a finite cost above 0"):
        report_views.plot([option("odd", seconds)], tmp_path / "a.png")


# --- no settings within the budget


@pytest.fixture
def missed(capsys, tmp_path):
    """Raise an error in the search; returns the text on stderr and whether a plot was written."""

    def run(error):
        with (
            pytest.raises(type(error), match="No settings"),
            report_views.showing_trade_off_on_error(tmp_path / "a.png"),
        ):
            raise error
        return capsys.readouterr().err, (tmp_path / "a.png").exists()

    return run


def test_missed_budget_shows_and_plots_the_compared_settings_nearest_first(missed):
    options = (option("far", 1.0, 0.5), option("free", error=0.4, costly=False), option("near", 2.0, 0.1))
    text, drawn = missed(BudgetError("No settings keep it.", "", options))
    assert text.index("near") < text.index("free") < text.index("far")
    assert drawn


def test_missed_budget_without_a_cost_is_shown_but_not_plotted(missed):
    text, drawn = missed(BudgetError("No settings keep it.", "", (option("dear", costly=False),)))
    assert "dear" in text
    assert not drawn


@pytest.mark.parametrize("error", [BudgetError("No settings keep it."), EngineError("No settings.")])
def test_nothing_is_shown_if_no_settings_were_compared(missed, error):
    assert missed(error) == ("", False)


def report(**changes):
    document = DOCUMENT["fidelity"]
    for name, value in changes.items():
        document = with_value(document, (name,), value)
    return FidelityReport.model_validate_json(json.dumps(document))


@pytest.fixture
def fidelity_shown(capsys):
    """The text that is shown for a report."""

    def show(one):
        show_fidelity(one)
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize(
    ("data", "words", "coloured"),
    [
        ("held-out", "16 samples held out from calibration", False),
        ("calibration", "16 samples used for calibration", True),
        ("synthetic", "16 samples of random numbers", True),
    ],
)
def test_provenance_other_than_held_out_is_a_coloured_warning(data, words, coloured):
    text = provenance(report(data=data))
    assert words in text
    assert ("[yellow]" in text) == coloured


def test_one_sample_is_singular():
    assert "on 1 sample held out" in provenance(report(samples=1))


def test_fidelity_line_has_agreement_accuracy_error_and_samples():
    text = fidelity_line(report())
    assert text == (
        "100.0% same answers, accuracy 75.0% (float: 87.5%), error 6.25% (median), 25.00% (99th percentile, "
        "37.50% in column 1 of y) on 16 held-out samples"
    )
    assert "accuracy" not in fidelity_line(report(accuracy=None))
    assert "column" not in fidelity_line(report(columns=[]))


def test_full_report_has_every_figure(fidelity_shown):
    text = fidelity_shown(report())
    for words in (
        "100.00% of samples",
        "6.25% median, 12.5% 90th percentile, 25% 99th percentile, 50% maximum",
        "1.5 maximum",
    ):
        assert words in text
    assert "87.50% float, 75.00% circuit, by output y" in text


def test_histogram_omits_empty_outer_bins(fidelity_shown):
    text = fidelity_shown(report(errorHistogram={"edges": [0.001, 0.01, 0.1, 1.0], "counts": [0, 5, 0, 10, 0]}))
    lines = [line.split("  ") for line in text.splitlines() if "to" in line and "█" in line]
    assert [line[0].strip() for line in lines] == ["0.1% to 1%", "10% to 100%"]
    assert "1% to 10%" in text
    assert "below 0.1%" not in text


def test_histogram_labels_the_open_bins(fidelity_shown):
    text = fidelity_shown(report())
    assert "below 12.5%" in text
    assert "from 25%" in text


def test_empty_histogram_has_one_bin(fidelity_shown):
    assert "below 12.5%" in fidelity_shown(report(errorHistogram={"edges": [0.125, 0.25], "counts": [0, 0, 0]}))


def test_worst_samples_are_shown_with_their_answer(fidelity_shown):
    lines = fidelity_shown(report()).splitlines()
    assert ["7", "50%", "different"] in [line.split() for line in lines]


def test_worst_columns_are_shown_with_the_range_of_the_model(fidelity_shown):
    lines = fidelity_shown(report()).splitlines()
    assert ["y", "1", "-0.5", "2", "37.5%", "50%", "1"] in [line.split() for line in lines]


def test_ranges_of_the_measured_inputs_are_shown(fidelity_shown):
    assert "x from -2 to 3.5" in fidelity_shown(report())


def test_report_of_an_older_circuit_has_neither_columns_nor_ranges(fidelity_shown):
    text = fidelity_shown(report(columns=[], inputs=[]))
    assert "measured for" not in text
    assert "columns (" not in text


def test_synthetic_data_has_no_worst_samples(fidelity_shown):
    assert "worst samples" not in fidelity_shown(report(data="synthetic"))


def test_markup_in_an_output_name_is_escaped(fidelity_shown):
    accuracy = {"circuit": 0.5, "model": 0.5, "output": "[red]\x1b[2Jx"}
    text = fidelity_shown(report(accuracy=accuracy))
    assert "[red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1e-9, "▏"), (0.5, "█" * 15), (1, "█" * 30), (1 / 60, "▌"), (1 / 30, "█")]
)
def test_bar_is_proportional_and_shows_any_positive_share(share, drawn):
    assert bar(share) == drawn
