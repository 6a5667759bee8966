import numpy as np
import pytest

from zkinfer.circuits import field
from zkinfer.circuits.context import Context
from zkinfer.circuits.engines.base import Program, Slot, slots_in_order
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.verifier import checks
from zkinfer.verifier.errors import ContextMismatchError, InputMismatchError, ValueRangeError

PIXELS = TensorSpec(name="pixels", dtype="uint8", shape=(2,))
SECRET = TensorSpec(name="secret", dtype="float32", shape=(2,), scale=4, visibility="hashed")
LABEL = TensorSpec(name="label", dtype="int64", shape=(1,))
LIMIT = 1000


def program(*inputs, slots=None):
    return Program(
        inputs=inputs,
        outputs=(LABEL,),
        slots=slots or slots_in_order(inputs, (LABEL,)),
        rows=4,
        log_rows=3,
        integer_limit=LIMIT,
    )


HASHED = program(SECRET)
ENGINE = FakeEngine()


def values(*integers):
    return [field.encode(value) for value in (0, 0, 0, 0, 0, *integers)]


@pytest.mark.parametrize("value", [LIMIT - 1, 1 - LIMIT, 0, -1])
def test_value_within_the_limit_is_decoded(value):
    found = checks.public_integers(program(PIXELS), values(1, 2, value), "output")
    assert found == {"label": [value]}


@pytest.mark.parametrize("value", [LIMIT, -LIMIT, 2**126])
def test_value_at_the_limit_is_refused(value):
    with pytest.raises(ValueRangeError, match=r"'label' is .* holds integers below 1000"):
        checks.public_integers(program(PIXELS), values(1, 2, value), "output")


@pytest.mark.parametrize("element", [1 << 127, field.MODULUS // 2, field.MODULUS - (1 << 127)])
def test_element_that_is_no_integer_is_refused(element):
    with pytest.raises(ValueRangeError, match="'label' is no circuit integer"):
        checks.public_integers(program(PIXELS), [*values(1, 2), element], "output")


@pytest.mark.parametrize("integers", [(-1, 2), (1, 256), (-400, 0)])
def test_integer_that_its_type_cannot_hold_is_refused(integers):
    with pytest.raises(ValueRangeError, match="which is no uint8"):
        checks.public_integers(program(PIXELS), values(*integers, 7), "input")


def hashed_values(*integers):
    """The digests of the context and of the input, the output, the context."""
    return [1, ENGINE.commit(integers), field.encode(7), *values()]


def test_hashed_tensor_is_not_decoded():
    assert checks.public_integers(HASHED, hashed_values(8, -24), "input") == {}
    assert checks.public_integers(HASHED, hashed_values(8, -24), "output") == {"label": [7]}


def test_hashed_input_is_confirmed_by_its_digest():
    checks.input_expected(ENGINE, HASHED, hashed_values(8, -24), {"secret": np.array([0.5, -1.5])})


def test_hashed_input_of_another_value_is_refused():
    with pytest.raises(InputMismatchError, match="another value of the input 'secret'"):
        checks.input_expected(ENGINE, HASHED, hashed_values(8, -24), {"secret": np.array([0.5, -1.4])})


def test_private_input_cannot_be_confirmed():
    private = program(SECRET.model_copy(update={"visibility": "private"}))
    with pytest.raises(InputMismatchError, match="'secret' is private, so it cannot be compared"):
        checks.input_expected(ENGINE, private, [field.encode(7), *values()], {"secret": np.zeros(2)})


@pytest.mark.parametrize("expected", [[1, 2], np.array([1.0, 2.0]), np.array([1, 2], np.uint8)])
def test_integer_input_is_confirmed(expected):
    checks.input_expected(ENGINE, program(PIXELS), values(1, 2, 7), {"pixels": np.asarray(expected)})


@pytest.mark.parametrize("expected", [[1.4, 2.0], [257, 2], [-255, 2], [float("nan"), 2]])
def test_expected_value_that_the_type_cannot_hold_is_refused(expected):
    with pytest.raises(InputMismatchError, match="takes uint8; the expected values are no such numbers"):
        checks.input_expected(ENGINE, program(PIXELS), values(1, 2, 7), {"pixels": np.array(expected)})


def test_tensors_have_the_models_units():
    arrays = checks.tensors((SECRET.model_copy(update={"visibility": "public"}), LABEL), {"secret": [8, -24]})
    assert arrays["secret"].tolist() == [0.5, -1.5]
    assert list(arrays) == ["secret"]


def test_context_of_a_circuit_without_one_is_refused():
    bare = program(PIXELS, slots=(Slot(role="output", name="label", start=0, count=1),))
    with pytest.raises(ContextMismatchError, match="made for another request"):
        checks.context_is_proven(Context.offline(), bare, [1])
