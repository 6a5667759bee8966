import shutil

import pytest
from tests.unit.circuits.factories import rewritten

from zkinfer.circuits import Circuit
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.errors import CircuitError

FILES = ["model.onnx", "network.onnx", "program.json", "vk"]


def test_open_checks_and_names_the_folder(compiled):
    circuit = Circuit.open(compiled.folder)
    assert circuit == compiled
    assert circuit.digest == sha256_file(compiled.folder / "manifest.json")
    assert circuit.model_id == circuit.manifest.identity.model_id


def test_open_copy_elsewhere_is_the_same_circuit(compiled, folder):
    assert Circuit.open(folder).digest == compiled.digest


@pytest.mark.parametrize("name", FILES)
def test_open_with_any_byte_changed_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CircuitError, match=rf"{name} is not the file that the manifest names\. Copy the circuit again"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_with_a_file_missing_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(CircuitError, match=f"disagree about {name}"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", ["extra", ".hidden", "manifest.json.bak", "Manifest.json"])
@pytest.mark.parametrize("kind", ["touch", "mkdir"])
def test_open_with_something_more_is_refused(folder, name, kind):
    getattr(folder / name, kind)()
    with pytest.raises(CircuitError, match=f"disagree about {name}"):
        Circuit.open(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_with_a_link_for_a_file_is_refused(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CircuitError, match=f"{name} is not the file that the manifest names"):
        Circuit.open(folder)


def test_open_with_a_folder_for_a_file_is_refused(folder):
    (folder / "vk").unlink()
    (folder / "vk").mkdir()
    with pytest.raises(CircuitError, match="vk is not the file"):
        Circuit.open(folder)


def test_open_without_a_manifest_is_refused_with_the_cure(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(
        CircuitError, match=r"is not a circuit: it has no manifest\.json\. Make one with `zkinfer compile"
    ):
        Circuit.open(folder)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_open_of_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(CircuitError, match="is not a circuit"):
        Circuit.open(tmp_path / name)


def test_open_with_a_folder_for_the_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(CircuitError, match="cannot be read: is a directory"):
        Circuit.open(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_open_with_a_malformed_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CircuitError, match="The manifest"):
        Circuit.open(folder)


def test_open_with_the_identity_of_another_model_is_refused(folder):
    rewritten(folder, lambda document: document["identity"].update(model="sha256:" + "00" * 32))
    with pytest.raises(CircuitError, match="does not hold the model that it claims to be made from"):
        Circuit.open(folder)


def test_open_with_model_and_manifest_exchanged_alike_is_another_circuit(compiled, folder):
    (folder / "model.onnx").write_bytes(b"another")
    other = str(sha256_file(folder / "model.onnx"))
    rewritten(
        folder,
        lambda document: [document["identity"].update(model=other), document["files"].update({"model.onnx": other})],
    )
    circuit = Circuit.open(folder)
    assert circuit.digest != compiled.digest
    assert circuit.model_id != compiled.model_id


def test_open_with_a_manifest_that_lists_itself_is_refused(folder):
    rewritten(folder, lambda document: document["files"].update({"manifest.json": "sha256:" + "00" * 32}))
    with pytest.raises(CircuitError, match=r"disagree about manifest\.json"):
        Circuit.open(folder)


def test_open_does_not_notice_what_changes_later(folder):
    circuit = Circuit.open(folder)
    shutil.rmtree(folder)
    assert circuit.manifest.recipe.engine == "fake/1"
