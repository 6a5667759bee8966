"""The contract shown on the page is the one compiled and tested."""

import re

from tests.paths import ROOT

from zkinfer.contracts.ezkl.solc import SOLC_VERSION


def test_compiler_version_on_the_pages_is_the_pinned_one():
    for name in ("guides/chain.md", "reference/errors.md"):
        named = re.findall(r"solc@([\d.]*\d)|compiler (\d[\d.]*\d)", (ROOT / "docs" / name).read_text())
        assert {one or other for one, other in named} == {SOLC_VERSION}


def test_shown_contract_is_the_source_without_comments():
    page = (ROOT / "docs/guides/contracts.md").read_text()
    shown = re.search(r"^```solidity\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    source = (ROOT / "contracts/src/examples/DigitLock.sol").read_text()
    code = "".join(line + "\n" for line in source.splitlines() if not line.strip().startswith("///"))
    assert code.endswith(shown)
