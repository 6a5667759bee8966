import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.circuits import factories

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import repository as module
from zkinfer.prover.errors import ModelNotFoundError, ModelUnavailableError, RepositoryError
from zkinfer.prover.repository import ModelRepository

ENGINES = {FakeEngine.id: FakeEngine()}


@pytest.fixture
def models(tiny, tmp_path):
    """A repository folder with `tiny/1`, and a function that adds versions."""
    root = tmp_path / "models"
    (root / "tiny").mkdir(parents=True)

    def put(name, version, source=tiny.circuit.folder):
        return shutil.copytree(source, root / name / version)

    put("tiny", "1")
    return SimpleNamespace(root=root, put=put, home=tiny.home)


def opened(models, **changes):
    return ModelRepository(models.root, **{"home": models.home, "engines": ENGINES} | changes)


def listed(repository):
    return [(entry.name, entry.version, str(entry.state)) for entry in repository.index()]


@pytest.fixture
def hashed(monkeypatch):
    """The circuit folders that were opened, and hence hashed."""
    folders, open_ = [], module.Circuit.open
    monkeypatch.setattr(module.Circuit, "open", lambda folder: folders.append(folder) or open_(folder))
    return folders


# --- served models


def test_version_with_intact_files_is_ready(models, tiny):
    model = opened(models).find("tiny", "1")
    assert (model.name, model.version, model.circuit.digest) == ("tiny", "1", tiny.circuit.digest)
    assert model.engine is ENGINES["fake/1"]


def test_label_of_the_engine_is_told_whatever_the_circuit_states(models, monkeypatch):
    model = opened(models).find("tiny")
    stated = model.circuit.manifest.model_copy(update={"labels": ("Slow.", "Experimental.")})
    assert model.labels == ()
    monkeypatch.setattr(FakeEngine, "labels", ("Experimental.",))
    assert model.labels == ("Experimental.",)
    monkeypatch.setattr(type(model.circuit), "manifest", stated)
    assert model.labels == ("Experimental.", "Slow.")


def test_versions_are_served_together_with_the_newest_as_default(models):
    for version in ("2", "10"):
        models.put("tiny", version)
    repository = opened(models)
    assert [model.version for model in repository.versions("tiny")] == ["1", "2", "10"]
    assert repository.find("tiny").version == "10"
    assert repository.find("tiny", "2").version == "2"


def test_previous_version_is_the_default_if_the_newest_is_broken(models):
    (models.put("tiny", "2") / "network.onnx").write_bytes(b"")
    repository = opened(models)
    assert repository.find("tiny").version == "1"
    with pytest.raises(ModelUnavailableError, match=r"'tiny' version 2 is not available: .*not the file"):
        repository.find("tiny", "2")


def test_models_are_listed_by_name_and_number(models):
    models.put("tiny", "10")
    models.put("tiny", "9")
    models.put("also", "3")
    assert [entry[:2] for entry in listed(opened(models))] == [
        ("also", "3"),
        ("tiny", "1"),
        ("tiny", "9"),
        ("tiny", "10"),
    ]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("other", "", "There is no model 'other'"),
        ("tiny", "2", "There is no version '2' of the model 'tiny'"),
        ("", "", "no model ''"),
        ("../models/tiny", "1", "no version"),
        ("tiny", "01", "no version"),
        ("x" * 5000, "", "no model 'xxx"),
    ],
)
def test_missing_model_is_not_found(models, name, version, message):
    with pytest.raises(ModelNotFoundError, match=message) as caught:
        opened(models).find(name, version)
    assert len(str(caught.value)) < 250


def test_model_with_only_broken_versions_is_unavailable(models):
    (models.root / "tiny/1/network.onnx").unlink()
    repository = opened(models)
    assert repository.versions("tiny") == ()
    with pytest.raises(
        ModelUnavailableError, match=r"is not available: tiny/1 and its manifest disagree about network"
    ):
        repository.find("tiny")


# --- broken models


def test_public_reason_names_no_path_of_the_machine(models):
    (models.root / "tiny/1/network.onnx").write_bytes(b"")
    (entry,) = opened(models).index()
    assert str(models.root) not in entry.reason
    assert str(models.root.resolve()) in entry.detail


@pytest.mark.parametrize("version", ["0", "01", "v1", "-1", "1.0", "1234567890"])
def test_non_positive_version_is_reported(models, version):
    models.put("odd", version)
    models.put("odd", "7")
    expected = {("odd", version, "UNAVAILABLE"), ("odd", "7", "READY"), ("tiny", "1", "READY")}
    assert set(listed(opened(models))) == expected


@pytest.mark.parametrize("name", [b"ti\xff", b"a\nb", b"\x1b[2J"])
def test_unprintable_name_is_reported_escaped(models, name):
    os.makedirs(os.fsencode(models.root) + b"/" + name + b"/1")  # noqa: PTH103 - bytes
    odd, tiny = opened(models).index()
    assert odd.state == "UNAVAILABLE"
    assert odd.name.isprintable()
    assert odd.name.encode()
    assert tiny.state == "READY"


def test_circuit_a_level_too_high_is_reported(models, tiny):
    shutil.copytree(tiny.circuit.folder, models.root / "high")
    entry = opened(models).index()[0]
    assert (entry.name, entry.version, str(entry.state)) == ("high", "", "UNAVAILABLE")
    assert "NAME/VERSION" in entry.reason


def circle(path):
    """Create a symbolic link to itself."""
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path)


@pytest.mark.parametrize(("where", "version"), [("odd", ""), ("odd/1", "1"), ("tiny/2", "2")])
def test_circular_link_is_reported_and_affects_nothing_else(models, where, version):
    circle(models.root / where)
    repository = opened(models)
    states = {(name, number): state for name, number, state in listed(repository)}
    assert states == {(where.partition("/")[0], version): "UNAVAILABLE", ("tiny", "1"): "READY"}
    assert not repository.reload()
    assert repository.find("tiny").version == "1"
    with pytest.raises(ModelUnavailableError, match=r"is not available: .*(cannot be read|not a readable folder)"):
        repository.find(where.partition("/")[0], version)


def test_repaired_circular_link_is_served(models, tiny):
    circle(models.root / "tiny/2")
    repository = opened(models)
    (models.root / "tiny/2").unlink()
    (models.root / "tiny/2").symlink_to(tiny.circuit.folder)
    assert repository.reload()
    assert repository.find("tiny").version == "2"


def closed(monkeypatch, folder):
    """Make the content of a folder inaccessible, as without execute permission, which root ignores."""
    stat = Path.stat

    def refusing(path, **options):
        if folder in path.parents:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refusing)


def test_inaccessible_model_folder_does_not_affect_others(models, monkeypatch):
    models.put("also", "1")
    closed(monkeypatch, models.root / "also")
    monkeypatch.setattr(module.Circuit, "open", lambda folder: open_or_refuse(folder, models.root / "also"))
    repository = opened(models)
    assert listed(repository) == [("also", "1", "UNAVAILABLE"), ("tiny", "1", "READY")]
    with pytest.raises(ModelUnavailableError, match=r"also/1 cannot be read: permission denied"):
        repository.find("also")


OPEN = module.Circuit.open


def open_or_refuse(folder, refused):
    if refused in folder.parents:
        raise PermissionError(13, "Permission denied")
    return OPEN(folder)


def test_inaccessible_key_folder_is_reported(models, monkeypatch):
    closed(monkeypatch, models.home.keys)
    (entry,) = opened(models).index()
    assert entry.reason == "Its proving key is missing; `zkinfer keys make` generates it."


def test_hidden_folders_and_loose_files_are_ignored(models):
    models.put(".staging", "1")
    models.put("tiny", ".2.part")
    (models.root / "README").write_text("ours")
    (models.root / "empty").mkdir()
    assert listed(opened(models)) == [("tiny", "1", "READY")]


def test_circuit_of_a_missing_engine_is_reported(models):
    (entry,) = opened(models, engines={}).index()
    assert entry.reason == "It was made for the engine fake/1, which is not installed here."


def test_missing_repository_is_refused(models, tmp_path):
    with pytest.raises(RepositoryError, match=r"cannot be read\. Create it"):
        ModelRepository(tmp_path / "none", home=models.home, engines=ENGINES)


# --- hot reload


def test_model_is_broken_until_it_is_copied_completely(models, tiny):
    repository = opened(models)
    target = models.root / "slow/1"
    target.mkdir(parents=True)
    for name in sorted(path.name for path in tiny.circuit.folder.iterdir()):
        data = (tiny.circuit.folder / name).read_bytes()
        for part in (data[: len(data) // 2], data):
            repository.reload()
            assert ("slow", "1", "UNAVAILABLE") in listed(repository)
            (target / name).write_bytes(part)
    assert repository.reload()
    assert ("slow", "1", "READY") in listed(repository)
    assert ("tiny", "1", "READY") in listed(repository)


def test_removed_model_disappears(models):
    models.put("gone", "1")
    repository = opened(models)
    shutil.rmtree(models.root / "gone")
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


def test_circuit_modified_in_place_is_no_longer_served(models):
    repository = opened(models)
    network = models.root / "tiny/1/network.onnx"
    network.write_bytes(network.read_bytes() + b"x")
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]


def test_change_of_equal_size_and_time_is_detected(models):
    repository = opened(models)
    network = models.root / "tiny/1/network.onnx"
    status, data = network.stat(), bytearray(network.read_bytes())
    data[-1] ^= 1
    network.write_bytes(data)
    os.utime(network, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]


def test_unchanged_circuits_are_not_reread(models, hashed):
    (models.put("tiny", "2") / "network.onnx").write_bytes(b"")
    repository = opened(models)
    assert len(hashed) == 2
    assert not repository.reload()
    assert not repository.reload()
    assert len(hashed) == 2


def test_only_a_changed_circuit_is_reread(models, hashed):
    models.put("tiny", "2")
    repository = opened(models)
    (models.root / "tiny/2/network.onnx").touch()
    assert not repository.reload()
    assert [folder.name for folder in hashed] == ["1", "2", "2"]


def test_retargeted_link_is_followed(models, tiny, tmp_path):
    first = shutil.copytree(tiny.circuit.folder, tmp_path / "first")
    (models.root / "linked").mkdir()
    (models.root / "linked/1").symlink_to(first)
    repository = opened(models)
    assert repository.find("linked").circuit.folder == first.resolve()
    (models.root / "linked/1").unlink()
    (models.root / "linked/1").symlink_to(shutil.copytree(first, tmp_path / "second"))
    assert repository.reload()
    assert repository.find("linked").circuit.folder == (tmp_path / "second").resolve()


def test_removed_repository_keeps_the_last_state(models):
    repository = opened(models)
    shutil.move(models.root, models.root.with_name("moved"))
    with pytest.raises(RepositoryError, match="cannot be read"):
        repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


# --- keys and setups


def without_keys(models, tmp_path):
    shutil.copytree(models.home.root / "setups", tmp_path / "home/setups")
    return Home(tmp_path / "home")


def test_circuit_that_needs_no_proving_key_is_unavailable_until_it_was_rebuilt(tmp_path, monkeypatch):
    factories.without_children(monkeypatch)
    engine, home = FakeEngine(needs_proving_key=False), Home(tmp_path / "home")
    model, folder = factories.write_model(tmp_path / "tiny.onnx"), tmp_path / "models/tiny/1"
    folder.parent.mkdir(parents=True)
    compile_model(model, folder, engine=engine, home=home, options=factories.DEV)
    shutil.rmtree(home.keys)
    [entry] = ModelRepository(tmp_path / "models", home=home, engines={engine.id: engine}).index()
    assert entry.reason == "It was not rebuilt by the user who serves it; `zkinfer keys make` does that."


def test_circuit_is_unavailable_until_its_proving_key_exists(models, tiny, tmp_path):
    home, now = without_keys(models, tmp_path), [0.0]
    repository = opened(models, home=home, clock=lambda: now[0])
    assert repository.index()[0].reason == "Its proving key is missing; `zkinfer keys make` generates it."
    shutil.copytree(models.home.keys, home.keys)
    repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]  # checked a moment ago
    now[0] += 31.0
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


def test_circuit_whose_setup_has_another_tau_is_unavailable(models):
    factories.rewritten(
        models.root / "tiny/1", lambda document: document["recipe"]["setup"].update(tauG2="sha256:" + "0" * 64)
    )
    (entry,) = opened(models).index()
    assert entry.reason == "Its trusted setup differs from the one of that name."


def test_circuit_with_a_missing_setup_is_unavailable(models):
    factories.rewritten(models.root / "tiny/1", lambda document: document["recipe"]["setup"].update(ceremony="hermez"))
    (entry,) = opened(models).index()
    assert entry.reason == "Its trusted setup cannot be used here."
    assert "hermez" in entry.detail
