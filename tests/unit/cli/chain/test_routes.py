import json
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.deployed import (
    DIGITS_UNDER_EZKL,
    PERCEPTRON_UNDER_ASHLAR,
    SELECTOR,
    deployed_chain,
    further_stop,
)
from typer.testing import CliRunner

import zkinfer.chain
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.manifest import Circuit
from zkinfer.cli.main import app
from zkinfer.contracts.address_book import write_book
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR
from zkinfer.contracts.signers import unsafe_dev_account

EZKL, ASHLAR, FURTHER = (f"0x{selector.hex()}" for selector in (EZKL_SELECTOR, ASHLAR_SELECTOR, SELECTOR))


@pytest.fixture(scope="module")
def module_deployment():
    """A deployment for tests, as the model under Ashlar is under insecure-dev."""
    return deployed_chain(delay=0, test=True)


@pytest.fixture
def circuits(monkeypatch, tmp_path):
    """Folders of the model's circuit under each engine."""
    made = {tmp_path / "ezkl": DIGITS_UNDER_EZKL, tmp_path / "ashlar": PERCEPTRON_UNDER_ASHLAR}
    for path in made:
        path.mkdir()
    opened = {path: Fake(folder=path, manifest=Fake(recipe=Fake(engine=path.name))) for path in made}
    monkeypatch.setattr(Circuit, "open", opened.get)
    monkeypatch.setattr(zkinfer.chain, "registration_of", lambda circuit, fee, uri, selector: made[circuit.folder])
    return list(made)


@pytest.fixture
def run(monkeypatch, tmp_path, chain, book):
    """Run a `zkinfer chain` command with --json, as the governing account by default."""
    path = tmp_path / "book.json"
    write_book(book, path)

    def open_chain(_, paid=None):
        if paid is None:
            return Chain(chain._web3)
        signer = unsafe_dev_account(paid.unsafe_dev_account or 0, chain.id)
        return Chain(chain._web3, signer, rehearsal=paid.dry_run)

    for module in ("deploy", "models", "post", "request", "routes"):
        monkeypatch.setattr(f"zkinfer.cli.chain.{module}.open_chain", open_chain)

    def command(*words):
        done = CliRunner().invoke(app, ["chain", *map(str, words), "--deployment", str(path), "--json"])
        assert done.exit_code in (0, 1), done.output
        return json.loads(done.stdout)

    return command


def error_of(outcome):
    assert outcome["ok"] is False
    return outcome["error"]


def test_deploying_again_sends_nothing_and_shows_both_verifiers(run):
    again = run("deploy")
    assert (again["created"], again["transactions"]) == ([], [])
    assert again["verifiers"] == {EZKL: "live", ASHLAR: "live"}


def test_route_is_scheduled_then_executed_then_unchanged(run, chain, book):
    stop = further_stop(chain, book)
    assert [run("route", "add", FURTHER, stop)["state"] for _ in range(3)] == ["ready", "done", "done"]


def test_dry_run_of_a_route_quotes_and_changes_nothing(run, chain, book):
    stop, before = further_stop(chain, book), chain._web3.eth.block_number
    outcome = run("route", "add", FURTHER, stop, "--dry-run")
    assert [int(one["maxCost"]) > 0 for one in outcome["transactions"]] == [True]
    assert chain._web3.eth.block_number == before


def test_route_cannot_be_scheduled_by_other_accounts(run, chain, book):
    refused = error_of(run("route", "add", FURTHER, further_stop(chain, book), "--unsafe-dev-account", "1"))
    assert "AccessControlUnauthorizedAccount" in refused["cause"]


def test_used_or_removed_selector_is_refused_before_sending(run, chain, book):
    own, other = further_stop(chain, book), further_stop(chain, book, salt=b"\1" * 32)
    for _ in range(2):
        assert run("route", "add", FURTHER, other)["ok"]
    before = chain._web3.eth.block_number
    refused = error_of(run("route", "add", FURTHER, own))
    assert refused["cause"] == f"The selector {FURTHER} leads to {other}; each is used once, and never again."
    assert run("route", "add", FURTHER, other)["state"] == "done"
    assert run("route", "add", "ezkl", book.addresses["EzklStop"])["state"] == "done"
    assert chain._web3.eth.block_number == before
    for _ in range(2):
        run("route", "remove", FURTHER, "--yes")
    assert "was removed; each is used once" in error_of(run("route", "add", FURTHER, other))["cause"]


def test_unused_route_is_not_removed(run):
    assert "no route of 0x01020304 to remove" in error_of(run("route", "remove", FURTHER, "--yes"))["cause"]


def test_scheduled_change_is_cancelled_by_its_id(run):
    named = run("route", "remove", EZKL, "--yes")["operation"]
    shown = run("route", "cancel", named, "--show")
    assert (shown["state"], set(shown["calls"]), shown["transactions"]) == ("ready", {"cancel"}, [])
    assert len(run("route", "cancel", named, "--dry-run")["transactions"]) == 1
    assert run("route", "cancel", named)["state"] == "unset"
    assert "was never scheduled, or is cancelled" in error_of(run("route", "cancel", named))["cause"]


def test_model_goes_on_under_the_other_engine_after_a_stop(run, circuits, chain):
    under_ezkl, under_ashlar = circuits
    first = run("register", under_ezkl)
    before = first["listing"]
    assert run("stop", "ezkl", "--yes")["stoppedBefore"] is False
    for words in [("register", under_ezkl), ("verify-deployment",), ("verify-deployment", "--selector", "ezkl")]:
        refused = error_of(run(*words))
        assert f"whether the verifier {EZKL} is live is False" in refused["cause"]
        assert "for an engine with a live verifier" in refused["cure"]
    listed = run("register", under_ashlar)
    assert listed["selector"] == ASHLAR
    assert (first["labels"], listed["labels"]) == ([], list(engine_named("ashlar").labels))
    assert run("deprecate", before, "--successor", listed["listing"])["status"] == "deprecated"
    assert run("verify-deployment", "--selector", "ashlar")["ezkl_guardian"] == chain.address
    running = [run("status", "--listing", one)["verifierRuns"] for one in (before, listed["listing"])]
    assert running == [False, True]
    assert run("status")["verifiers"] == {EZKL: "stopped", ASHLAR: "live"}
    assert run("deploy")["verifiers"] == {EZKL: "stopped", ASHLAR: "live"}


def test_further_verifier_is_stopped_by_its_selector_alone(run, chain, book):
    stop = further_stop(chain, book)
    for _ in range(2):
        run("route", "add", FURTHER, stop)
    assert run("verify-deployment", "--selector", FURTHER)["ok"]
    assert run("stop", FURTHER, "--yes")["stop"] == stop
    assert error_of(run("verify-deployment", "--selector", FURTHER))["type"] == "DeploymentError"
    assert run("verify-deployment")["ok"]


def test_unknown_verifier_is_not_stopped(run):
    assert "There is no verifier 0x01020304" in error_of(run("stop", FURTHER, "--yes"))["cause"]


def test_new_guardian_of_a_verifier_is_accepted_into_the_book(run, chain, book):
    stop, other = book.addresses["AshlarStop"], Chain(chain._web3, unsafe_dev_account(1, chain.id))
    chain.write("EmergencyStop", stop, "transferOwnership", other.address)
    other.write("EmergencyStop", stop, "acceptOwnership")
    assert f"the guardian of Ashlar's verifier is {other.address}" in error_of(run("verify-deployment"))["cause"]
    assert run("verify-deployment", "--accept-governance")["ok"]
    assert run("verify-deployment")["ashlar_guardian"] == other.address
    assert run("status")["guardians"] == {EZKL: chain.address, ASHLAR: other.address}
