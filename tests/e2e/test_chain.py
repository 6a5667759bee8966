"""Contracts from the command line, from an empty chain to a recorded answer."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from eth_account import Account
from tests.e2e.shell import Shell
from tests.integration import bench
from tests.paths import ANVIL, PROGRAM

from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR
from zkinfer.contracts.signers import encrypt_keystore

PAGES = ("start/oracle-operator.md", "guides/chain.md")
PAGE = "\n".join((bench.REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
EMBEDDED = "--evm", "embedded"
ADDRESS = "0x" + "ab" * 20
OTHER = "--unsafe-dev-account", "9"


class Chain:
    """A running `zkinfer chain dev`, and a user who pays from its keystore."""

    def __init__(self, shell, *options):
        self.shell = shell
        self.process = shell.start("chain", "dev", "--port", "0", "--out", "keys", "--json", *options)
        self.start = json.loads(self._first_object())
        keys = {"keystore": "--keystore", "passphraseFile": "--passphrase-file"}
        self.pays = [word for name, option in keys.items() for word in (option, self.start[name])]

    def _first_object(self):
        text = ""
        for line in self.process.stdout:
            text += line
            if line.startswith("}"):
                break
        return text

    def __call__(self, *arguments, pays=None, **options):
        arguments = ["chain", *arguments, *(self.pays if pays is None else pays), "--json"]
        return self.shell(*arguments, ZKINFER_RPC_URL=self.start["rpc"], timeout=600, **options)

    def sees(self, *arguments):
        return self(*arguments, pays=())

    def end(self, number=signal.SIGINT):
        os.killpg(self.process.pid, number)
        _, output = self.process.communicate(timeout=60)
        return self.process.returncode, output


def has_node(program):
    """Whether a Node.js program and node itself are installed."""
    return program.exists() and shutil.which("node") is not None


@pytest.fixture(scope="module")
def chain(home, run_folder):
    """On anvil if installed; the page's lines, the demo and the recovery cover the embedded EVM."""
    options = ("--evm", "anvil", "--anvil", str(ANVIL)) if has_node(ANVIL) else EMBEDDED
    folder = run_folder / "chain"
    folder.mkdir()
    for number in (0, 1):
        (folder / f"image-{number}.json").write_text(json.dumps({"image": bench.image(number)["image"].tolist()}))
    running = Chain(Shell(home.root, folder, str(folder)), *options)
    yield running
    running.end(signal.SIGTERM)


def book_of(chain):
    return Path(chain.shell.home, "deployments", f"{chain.deployed['chainId']}.json")


@pytest.fixture(scope="module")
def deployed(chain):
    """The result of the deploy command on a fresh chain."""
    shutil.rmtree(Path(chain.shell.home, "deployments"), ignore_errors=True)
    outcome = chain("deploy", "--test")
    assert outcome.status == 0, outcome.stderr
    chain.deployed = outcome.document
    return chain


@pytest.fixture(scope="module")
def registered(deployed, digits):
    outcome = deployed("register", digits, "--fee", "5gwei", "--uri", "https://example.org")
    assert outcome.status == 0, outcome.stderr
    return outcome.document["listing"]


def asked(chain, digits, number, *options):
    """Open a request about an image, and prove the answer."""
    request, answer = f"request-{number}.json", f"answer-{number}.json"
    picture = ("--input", f"image-{number}.json")
    outcome = chain("request", digits, *picture, "--out", request, *options)
    assert outcome.status == 0, outcome.stderr
    proven = chain.shell("prove", digits, *picture, "--request", request, "--out", answer, timeout=600)
    assert proven.status == 0, proven.stderr
    return request, answer, outcome.document


@pytest.fixture(scope="module")
def answered(deployed, registered, digits):
    return asked(deployed, digits, 0, "--prover", deployed.start["account"], "--prover-fee", "7gwei")


@pytest.fixture(scope="module")
def posted(deployed, answered):
    request, answer, _ = answered
    outcome = deployed("post", answer, "--request", request)
    assert outcome.status == 0, outcome.stderr
    return outcome.document


def test_dry_run_of_a_deployment_sends_nothing(deployed):
    another = ("deploy", "--test", "--salt", "0x" + "01" * 32, "--deployment", "another.json", "--dry-run")
    outcome = deployed(*another)
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.document["created"]) == 12
    assert all(int(one["maxCost"]) > 0 for one in outcome.document["transactions"])
    assert "nothing was sent" in outcome.text
    assert deployed(*another).document["created"] == outcome.document["created"]
    assert not (deployed.shell.folder / "another.json").exists()


def test_deployment_is_idempotent(deployed):
    book = book_of(deployed)
    before = book.read_bytes()
    for options in (("--test",), ()):
        outcome = deployed("deploy", *options)
        assert (outcome.status, outcome.document["created"], outcome.document["transactions"]) == (0, [], [])
    assert book.read_bytes() == before


def test_another_deployment_needs_another_file(deployed):
    before = deployed.sees("status").document["blockTime"]
    outcome = deployed("deploy", "--guardian", ADDRESS)
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "AddressBookError"
    assert deployed.sees("status").document["blockTime"] == before  # nothing was sent


def test_deployment_is_verified_from_its_address_book_alone(deployed):
    outcome = deployed.sees("verify-deployment", "--deployment", str(book_of(deployed)))
    assert outcome.status == 0
    assert outcome.document["addresses"] == deployed.deployed["addresses"]


def test_altered_address_book_is_refused(deployed):
    document = json.loads(book_of(deployed).read_bytes())
    document["addresses"]["InferenceLedger"] = ADDRESS
    altered = deployed.shell.folder / "altered.json"
    altered.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")))
    outcome = deployed.sees("verify-deployment", "--deployment", str(altered))
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "AddressBookError")


def test_registration_is_idempotent_and_refused_with_another_fee(deployed, registered, digits):
    outcome = deployed("register", digits, "--fee", "5gwei", "--uri", "https://example.org")
    assert (outcome.document["listing"], outcome.document["transactions"]) == (registered, [])
    other = deployed("register", digits, "--uri", "https://example.org")
    assert (other.status, other.document["error"]["type"]) == (1, "AlreadyRegisteredError")
    assert "its fee is 5000000000 instead of 0" in other.document["error"]["cause"]


def test_listing_is_verified_with_the_model(deployed, registered, digits):
    asked = ("verify-listing", registered, "--model", str(bench.MODEL), "--circuit", digits)
    outcome = deployed.sees(*asked, "--unsafe-accept-dev-setup")
    assert outcome.status == 0, outcome.stderr
    assert outcome.document["said"]["status"] == "active"
    status = deployed.sees("status", "--listing", registered).document
    layout = status["layout"]
    assert (status["setup"], layout["visibility"], layout["outputs"]) == ("insecure-dev", "public", 10)
    refused = deployed.sees(*asked)
    assert (refused.status, refused.document["error"]["type"]) == (1, "ListingError")


def test_only_the_owner_can_change_a_fee(deployed, registered):
    refused = deployed("fee", registered, "1gwei", pays=OTHER)
    assert (refused.status, refused.document["error"]["type"]) == (1, "RevertedError")
    assert deployed("fee", registered, "5gwei").document["transactions"] == []
    assert deployed("revoke", registered).status == 1  # without the typed confirmation
    assert deployed.sees("status", "--listing", registered).document["status"] == "active"


def test_route_is_scheduled_once_and_waits(deployed):
    remove = ("route", "remove", "0x" + EZKL_SELECTOR.hex())
    shown = deployed.sees(*remove, "--show").document
    assert (shown["state"], shown["transactions"], set(shown["calls"])) == ("unset", [], {"schedule", "execute"})
    assert deployed(*remove).status == 1  # without the typed confirmation
    first, again = deployed(*remove, "--yes").document, deployed(*remove, "--yes").document
    assert [one["state"] for one in (first, again)] == ["waiting", "waiting"]
    assert [len(one["transactions"]) for one in (first, again)] == [1, 0]
    refused = deployed("route", "add", "0x01020304", ADDRESS)
    assert (refused.status, refused.document["error"]["type"]) == (1, "DeploymentError")
    cancel = ("route", "cancel", first["operation"])
    assert deployed(*cancel).document["state"] == "unset"
    assert deployed(*cancel).status == 1


def test_redeploying_cannot_change_the_delay(deployed):
    outcome = deployed("deploy", "--delay", "7d")
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "AddressBookError")
    assert "updateDelay" in outcome.document["error"]["cure"]


def test_request_file_matches_the_chain(deployed, answered):
    request, _, made = answered
    outcome = deployed.sees("status", "--request", request)
    assert outcome.status == 0
    assert outcome.document["request"] == made["request"]
    assert made["fees"] == str(12 * 10**9)  # fees of the listing and of the prover


def test_opening_a_request_is_idempotent(deployed, answered):
    outcome = deployed("open", answered[0])
    assert (outcome.status, outcome.document["transactions"]) == (0, [])


def test_same_request_again_is_continued_and_another_is_refused(deployed, digits, registered):
    arguments = ("request", digits, "--any-input", "--out", "again.json", "--expires-in", "12h")
    first, second = deployed(*arguments), deployed(*arguments)
    assert (first.status, second.status) == (0, 0)
    assert (second.document["request"], second.document["transactions"]) == (first.document["request"], [])
    for options in (("--expires-in", "30d"), ("--owner-fee", "9gwei"), ("--consumer", "0x" + "11" * 20)):
        other = deployed(*arguments, *options)
        assert (other.status, other.document["error"]["type"]) == (1, "InputError")
        assert "holds another request" in other.document["error"]["cause"]


def test_refund_before_the_expiry_is_refused(deployed, digits, registered):
    made = deployed("request", digits, "--any-input", "--out", "early.json")
    assert made.status == 0, made.stderr
    outcome = deployed("refund", "early.json")
    assert outcome.status == 1
    assert "NotRefundable" in outcome.document["error"]["cause"]


def test_answer_is_recorded_and_posting_is_idempotent(deployed, answered, posted):
    request, answer, made = answered
    record = posted["records"][0]
    assert (record["request"], record["state"], record["recordedBefore"]) == (made["request"], "recorded", False)
    again = deployed("post", answer, "--request", request)
    assert (again.status, again.document["transactions"]) == (0, [])
    assert again.document["records"][0] == {**record, "recordedBefore": True}
    status = deployed.sees("status", "--request", request)
    assert (status.document["state"], status.document["outputDigest"]) == ("recorded", record["outputDigest"])


def test_answer_to_another_request_is_refused_before_sending(deployed, digits, answered, posted):
    other = "other.json"
    assert deployed("request", digits, "--any-input", "--out", other).status == 0
    stray = deployed.shell.folder / "stray.json"
    stray.write_bytes((deployed.shell.folder / answered[1]).read_bytes())
    outcome = deployed("post", "stray.json", "--request", other)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "InputError")
    assert "which is not given" in outcome.document["error"]["cause"]


def test_several_answers_are_posted_in_one_transaction(deployed, digits, answered, posted):
    second, proof, _ = asked(deployed, digits, 1)
    both = ("--request", answered[0], "--request", second)
    rehearsed = deployed("post", proof, answered[1], *both, "--dry-run")
    assert [one["state"] for one in rehearsed.document["records"]] == ["open", "recorded"]
    outcome = deployed("post", proof, answered[1], *both)
    assert outcome.status == 0, outcome.stderr
    assert [one["state"] for one in outcome.document["records"]] == ["recorded", "recorded"]
    assert [one["recordedBefore"] for one in outcome.document["records"]] == [False, True]
    assert len(outcome.document["transactions"]) == 1


def test_fees_are_withdrawn_once(deployed, posted):
    account = deployed.start["account"]
    credit = int(deployed.sees("status", "--credit-of", account).document["credit"])
    assert credit >= 12 * 10**9
    outcome = deployed("withdraw", "--to", ADDRESS)
    assert (outcome.status, outcome.document["amount"]) == (0, str(credit))
    again = deployed("withdraw", "--to", ADDRESS)
    assert (again.status, again.document["amount"], again.document["transactions"]) == (0, "0", [])


def test_cost_above_the_limit_is_refused(deployed, digits):
    outcome = deployed("register", digits, "--max-cost", "1gwei", pays=OTHER)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "FeeLimitError")
    assert "Raise the limit" in outcome.document["error"]["cure"]


def test_account_with_insufficient_funds_is_reported(deployed, digits):
    keystore = deployed.shell.folder / "poor.json"
    keystore.write_bytes(encrypt_keystore(Account.create(), b"development", iterations=2))
    keystore.chmod(0o600)
    pays = ("--keystore", str(keystore), "--passphrase-file", deployed.start["passphraseFile"])
    outcome = deployed("register", digits, pays=pays)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "FeeLimitError")
    assert "Fund the account" in outcome.document["error"]["cure"]


def test_keystore_readable_by_others_is_refused(deployed):
    shutil.copy(deployed.shell.folder / deployed.start["keystore"], deployed.shell.folder / "open.json")
    (deployed.shell.folder / "open.json").chmod(0o644)
    pays = ("--keystore", "open.json", "--passphrase-file", deployed.start["passphraseFile"])
    outcome = deployed("deploy", "--test", pays=pays)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "SignerError")
    assert "chmod" in outcome.document["error"]["cure"]


@pytest.mark.parametrize(
    ("pays", "message"),
    [
        ((), "no paying account is given"),
        (("--unsafe-dev-account", "0", "--signer", "https://a"), "exclude each other"),
    ],
)
def test_paying_account_must_be_given_exactly_once(deployed, pays, message):
    outcome = deployed("deploy", pays=pays)
    assert outcome.status == 2
    assert message in outcome.sentence


def test_unreachable_node_is_reported_without_its_secrets(deployed):
    outcome = deployed.shell("chain", "status", "--rpc", "http://user:hunter2@127.0.0.1:1/key", "--json", timeout=120)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "RpcError")
    assert "hunter2" not in outcome.stdout + outcome.stderr


def test_stop_requires_confirmation_and_is_permanent(deployed, posted, answered):
    ezkl, ashlar = (f"0x{selector.hex()}" for selector in (EZKL_SELECTOR, ASHLAR_SELECTOR))
    refused = deployed("stop", "ezkl")
    assert refused.status == 1
    assert deployed.sees("status").document["verifiers"] == {ezkl: "live", ashlar: "live"}
    rehearsed = deployed("stop", "ezkl", "--dry-run")
    assert rehearsed.document["dryRun"] is True
    stopped = deployed("stop", "ezkl", "--yes")
    assert stopped.status == 0, stopped.stderr
    again = deployed("stop", "ezkl", "--yes")
    assert (again.document["stoppedBefore"], again.document["transactions"]) == (True, [])
    status = deployed.sees("status").document
    assert status["verifiers"] == {ezkl: "stopped", ashlar: "live"}
    assert f"whether the verifier {ezkl} is live" in status["deployment"]
    refund = deployed("refund", "early.json")
    assert refund.status == 0, refund.stderr
    verified = deployed.sees("verify-deployment")
    assert (verified.status, verified.document["error"]["type"]) == (1, "DeploymentError")


def block_of_the_page(first):
    """The lines of the page's block that begins with this command."""
    (block,) = re.findall(rf"^```console\n({first} .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return block.splitlines()


@pytest.fixture
def reader(home, digits, tmp_path):
    """A reader who types the lines of the page, next to a development chain."""
    shutil.copytree(digits, tmp_path / "digits.circuit")
    for file in (bench.MODEL, bench.CALIBRATION):
        shutil.copy(file, tmp_path)
    (tmp_path / "image-1.json").write_text(json.dumps({"image": bench.image(0)["image"].tolist()}))
    chain = Chain(Shell(home.root, tmp_path), *EMBEDDED)
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "ZKINFER_RPC_URL": chain.start["rpc"], "ZKINFER_DEPLOYMENT": "deployment.json"}

    def typing(lines):
        done = subprocess.run(
            ["bash", "-c", "\n".join(["set -eu", *lines])],
            cwd=tmp_path,
            env=chain.shell.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield typing
    chain.end()


@pytest.mark.slow
def test_console_lines_of_the_page_succeed(reader):
    lines = [*block_of_the_page("zkinfer chain deploy"), *block_of_the_page("zkinfer chain register digits.circuit")]
    assert "recorded" in reader(lines)
    again = reader([line for line in lines if line.startswith(("zkinfer chain d", "zkinfer chain p"))])
    assert "already deployed" in again
    assert "recorded before" in again


@pytest.mark.slow
def test_lines_of_the_page_about_recovery_end_with_a_record(reader):
    if reason := engine_named("ashlar").unavailable:
        pytest.skip(reason)
    output = reader(block_of_the_page("export"))
    assert "stopped on chain" in output
    assert re.search(r"^state +recorded\b", output, re.MULTILINE)
    assert re.search(r"^verifier runs +yes\b", output, re.MULTILINE)


def test_interrupted_chain_exits_cleanly(home, tmp_path):
    chain = Chain(Shell(home.root, tmp_path), *EMBEDDED)
    status, output = chain.end()
    assert status == 0
    assert "the chain has ended" in output
    for name in ("account.json", "passphrase"):
        assert (tmp_path / "keys" / name).stat().st_mode & 0o077 == 0
