"""The coverage table, which is measured manually, is complete."""

import re

import pytest
from tests.paths import ROOT

from zkinfer.circuits import Budget
from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.circuits.frontend import operators as frontend

REPOSITORY = ROOT
TEXT = (REPOSITORY / "docs/reference/coverage.md").read_text()
FIRST = {row[1] for row in re.finditer(r"^\| ([\w.]+) \|", TEXT, re.MULTILINE)}
# Model, outcome up to its reason, agreement, error.
ROW = re.compile(r"^\| (\w+) \|.*\| (compiled|over budget)[^|]*\| ([\d.]+)% \| ([\d.]+)% \|", re.MULTILINE)
MEASURED = ROW.findall(TEXT)
STORED = {path.stem for path in (REPOSITORY / "tests/assets/zoo").glob("*.onnx")}
ASHLAR = TEXT.partition("## Models under Ashlar")[2].partition("\n## ")[0]
# Model, agreement, error.
OF_ASHLAR = re.findall(r"^\| (\w+) \| (?:compiled|as scores) \| ([\d.]+)% \| ([\d.]+)% \|", ASHLAR, re.MULTILINE)


def is_over_budget(agreement, error):
    budget = Budget()
    return float(agreement) / 100 < budget.min_agreement or float(error) / 100 > budget.max_error


def test_every_stored_model_has_its_row():
    assert STORED <= FIRST


def test_every_known_operator_has_its_row():
    known = operators.SUPPORTED | frontend.COMPOSITE | operators.REWRITTEN | operators.CONSTANT_ONLY
    assert {
        *known,
        *frontend.REFUSED,
        *operators.REFUSED,
        *(f"ai.onnx.ml.{name}" for name in frontend.CLASSICAL),
    } <= FIRST


def test_nothing_is_left_unmeasured():
    assert "not measured" not in TEXT


@pytest.mark.parametrize(("model", "outcome", "agreement", "error"), MEASURED, ids=[row[0] for row in MEASURED])
def test_exactly_the_models_that_miss_the_budget_are_marked(model, outcome, agreement, error):
    assert (outcome == "over budget") == is_over_budget(agreement, error)


def test_every_accepted_model_has_its_figures():
    assert {row[0] for row in MEASURED} == {name for name in STORED if not name.startswith("refused")}


def test_every_stored_model_has_its_row_under_ashlar():
    assert set(re.findall(r"^\| (\w+) \| (?!outcome)", ASHLAR, re.MULTILINE)) == STORED


@pytest.mark.parametrize(("model", "agreement", "error"), OF_ASHLAR, ids=[row[0] for row in OF_ASHLAR])
def test_model_under_ashlar_meets_the_budget(model, agreement, error):
    assert not is_over_budget(agreement, error)


def test_every_operator_in_a_graph_has_its_row_under_ashlar():
    table = TEXT.partition("## Operators under Ashlar")[2]
    listed = set(re.findall(r"^\| (\w+) \| (?:compiled|refused) \|", table, re.MULTILINE))
    assert listed == operators.SUPPORTED | frontend.COMPOSITE | operators.REWRITTEN
