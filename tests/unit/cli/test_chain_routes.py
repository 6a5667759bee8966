import pytest

from zkinfer.cli.chain.routes import _require_verifier
from zkinfer.contracts.errors import DeploymentError

VERIFIER = "0x" + "1e" * 20


class FakeChain:
    """A chain with one verifier."""

    def __init__(self, code=b"\1", selector=b"\1\2\3\4", live=True):
        self.lies, self.says = code, {"selector": selector, "live": live}

    def code(self, _):
        return self.lies

    def read(self, contract, address, name):
        assert (contract, address) == ("EmergencyStop", VERIFIER)
        return self.says[name]


def test_verifier_that_runs_is_routed():
    _require_verifier(FakeChain(), "0x01020304", VERIFIER)


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (FakeChain(code=b""), f"no contract at {VERIFIER}"),
        (FakeChain(selector=b"\4\3\2\1"), "is one of 0x04030201, not of 0x01020304"),
        (FakeChain(live=False), "was stopped, for ever"),
    ],
)
def test_verifier_that_the_route_could_not_use_is_refused(chain, said):
    with pytest.raises(DeploymentError, match=said):
        _require_verifier(chain, "0x01020304", VERIFIER)
