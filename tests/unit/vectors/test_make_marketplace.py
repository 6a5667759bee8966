import shutil

import pytest
from tests.paths import ROOT
from tests.vectors import make_marketplace


def test_stored_marketplace_is_compiled_from_the_contract_tests():
    if shutil.which("node") is None or not (ROOT / "contracts/node_modules/solc").is_dir():
        pytest.skip("no compiler: install node and run npm install in contracts/")
    assert make_marketplace.FILE.read_text() == make_marketplace.document()
