import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tests.paths import ROOT

import zkinfer.circuits
from zkinfer.circuits import errors
from zkinfer.contracts import ChainError

HEAVY = {"torch", "grpc", "web3", "onnx", "onnxruntime", "ezkl", "sklearn", "matplotlib", "google.protobuf"}

SOURCES = ["circuits", "verifier", "prover", "service", "proto"]


@pytest.mark.parametrize("name", zkinfer.circuits.__all__)
def test_every_public_name_is_importable_and_documented(name):
    value = getattr(zkinfer.circuits, name)
    assert value.__name__ == name
    assert value.__doc__


def test_all_is_what_dir_lists():
    assert dir(zkinfer.circuits) == sorted(zkinfer.circuits.__all__)
    assert sorted(zkinfer.circuits._HOMES) == sorted(set(zkinfer.circuits.__all__))


def test_star_import_gives_exactly_all():
    names = {}
    exec("from zkinfer.circuits import *", names)
    assert set(names) - {"__builtins__"} == set(zkinfer.circuits.__all__)


@pytest.mark.parametrize("name", ["FakeEngine", "FakeEngines", "numpy", "_answer"])
def test_unknown_name_is_refused(name):
    with pytest.raises(AttributeError, match=f"'zkinfer.circuits' has no attribute '{name}'"):
        getattr(zkinfer.circuits, name)


@pytest.mark.parametrize(
    "module",
    [
        "circuits",
        "circuits.sandbox.child",
        "circuits.compile",
        "circuits.build",
        "circuits.engines.fake",
        "circuits.engines.ezkl.engine",
    ],
)
def test_import_loads_nothing_heavy(module):
    code = f"import sys, zkinfer.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("source", SOURCES)
def test_namespace_package_has_no_init(source):
    assert not (ROOT / source / "zkinfer" / "__init__.py").exists()
    assert not (ROOT / source / "__init__.py").exists()


def test_namespace_spans_the_source_roots():
    spanned = {Path(path).resolve() for path in importlib.import_module("zkinfer").__path__}
    assert {ROOT / source / "zkinfer" for source in SOURCES} <= spanned


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_error_class_has_one_sentence_and_descends_from_the_root(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ZkinferError)
    assert kind.__doc__.strip().count(".") == 1


def test_error_message_has_cause_and_cure():
    assert str(errors.InputError("It is wrong.", "Put it right.")) == "It is wrong. Put it right."
    assert str(errors.InputError("It is wrong.")) == "It is wrong."


def test_errors_module_holds_errors_and_their_descriptions():
    others = {name for name, value in vars(errors).items() if not (name.startswith("_") or inspect.isclass(value))}
    assert others <= {"Any", "OUT_OF_RANGE", "annotations", "describe", "error_document", "why"}


@pytest.mark.parametrize("kind", [errors.DataError, ChainError])
def test_error_is_described_by_class_cause_and_cure(kind):
    described = errors.describe(kind("It is odd.", "Fix it."))
    assert described == {"type": kind.__name__, "cause": "It is odd.", "cure": "Fix it."}
