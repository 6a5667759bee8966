"""The coverage table is measured by hand; here, that it leaves nothing out."""

import re
from pathlib import Path

from zkinfer.circuits.models import operators

REPOSITORY = Path(__file__).parents[3]
TEXT = (REPOSITORY / "docs/coverage.md").read_text()
FIRST = {row[1] for row in re.finditer(r"^\| ([\w.]+) \|", TEXT, re.MULTILINE)}


def test_every_stored_model_has_its_line():
    assert {path.stem for path in (REPOSITORY / "tests/assets/zoo").glob("*.onnx")} <= FIRST


def test_every_known_operator_has_its_line():
    known = operators.SUPPORTED | operators.COMPOSITE | operators.REWRITTEN | operators.CONSTANT_ONLY
    assert {*known, *operators.REFUSED, *(f"ai.onnx.ml.{name}" for name in operators.CLASSICAL)} <= FIRST


def test_nothing_is_left_unmeasured():
    assert "not measured" not in TEXT
