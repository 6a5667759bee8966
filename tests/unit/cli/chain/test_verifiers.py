import json
from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.ezkl import dedicated
from typer.testing import CliRunner

import zkinfer.chain
from zkinfer.chain import deployment
from zkinfer.circuits.manifest import Circuit
from zkinfer.cli.chain import verifiers
from zkinfer.cli.main import app
from zkinfer.contracts.address_book import read_book, write_book
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import SHARED_SELECTOR
from zkinfer.contracts.ezkl.solc import SOLC_VERSION
from zkinfer.contracts.signers import unsafe_dev_account

SHARED = "0x" + SHARED_SELECTOR.hex()
DEDICATED = "0x" + dedicated.SELECTOR.hex()
GENERATED = verifiers._generate


@pytest.fixture
def circuit(monkeypatch, tmp_path):
    """The digits circuit as if under a real ceremony, with a stored compiled verifier."""
    opened = Fake(folder="digits.circuit", manifest=Fake(recipe=Fake(setup=Fake(is_insecure_dev=False))))
    shared = replace(dedicated.REGISTRATION, selector=SHARED_SELECTOR)
    monkeypatch.setattr(Circuit, "open", lambda _: opened)
    for module in (zkinfer.chain, deployment):
        monkeypatch.setattr(module, "registration_of", lambda _, fee=0, uri="": replace(shared, fee=fee, uri=uri))
    monkeypatch.setattr(verifiers, "_generate", lambda *_: dedicated.GENERATED)
    opened.path = tmp_path / "digits.circuit"
    opened.path.mkdir()
    return opened


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

    for module in ("deploy", "models", "post", "request", "verifiers"):
        monkeypatch.setattr(f"zkinfer.cli.chain.{module}.open_chain", open_chain)

    def command(*words):
        done = CliRunner().invoke(app, ["chain", *map(str, words), "--deployment", str(path), "--json"])
        assert done.exit_code in (0, 1), done.output
        return json.loads(done.stdout)

    command.book = path
    return command


def error_of(outcome):
    assert outcome["ok"] is False
    return outcome["error"]


def test_verifier_is_deployed_once_and_recorded(run, circuit, chain):
    first = run("deploy-verifier", circuit.path)
    assert first["created"] == ["Halo2Verifier", "DedicatedHalo2Adapter", "EmergencyStop"]
    assert (first["selector"], first["state"], set(first["calls"])) == (DEDICATED, "unset", {"schedule", "execute"})
    assert read_book(run.book).dedicated_at(dedicated.SELECTOR).addresses == first["addresses"]
    before, written = chain._web3.eth.block_number, run.book.read_bytes()
    again = run("deploy-verifier", circuit.path)
    assert (again["created"], again["transactions"], again["codeHash"]) == ([], [], first["codeHash"])
    assert (chain._web3.eth.block_number, run.book.read_bytes()) == (before, written)


def test_dry_run_quotes_and_changes_neither_chain_nor_address_book(run, circuit, chain, book):
    before = chain._web3.eth.block_number
    outcome = run("deploy-verifier", circuit.path, "--route", "--dry-run")
    assert len(outcome["transactions"]) == 4
    assert all(int(one["maxCost"]) > 0 for one in outcome["transactions"])
    assert (chain._web3.eth.block_number, read_book(run.book)) == (before, book)


def test_insecure_dev_circuit_is_refused_by_a_production_deployment(run, circuit):
    circuit.manifest.recipe.setup.is_insecure_dev = True
    refused = error_of(run("deploy-verifier", circuit.path))
    assert refused["type"] == "DeploymentError"
    assert "insecure-dev, which this deployment does not accept" in refused["cause"]


def test_missing_compiler_is_refused_and_nothing_is_sent(monkeypatch, run, circuit, chain):
    monkeypatch.setattr(verifiers, "_generate", GENERATED)
    monkeypatch.setenv("PATH", "")
    before = chain._web3.eth.block_number
    for words in [(), ("--solc", "nowhere/solcjs")]:
        refused = error_of(run("deploy-verifier", circuit.path, *words))
        assert refused["type"] == "CompilerError"
        assert f"npm i solc@{SOLC_VERSION}" in refused["cure"]
    assert (chain._web3.eth.block_number, read_book(run.book).dedicated) == (before, ())


def test_route_is_scheduled_then_executed_then_unchanged(run, circuit):
    states = [run("deploy-verifier", circuit.path, "--route")["state"] for _ in range(3)]
    assert states == ["ready", "done", "done"]
    assert run("status")["verifiers"] == {SHARED: "live", DEDICATED: "live"}


def test_route_cannot_be_scheduled_by_other_accounts(run, circuit):
    refused = error_of(run("deploy-verifier", circuit.path, "--route", "--unsafe-dev-account", "1"))
    assert "AccessControlUnauthorizedAccount" in refused["cause"]


def test_used_or_removed_selector_is_refused_before_sending(run, circuit, chain, book):
    own = run("deploy-verifier", circuit.path)["addresses"]["EmergencyStop"]
    other = dedicated.created(chain, replace(book, salt=b"\1" * 32)).addresses["EmergencyStop"]
    for _ in range(2):
        assert run("route", "add", DEDICATED, other)["ok"]
    before = chain._web3.eth.block_number
    for words in [("route", "add", DEDICATED, own), ("deploy-verifier", circuit.path, "--route")]:
        refused = error_of(run(*words))
        assert refused["cause"] == f"The selector {DEDICATED} leads to {other}; each is used once, and never again."
    assert run("route", "add", DEDICATED, other)["state"] == "done"
    assert run("route", "add", SHARED, book.addresses["EmergencyStop"])["state"] == "done"
    assert chain._web3.eth.block_number == before
    for _ in range(2):
        run("route", "remove", DEDICATED, "--yes")
    assert "was removed; each is used once" in error_of(run("route", "add", DEDICATED, other))["cause"]


def test_unused_route_is_not_removed(run):
    assert "no route of 0x01020304 to remove" in error_of(run("route", "remove", "0x01020304", "--yes"))["cause"]


def test_scheduled_change_is_cancelled_by_its_id(run):
    named = run("route", "remove", SHARED, "--yes")["operation"]
    shown = run("route", "cancel", named, "--show")
    assert (shown["state"], set(shown["calls"]), shown["transactions"]) == ("ready", {"cancel"}, [])
    assert len(run("route", "cancel", named, "--dry-run")["transactions"]) == 1
    assert run("route", "cancel", named)["state"] == "unset"
    assert "was never scheduled, or is cancelled" in error_of(run("route", "cancel", named))["cause"]


def test_model_is_registered_under_its_dedicated_verifier_after_a_stop(run, circuit, chain, book):
    before = run("register", circuit.path)["listing"]
    for _ in range(2):
        run("deploy-verifier", circuit.path, "--route")
    run("stop", "--yes")
    for words in [("register", circuit.path), ("verify-deployment",)]:
        assert "whether the verifier is live is False" in error_of(run(*words))["cause"]
    listed = run("register", circuit.path, "--selector", "dedicated")
    assert (listed["selector"], listed["listing"] == before) == (DEDICATED, False)
    assert run("register", circuit.path, "--selector", DEDICATED)["transactions"] == []
    assert run("verify-deployment", "--selector", DEDICATED)["dedicatedGuardians"] == {DEDICATED: chain.address}
    running = [run("status", "--listing", one)["verifierRuns"] for one in (before, listed["listing"])]
    assert running == [False, True]


def test_stop_by_selector_affects_only_that_verifier(run, circuit):
    for _ in range(2):
        run("deploy-verifier", circuit.path, "--route")
    own = read_book(run.book).dedicated[0].addresses["EmergencyStop"]
    assert run("stop", "--selector", DEDICATED, "--yes")["stop"] == own
    assert run("status")["verifiers"] == {SHARED: "live", DEDICATED: "stopped"}
    assert error_of(run("verify-deployment", "--selector", DEDICATED))["type"] == "DeploymentError"
    assert run("verify-deployment")["ok"]


def test_verifier_stopped_before_routing_is_not_deployed_again(run, circuit):
    run("deploy-verifier", circuit.path)
    assert run("stop", "--selector", DEDICATED, "--yes")["stoppedBefore"] is False
    assert "was stopped" in error_of(run("deploy-verifier", circuit.path))["cause"]


def test_unknown_verifier_is_not_stopped(run):
    assert "There is no verifier 0x01020304" in error_of(run("stop", "--selector", "0x01020304", "--yes"))["cause"]


def test_new_guardian_of_a_dedicated_verifier_is_accepted_into_the_book(run, circuit, chain):
    run("deploy-verifier", circuit.path)
    stop = read_book(run.book).dedicated[0].addresses["EmergencyStop"]
    other = Chain(chain._web3, unsafe_dev_account(1, chain.id))
    chain.write("EmergencyStop", stop, "transferOwnership", other.address)
    other.write("EmergencyStop", stop, "acceptOwnership")
    assert f"the guardian of the verifier {DEDICATED} is {other.address}" in error_of(run("verify-deployment"))["cause"]
    assert run("verify-deployment", "--accept-governance")["ok"]
    assert run("verify-deployment")["dedicatedGuardians"] == {DEDICATED: other.address}
