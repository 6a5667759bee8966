"""The contracts shown on the pages are those compiled and tested."""

import re

import pytest
from tests.paths import ROOT


@pytest.mark.parametrize(("page", "contract"), [("contracts", "DigitLock"), ("feeds", "CollateralFactor")])
def test_shown_contract_is_the_source_without_comments(page, contract):
    text = (ROOT / f"docs/guides/{page}.md").read_text()
    shown = re.search(r"^```solidity\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    source = (ROOT / f"contracts/src/examples/{contract}.sol").read_text()
    code = "".join(line + "\n" for line in source.splitlines() if not line.strip().startswith("///"))
    assert code.endswith(shown)
