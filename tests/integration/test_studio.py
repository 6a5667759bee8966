"""The studio's painter and detector: a proven picture, its label, and the label's verification from the file itself."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from tests.integration import bench
from typer.testing import CliRunner

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError, JsonError
from zkinfer.circuits.statement import output_words
from zkinfer.cli.main import app
from zkinfer.prover import Prover
from zkinfer.verifier import AllOf, EngineIs, MalformedAttestationError
from zkinfer.works.iscc import fingerprint
from zkinfer.works.labels import Label
from zkinfer.works.renders import content_of, render

VERIFY = ("--accept-engine", "ashlar", "--unsafe-accept-dev-setup", "--json")


@pytest.fixture(scope="module")
def painter(run_folder):
    return bench.studio_circuit(run_folder, "painter")


@pytest.fixture(scope="module")
def detector(run_folder):
    return bench.studio_circuit(run_folder, "detector", "label")


@pytest.fixture(scope="module")
def painted(painter, home):
    """A painted 3, proven."""
    wish = np.zeros((1, 16), np.float32)
    wish[0, 3], wish[0, 10:] = 1, (0.5, -1, 0.25, 0, 1, -0.25)
    return Prover(home=home).prove(painter, {"request": wish})


@pytest.fixture(scope="module")
def picture(painted, tmp_path_factory):
    path = tmp_path_factory.mktemp("studio") / "painted.png"
    claim = painted.predicate
    path.write_bytes(render(claim.statement.outputs, claim.outputs[0].common_scale, enlarge=8))
    return path


@pytest.fixture(scope="module")
def label_file(detector, picture, home, run_folder):
    path = run_folder / "label.json"
    assert run(home, "works", "label", picture, "--circuit", detector.folder, "--out", path).exit_code == 0
    return path


def run(home, *words):
    return CliRunner().invoke(app, [str(word) for word in words], env={"ZKINFER_HOME": str(home.root)})


def verified(home, label, picture):
    result = run(home, "verify", label, "--model", bench.STUDIO / "detector.onnx", "--input", picture, *VERIFY)
    return result.exit_code, json.loads(result.stdout)


def changed(label_file, **fields):
    return canonical.dump({**json.loads(label_file.read_bytes()), **fields})


def test_painted_picture_is_proven_and_its_content_is_the_digest_of_the_words(painted, painter, home):
    inference = bench.verifier_of(home, bench.STUDIO / "painter.onnx").verify(
        painted, AllOf(bench.policy_of(painter), EngineIs("ashlar"))
    )
    outputs = painted.predicate.statement.outputs
    assert content_of(outputs).value == hashlib.sha256(output_words(outputs)).digest()
    levels = np.asarray(Image.open(io.BytesIO(render(outputs, painted.predicate.outputs[0].common_scale))))
    expected = np.clip(inference.outputs["picture"].reshape(8, 8), 0, 1) * 255
    assert np.abs(levels - expected).max() <= 0.5


def test_rendered_picture_is_written_with_its_content(painted, home, tmp_path):
    (tmp_path / "painted.json").write_bytes(painted.to_bytes())
    result = run(home, "works", "render", tmp_path / "painted.json", "--out", tmp_path / "a.png", "--json")
    assert json.loads(result.stdout)["content"] == str(content_of(painted.predicate.statement.outputs))
    with Image.open(tmp_path / "a.png") as shown:
        assert shown.size == (64, 64)


def test_label_names_basis_detector_and_its_accuracy(label_file, detector):
    label = Label.from_bytes(label_file.read_bytes())
    assert (label.basis, label.evidence.level, label.ai_generated) == ("detector", "attested", True)
    assert label.detector.model_id == detector.model_id
    assert label.detector.fidelity.circuit_accuracy > 0.9
    assert label.detector.fidelity.data == "held-out"


def test_label_is_verified_from_the_file_itself(label_file, picture, home):
    code, verdict = verified(home, label_file, picture)
    assert code == 0, verdict
    assert any("luma-area/1" in note for note in verdict["notes"])


def test_label_of_another_file_is_refused(label_file, picture, home, tmp_path):
    with Image.open(picture) as shown:
        shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "other.png")
    code, verdict = verified(home, label_file, tmp_path / "other.png")
    assert code == 1
    assert "another value of the input 'picture'" in json.dumps(verdict)


def test_edited_label_is_refused_by_the_command(label_file, picture, home, tmp_path):
    (tmp_path / "label.json").write_bytes(changed(label_file, aiGenerated=False))
    code, verdict = verified(home, tmp_path / "label.json", picture)
    assert code == 1
    assert "aiGenerated differs" in verdict["error"]["cause"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("aiGenerated", False),
        ("scores", ["1", "2"]),
        ("evidence", {"level": "attested", "attestation": "sha256:" + "0" * 64}),
    ],
)
def test_label_that_contradicts_its_attestation_is_refused(label_file, field, value):
    with pytest.raises(DataError, match=rf"The label's {field} differs"):
        Label.from_bytes(changed(label_file, **{field: value}))


@pytest.mark.parametrize("part", ["model", "modelId"])
def test_label_that_names_another_detector_is_refused(label_file, part):
    named = json.loads(label_file.read_bytes())["detector"]
    named[part] = named[part][:-4] + "0000"
    with pytest.raises(DataError, match=rf"The label's detector\.{part} differs"):
        Label.from_bytes(changed(label_file, detector=named))


@pytest.mark.parametrize(
    ("field", "value"),
    [("basis", "guess"), ("rule", "luma-area/2"), ("more", 1), ("scores", ["1"]), ("aiGenerated", "yes")],
)
def test_label_of_another_form_is_refused(label_file, field, value):
    with pytest.raises(DataError, match="is not acceptable"):
        Label.from_bytes(changed(label_file, **{field: value}))


def test_label_never_says_proven(label_file):
    evidence = json.loads(label_file.read_bytes())["evidence"] | {"level": "proven"}
    with pytest.raises(DataError, match=r"evidence\.level"):
        Label.from_bytes(changed(label_file, evidence=evidence))


def test_label_without_canonical_form_is_refused(label_file):
    with pytest.raises(JsonError, match="canonical"):
        Label.from_bytes(b" " + label_file.read_bytes())


def test_label_with_a_broken_attestation_is_refused(label_file):
    with pytest.raises(MalformedAttestationError):
        Label.from_bytes(changed(label_file, attestation="{}"))


def test_answer_of_another_model_makes_no_label(painted, detector):
    with pytest.raises(DataError, match="two scores, not 64"):
        Label.of(painted, detector.manifest)


def test_print_of_a_file_is_proven_by_the_commands(home, tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "work.png")
    circuit, out = tmp_path / "print.circuit", tmp_path / "print.json"
    made = run(home, "works", "print-circuit", "--bits", "64", "--setup", "insecure-dev", "--out", circuit, "--json")
    assert made.exit_code == 0, made.output
    proven = run(home, "works", "print", tmp_path / "work.png", "--circuit", circuit, "--out", out, "--json")
    pixels = run(home, "works", "pixels", tmp_path / "work.png", "--out", tmp_path / "pixels.npz", "--json")
    assert (
        json.loads(proven.stdout)["iscc"]
        == json.loads(pixels.stdout)["iscc64"]
        == fingerprint(tmp_path / "work.png").iscc64
    )


def test_flat_picture_has_a_commitment_and_no_print(home, tmp_path):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "flat.png")
    result = run(home, "works", "pixels", tmp_path / "flat.png", "--out", tmp_path / "pixels.npz", "--json")
    assert json.loads(result.stdout)["iscc256"].startswith("none: Block 0")
