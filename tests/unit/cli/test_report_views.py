"""How the settings that were weighed are shown."""

import io
import json

import pytest
from rich.console import Console
from tests.unit.circuits.factories import DOCUMENT, with_value

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.base import Option
from zkinfer.circuits.errors import BudgetError, EngineError, InputError
from zkinfer.circuits.fidelity import Fidelity
from zkinfer.circuits.manifest import ChoiceReport, FidelityReport
from zkinfer.cli import report_views
from zkinfer.cli.report_views import bar, choice_in_short, in_short, provenance, show_fidelity


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
def shown(monkeypatch):
    def show(*options):
        screen = Console(file=io.StringIO(), width=120, highlight=False)
        monkeypatch.setattr(report_views, "console", screen)
        report_views.show_trade_off(options)
        return screen.file.getvalue()

    return show


def test_settings_are_shown_cheapest_first_with_an_arrow_at_the_chosen(shown):
    lines = shown(option("slow", 4.0, 0.001), option("fast", 1.0, 0.02, chosen=True)).splitlines()
    places = {name: next(at for at, line in enumerate(lines) if name in line) for name in ("slow", "fast")}
    assert places["fast"] < places["slow"]
    assert lines[places["fast"]].strip().startswith("→")
    assert "1.00 s" in lines[places["fast"]]


def test_setting_that_another_beats_in_everything_is_left_out(shown):
    text = shown(option("good", 1.0, 0.01, chosen=True), option("cheap", 0.5, 0.02), option("bad", 2.0, 0.02))
    assert "bad" not in text


def test_setting_that_another_beats_is_shown_where_it_was_chosen(shown):
    assert "odd" in shown(option("good", 1.0, 0.01), option("odd", 2.0, 0.02, chosen=True))


def test_settings_of_the_same_figures_beat_neither(shown):
    text = shown(option("one", chosen=True), option("same"))
    assert "one" in text
    assert "same" in text


@pytest.mark.parametrize("options", [[], [option("only", chosen=True)], [option("dear", costly=False)]])
def test_nothing_is_shown_where_there_was_no_choice(shown, options):
    assert shown(*options) == ""


def test_name_of_a_hostile_setting_does_nothing(shown):
    assert "[red]x[/]" in shown(option("[red]x[/]", 1.0, 0.02, chosen=True), option("b", 2.0, 0.01))


def test_report_has_no_cost_where_none_was_predicted():
    good, broken = report_views.trade_off_report([option("good", chosen=True), option("broken", costly=False)])
    assert (good["cost"]["proveSeconds"], good["chosen"], good["withinBudget"]) == (1.0, True, True)
    assert (broken["cost"], broken["withinBudget"]) == (None, False)


@pytest.mark.parametrize("options", [[], [option("dear", costly=False)]])
def test_picture_of_no_costs_is_refused(tmp_path, options):
    with pytest.raises(InputError, match="trade-off plot needs options"):
        report_views.draw(options, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_picture_of_an_impossible_cost_is_refused(tmp_path, seconds):
    with pytest.raises(InputError, match="a finite cost above 0"):
        report_views.draw([option("odd", seconds)], tmp_path / "a.png")


# --- where nothing keeps the budget


@pytest.fixture
def missed(monkeypatch, tmp_path):
    """What a person reads, and whether there is a picture, when an error ends the search."""

    def run(error):
        screen = Console(file=io.StringIO(), width=120, highlight=False)
        monkeypatch.setattr(report_views, "console", screen)
        monkeypatch.setattr(report_views, "say", screen.print)
        with (
            pytest.raises(type(error), match="No settings"),
            report_views.showing_trade_off_on_error(tmp_path / "a.png"),
        ):
            raise error
        return screen.file.getvalue(), (tmp_path / "a.png").exists()

    return run


def test_missed_budget_shows_and_draws_what_was_weighed_the_nearest_first(missed):
    options = (option("far", 1.0, 0.5), option("free", error=0.4, costly=False), option("near", 2.0, 0.1))
    text, drawn = missed(BudgetError("No settings keep it.", "", options))
    assert text.index("near") < text.index("free") < text.index("far")
    assert drawn


def test_missed_budget_without_a_cost_is_shown_and_not_drawn(missed):
    text, drawn = missed(BudgetError("No settings keep it.", "", (option("dear", costly=False),)))
    assert "dear" in text
    assert not drawn


@pytest.mark.parametrize("error", [BudgetError("No settings keep it."), EngineError("No settings.")])
def test_nothing_is_shown_where_nothing_was_weighed(missed, error):
    assert missed(error) == ("", False)


def report(**changes):
    document = DOCUMENT["fidelity"]
    for name, value in changes.items():
        document = with_value(document, (name,), value)
    return FidelityReport.model_validate_json(json.dumps(document))


@pytest.fixture
def fidelity_shown(monkeypatch):
    """What a person reads of a report."""

    def show(one):
        screen = Console(file=io.StringIO(), width=100, highlight=False)
        monkeypatch.setattr(report_views, "console", screen)
        monkeypatch.setattr(report_views, "say", screen.print)
        show_fidelity(one)
        return screen.file.getvalue()

    return show


@pytest.mark.parametrize(
    ("data", "words", "coloured"),
    [
        ("held-out", "16 samples held out from calibration", False),
        ("calibration", "16 samples of calibration", True),
        ("synthetic", "16 samples of random numbers", True),
    ],
)
def test_provenance_is_in_plain_words_and_a_warning_in_colour(data, words, coloured):
    text = provenance(report(data=data))
    assert words in text
    assert ("[yellow]" in text) == coloured


def test_one_sample_is_no_samples():
    assert "on 1 sample held out" in provenance(report(samples=1))


def test_short_form_names_agreement_accuracy_error_and_samples():
    text = in_short(report())
    assert text == (
        "100.0% same answers, accuracy 75.0% (float: 87.5%), error 6.25% (median), 25.00% (99th percentile) "
        "on 16 held-out samples"
    )
    assert "accuracy" not in in_short(report(accuracy=None))


def test_whole_form_names_every_figure(fidelity_shown):
    text = fidelity_shown(report())
    for words in ("100.00% of samples", "6.25% median, 12.5% at 90%, 25% at 99%, 50% at most", "1.5 at most"):
        assert words in text
    assert "87.50% float, 75.00% circuit, by output y" in text


def test_histogram_has_a_bar_for_every_bin_between_the_outer_filled(fidelity_shown):
    text = fidelity_shown(report(errorHistogram={"edges": [0.001, 0.01, 0.1, 1.0], "counts": [0, 5, 0, 10, 0]}))
    lines = [line.split("  ") for line in text.splitlines() if "to" in line and "█" in line]
    assert [line[0].strip() for line in lines] == ["0.1% to 1%", "10% to 100%"]
    assert "1% to 10%" in text
    assert "below 0.1%" not in text


def test_histogram_names_the_open_bins(fidelity_shown):
    text = fidelity_shown(report())
    assert "below 12.5%" in text
    assert "from 25%" in text


def test_histogram_of_nothing_is_shown(fidelity_shown):
    assert "below 12.5%" in fidelity_shown(report(errorHistogram={"edges": [0.125, 0.25], "counts": [0, 0, 0]}))


def test_worst_samples_are_named_with_their_answer(fidelity_shown):
    lines = fidelity_shown(report()).splitlines()
    assert ["7", "50%", "another"] in [line.split() for line in lines]


def test_random_numbers_have_no_worst_sample_that_anybody_could_look_up(fidelity_shown):
    assert "worst samples" not in fidelity_shown(report(data="synthetic"))


def test_output_name_of_a_hostile_circuit_does_nothing(fidelity_shown):
    accuracy = {"circuit": 0.5, "model": 0.5, "output": "[red]\x1b[2Jx"}
    text = fidelity_shown(report(accuracy=accuracy))
    assert "[red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1e-9, "▏"), (0.5, "█" * 15), (1, "█" * 30), (1 / 60, "▌"), (1 / 30, "█")]
)
def test_bar_is_as_long_as_the_share_and_shows_whatever_there_is(share, drawn):
    assert bar(share) == drawn


# --- what chose


def choice(**changes):
    return ChoiceReport.model_validate_json(json.dumps(DOCUMENT["choice"] | changes))


def test_choice_names_samples_and_every_rule_of_the_budget():
    text = choice_in_short(choice(kept=True))
    assert text == (
        "16 samples; budget kept on held-out samples: at least 99% same answers, error at most 5%, "
        "absolute error at most 0.5, accuracy at most 25% less"
    )


def test_choice_without_a_rule_does_not_name_it():
    text = choice_in_short(choice(maxAbsoluteError=None, maxAccuracyDrop=None))
    assert "absolute" not in text
    assert "accuracy" not in text


def test_budget_that_is_missed_is_said_in_colour():
    assert "budget [yellow]missed[/] on held-out" in choice_in_short(choice())


def test_choice_by_one_sample_is_no_samples():
    assert choice_in_short(choice(samples=1)).startswith("1 sample; ")
