import json

import pytest
from tests.unit.circuits.factories import DOCUMENT

from zkinfer.circuits.manifest import ChoiceReport, FidelityReport
from zkinfer.verifier.report.card import bin_names, choice_line, error_bars, model_card, provenance, worst_columns

KINDS = {"held-out": "held out", "calibration": "larger error", "synthetic": "say little"}


def choice(**changes):
    return ChoiceReport.model_validate_json(json.dumps(DOCUMENT["choice"] | changes))


def fidelity(**changes):
    return FidelityReport.model_validate_json(json.dumps(DOCUMENT["fidelity"] | changes))


def test_choice_has_samples_and_every_limit_of_the_budget():
    text = choice_line(choice(kept=True))
    assert text == (
        "16 samples; budget met on held-out samples: at least 99% same answers, error at most 5% in each column, "
        "absolute error at most 0.5, accuracy drop at most 25%"
    )


def test_choice_omits_absent_limits():
    text = choice_line(choice(maxAbsoluteError=None, maxAccuracyDrop=None))
    assert "absolute" not in text
    assert "accuracy" not in text


def test_missed_budget_is_named_without_markup():
    assert "budget missed on held-out" in choice_line(choice())


def test_choice_on_one_sample_is_singular():
    assert choice_line(choice(samples=1)).startswith("1 sample; ")


def test_card_has_size_cost_and_fidelity(manifest):
    card = model_card(manifest)
    assert dict(card.facts)["operators"] == "1 Gemm"
    assert dict(card.cost)["gas to verify on a chain"] == "about 500,000"
    assert dict(card.fidelity)["same answers"] == "100.00% of samples"
    assert "budget missed" in card.budget


def test_card_of_an_older_circuit_has_no_budget_and_no_columns(manifest):
    older = manifest.model_copy(update={"choice": None, "fidelity": fidelity(columns=[], inputs=[])})
    card = model_card(older)
    assert (card.budget, card.columns) == ("", None)
    assert "measured for" not in dict(card.fidelity)


@pytest.mark.parametrize(
    ("data", "word"), [("held-out", "held out"), ("calibration", "larger"), ("synthetic", "random")]
)
def test_kind_of_samples_is_told(data, word):
    assert word in provenance(fidelity(data=data))


def test_bins_are_named_by_their_edges():
    assert bin_names((0.01, 0.1)) == ["below 1%", "1% to 10%", "from 10%"]


def test_empty_bins_at_both_ends_are_left_out():
    empty = {"counts": [0, 5, 0, 2, 0], "edges": [0.1, 0.2, 0.3, 0.4]}
    assert [bar.text for bar in error_bars(fidelity(errorHistogram=empty)).rows] == ["5", "0", "2"]


def test_histogram_without_counts_has_one_bar():
    assert len(error_bars(fidelity(errorHistogram={"counts": [0, 0], "edges": [0.1]})).rows) == 1


def test_columns_show_range_and_errors():
    assert worst_columns(fidelity()).rows == (("y", "1", "-0.5", "2", "37.5%", "50%", "1"),)
