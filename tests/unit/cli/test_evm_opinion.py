import sys

import pytest

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.statement import Layout, Statement
from zkinfer.cli.evm_opinion import EvmVerifier

LAYOUT = Layout(visibility="public", input_width=4, signed=True, inputs=1, outputs=1)
PROOF = Proof(bytes(64), Statement(bytes(32), bytes(4), (0,)))


def test_missing_library_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "zkinfer.contracts.devchain", raising=False)
    monkeypatch.setitem(sys.modules, "eth_tester", None)
    with pytest.raises(InputError, match="eth_tester, which is not installed") as caught:
        EvmVerifier().verify(bytes(32), LAYOUT, PROOF)
    assert "chain-dev" in caught.value.cure


@pytest.mark.parametrize("key", [bytes(32), bytes(64)])
def test_key_that_the_contract_does_not_take_gives_no_verdict(key):
    with pytest.raises(EngineError, match="The EVM cannot hold the verifier"):
        EvmVerifier().verify(key, LAYOUT, PROOF)
