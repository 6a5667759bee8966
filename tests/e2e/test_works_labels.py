"""The guide's lines on labels, as written: a platform labels a file, and who was labelled verifies it."""

import json
import shutil

import pytest
from tests.e2e.pages import DEFAULT_NODE, follow, lines_of
from tests.e2e.shell import Shell
from tests.paths import ROOT
from tests.unit.works.files import picture

from zkinfer.circuits.engines import engine_named

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/guides/fingerprints.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    """The folder of the page after its lines were executed, and what they said."""
    if reason := engine_named("ashlar").unavailable:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("labels")
    for file in (ROOT / "examples/studio").glob("detector*"):
        shutil.copy(file, folder)
    picture(folder, "work.png", seed=1)
    picture(folder, "other.png", seed=2)
    return folder, follow(Shell(home.root, folder), lines_of(PAGE), DEFAULT_NODE, timeout=300)


def test_every_line_of_the_page_succeeds(done):
    _, said = done
    assert said.returncode == 0, said.stderr


def test_label_names_its_basis_and_the_detectors_accuracy(done):
    folder, _ = done
    label = json.loads((folder / "label.json").read_bytes())
    assert (label["basis"], label["evidence"]["level"]) == ("detector", "attested")
    assert 0.9 < label["detector"]["fidelity"]["circuitAccuracy"] <= 1


def test_label_of_another_file_is_refused(done):
    _, said = done
    assert "another input" in " ".join(said.stderr.split())
