"""A feed from the command line, from a circuit and a file of prices to an audit."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.integration.test_oracle_sourced import ROUNDS, put_prices
from tests.paths import PROGRAM, ROOT
from tests.unit.oracle import volatility
from tests.vectors.make_feeds import config, spec

from zkinfer.contracts.address_book import read_book
from zkinfer.contracts.chain import Chain as ContractChain
from zkinfer.contracts.feed_formats import FeedPayload, Level, feed_id
from zkinfer.contracts.feed_parts import deploy_face
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import DEV_CHAINS, unsafe_dev_account
from zkinfer.oracle.specs import read_feed

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/start/oracle-operator.md").read_text(encoding="utf-8")
README = (volatility.EXAMPLE / "README.md").read_text(encoding="utf-8")
OWNER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
PAYS, STRANGER = ("--unsafe-dev-account", "0"), ("--unsafe-dev-account", "7")
SIGNERS = ",".join(unsafe_dev_account(number, DEV_CHAINS[0]).address for number in (1, 2, 3))
TWO = ("--unsafe-dev-account", "1", "--unsafe-dev-account", "3")
SOURCE = ("--circuit", "vol.circuit", "--source", "source.toml")
AUDIT = ("--model", "vol.onnx", "--circuit", "vol.circuit", "--accept-engine", "ashlar")
DEV_SETUP = "--unsafe-accept-dev-setup"


class Operator:
    """A user with a chain, the example's circuit and a source."""

    def __init__(self, shell, chain):
        self.shell, self.chain = shell, chain

    def __call__(self, *arguments, status=0):
        outcome = self.shell("oracle", *arguments, ZKINFER_RPC_URL=self.chain.start["rpc"], timeout=300)
        assert outcome.status == status, outcome.stderr
        return outcome

    def report(self, name, *options):
        self("report", "vol.feed.json", *SOURCE, "--out", name, *options)
        return FeedPayload.decode((self.shell.folder / name).read_bytes())


@pytest.fixture(scope="module")
def operator(run_folder):
    folder, circuit = run_folder / "operator", volatility.circuit_in(run_folder)
    folder.mkdir()
    shutil.copytree(circuit.folder, folder / "vol.circuit")
    for path in (volatility.PRICES, volatility.MODEL):
        shutil.copy(path, folder)
    (folder / "source.toml").write_text('file = "prices.json"\nselect = "prices[*].close"\nform = "return"\n')
    shell = Shell(volatility.home_in(run_folder).root, folder)
    running = Chain(shell, *EMBEDDED)
    assert running("deploy", "--test").status == 0
    assert running("register", "vol.circuit", pays=PAYS).status == 0
    yield Operator(shell, running)
    running.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def feed(operator):
    """The file of a feed that was created with two of three signers."""
    operator("init", *SOURCE, "--owner", OWNER, "--description", "WTI volatility", "--out", "vol.feed.json")
    operator("create", "vol.feed.json", "--signers", SIGNERS, "--threshold", "2", *PAYS)
    return operator.shell.folder / "vol.feed.json"


@pytest.fixture(scope="module")
def posted(operator, feed):
    """A proven report that was posted."""
    payload = operator.report("report.bin", *TWO, "--prove")
    operator("post", "report.bin", *STRANGER)
    return payload


def audited(operator, posted, *options, status=0):
    outcome = operator("audit", "--feed", posted.report.feed_id, *AUDIT, DEV_SETUP, *options, "--json", status=status)
    return outcome.document


def test_feed_file_holds_the_chosen_signers(feed):
    found = read_feed(feed)
    assert (len(found.config.signers), found.config.threshold) == (3, 2)
    assert (found.spec.owner, found.spec.description) == (OWNER, "WTI volatility")


def test_answers_are_shown_in_decimals_and_told_as_integers(operator, feed, tmp_path):
    options = ("init", *SOURCE, "--owner", OWNER, "--out")
    shown = operator(*options, tmp_path / "shown.json").stdout
    told = operator(*options, tmp_path / "told.json", "--json").document
    assert f"0.{told['answer']}" in shown
    assert (told["decimals"], told["publisher"]) == (8, OWNER)
    assert re.search(r"^tolerance +0\.\d{8}$", shown, re.MULTILINE)
    assert re.search(r"^max age +600 s$", shown, re.MULTILINE)


def test_feed_file_is_not_overwritten(operator, feed):
    outcome = operator("init", *SOURCE, "--owner", OWNER, "--out", "vol.feed.json", status=1)
    assert "exists already" in outcome.sentence


def test_creating_again_sends_nothing(operator, feed):
    document = operator("create", "vol.feed.json", *PAYS, "--json").document
    assert document["transactions"] == []
    assert set(document["faces"]) == {"attested", "proven"}


def test_dry_run_sends_nothing(operator, feed):
    other = ("--signers", OWNER, "--dry-run")
    outcome = operator("create", "vol.feed.json", *other, *PAYS)
    assert "nothing was sent" in outcome.text
    assert len(read_feed(feed).config.signers) == 3


def test_only_the_owner_creates(operator, feed):
    outcome = operator("create", "vol.feed.json", "--signers", OWNER, *STRANGER, status=1)
    assert "NotFeedOwner" in outcome.sentence
    assert len(read_feed(feed).config.signers) == 3


def test_report_is_proven_and_signed(posted):
    assert (posted.level, len(posted.signatures)) == (Level.PROVEN, 2)


def test_published_files_lie_beside_the_report(operator, posted, feed):
    names = {path.name for path in (operator.shell.folder / "sources").iterdir()}
    assert {posted.source_digest, read_feed(feed).spec.recipe} <= names


def test_posting_again_changes_nothing(operator, posted):
    document = operator("post", "report.bin", *STRANGER, "--json").document
    assert (document["transactions"], document["reports"][0]["before"]) == ([], True)


def test_report_with_too_few_signatures_is_refused(operator, feed):
    operator.report("few.bin", "--unsafe-dev-account", "1")
    assert "NotEnoughSigners" in operator("post", "few.bin", *STRANGER, status=1).sentence


def test_stranger_cannot_sign(operator, feed):
    outcome = operator("report", "vol.feed.json", *SOURCE, "--out", "x.bin", *STRANGER, status=1)
    assert "not a signer of the feed" in outcome.sentence
    assert not (operator.shell.folder / "x.bin").exists()


def test_damaged_report_is_refused(operator, posted):
    (operator.shell.folder / "damaged.bin").write_bytes(posted.encode()[:-1])
    assert "cannot be decoded" in operator("post", "damaged.bin", *STRANGER, status=1).sentence


@pytest.mark.parametrize(
    "options",
    [(), ("--server", "https://a", *SOURCE), ("--circuit", "vol.circuit"), (*SOURCE, "--round", "3")],
)
def test_contradictory_options_are_refused(operator, feed, options):
    operator("report", "vol.feed.json", *options, "--out", "x.bin", status=2)


def test_audit_derives_the_round_again(operator, posted):
    document = audited(operator, posted)
    assert document["ok"] is True
    found = next(one for one in document["rounds"] if one["round"] == posted.round)
    assert (found["reported"], found["derived"]) == (str(posted.report.answer),) * 2
    assert (found["holds"], found["signatures"], found["proof"]) == (True, 2, "valid")


def test_audit_shows_a_table(operator, posted):
    outcome = operator("audit", "--feed", "vol.feed.json", *AUDIT, DEV_SETUP, "--round", posted.round)
    assert "1 of 1 reports hold" in outcome.stdout


def test_audit_names_the_tampered_file(operator, posted, tmp_path):
    shutil.copytree(operator.shell.folder / "sources", tmp_path / "sources")
    path = tmp_path / "sources" / posted.source_digest
    path.write_bytes(path.read_bytes().replace(b"46.92", b"64.92"))
    document = audited(operator, posted, "--sources", tmp_path / "sources", status=1)
    (failed,) = [one for one in document["rounds"] if not one["holds"]]
    assert f"{path} was changed" in failed["problem"]


def test_audit_takes_files_from_several_places(operator, posted, tmp_path):
    document = audited(operator, posted, "--sources", tmp_path, "--sources", operator.shell.folder / "sources")
    assert (document["ok"], document["decimals"]) == (True, 8)


def test_audit_of_a_missing_round_fails(operator, posted):
    assert audited(operator, posted, "--round", "1", status=1)["rounds"] == []


def test_audit_refuses_what_the_auditor_does_not_accept(operator, posted):
    outcome = operator("audit", "--feed", posted.report.feed_id, *AUDIT, status=1)
    assert "insecure-dev" in outcome.sentence


def test_audit_of_another_model_fails(operator, posted, tmp_path):
    (tmp_path / "other.onnx").write_bytes(volatility.MODEL.read_bytes() + b"\0\0")
    changed = ("--model", tmp_path / "other.onnx", *AUDIT[2:])
    outcome = operator("audit", "--feed", posted.report.feed_id, *changed, DEV_SETUP, status=1)
    assert "other.onnx is not the ONNX file of" in outcome.sentence


@pytest.fixture(scope="module")
def prices(operator, feed):
    """The address of a face of a price feed on the chain, with a round for each of the last seconds."""
    web3 = connect(operator.chain.start["rpc"])
    chain = ContractChain(web3, unsafe_dev_account(0, ContractChain(web3).id))
    book = read_book(operator.shell.home / "deployments" / f"{chain.id}.json")
    hub = FeedHub(chain, book.addresses["FeedHub"])
    listing = read_feed(feed).spec.listing
    about = spec(listing=listing, owner=chain.address, tick=1, heartbeat=1, scale=0, most=10**12)
    hub.create(about, hub.configure(config()))
    now = int(time.time())
    put_prices(chain, hub, about, range(now // 60 * 60 - ROUNDS, now))
    return deploy_face(chain, hub.address, feed_id(about), Level.ATTESTED)


def test_feed_from_another_feed_needs_no_signers(operator, prices):
    for name, address in (("chain", prices), ("other", OWNER)):
        text = f'aggregator = "{address}"\nform = "return"\n'
        (operator.shell.folder / f"{name}.toml").write_text(text)
    source = ("--circuit", "vol.circuit", "--source", "chain.toml")
    made = operator("init", *source, "--owner", OWNER, "--out", "chain.feed.json")
    assert re.search(r"^max age +7200 s$", made.stdout, re.MULTILINE)
    assert "how old the aggregator's last answer may be" in made.stderr
    assert "Give --source" in operator("create", "chain.feed.json", *PAYS, status=1).sentence
    assert (
        "source would be" in operator("create", "chain.feed.json", "--source", "other.toml", *PAYS, status=1).sentence
    )
    operator("create", "chain.feed.json", "--source", "chain.toml", *PAYS)
    operator("report", "chain.feed.json", *source, "--out", "chain.bin")
    document = operator("post", "chain.bin", *STRANGER, "--json").document
    assert document["reports"][0]["signatures"] == 0
    outcome = operator("audit", "--feed", "chain.feed.json", *AUDIT, DEV_SETUP, "--json")
    (found,) = outcome.document["rounds"]
    assert (found["holds"], found["proof"]) == (True, "valid")


def console(text):
    return [
        line
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


def test_lines_of_the_page_lead_from_a_model_to_an_audit(run_folder, tmp_path):
    volatility.circuit_in(run_folder)  # skips without the engine's core
    shutil.copytree(volatility.EXAMPLE, tmp_path / "my-demo", ignore=shutil.ignore_patterns("__pycache__"))
    shell = Shell(volatility.home_in(tmp_path).root, tmp_path / "my-demo")
    chain = Chain(shell, *EMBEDDED)
    (shell.folder / "keys").rename(shell.folder / "dev-chain")
    daemon = shell.folder / "feeds.toml"
    daemon.write_text(daemon.read_text().replace("http://127.0.0.1:8545", chain.start["rpc"]))
    try:
        lines = [line for line in console(PAGE) if "digits" not in line and "request" not in line]
        path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**shell.environment, "PATH": path, "ZKINFER_RPC_URL": chain.start["rpc"]}
        done = subprocess.run(
            ["bash", "-ec", "\n".join(line for line in lines if "withdraw" not in line)],
            cwd=shell.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
    finally:
        chain.end(signal.SIGTERM)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 reports hold" in done.stdout
    assert re.search(r"^wti-vol +dev +fresh", done.stdout, re.MULTILINE)


def test_figures_of_the_examples_readme_are_measured(tmp_path):
    (line,) = console(README)
    words = line.replace("python", sys.executable, 1).split()
    environment = {**os.environ, "ZKINFER_HOME": str(tmp_path)}
    done = subprocess.run(
        words, cwd=volatility.EXAMPLE, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    bits, width, error = re.search(r"2\^(\d+), (\d) bytes.*?at most ([\d.]+)", done.stdout, re.DOTALL).groups()
    assert f"{bits} fractional bits in {('', 'one', 'two')[int(width)]} bytes" in README.replace("\n", " ")
    assert f"off by at most {error} on" in README.replace("\n", " ")
