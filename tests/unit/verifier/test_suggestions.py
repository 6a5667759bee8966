import pytest

from zkinfer.verifier.suggestions import suggestion

KNOWN = ["modelIs", "modelFileIs", "signedBy"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("modelis", "modelIs"), ("modleIs", "modelIs"), ("SIGNEDBY", "signedBy"), ("modelFile", "modelFileIs")],
)
def test_misspelt_name_gets_the_closest(name, meant):
    assert suggestion(name, KNOWN) == f"Did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "zzz", "expiry", "x" * 10_000])
def test_other_name_gets_no_suggestion(name):
    assert suggestion(name, KNOWN) == ""
