"""The contract shown on the page is the one compiled and tested."""

import re

from tests.paths import ROOT


def test_shown_contract_is_the_source_without_comments():
    page = (ROOT / "docs/guides/contracts.md").read_text()
    shown = re.search(r"^```solidity\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    source = (ROOT / "contracts/src/examples/DigitLock.sol").read_text()
    code = "".join(line + "\n" for line in source.splitlines() if not line.strip().startswith("///"))
    assert code.endswith(shown)
