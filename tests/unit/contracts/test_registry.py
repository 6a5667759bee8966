import pytest
from tests.unit.contracts.deployed import SELECTOR, advance, further_stop, routed

from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR, STOPS
from zkinfer.contracts.errors import DeploymentError
from zkinfer.contracts.governance import route_removal
from zkinfer.contracts.identifiers import ZERO_ADDRESS
from zkinfer.contracts.registry import (
    EmergencyStop,
    Route,
    is_removed,
    is_routed,
    require_live,
    require_routable,
    require_unused,
    route_of,
)


@pytest.fixture
def router(book):
    return book.addresses["VerifierRouter"]


def stopped(chain, address):
    EmergencyStop(chain, address).stop()


def removed(chain, book, selector):
    advance(chain, book, route_removal(book.addresses["VerifierRouter"], selector))


def test_route_state_is_reported_at_every_stage(chain, book, router):
    assert route_of(chain, router, SELECTOR) == Route("unused", ZERO_ADDRESS)
    stop = routed(chain, book)
    assert route_of(chain, router, SELECTOR) == Route("live", stop)
    stopped(chain, stop)
    assert route_of(chain, router, SELECTOR) == Route("stopped", stop)
    removed(chain, book, SELECTOR)
    assert route_of(chain, router, SELECTOR) == Route("removed", stop)


@pytest.mark.parametrize("selector", STOPS)
def test_routes_of_the_constructor_are_live(chain, book, router, selector):
    assert route_of(chain, router, selector) == Route("live", book.addresses[STOPS[selector]])


@pytest.mark.parametrize("selector", STOPS)
def test_other_verifiers_keep_running_after_one_is_stopped(chain, book, selector):
    routed(chain, book)
    stopped(chain, book.addresses[STOPS[selector]])
    for other in {*STOPS, SELECTOR} - {selector}:
        require_live(chain, book, other)
    message = rf"whether the verifier 0x{selector.hex()} is live is False.*Compile the model for an engine with a live"
    with pytest.raises(DeploymentError, match=message):
        require_live(chain, book, selector)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda chain, *_: None, "no verifier was ever routed.*chain route add"),
        (lambda chain, book: stopped(chain, routed(chain, book)), "the verifier was stopped, for ever"),
        (lambda chain, book: (routed(chain, book), removed(chain, book, SELECTOR)), "the route was removed, for ever"),
    ],
)
def test_inactive_route_is_refused_with_its_cause(chain, book, end, message):
    end(chain, book)
    with pytest.raises(DeploymentError, match=rf"proofs under 0x{SELECTOR.hex()} are not accepted: .*{message}"):
        require_live(chain, book, SELECTOR)


def test_ledger_on_a_forked_chain_is_refused(monkeypatch, chain, book):
    routed(chain, book)
    monkeypatch.setattr(chain, "_id", 5)
    for selector in (EZKL_SELECTOR, ASHLAR_SELECTOR, SELECTOR):
        with pytest.raises(DeploymentError, match="On chain 5 the ledger's chain is"):
            require_live(chain, book, selector)


def test_selector_can_be_used_only_once(chain, book, router):
    require_unused(chain, router, SELECTOR)
    stop = routed(chain, book)
    with pytest.raises(DeploymentError, match=rf"0x{SELECTOR.hex()} leads to {stop}; each is used once"):
        require_unused(chain, router, SELECTOR)
    removed(chain, book, SELECTOR)
    with pytest.raises(DeploymentError, match="was removed; each is used once, and never again"):
        require_unused(chain, router, SELECTOR)


def test_route_is_in_place_once_added_and_until_removed(chain, book, router):
    stop = further_stop(chain, book)
    assert not is_routed(chain, router, SELECTOR, stop)
    routed(chain, book)
    assert is_routed(chain, router, SELECTOR, stop)
    assert not is_removed(chain, router, SELECTOR)
    with pytest.raises(DeploymentError, match="each is used once"):
        is_routed(chain, router, SELECTOR, "0x" + "1e" * 20)
    removed(chain, book, SELECTOR)
    assert is_removed(chain, router, SELECTOR)
    with pytest.raises(DeploymentError, match="was removed"):
        is_routed(chain, router, SELECTOR, stop)


def test_route_that_never_existed_cannot_be_removed(chain, router):
    with pytest.raises(DeploymentError, match="no route of 0x01020304 to remove"):
        is_removed(chain, router, b"\1\2\3\4")


VERIFIER = "0x" + "1e" * 20


class FakeChain:
    """A chain with one verifier."""

    def __init__(self, code=b"\1", selector=b"\1\2\3\4", live=True):
        self._code, self._state = code, {"selector": selector, "live": live}

    def code(self, _):
        return self._code

    def read(self, contract, address, name):
        assert (contract, address) == ("EmergencyStop", VERIFIER)
        return self._state[name]


def test_live_verifier_is_routable():
    require_routable(FakeChain(), b"\1\2\3\4", VERIFIER)


@pytest.mark.parametrize(
    ("chain", "cause"),
    [
        (FakeChain(code=b""), f"no contract at {VERIFIER}"),
        (FakeChain(selector=b"\4\3\2\1"), "has the selector 0x04030201, not 0x01020304"),
        (FakeChain(live=False), "was stopped permanently"),
    ],
)
def test_verifier_that_cannot_serve_the_selector_is_not_routable(chain, cause):
    with pytest.raises(DeploymentError, match=cause):
        require_routable(chain, b"\1\2\3\4", VERIFIER)
