"""The pages start/creator.md and start/commission.md, as written, each on a chain of its own."""

import re
import shutil
import signal
import subprocess

import pytest
from tests.e2e.pages import follow, lines_of
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.marketplace import sell
from tests.paths import ROOT

from zkinfer.contracts.chain import Chain as Node
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import unsafe_dev_account

pytestmark = pytest.mark.slow
CREATOR = (ROOT / "docs/start/creator.md").read_text(encoding="utf-8")
COMMISSION = (ROOT / "docs/start/commission.md").read_text(encoding="utf-8")
BUYER, COLLECTOR, SALE = 7, 9, 10**18
NAMES = "PICTURE MODEL PROMPT LISTING STUDIO BY_MODEL BY_PROMPT ZKINFER_WORKS"


class Walk:
    """A stranger with the files of examples/studio, in a shell beside a chain."""

    def __init__(self, folder):
        for file in (ROOT / "examples/studio").glob("paint*"):
            shutil.copy(file, folder)
        self._shell = Shell(folder / "home", folder)
        self.chain = Chain(self._shell, *EMBEDDED)

    def run(self, *words):
        """One command in this process."""
        rpc = {"ZKINFER_RPC_URL": self.chain.start["rpc"]}
        return self._shell("works", *words, "--json", timeout=300, **rpc)

    def __call__(self, lines):
        return follow(self._shell, lines, self.chain.start["rpc"], timeout=600)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Begins a walk in a folder of its own."""
    begun = []

    def begin(name):
        begun.append(Walk(tmp_path_factory.mktemp(name)))
        return begun[-1]

    yield begin
    for one in begun:
        one.chain.end(signal.SIGTERM)


def section(page, title):
    """The part of a page below a heading."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def done(walk):
    """The creators' page after its lines were executed."""
    return walk("works")(lines_of(CREATOR))


def test_every_line_of_the_page_succeeds(done):
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("document", "value"), [('{"work": "0x12"}', "0x12"), ('{"ok": false, "error": {"cause": "No."}}', ""), ("", "")]
)
def test_field_is_empty_and_says_nothing_if_the_command_failed(document, value):
    [field] = [line for line in lines_of(CREATOR).splitlines() if line.startswith("field()")]
    done = subprocess.run(
        ["bash", "-c", f"{field}\nfield work"], input=document, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (value, "")


def test_picture_is_trusted_and_its_origin_claimed(done):
    assert "a given root vouches for the signer" in done.stdout
    assert "claimed  A person made it, without a model." in done.stdout


def test_licence_covers_its_own_subject_and_use_alone(done):
    lines = re.findall(r"^licence 1 .*$", done.stdout, re.MULTILINE)
    assert lines == [
        "licence 1 ✓ covers acme.example (the buyer's claim)",
        "licence 1 ✗ does not cover other.example (the buyer's claim)",
        "licence 1 ✗ does not cover acme.example (the buyer's claim)",
    ]


def test_remix_shares_with_its_original_to_the_wei(done):
    assert re.search(r"^parent +0x[0-9a-f]+ gets 10 % of its income$", done.stdout, re.MULTILINE)
    assert re.search(r"^withdrawn +0\.025 ether$", done.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def commission(walk):
    """The studios' page after its lines were executed, up to the resale; and the walk, which goes on."""
    walked = walk("studio")
    lines = lines_of(section(CREATOR, "A local chain")) + lines_of(COMMISSION)
    return walked, walked(f"{lines}\ndeclare -p {NAMES} > state\n")


def test_every_line_about_a_studio_succeeds(commission):
    _, done = commission
    assert done.returncode == 0, done.stderr


def test_picture_is_proven_while_its_record_may_be_relied_on(commission):
    _, done = commission
    assert re.search(r"^origin +generated, proven$", done.stdout, re.MULTILINE)
    proven = r"^proven +A model made it: .* has its proven answer .* It counts while the model is not revoked"
    assert len(re.findall(proven, done.stdout, re.MULTILINE)) == 2  # without a certificate, and with one
    assert "takes models whose proofs anyone can forge" in done.stdout
    assert "Which grey level a number is, is the word of sha256:" in done.stdout


def test_order_is_open_until_it_is_delivered(commission):
    _, done = commission
    assert re.findall(
        r"^(open|delivered) +0x[0-9a-f]{64} by 0x[0-9a-f]{40}, 0\.003 ether", done.stdout, re.MULTILINE
    ) == ["open"]


def test_model_prompt_and_prover_are_paid(commission):
    _, done = commission
    paid = re.findall(r"^withdrawn +(.*) ether$", done.stdout, re.MULTILINE)
    assert paid == ["0.011", "0.002"]
    assert "0.003 ether to 0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f" in done.stdout


@pytest.fixture(scope="module")
def state(commission):
    """What the page's variables hold, by name."""
    walked, done = commission
    assert done.returncode == 0, done.stderr
    text = walked("cat state").stdout
    return dict(re.findall(r'^declare -[-x]+ (\w+)="(0x[0-9a-f]+)"$', text, re.MULTILINE))


def ordered(walked, state, *options, circuit="painter.circuit", offers=("BY_MODEL", "BY_PROMPT"), account="9"):
    """Order the page's picture again, as another account."""
    rights = [word for name in offers for word in ("--offer", state[name])]
    wish = ("--input", "wish.json", "--studio", state["STUDIO"], "--out", "again.json")
    return walked.run("studio", "commission", circuit, *wish, *rights, *options, "--unsafe-dev-account", account)


def refusal(outcome):
    assert outcome.status == 1, outcome.stdout
    return outcome.document["error"]["cause"], outcome.document["error"]["cure"]


def test_order_before_the_studio_may_register_is_refused_with_the_cure(commission, state):
    cause, cure = refusal(ordered(commission[0], state))
    assert "may not register pictures" in cause
    assert "--allow-studio" in cure


def test_rehearsal_of_a_first_order_is_of_the_permission_and_sends_nothing(commission, state):
    outcome = ordered(commission[0], state, "--allow-studio", "--dry-run")
    assert (outcome.status, outcome.document["dryRun"], len(outcome.document["transactions"])) == (0, True, 1)
    assert "rehearsed once the studio may register" in outcome.sentence
    assert "may not register" in refusal(ordered(commission[0], state))[0]


def test_rehearsal_of_a_later_order_writes_nothing(commission, state):
    outcome = ordered(commission[0], state, "--dry-run", account=str(BUYER))
    assert (outcome.status, outcome.document["price"]) == (0, str(13 * 10**15))
    assert "file" not in outcome.document
    assert ordered(commission[0], state, "--dry-run", account=str(BUYER)).status == 0


@pytest.mark.parametrize("offers", [("BY_MODEL",), ("BY_PROMPT", "BY_PROMPT"), ("BY_MODEL", "BY_PROMPT", "BY_PROMPT")])
def test_order_takes_one_right_of_the_model_and_one_of_a_prompt(commission, state, offers):
    cause, _ = refusal(ordered(commission[0], state, offers=offers))
    assert "one offer or licence of the model" in cause
    assert f"there are {offers.count('BY_MODEL')} of the model, {offers.count('BY_PROMPT')} of other works" in cause


def test_offer_that_the_market_does_not_know_is_named(commission, state):
    cause, _ = refusal(ordered(commission[0], state | {"BY_PROMPT": "0x" + "ab" * 32}))
    assert "1 that the market does not know" in cause


def test_address_that_is_no_studio_is_refused(commission, state):
    cause, _ = refusal(ordered(commission[0], state | {"STUDIO": state["ZKINFER_WORKS"]}))
    assert "not that of Studio" in cause


def test_request_file_is_not_overwritten(commission, state):
    outcome = ordered(commission[0], state, "--out", "order.json")
    assert "order.json" in refusal(outcome)[0]


def test_prover_fee_without_a_prover_is_refused(commission, state):
    assert ordered(commission[0], state, "--prover-fee", "1wei").status == 2


def test_delivery_again_sends_nothing(commission, state):
    outcome = commission[0].run(
        "studio", "deliver", "painted.json", "--request", "order.json", "--unsafe-dev-account", "9"
    )
    assert outcome.status == 0, outcome.stderr
    assert (outcome.document["work"], outcome.document["registered"]) == (state["PICTURE"], True)
    assert outcome.document["transactions"] == []


def test_delivered_order_is_listed_and_not_saved(commission, state):
    walked, _ = commission
    (listed,) = walked.run("studio", "orders", "--studio", state["STUDIO"], "--save", "orders").document["orders"]
    assert (listed["state"], listed["work"]) == ("delivered", state["PICTURE"])
    assert "file" not in listed


def test_order_of_which_only_the_chain_is_left_is_saved_again(commission, state):
    walked, _ = commission
    made = ordered(walked, state, account=str(BUYER))
    assert made.status == 0, made.stderr
    found = walked.run("studio", "orders", "--studio", state["STUDIO"], "--save", "orders").document["orders"]
    assert (found[0]["request"], found[0]["state"]) == (made.document["request"], "open")
    same = walked(f"cmp again.json {found[0]['file']}")
    assert same.returncode == 0, same.stdout


def test_studio_of_another_work_is_not_deployed(commission, state):
    named = ("--model", state["PROMPT"], "--listing", state["LISTING"], "--works", state["ZKINFER_WORKS"])
    cause, cure = refusal(commission[0].run("studio", "deploy", *named, "--unsafe-dev-account", "5"))
    assert "does not own the listing" in cause
    assert "works till accept" in cure


def test_another_file_is_not_shown_as_proven(commission):
    outcome = commission[0].run("show", "painted.png", "--attestation", "painted.json")
    assert outcome.status == 1
    assert outcome.document["aiGenerated"] == "unknown"


@pytest.fixture(scope="module")
def resold(commission, state):
    """The page's last lines, after the picture was sold on a marketplace."""
    walked, found = commission[0], state
    web3 = connect(walked.chain.start["rpc"])
    buyer, collector = (unsafe_dev_account(number, Node(web3).id) for number in (BUYER, COLLECTOR))
    sell(web3, found["ZKINFER_WORKS"], int(found["PICTURE"], 16), buyer, collector, SALE)
    (block,) = re.findall(r"^```\n(.*?)^```$", section(COMMISSION, "Sold on"), re.MULTILINE | re.DOTALL)
    return walked(f". ./state\n{block}"), collector.address.lower()


def test_royalty_of_a_resale_is_shared_with_model_and_prompt(resold):
    done, collector = resold
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^owner +{collector}$", done.stdout, re.MULTILINE)
    amounts = {
        name: re.search(rf"^{name} +(.*) ether$", done.stdout, re.MULTILINE)[1] for name in ("received", "ownerCredit")
    }
    assert amounts == {"received": "0.05", "ownerCredit": "0.04"}
