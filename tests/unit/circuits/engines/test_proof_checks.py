import dataclasses

import pytest

from zkinfer.circuits import Context, field
from zkinfer.circuits.engines.base import Program, Proof, slots_in_order
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.engines.proof_checks import require_statement
from zkinfer.circuits.errors import EngineError
from zkinfer.circuits.tensors import TensorSpec

ENGINE = FakeEngine()
CONTEXT = Context.model_validate({"requestId": "0x" + "11" * 32})
INPUTS, OUTPUTS, LIMIT = [[3, -4]], [5, -6], 1000


def program(visibility="public"):
    spec = TensorSpec(name="x", dtype="float32", shape=(2,), scale=1, visibility=visibility)
    answer = TensorSpec(name="y", dtype="float32", shape=(2,), scale=1)
    slots = slots_in_order([spec], [answer])
    return Program(inputs=(spec,), outputs=(answer,), slots=slots, rows=1, log_rows=3, integer_limit=LIMIT)


def encoded(*values):
    return [field.encode(value) for value in values]


def instances(visibility):
    context, outputs = encoded(*CONTEXT.limbs), encoded(*OUTPUTS)
    return {
        "public": [*context, *encoded(*INPUTS[0]), *outputs],
        "hashed": [ENGINE.commit(CONTEXT.limbs), ENGINE.commit(INPUTS[0]), *outputs, *context],
        "private": [*outputs, *context],
    }[visibility]


def require(values, visibility="public", data=b"\0" * 32):
    require_statement(
        Proof(data, tuple(values)),
        engine=ENGINE,
        program=program(visibility),
        proof_bytes=32,
        inputs=INPUTS,
        context=CONTEXT,
    )


@pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
def test_statement_about_this_inference_is_taken(visibility):
    require(instances(visibility), visibility)


@pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
def test_statement_about_another_value_is_refused(visibility):
    outputs = [slot for slot in program(visibility).slots if slot.role == "output"]
    free = {place for slot in outputs for place in range(slot.start, slot.start + slot.count)}
    for place in set(range(len(instances(visibility)))) - free:
        changed = instances(visibility)
        changed[place] = (changed[place] + 1) % field.MODULUS
        with pytest.raises(EngineError, match="other public values than it was given"):
            require(changed, visibility)


@pytest.mark.parametrize("change", [lambda values: values[:-1], lambda values: [*values, 0]])
def test_statement_of_another_length_is_refused(change):
    with pytest.raises(EngineError, match="another number of public values"):
        require(change(instances("public")))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_proof_of_another_length_is_refused(length):
    with pytest.raises(EngineError, match=f"A proof has {length} bytes where the keys say 32"):
        require(instances("public"), data=b"\0" * length)


@pytest.mark.parametrize("output", [LIMIT, -LIMIT, 1 << 100])
def test_output_beyond_the_range_of_the_circuit_is_refused(output):
    with pytest.raises(EngineError, match="an output beyond the range"):
        require([*instances("public")[:-1], field.encode(output)])


@pytest.mark.parametrize("element", [field.MODULUS, field.MODULUS // 2, 1 << 127])
def test_output_that_is_no_integer_is_refused(element):
    with pytest.raises(EngineError, match="an impossible output"):
        require([*instances("public")[:-1], element])


def test_context_of_another_request_is_refused():
    other = dataclasses.replace(Proof(b"\0" * 32, tuple(instances("private"))))
    with pytest.raises(EngineError, match="other public values"):
        require_statement(
            other,
            engine=ENGINE,
            program=program("private"),
            proof_bytes=32,
            inputs=INPUTS,
            context=Context.offline(),
        )
