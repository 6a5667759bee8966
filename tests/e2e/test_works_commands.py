"""A proven work whose model is revoked, from the command line."""

import json
import shutil
import signal

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.integration import bench
from tests.paths import ROOT

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
    certificate = works.certify("drawn.png", "--origin", "generated")
    answered = ("--request", "r.json", "--attestation", "answer.json", *book)
    work = works.done("register", certificate, *answered, pays=MODEL)["work"]
    model = works.certify("model.png", "--origin", "unstated", "--kind", "model")
    owner = works.done("register", model, pays=MODEL)["work"]
    listing = listed.document["listing"]
    works.done("till", "accept", owner, "--listing", listing, *book, pays=MODEL)
    return {"work": work, "model": owner, "listing": listing, "book": book}


def test_recorded_answer_is_proven_beside_its_deployment_alone(works, proven):
    assert works.done("status", proven["work"], *proven["book"])["origin"] == "generated, proven"
    shown = works.done("status", proven["work"], "--deployment", "nowhere.json")
    assert shown["origin"] == "generated, claimed"
    assert "nowhere.json cannot be read" in shown["unproven"]


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
