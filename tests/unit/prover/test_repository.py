import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.circuits import factories

from zkinfer.circuits import Home
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import repository as module
from zkinfer.prover.errors import ModelNotFoundError, ModelUnavailableError, RepositoryError
from zkinfer.prover.repository import ModelRepository

ENGINES = {FakeEngine.id: FakeEngine()}


@pytest.fixture
def place(made, tmp_path):
    """A folder of models with `tiny/1`, and ways to change it."""
    root = tmp_path / "models"
    (root / "tiny").mkdir(parents=True)

    def put(name, version, source=made.circuit.folder):
        return shutil.copytree(source, root / name / version)

    put("tiny", "1")
    return SimpleNamespace(root=root, put=put, home=made.home)


def opened(place, **changes):
    return ModelRepository(place.root, **{"home": place.home, "engines": ENGINES} | changes)


def listed(repository):
    return [(entry.name, entry.version, str(entry.state)) for entry in repository.index()]


@pytest.fixture
def hashed(monkeypatch):
    """The folders that were opened, and so read in full."""
    folders, open_ = [], module.Circuit.open
    monkeypatch.setattr(module.Circuit, "open", lambda folder: folders.append(folder) or open_(folder))
    return folders


# --- what is served


def test_version_whose_files_are_whole_is_ready(place, made):
    model = opened(place).find("tiny", "1")
    assert (model.name, model.version, model.circuit.digest) == ("tiny", "1", made.circuit.digest)
    assert model.engine is ENGINES["fake/1"]


def test_versions_stand_side_by_side_and_the_newest_is_the_default(place):
    for version in ("2", "10"):
        place.put("tiny", version)
    repository = opened(place)
    assert [model.version for model in repository.versions("tiny")] == ["1", "2", "10"]
    assert repository.find("tiny").version == "10"
    assert repository.find("tiny", "2").version == "2"


def test_newest_version_that_is_broken_leaves_the_one_before_it_as_default(place):
    (place.put("tiny", "2") / "network.onnx").write_bytes(b"")
    repository = opened(place)
    assert repository.find("tiny").version == "1"
    with pytest.raises(ModelUnavailableError, match=r"'tiny' version 2 is not available: .*not the file"):
        repository.find("tiny", "2")


def test_models_are_listed_by_name_and_number(place):
    place.put("tiny", "10")
    place.put("tiny", "9")
    place.put("also", "3")
    assert [entry[:2] for entry in listed(opened(place))] == [
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
def test_model_that_is_not_there_is_not_found(place, name, version, message):
    with pytest.raises(ModelNotFoundError, match=message) as caught:
        opened(place).find(name, version)
    assert len(str(caught.value)) < 250


def test_model_of_broken_versions_alone_is_unavailable(place):
    (place.root / "tiny/1/network.onnx").unlink()
    repository = opened(place)
    assert repository.versions("tiny") == ()
    with pytest.raises(
        ModelUnavailableError, match=r"is not available: tiny/1 and its manifest disagree about network"
    ):
        repository.find("tiny")


# --- what is reported


def test_public_reason_names_no_path_of_the_machine(place):
    (place.root / "tiny/1/network.onnx").write_bytes(b"")
    (entry,) = opened(place).index()
    assert str(place.root) not in entry.reason
    assert str(place.root.resolve()) in entry.detail


@pytest.mark.parametrize("version", ["0", "01", "v1", "-1", "1.0", "1234567890"])
def test_version_that_is_no_positive_number_is_reported(place, version):
    place.put("odd", version)
    place.put("odd", "7")
    expected = {("odd", version, "UNAVAILABLE"), ("odd", "7", "READY"), ("tiny", "1", "READY")}
    assert set(listed(opened(place))) == expected


@pytest.mark.parametrize("name", [b"ti\xff", b"a\nb", b"\x1b[2J"])
def test_name_that_cannot_be_sent_or_shown_is_reported_in_one_that_can(place, name):
    os.makedirs(os.fsencode(place.root) + b"/" + name + b"/1")  # noqa: PTH103 - bytes
    odd, tiny = opened(place).index()
    assert odd.state == "UNAVAILABLE"
    assert odd.name.isprintable()
    assert odd.name.encode()
    assert tiny.state == "READY"


def test_circuit_a_level_too_high_is_reported(place, made):
    shutil.copytree(made.circuit.folder, place.root / "high")
    entry = opened(place).index()[0]
    assert (entry.name, entry.version, str(entry.state)) == ("high", "", "UNAVAILABLE")
    assert "NAME/VERSION" in entry.reason


def circle(path):
    """A link that leads to itself."""
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path)


@pytest.mark.parametrize(("where", "version"), [("odd", ""), ("odd/1", "1"), ("tiny/2", "2")])
def test_link_that_leads_in_a_circle_is_reported_and_stops_nothing_else(place, where, version):
    circle(place.root / where)
    repository = opened(place)
    states = {(name, number): state for name, number, state in listed(repository)}
    assert states == {(where.partition("/")[0], version): "UNAVAILABLE", ("tiny", "1"): "READY"}
    assert not repository.reload()
    assert repository.find("tiny").version == "1"
    with pytest.raises(ModelUnavailableError, match=r"is not available: .*(cannot be read|not a readable folder)"):
        repository.find(where.partition("/")[0], version)


def test_link_that_led_in_a_circle_is_served_once_it_does_not(place, made):
    circle(place.root / "tiny/2")
    repository = opened(place)
    (place.root / "tiny/2").unlink()
    (place.root / "tiny/2").symlink_to(made.circuit.folder)
    assert repository.reload()
    assert repository.find("tiny").version == "2"


def closed(monkeypatch, folder):
    """Let a folder be listed, and nothing in it be reached, as without the right to enter it; root may always."""
    stat = Path.stat

    def refusing(path, **options):
        if folder in path.parents:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refusing)


def test_folder_of_a_model_that_cannot_be_entered_stops_no_other(place, monkeypatch):
    place.put("also", "1")
    closed(monkeypatch, place.root / "also")
    monkeypatch.setattr(module.Circuit, "open", lambda folder: open_or_refuse(folder, place.root / "also"))
    repository = opened(place)
    assert listed(repository) == [("also", "1", "UNAVAILABLE"), ("tiny", "1", "READY")]
    with pytest.raises(ModelUnavailableError, match=r"also/1 cannot be read: permission denied"):
        repository.find("also")


OPEN = module.Circuit.open


def open_or_refuse(folder, refused):
    if refused in folder.parents:
        raise PermissionError(13, "Permission denied")
    return OPEN(folder)


def test_folder_of_keys_that_cannot_be_entered_is_reported(place, monkeypatch):
    closed(monkeypatch, place.home.keys)
    (entry,) = opened(place).index()
    assert entry.reason == "Its proving key is missing; `zkinfer keys make` generates it."


def test_hidden_folders_and_loose_files_are_left_alone(place):
    place.put(".staging", "1")
    place.put("tiny", ".2.part")
    (place.root / "README").write_text("ours")
    (place.root / "empty").mkdir()
    assert listed(opened(place)) == [("tiny", "1", "READY")]


def test_circuit_of_an_engine_that_is_not_here_is_reported(place):
    (entry,) = opened(place, engines={}).index()
    assert entry.reason == "It was made for the engine fake/1, which is not installed here."


def test_folder_of_models_that_is_not_there_is_refused(place, tmp_path):
    with pytest.raises(RepositoryError, match=r"cannot be read\. Create it"):
        ModelRepository(tmp_path / "none", home=place.home, engines=ENGINES)


# --- hot reload


def test_model_that_is_copied_in_slowly_is_broken_until_it_is_whole(place, made):
    repository = opened(place)
    target = place.root / "slow/1"
    target.mkdir(parents=True)
    for name in sorted(path.name for path in made.circuit.folder.iterdir()):
        data = (made.circuit.folder / name).read_bytes()
        for part in (data[: len(data) // 2], data):
            repository.reload()
            assert ("slow", "1", "UNAVAILABLE") in listed(repository)
            (target / name).write_bytes(part)
    assert repository.reload()
    assert ("slow", "1", "READY") in listed(repository)
    assert ("tiny", "1", "READY") in listed(repository)


def test_model_that_was_removed_disappears(place):
    place.put("gone", "1")
    repository = opened(place)
    shutil.rmtree(place.root / "gone")
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


def test_circuit_that_is_changed_in_place_stops_being_served(place):
    repository = opened(place)
    network = place.root / "tiny/1/network.onnx"
    network.write_bytes(network.read_bytes() + b"x")
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]


def test_change_that_keeps_size_and_time_is_noticed(place):
    repository = opened(place)
    network = place.root / "tiny/1/network.onnx"
    status, data = network.stat(), bytearray(network.read_bytes())
    data[-1] ^= 1
    network.write_bytes(data)
    os.utime(network, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]


def test_unchanged_circuits_are_not_read_again(place, hashed):
    (place.put("tiny", "2") / "network.onnx").write_bytes(b"")
    repository = opened(place)
    assert len(hashed) == 2
    assert not repository.reload()
    assert not repository.reload()
    assert len(hashed) == 2


def test_changed_circuit_alone_is_read_again(place, hashed):
    place.put("tiny", "2")
    repository = opened(place)
    (place.root / "tiny/2/network.onnx").touch()
    assert not repository.reload()
    assert [folder.name for folder in hashed] == ["1", "2", "2"]


def test_link_to_a_circuit_follows_where_it_leads(place, made, tmp_path):
    first = shutil.copytree(made.circuit.folder, tmp_path / "first")
    (place.root / "linked").mkdir()
    (place.root / "linked/1").symlink_to(first)
    repository = opened(place)
    assert repository.find("linked").circuit.folder == first.resolve()
    (place.root / "linked/1").unlink()
    (place.root / "linked/1").symlink_to(shutil.copytree(first, tmp_path / "second"))
    assert repository.reload()
    assert repository.find("linked").circuit.folder == (tmp_path / "second").resolve()


def test_folder_of_models_that_goes_away_leaves_all_as_it_was(place):
    repository = opened(place)
    shutil.move(place.root, place.root.with_name("moved"))
    with pytest.raises(RepositoryError, match="cannot be read"):
        repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


# --- keys and setups


def without_keys(place, tmp_path):
    shutil.copytree(place.home.root / "setups", tmp_path / "home/setups")
    return Home(tmp_path / "home")


def test_circuit_without_its_proving_key_is_unavailable_until_the_key_is_there(place, made, tmp_path):
    home, now = without_keys(place, tmp_path), [0.0]
    repository = opened(place, home=home, clock=lambda: now[0])
    assert repository.index()[0].reason == "Its proving key is missing; `zkinfer keys make` generates it."
    shutil.copytree(place.home.keys, home.keys)
    repository.reload()
    assert listed(repository) == [("tiny", "1", "UNAVAILABLE")]  # looked for a moment ago
    now[0] += 31.0
    assert repository.reload()
    assert listed(repository) == [("tiny", "1", "READY")]


def test_circuit_whose_setup_is_of_another_secret_is_unavailable(place):
    factories.rewritten(
        place.root / "tiny/1", lambda document: document["recipe"]["setup"].update(tauG2="sha256:" + "0" * 64)
    )
    (entry,) = opened(place).index()
    assert entry.reason == "Its trusted setup differs from the one of that name."


def test_circuit_of_a_setup_that_is_not_here_is_unavailable(place):
    factories.rewritten(place.root / "tiny/1", lambda document: document["recipe"]["setup"].update(ceremony="hermez"))
    (entry,) = opened(place).index()
    assert entry.reason == "Its trusted setup cannot be used here."
    assert "hermez" in entry.detail
