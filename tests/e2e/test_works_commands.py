"""Commitments to works, authorised uses, and a proven work whose model is revoked, from the command line."""

import json
import shutil
import signal
from dataclasses import replace

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.integration import bench
from tests.paths import ROOT

from zkinfer.works.commitment import Commitment

pytestmark = pytest.mark.slow
PLATFORM, CREATOR, MODEL = (("--unsafe-dev-account", number) for number in ("0", "1", "2"))


class Works:
    """The group `works` on a chain, with its contract."""

    def __init__(self, chain):
        self.chain, self.address = chain, ""

    def __call__(self, *arguments, pays=()):
        return self.chain.shell(
            "works",
            *arguments,
            *pays,
            "--json",
            ZKINFER_RPC_URL=self.chain.start["rpc"],
            ZKINFER_WORKS=self.address,
            timeout=300,
        )

    def done(self, *arguments, pays=()):
        outcome = self(*arguments, pays=pays)
        assert outcome.status == 0, outcome.stderr
        return outcome.document

    def path(self, name):
        return self.chain.shell.folder / name

    def certify(self, name, *options):
        """A certificate of a copy of the picture with this name."""
        shutil.copy(ROOT / "examples/studio/painted.png", self.path(name))
        with self.path(name).open("ab") as file:
            file.write(name.encode())  # after the picture's end: another file with the same pixels
        command = ("works", "certify", name, "--key", "a.key", "--out", f"{name}.json", *options)
        outcome = self.chain.shell(*command, timeout=300)
        assert outcome.status == 0, outcome.stderr
        return f"{name}.json"


@pytest.fixture(scope="module")
def works(home, run_folder):
    folder = run_folder / "works-commands"
    folder.mkdir()
    (folder / "image-0.json").write_text(json.dumps({"image": bench.image(0)["image"].tolist()}))
    chain = Chain(Shell(home.root, folder, str(folder)), *EMBEDDED)
    found = Works(chain)
    book = ("--deployment", "book.json")
    assert chain("deploy", "--test", *book, pays=PLATFORM).status == 0
    found.address = found.done("deploy", "--base-uri", "https://w.example/", *book, pays=PLATFORM)["works"]
    chain.shell("keys", "new", "--out", "a.key", "--unsafe-unencrypted")
    yield found
    chain.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def committed(works):
    """A certificate, and what the commitment to it said."""
    certificate = works.certify("early.png", "--origin", "human")
    return certificate, works.done("commit", certificate, "--out", "secret.json", pays=CREATOR)


def test_commitment_is_a_secret_file_and_sent_once(works, committed):
    certificate, said = committed
    assert works.path("secret.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(works.path("secret.json").read_bytes())["salt"] not in json.dumps(said)
    again = works.done("commit", certificate, "--out", "secret.json", pays=CREATOR)
    assert (again["commitment"], again["since"], again["transactions"]) == (said["commitment"], said["since"], [])


def test_rehearsed_commitment_writes_nothing(works, committed):
    said = works.done("commit", committed[0], "--out", "not.json", "--dry-run", pays=CREATOR)
    assert (said["since"], works.path("not.json").exists()) == (0, False)


def test_commitment_to_another_file_is_refused(works, committed):
    other = works.certify("other.png", "--origin", "human")
    for command in (("commit", other, "--out"), ("register", other, "--commitment"), ("agree", other, "--commitment")):
        outcome = works(*command, "secret.json", pays=CREATOR)
        assert (outcome.status, outcome.document["error"]["type"]) == (1, "CertificateError")
        assert "another file" in outcome.document["error"]["cause"]


def test_commitment_of_another_account_is_refused(works, committed):
    outcome = works("register", committed[0], "--commitment", "secret.json", pays=PLATFORM)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "CertificateError")
    assert "made the commitment" in outcome.document["error"]["cause"]


def test_work_counts_since_its_commitment_even_if_a_platform_registers_it(works, committed):
    certificate, said = committed
    works.done("agree", certificate, "--commitment", "secret.json", "--out", "agreed.json", pays=CREATOR)
    work = works.done("register", certificate, "--agreement", "agreed.json", pays=PLATFORM)["work"]
    shown = works.done("status", work)
    assert (shown["since"], shown["origin"]) == (said["since"], "human, claimed")
    assert shown["owner"] == shown["creator"] != works.chain.start["account"].lower()


@pytest.fixture(scope="module")
def sold(works):
    """A work whose commercial licence was sold for a domain, and for nothing else."""
    certificate = works.certify("sold.png", "--origin", "human")
    work = works.done("register", certificate, pays=CREATOR)["work"]
    works.path("licence.txt").write_text("Use it commercially.")
    terms = ("--terms", "licence.txt", "--uses", "commercial")
    offer = works.done("offer", work, *terms, pays=CREATOR)["offer"]
    bought = works.done("buy", offer, "--subject", "acme.example", pays=PLATFORM)
    return {"work": work, "licence": bought["licence"], "holder": bought["holder"]}


def test_use_is_authorised_by_domain_or_account_without_a_licences_number(works, sold):
    for who in (("--subject", "ACME.example"), ("--subject", "dns:acme.example"), ("--holder", sold["holder"])):
        shown = works.done("status", sold["work"], *who, "--uses", "commercial")
        assert (shown["authorised"], shown["licence"]) == (True, sold["licence"])


@pytest.mark.parametrize(
    "asked",
    [
        ("--subject", "other.example"),
        ("--subject", "acme.example", "--uses", "training"),
        ("--holder", "0x" + "ab" * 20),
        ("--subject", "other.example", "--licence", "1"),
        ("--holder", "0x" + "ab" * 20, "--licence", "1"),
    ],
)
def test_other_use_is_refused(works, sold, asked):
    outcome = works("status", sold["work"], *asked)
    assert outcome.status == 1
    assert (outcome.document["ok"], outcome.document["authorised"], outcome.document["licence"]) == (False, False, None)


def test_question_names_one_who_wants_to_use_it(works, sold):
    for asked in (("--licence", "1"), ("--subject", "acme.example", "--holder", sold["holder"])):
        assert works("status", sold["work"], *asked).status == 2


def test_commitment_that_was_never_sent_is_refused_with_its_cure(works, committed):
    certificate = works.certify("late.png", "--origin", "human")
    content = works.done("register", certificate, "--dry-run", pays=CREATOR)["content"]
    replace(Commitment.read(works.path("secret.json")), content=content).write(works.path("late.json"))
    outcome = works("register", certificate, "--commitment", "late.json", pays=CREATOR)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "RevertedError")
    assert "Uncommitted" in outcome.document["error"]["cause"]
    assert "salt" in outcome.document["error"]["cure"]


def test_commitment_belongs_to_registrations_by_the_creator_alone(works, committed):
    for option in (("--agreement", "agreed.json"), ("--request", "r.json", "--attestation", "answer.json")):
        outcome = works("register", committed[0], "--commitment", "secret.json", *option, pays=CREATOR)
        assert outcome.status == 2
        assert "--commitment is part of the agreement" in outcome.sentence


@pytest.fixture(scope="module")
def proven(works, run_folder):
    """A recorded answer, registered as a work of its requester, whose model's listing a till owns."""
    circuit, book = str(bench.digits_under_ashlar(run_folder).folder), ("--deployment", "book.json")
    chain = works.chain
    listed = chain("register", circuit, *book, pays=MODEL)
    assert listed.status == 0, listed.stderr
    asked = chain("request", circuit, "--input", "image-0.json", "--out", "r.json", *book, pays=MODEL)
    assert asked.status == 0, asked.stderr
    answer = ("prove", circuit, "--input", "image-0.json", "--request", "r.json", "--out", "answer.json")
    assert chain.shell(*answer, timeout=600).status == 0
    assert chain("post", "answer.json", "--request", "r.json", *book, pays=MODEL).status == 0
    certificate = works.certify("drawn.png", "--origin", "generated", "--attestation", "answer.json")
    answered = ("--request", "r.json", "--attestation", "answer.json", *book)
    work = works.done("register", certificate, *answered, pays=MODEL)["work"]
    model = works.certify("model.png", "--origin", "unstated", "--kind", "model")
    owner = works.done("register", model, pays=MODEL)["work"]
    listing = listed.document["listing"]
    works.done("till", "accept", owner, "--listing", listing, *book, pays=MODEL)
    return {"work": work, "model": owner, "listing": listing, "book": book}


def test_answer_is_no_proof_of_a_certificate_that_does_not_name_it(works, proven):
    other = works.certify("photo.png", "--origin", "generated")
    answered = ("--request", "r.json", "--attestation", "answer.json", *proven["book"])
    outcome = works("register", other, *answered, pays=MODEL)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, "CertificateError")
    assert "does not name this answer" in outcome.document["error"]["cause"]


def test_recorded_answer_is_proven_beside_its_deployment_alone(works, proven):
    assert works.done("status", proven["work"], *proven["book"])["origin"] == "generated, proven"
    shown = works.done("status", proven["work"], "--deployment", "nowhere.json")
    assert shown["origin"] == "generated, claimed"
    assert "nowhere.json cannot be read" in shown["unproven"]


def label_in_directory(works, proven, *book):
    """The label of a proven work in a directory that follows the chain now."""
    works.done("index", "--db", "works.db", "--once", "--confirmations", "1", *book)
    content = works.done("status", proven["work"])["content"]
    found = works.done("lookup", content, "--index", "works.db")
    assert found["certified"] is True
    return found["label"]


def test_directory_proves_an_answer_beside_its_deployment_alone(works, proven):
    label = label_in_directory(works, proven, *proven["book"])
    assert (label["ai_generated"], label["basis"], label["level"]) == ("yes", "record", "proven")
    assert label["model_id"].startswith("0x")
    label = label_in_directory(works, proven)
    assert (label["basis"], label["level"]) == ("registration", "claimed")
    assert "no address book" in label["text"]


def test_answer_of_a_deprecated_model_stays_proven_and_of_a_revoked_one_does_not(works, proven):
    through_till = (proven["model"], "--listing", proven["listing"], *proven["book"])
    works.done("till", "deprecate", *through_till, pays=MODEL)
    assert works.done("status", proven["work"], *proven["book"])["origin"] == "generated, proven"
    refused = works("till", "revoke", *through_till, pays=CREATOR)
    assert (refused.status, refused.document["error"]["type"]) == (1, "RevertedError")
    works.done("till", "revoke", *through_till, pays=MODEL)
    shown = works.done("status", proven["work"], *proven["book"])
    assert shown["origin"] == "generated, claimed"
    assert "revoked" in shown["unproven"]
    label = label_in_directory(works, proven, *proven["book"])
    assert (label["ai_generated"], label["level"]) == ("yes", "claimed")
    assert "revoked" in label["text"]
