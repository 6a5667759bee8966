"""Two flows by commands: a copy that nobody declared, with proven fingerprints; and a picture without a proof."""

import io
import signal

import pytest
from PIL import Image, ImageDraw
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain, has_node
from tests.e2e.test_works_commands import Works
from tests.paths import ANVIL
from tests.unit.works.pictures import drawing

from zkinfer.chain import read_request
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.contracts.chain import Chain as Node
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.works import Works as Contract

pytestmark = pytest.mark.slow
PLATFORM, ANN, BUYER, CRITIC, SILENT, STRANGER = (("--unsafe-dev-account", str(number)) for number in range(6))
COPIES = {"buyer": (BUYER, 90), "critic": (CRITIC, 60), "silent": (SILENT, 30)}
"""Who registers a copy, and the quality at which it was saved again."""
BOOK = ("--deployment", "book.json")
DAY = 24 * 3600


@pytest.fixture(scope="module")
def works(home, run_folder):
    """Works that compare fingerprints, on anvil if it is installed."""
    if unavailable := AshlarEngine().unavailable:
        pytest.skip(unavailable)
    folder = run_folder / "works-flows"
    folder.mkdir()
    options = ("--evm", "anvil", "--anvil", str(ANVIL)) if has_node(ANVIL) else EMBEDDED
    chain = Chain(Shell(home.root, folder, str(folder)), *options)
    found = Works(chain)
    assert chain("deploy", "--test", *BOOK, pays=PLATFORM).status == 0
    chain.shell("works", "print-circuit", "--setup", "insecure-dev", "--out", "print.circuit", timeout=300)
    listed = chain("register", "print.circuit", *BOOK, pays=PLATFORM)
    assert listed.status == 0, listed.stderr
    to = ("--base-uri", "", "--print-listing", listed.document["listing"])
    deployed = found.done("deploy", *to, *BOOK, pays=PLATFORM)
    found.address = deployed["works"]
    chain.shell("keys", "new", "--out", "a.key", "--unsafe-unencrypted")
    yield found
    chain.end(signal.SIGTERM)


def wait(works, seconds):
    """Let time pass on a chain for development, until its next block."""
    web3 = connect(works.chain.start["rpc"])
    then = Node(web3).time() + seconds
    method = "evm_setNextBlockTimestamp" if works.chain.start["evm"] == "anvil" else "testing_timeTravel"
    for name, arguments in ((method, [then]), ("evm_mine", [])):
        assert "error" not in web3.provider.make_request(name, arguments)


def registered(works, name, picture, pays):
    """A picture's work, with its proven fingerprint on record."""
    path = works.path(f"{name}.png")
    picture.save(path)
    proven = {one: f"{name}-{one}" for one in ("work.json", "pixels.npz", "request.json", "print.json")}
    shell = works.chain.shell
    certified = ("works", "certify", path.name, "--key", "a.key", "--origin", "human", "--out", proven["work.json"])
    assert shell(*certified, timeout=300).status == 0
    work = works.done("register", proven["work.json"], pays=pays)["work"]
    shell("works", "pixels", path.name, "--out", proven["pixels.npz"])
    publisher = ("--publisher", works.chain.start["account"].lower())
    asked = ("request", "print.circuit", "--input", proven["pixels.npz"], "--out", proven["request.json"], *publisher)
    assert works.chain(*asked, *BOOK, pays=pays).status == 0
    given = ("--input", proven["pixels.npz"], "--request", proven["request.json"], "--out", proven["print.json"])
    assert shell("prove", "print.circuit", *given, timeout=300).status == 0
    request = ("--request", proven["request.json"], *BOOK)
    assert works.chain("post", proven["print.json"], *request, pays=pays).status == 0
    works.done("record-print", work, proven["print.json"], *request, pays=pays)
    return work


def saved_again(picture, quality):
    """A smaller copy, with a mark in a corner, through JPEG."""
    stream = io.BytesIO()
    ImageDraw.Draw(picture).rectangle([5, 5, 25, 15], fill="white")
    picture.resize((200, 150)).save(stream, "JPEG", quality=quality)
    return Image.open(stream)


@pytest.fixture(scope="module")
def original(works):
    """Ann's work, a day before all others, and an offer to derive from it."""
    work = registered(works, "original", drawing(1), ANN)
    works.path("licence.txt").write_text("Derive from it.")
    terms = ("--terms", "licence.txt", "--uses", "commercial,derivatives", "--share", "10")
    offer = works.done("offer", work, *terms, pays=ANN)["offer"]
    wait(works, DAY)
    return work, offer


@pytest.fixture(scope="module")
def copies(works, original):
    """Works that others registered of Ann's picture, saved again."""
    return {
        name: registered(works, name, saved_again(drawing(1), quality), pays)
        for name, (pays, quality) in COPIES.items()
    }


@pytest.fixture(scope="module")
def flagged(works, original, copies):
    """What each flag said."""
    return {name: works.done("flag", copy, original[0], pays=ANN) for name, copy in copies.items()}


def pair(copies, name, original, works):
    return copies[name], original[0]


def refusal(outcome):
    assert outcome.status == 1
    return outcome.document["error"]["cause"]


def test_copies_are_flagged_by_proven_fingerprints(works, copies, flagged):
    for name, one in flagged.items():
        assert one["stage"] == "flagged"
        assert 0 < one["distance"] <= 24
        assert one["compared"] >= 224
        assert works.done("status", copies[name])["standing"] == "flagged"


def looked_up(works, name, *book):
    """What a directory that follows the chain now finds for a file."""
    works.done("index", "--db", "works.db", "--once", "--confirmations", "1", *book)
    return works.done("lookup", name, "--index", "works.db")


def test_directory_finds_copies_by_proven_fingerprints_and_names_their_flags(works, original, copies, flagged):
    found = looked_up(works, "original.png", *BOOK)
    by = {one["work"]["work"]: one for one in found["matches"]}
    assert by.pop(original[0])["by"] == "sha256"
    assert {name: by[copy]["by"] for name, copy in copies.items()} == dict.fromkeys(copies, "print")
    for name, copy in copies.items():
        (flag,) = by[copy]["work"]["flags"]
        assert (flag["older"], flag["younger"], flag["state"]) == (original[0], copy, "flagged")
        assert (flag["distance"], flag["compared"]) == (flagged[name]["distance"], flagged[name]["compared"])
        assert by[copy]["work"]["standing"] == "flagged"


def test_directory_without_an_address_book_believes_no_fingerprint(works, original, copies, tmp_path):
    """In a home of its own, since chains of other tests may have the same number, and left their books."""
    given = {"ZKINFER_RPC_URL": works.chain.start["rpc"], "ZKINFER_WORKS": works.address, "ZKINFER_HOME": str(tmp_path)}
    index = ("works", "index", "--db", "bookless.db", "--once", "--confirmations", "1")
    assert works.chain.shell(*index, timeout=300, **given).status == 0
    found = works.done("lookup", "original.png", "--index", "bookless.db")
    assert [one["by"] for one in found["matches"]] == ["sha256"]


def test_only_the_owner_of_the_older_work_flags(works, copies):
    assert "NotYours" in refusal(works("flag", copies["silent"], copies["buyer"], pays=ANN))


def test_another_picture_is_not_flagged(works, original):
    other = registered(works, "other", drawing(2), STRANGER)
    assert "TooFar" in refusal(works("flag", other, original[0], pays=ANN))
    assert works.done("status", other)["standing"] == "clear"


def test_owner_who_acknowledges_takes_a_licence(works, original, copies, flagged):
    flag = pair(copies, "buyer", original, works)
    licence = works.done("buy", original[1], pays=BUYER)["licence"]
    assert "NotYours" in refusal(works("answer", *flag, "--licence", licence, pays=CRITIC))
    assert works.done("answer", *flag, "--licence", licence, pays=BUYER)["stage"] == "released"
    assert works.done("status", copies["buyer"])["standing"] == "clear"


def test_owner_who_contests_keeps_selling(works, original, copies, flagged):
    flag = pair(copies, "critic", original, works)
    said = works.done("answer", *flag, "--contest", "https://critic.example/reasons", pays=CRITIC)
    assert (said["stage"], said["contested"]) == ("contested", True)
    assert works.done("status", copies["critic"])["standing"] == "contested"
    assert "NotYours" in refusal(works("uphold", *flag, pays=ANN))  # there is no arbiter
    offer = works.done("offer", copies["critic"], "--terms", "licence.txt", "--uses", "commercial", pays=CRITIC)
    assert works.done("buy", offer["offer"], pays=STRANGER)["licence"]
    assert works.done("release", *flag, pays=ANN)["stage"] == "released"


def test_silence_ends_the_sale_of_licences_and_nothing_else(works, original, copies, flagged):
    flag, copy = pair(copies, "silent", original, works), copies["silent"]
    offer = works.done("offer", copy, "--terms", "licence.txt", "--uses", "commercial", "--price", "7wei", pays=SILENT)
    sold = works.done("buy", offer["offer"], pays=STRANGER)
    assert "TooEarly" in refusal(works("uphold", *flag, pays=STRANGER))
    wait(works, 14 * DAY)
    assert works.done("uphold", *flag, pays=STRANGER)["stage"] == "upheld"
    assert "WorkBlocked" in refusal(works("buy", offer["offer"], pays=STRANGER))
    shown = works.done("status", copy, "--holder", sold["holder"], "--uses", "commercial", "--licence", sold["licence"])
    assert (shown["standing"], shown["authorised"], shown["received"]) == ("upheld", True, "7")
    works.done("settle", copy, pays=STRANGER)
    assert works.done("withdraw", pays=SILENT)["withdrawn"] == "7"
    found = looked_up(works, "silent.png", *BOOK)
    assert (found["standing"], found["offers"], found["matches"][0]["work"]["work"]) == ("upheld", [], copy)


@pytest.fixture(scope="module")
def diffused(works):
    """A picture with the credentials of the generator that made it, registered by a person."""
    shell = works.chain.shell
    drawing(3).save(works.path("made.png"))
    shell("works", "keys", "--name", "Some Generator", "--out", "generator", "--unsafe-unencrypted")
    shell("keys", "new", "--out", "generator.key", "--unsafe-unencrypted")
    marks = ("--mark", "diffused.png", "--credentials", "generator", "--key", "generator.key", "--out", "theirs.json")
    assert shell("works", "certify", "made.png", "--origin", "generated", *marks, timeout=300).status == 0
    certified = ("--origin", "generated", "--key", "a.key", "--out", "diffused.json")
    assert shell("works", "certify", "diffused.png", *certified, timeout=300).status == 0
    return works.done("register", "diffused.json", pays=ANN)["work"]


def shown(works, *arguments):
    return works.chain.shell("works", "show", *arguments, "--json", timeout=300)


def test_generators_credentials_attest_what_no_record_proves(works, diffused):
    for certificate in ((), ("--certificate", "diffused.json")):
        found = shown(works, "diffused.png", *certificate, "--root", "generator/root.pem").document
        assert (found["ok"], found["aiGenerated"]) == (True, "attested")
    status = works.done("status", diffused)
    assert (status["origin"], status["record"]) == ("generated, claimed", "none")


def test_token_without_a_record_does_not_verify(works, diffused, original):
    contract = Contract(Node(connect(works.chain.start["rpc"])), works.address)
    record = contract.work(int(diffused, 16))
    assert (record.is_proven, record.origin) == (False, "generated")
    request = read_request(works.path("original-request.json")).request
    assert not contract.verifies(request, [1, 2, 3])


def test_credentials_do_not_survive_another_encoder_and_the_claim_does(works, diffused):
    Image.open(works.path("diffused.png")).convert("RGB").save(works.path("again.png"))
    found = shown(works, "again.png", "--root", "generator/root.pem").document
    assert (found["ok"], found["aiGenerated"]) == (True, "unknown")
