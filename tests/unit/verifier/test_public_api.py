import importlib
import inspect
import subprocess
import sys

import pytest

import zkinfer.verifier
from zkinfer.circuits.errors import InputError, ZkinferError
from zkinfer.verifier import errors

HEAVY = {"torch", "grpc", "web3", "onnx", "onnxruntime", "ezkl", "sklearn", "google.protobuf"}


def test_all_is_what_the_package_imports():  # ruff checks that it is sorted
    public = {name for name, value in vars(zkinfer.verifier).items() if not _hidden(name, value)}
    assert set(zkinfer.verifier.__all__) == public
    assert len(zkinfer.verifier.__all__) == len(public)


def _hidden(name, value):
    return name.startswith("_") or inspect.ismodule(value)


@pytest.mark.parametrize("module", ["zkinfer.verifier", "zkinfer.verifier.verifier"])
def test_import_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_error_class_has_one_sentence_and_descends_from_the_root(name):
    kind = getattr(errors, name)
    assert issubclass(kind, ZkinferError)
    assert kind.__doc__.strip().count(".") == 1


def test_refusal_is_not_an_input_error():
    refusals = [
        kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.RefusedError)
    ]
    assert len(refusals) > 15
    assert not any(issubclass(kind, InputError) for kind in refusals)


def test_namespace_has_no_init():
    assert importlib.import_module("zkinfer").__file__ is None
