import io
import json

import pytest
from rich.console import Console
from tests.unit.circuits.making import DOCUMENT, with_value

from zkinfer.circuits.manifest import ChoiceReport, FidelityReport
from zkinfer.cli import fidelity_view
from zkinfer.cli.fidelity_view import bar, choice_in_short, in_short, provenance, show_fidelity


def report(**changes):
    document = DOCUMENT["fidelity"]
    for name, value in changes.items():
        document = with_value(document, (name,), value)
    return FidelityReport.model_validate_json(json.dumps(document))


@pytest.fixture
def shown(monkeypatch):
    """What a person reads of a report."""

    def show(one):
        screen = Console(file=io.StringIO(), width=100, highlight=False)
        monkeypatch.setattr(fidelity_view, "console", screen)
        monkeypatch.setattr(fidelity_view, "say", screen.print)
        show_fidelity(one)
        return screen.file.getvalue()

    return show


@pytest.mark.parametrize(
    ("data", "words", "coloured"),
    [
        ("held-out", "16 samples that did not choose the settings", False),
        ("calibration", "16 samples that chose the settings too", True),
        ("synthetic", "16 samples of random numbers", True),
    ],
)
def test_provenance_is_in_plain_words_and_a_warning_in_colour(data, words, coloured):
    text = provenance(report(data=data))
    assert words in text
    assert ("[yellow]" in text) == coloured


def test_one_sample_is_no_samples():
    assert "on 1 sample that" in provenance(report(samples=1))


def test_short_form_names_agreement_accuracy_error_and_samples():
    text = in_short(report())
    assert text == (
        "100.0% same answers, accuracy 75.0% (float: 87.5%), error 6.25% (median), 25.00% (99th percentile) "
        "on 16 held-out samples"
    )
    assert "accuracy" not in in_short(report(accuracy=None))


def test_whole_form_names_every_figure(shown):
    text = shown(report())
    for words in ("100.00% of samples", "6.25% median, 12.5% at 90%, 25% at 99%, 50% at most", "1.5 at most"):
        assert words in text
    assert "87.50% float, 75.00% circuit, by output y" in text


def test_histogram_has_a_bar_for_every_bin_between_the_outer_filled(shown):
    text = shown(report(errorHistogram={"edges": [0.001, 0.01, 0.1, 1.0], "counts": [0, 5, 0, 10, 0]}))
    lines = [line.split("  ") for line in text.splitlines() if "to" in line and "█" in line]
    assert [line[0].strip() for line in lines] == ["0.1% to 1%", "10% to 100%"]
    assert "1% to 10%" in text
    assert "below 0.1%" not in text


def test_histogram_names_the_open_bins(shown):
    text = shown(report())
    assert "below 12.5%" in text
    assert "from 25%" in text


def test_histogram_of_nothing_is_shown(shown):
    assert "below 12.5%" in shown(report(errorHistogram={"edges": [0.125, 0.25], "counts": [0, 0, 0]}))


def test_worst_samples_are_named_with_their_answer(shown):
    lines = shown(report()).splitlines()
    assert ["7", "50%", "another"] in [line.split() for line in lines]


def test_random_numbers_have_no_worst_sample_that_anybody_could_look_up(shown):
    assert "worst samples" not in shown(report(data="synthetic"))


def test_output_name_of_a_hostile_circuit_does_nothing(shown):
    accuracy = {"circuit": 0.5, "model": 0.5, "output": "[red]\x1b[2Jx"}
    text = shown(report(accuracy=accuracy))
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
        "16 samples; budget kept on those that judge: at least 99% same answers, error at most 5%, "
        "absolute error at most 0.5, accuracy at most 25% less"
    )


def test_choice_without_a_rule_does_not_name_it():
    text = choice_in_short(choice(maxAbsoluteError=None, maxAccuracyDrop=None))
    assert "absolute" not in text
    assert "accuracy" not in text


def test_budget_that_is_missed_is_said_in_colour():
    assert "budget [yellow]missed[/] on those" in choice_in_short(choice())


def test_choice_by_one_sample_is_no_samples():
    assert choice_in_short(choice(samples=1)).startswith("1 sample; ")
