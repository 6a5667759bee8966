import inspect
import subprocess
import sys

import pytest

import zkinfer.verifier.ashlar
from zkinfer.circuits.errors import ProofRejectedError
from zkinfer.verifier.ashlar import AshlarRejectedError, MalformedKeyError, errors

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
STEPS = [kind for kind in KINDS if kind is not AshlarRejectedError]


def test_all_is_what_the_package_imports():
    hidden = {name for name, value in vars(zkinfer.verifier.ashlar).items() if inspect.ismodule(value)}
    public = {name for name in vars(zkinfer.verifier.ashlar) if not name.startswith("_")} - hidden
    assert set(zkinfer.verifier.ashlar.__all__) == public | {"verify"}


@pytest.mark.parametrize("kind", KINDS)
def test_error_is_a_rejected_proof_and_says_why_in_one_sentence(kind):
    assert issubclass(kind, ProofRejectedError)
    assert kind.__doc__.strip().count(".") <= 2  # of which one may be that of a section


def test_each_step_that_can_fail_has_one_error():
    assert sorted(kind.step for kind in STEPS) == [1, 2, 3, 4, 5, 8, 11, 15]


def test_broken_rule_is_named_in_cause_and_attribute():
    error = MalformedKeyError("W4", "a dimension has the size 0.")
    assert (error.rule, error.step) == ("W4", 1)
    assert str(error).startswith("The key breaks rule W4: a dimension has the size 0. Rebuild the key")


def test_verifier_loads_no_engine():
    code = "import sys, zkinfer.verifier.ashlar; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"ezkl", "zkinfer_ashlar", "onnx", "zkinfer.circuits.engines.ashlar"}.isdisjoint(loaded)
