"""How the settings that were weighed are shown."""

import io

import pytest
from rich.console import Console

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.base import Option
from zkinfer.circuits.errors import BudgetError, EngineError, InputError
from zkinfer.circuits.fidelity import Fidelity
from zkinfer.cli import cost_view


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
        monkeypatch.setattr(cost_view, "console", screen)
        cost_view.show_trade_off(options)
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
    good, broken = cost_view.trade_off_report([option("good", chosen=True), option("broken", costly=False)])
    assert (good["cost"]["proveSeconds"], good["chosen"], good["withinBudget"]) == (1.0, True, True)
    assert (broken["cost"], broken["withinBudget"]) == (None, False)


@pytest.mark.parametrize("options", [[], [option("dear", costly=False)]])
def test_picture_of_no_costs_is_refused(tmp_path, options):
    with pytest.raises(InputError, match="trade-off needs points"):
        cost_view.draw(options, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_picture_of_an_impossible_cost_is_refused(tmp_path, seconds):
    with pytest.raises(InputError, match="a finite cost above 0"):
        cost_view.draw([option("odd", seconds)], tmp_path / "a.png")


# --- where nothing keeps the budget


@pytest.fixture
def missed(monkeypatch, tmp_path):
    """What a person reads, and whether there is a picture, when an error ends the search."""

    def run(error):
        screen = Console(file=io.StringIO(), width=120, highlight=False)
        monkeypatch.setattr(cost_view, "console", screen)
        monkeypatch.setattr(cost_view, "say", screen.print)
        with pytest.raises(type(error), match="No settings"), cost_view.showing_what_missed(tmp_path / "a.png"):
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
