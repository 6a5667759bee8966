"""A tiny model, a home with small `insecure-dev` setups, and a circuit compiled with the fake engine."""

import shutil

import pytest
from tests.unit.circuits import making

from zkinfer.circuits import Circuit, Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine


@pytest.fixture
def in_process(monkeypatch):
    """Parse models in this process: milliseconds instead of a child each."""
    making.without_children(monkeypatch)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Where memory-backed scratch directories go in this test, in place of /dev/shm, which others use too."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr("zkinfer.circuits.scratch._volatile_parent", lambda: str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return making.write_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="session")
def dev_home(tmp_path_factory):
    """A home that tests may read; what they write goes to one of their own."""
    home = Home(tmp_path_factory.mktemp("home"))
    for k in (3, 4, 5):
        home.setups.insecure_dev(k)
    return home


@pytest.fixture
def own_home(dev_home, tmp_path):
    """A home of this test, with setups and without keys."""
    shutil.copytree(dev_home.root / "setups", tmp_path / "home" / "setups")
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def compiled(tiny, dev_home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        making.without_children(patch)
        out = tmp_path_factory.mktemp("circuits") / "tiny"
        return compile_model(tiny, out, engine=FakeEngine(), home=dev_home, options=making.DEV).circuit


@pytest.fixture
def folder(compiled, tmp_path):
    """A copy of the circuit's folder, to tamper with."""
    return shutil.copytree(compiled.folder, tmp_path / "circuit")


@pytest.fixture
def circuit(folder):
    return Circuit.open(folder)
