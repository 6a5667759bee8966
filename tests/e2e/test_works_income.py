"""The page start/income.md, as written: one proof pays model, adapter, data set and prompt, and contributors claim."""

import re

import pytest
from tests.e2e.pages import lines_of
from tests.e2e.test_works import CREATOR, section, walk
from tests.paths import ROOT

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/start/income.md").read_text(encoding="utf-8")
ONE, TWO = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"
__all__ = ["walk"]


@pytest.fixture(scope="module")
def done(walk):
    """The page after its lines were executed."""
    return walk("income")(lines_of(section(CREATOR, "A local chain")) + lines_of(PAGE))


def test_every_line_of_the_page_succeeds(done):
    assert done.returncode == 0, done.stderr


def test_file_that_says_no_is_named(done):
    assert "street.png (terms)" in " ".join(done.stderr.split())


def test_model_has_its_three_parents(done):
    shares = re.findall(r"^parent +0x[0-9a-f]{64} gets (\d+) % of its income$", done.stdout, re.MULTILINE)
    assert sorted(map(int, shares)) == [5, 15, 20]


def test_one_proof_pays_model_adapter_and_prompt_to_the_wei(done):
    assert re.findall(r"^withdrawn +(.*) ether$", done.stdout, re.MULTILINE) == ["0.006", "0.002", "0.0005"]


def test_contributors_get_their_parts_of_both_pay_days(done):
    paid = re.findall(rf"^({ONE}|{TWO}) +(.*) ether$", done.stdout, re.MULTILINE)
    assert paid == [(ONE, "0.001125"), (TWO, "0.000375"), (ONE, "0.003"), (TWO, "0.001")]
