import numpy as np
import pytest

from zkinfer.circuits.build import Rebuilt
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.engines.proof_checks import stated_inputs
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.statement import Context, Layout, Statement
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.verifier import checks
from zkinfer.verifier.errors import ContextMismatchError, InputMismatchError

PIXELS = TensorSpec(name="pixels", dtype="uint8", shape=(2,))
SECRET = TensorSpec(name="secret", dtype="float32", shape=(2,), scale=4, visibility="hashed")
LABEL = TensorSpec(name="label", dtype="int64", shape=(1,))
ENGINE, LIMIT, CONTEXT = FakeEngine(), 1000, Context.offline()


class Setup:
    path = None


def program(spec):
    layout = Layout.of([spec], [LABEL], least=-LIMIT, largest=LIMIT, signed=spec.visibility == "public")
    return Program(inputs=(spec,), outputs=(LABEL,), layout=layout, setup_size=3, integer_limit=LIMIT, figures={})


def statement(spec, *integers, output=7):
    return Statement(CONTEXT.hash, stated_inputs(ENGINE, None, program(spec), None, [integers]), (output,))


def compare(spec, stated, expected):
    circuit = Rebuilt(folder=None, identity=None, program=program(spec), proof_bytes=32)
    checks.require_expected_inputs(ENGINE, circuit, Setup, stated, {spec.name: np.asarray(expected)})


def test_public_inputs_and_outputs_are_returned_by_name():
    stated = statement(PIXELS, 1, 255)
    assert checks.public_inputs(program(PIXELS), stated) == {"pixels": [1, 255]}
    assert checks.outputs(program(PIXELS), stated) == {"label": [7]}


def test_hashed_input_is_not_revealed():
    assert checks.public_inputs(program(SECRET), statement(SECRET, 8, -24)) == {}


def test_hashed_input_is_confirmed_by_its_digest():
    compare(SECRET, statement(SECRET, 8, -24), [0.5, -1.5])


def test_hashed_input_with_another_value_is_refused():
    with pytest.raises(InputMismatchError, match="another value of the input 'secret'"):
        compare(SECRET, statement(SECRET, 8, -24), [0.5, -1.4])


def test_hashed_input_that_the_circuit_cannot_hold_is_refused_as_another_input(monkeypatch):
    def commit(*_):
        raise RangeError("An input does not fit.")

    stated = statement(SECRET, 8, -24)
    monkeypatch.setattr(FakeEngine, "commit", commit)
    with pytest.raises(InputMismatchError, match="'secret' leaves the circuit's range, so no proof is about it"):
        compare(SECRET, stated, [1e9, 0])


def test_private_input_cannot_be_confirmed():
    private = SECRET.model_copy(update={"visibility": "private"})
    with pytest.raises(InputMismatchError, match="The inputs are private, so they cannot be compared"):
        compare(private, statement(private, 8, -24), [0.5, -1.5])


@pytest.mark.parametrize("expected", [[1, 2], np.array([1.0, 2.0]), np.array([1, 2], np.uint8)])
def test_integer_input_is_confirmed(expected):
    compare(PIXELS, statement(PIXELS, 1, 2), expected)


@pytest.mark.parametrize("expected", [[1.4, 2.0], [257, 2], [-255, 2], [float("nan"), 2]])
def test_expected_value_out_of_range_is_refused(expected):
    with pytest.raises(InputMismatchError, match="has dtype uint8; the expected values do not fit it"):
        compare(PIXELS, statement(PIXELS, 1, 2), expected)


def test_tensors_are_dequantised():
    arrays = checks.tensors((SECRET.model_copy(update={"visibility": "public"}), LABEL), {"secret": [8, -24]})
    assert arrays["secret"].tolist() == [0.5, -1.5]
    assert list(arrays) == ["secret"]


def test_context_of_another_request_is_refused():
    checks.require_proven_context(CONTEXT, statement(PIXELS, 1, 2))
    with pytest.raises(ContextMismatchError, match="made for another request"):
        checks.require_proven_context(Context.offline(), statement(PIXELS, 1, 2))
