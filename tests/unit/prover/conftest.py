"""A circuit compiled with the fake engine, a prover for it and an auditor who trusts its model."""

from types import SimpleNamespace

import pytest
from tests.unit.circuits import factories

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A home, a model and its circuit, made once."""
    folder = tmp_path_factory.mktemp("prover")
    home, model = Home(folder / "home"), factories.write_model(folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        circuit = compile_model(
            model, folder / "circuit", engine=FakeEngine(), home=home, options=factories.DEV
        ).circuit
    return SimpleNamespace(folder=folder, home=home, model=model, circuit=circuit)


@pytest.fixture
def in_process(monkeypatch):
    factories.without_children(monkeypatch)
