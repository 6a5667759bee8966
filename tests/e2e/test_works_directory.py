"""The guide's lines on the directory, after those of the page for creators, and the commands on their chain."""

import io
import json
import re
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from tests.e2e.pages import follow, lines_of
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.e2e.test_serve import served
from tests.paths import ROOT

from zkinfer.works.credentials import read_marks

pytestmark = pytest.mark.slow
CREATOR = (ROOT / "docs/start/creator.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/guides/lookup.md").read_text(encoding="utf-8")


def section(title):
    """The part of the guide below a heading."""
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


class Place:
    """A folder with a picture that was registered, sold and remixed, on a running chain."""

    def __init__(self, shell, chain, said):
        self.shell, self.chain, self.said = shell, chain, said
        self.work, self.works = (said.stdout.split(f"{name}=")[1].split()[0] for name in ("WORK", "ZKINFER_WORKS"))

    def __call__(self, *arguments):
        rpc, works = self.chain.start["rpc"], self.works
        return self.shell("works", *arguments, "--json", ZKINFER_RPC_URL=rpc, ZKINFER_WORKS=works, timeout=300)

    def index(self, name="works.db", *options):
        outcome = self("index", "--db", name, "--once", "--confirmations", "1", *options)
        assert outcome.status == 0, outcome.stderr
        return outcome.document

    def path(self, name):
        return self.shell.folder / name


@pytest.fixture(scope="module")
def place(home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("directory")
    shutil.copy(ROOT / "examples/studio/painted.png", folder)
    shell = Shell(folder / "home", folder)
    chain = Chain(shell, *EMBEDDED)
    names = "echo WORK=$WORK ZKINFER_WORKS=$ZKINFER_WORKS"
    lines = f"{lines_of(CREATOR)}\n{names}\n{lines_of(GUIDE.partition('## The directory')[0])}"
    said = follow(shell, lines, chain.start["rpc"], timeout=400)
    try:
        assert said.returncode == 0, said.stderr
        yield Place(shell, chain, said)
    finally:
        chain.end(signal.SIGTERM)


def test_guide_finds_the_stripped_picture_and_authorises_its_buyer_alone(place):
    assert re.search(r"^work +" + place.work + "$", place.said.stdout, re.MULTILINE)
    assert re.search(r"^authorised +yes$", place.said.stdout, re.MULTILINE)
    assert re.search(r"^authorised +no$", place.said.stdout, re.MULTILINE)
    assert "bits differ from a certificate's fingerprint" in place.said.stdout


def stripped(place, name="again.jpg"):
    """The signed picture saved again at quality 50, with nothing but its pixels."""
    pixels = np.asarray(Image.open(place.path("ann.png")).convert("RGB"))
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=50)
    place.path(name).write_bytes(data.getvalue())
    return name


def test_stripped_picture_is_labelled_with_what_it_rests_on(place):
    found = place("lookup", stripped(place), "--index", "works.db").document
    assert (found["ok"], found["certified"], found["matches"][0]["work"]["work"]) == (True, False, place.work)
    assert (found["label"]["ai_generated"], found["label"]["level"]) == ("no", "claimed")
    assert found["matches"][0]["work"]["certificate"]["manifest_id"].startswith("urn:c2pa:")
    again = place("lookup", found["matches"][0]["work"]["certificate"]["iscc64"], "--index", "works.db").document
    assert place.work in [one["work"]["work"] for one in again["matches"]]


def test_signed_file_is_certified_by_file_and_by_digest(place):
    certificate = json.loads(place("lookup", "ann.png", "--index", "works.db").stdout)
    assert (certificate["certified"], certificate["label"]["basis"]) == (True, "c2pa")
    digest = certificate["matches"][0]["work"]["content"]
    assert place("lookup", digest, "--index", "works.db").document["certified"] is True


def test_licence_authorises_once_the_directory_has_followed_its_sale(place):
    place.path("short.txt").write_text("Train on it for a day.")
    terms = ("--terms", "short.txt", "--uses", "training", "--valid", "1d")
    offered = place("offer", place.work, *terms, "--unsafe-dev-account", "1")
    assert offered.status == 0, offered.stderr
    asked = ("lookup", "ann.png", "--index", "works.db", "--subject", "dns:lab.example", "--uses", "training")
    place.index()
    refused = place(*asked)
    assert (refused.status, refused.document["authorised"]) == (1, "no")
    bought = place("buy", offered.document["offer"], "--subject", "Lab.Example.", "--unsafe-dev-account", "2")
    assert bought.status == 0, bought.stderr
    place.index()
    assert (place(*asked).status, place(*asked).document["authorised"]) == (0, "yes")


def test_nothing_found_exits_with_one_and_is_an_answer(place):
    outcome = place("lookup", "ab" * 32, "--index", "works.db")
    assert (outcome.status, outcome.document["ok"], outcome.document["matches"]) == (1, False, [])
    assert outcome.document["as_of"]["works"] == place.works


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 2),
        (("--index", "works.db", "--server", "127.0.0.1:1"), 2),
        (("--index", "none.db"), 1),
        (("--index", "works.db", "--tls"), 1),
        (("--index", "works.db", "--subject", "acme.example", "--uses", "commercial"), 1),
        (("--server", "127.0.0.1:1"), 1),
    ],
)
def test_question_that_cannot_be_answered_is_refused(place, options, status):
    assert place("lookup", "ab" * 32, *options).status == status
    assert not place.path("none.db").exists()


def test_directory_of_other_works_is_refused(place):
    deployed = place("deploy", "--base-uri", "https://other.example/", "--unsafe-dev-account", "0")
    assert deployed.status == 0, deployed.stderr
    other = place("index", "--db", "works.db", "--once", "--confirmations", "1", "--works", deployed.document["works"])
    assert (other.status, other.document["error"]["type"]) == (1, "DirectoryError")


def test_answers_fit_eighty_columns(place):
    arguments = ("works", "lookup", stripped(place), "--index", "works.db")
    shown = place.shell.process(*arguments, COLUMNS="80")
    assert shown.status == 0
    words = [line for line in shown.stdout.splitlines() if len(line) > 80]
    assert [line for line in words if " " in line.strip()] == []


def test_follower_notes_new_works_and_ends_cleanly(place):
    arguments = (
        "works",
        "index",
        "--db",
        "followed.db",
        "--confirmations",
        "1",
        "--every",
        "0.2",
        "--works",
        place.works,
    )
    process = place.shell.start(*arguments, ZKINFER_RPC_URL=place.chain.start["rpc"])
    try:
        begun = next(line for line in process.stderr if line.startswith("block "))
    finally:
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert begun.endswith(" works\n")
    assert "the same command goes on there" in said
    assert place.index("followed.db")["works"] == place.index()["works"]


def test_server_finds_the_stripped_picture_and_gives_its_credentials_back(place):
    part = section("Serve look-ups")
    assert "zkinfer serve --repository models --works works.db --rest 127.0.0.1:8000" in part
    models = place.path("models")
    models.mkdir(exist_ok=True)
    with served(place.shell, models, "--works", str(place.path("works.db")), "--rest", "127.0.0.1:0") as report:
        lines = lines_of(part).replace("127.0.0.1:8000", report["rest"])
        done = follow(place.shell, lines, place.chain.start["rpc"], timeout=120)
        by_client = place("lookup", "found.jpg", "--server", report["address"])
    assert done.returncode == 0, done.stderr
    found = json.loads(place.path("found.json").read_bytes())
    assert (found["certified"], found["authorised"], found["matches"][0]["by"]) == (False, "yes", "certificate")
    assert '"authorised":"yes"' in done.stdout
    assert by_client.document["matches"][0]["work"]["work"] == place.work
    checked = read_marks(place.path("ann.png"), "image/png", sidecar=place.path("found.c2pa"))
    assert (checked.state, checked.problems) == ("Valid", ())


def test_server_does_not_start_without_its_directory(place):
    place.path("models").mkdir(exist_ok=True)
    started = place.shell("serve", "--repository", "models", "--works", "missing.db", "--json")
    assert (started.status, started.document["error"]["type"]) == (1, "InputError")
    assert "zkinfer works index" in started.document["error"]["cure"]
