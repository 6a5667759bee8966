from dataclasses import replace
from pathlib import Path

import pytest

from zkinfer.circuits import Context
from zkinfer.circuits.engines.base import Program, Proof
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.engines.proof_checks import require_statement, stated_inputs
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.statement import Layout, Statement
from zkinfer.circuits.tensors import TensorSpec

ENGINE, NOWHERE = FakeEngine(), Path("nowhere")
CONTEXT = Context.model_validate({"requestId": "0x" + "11" * 32})
INPUTS, OUTPUTS, LIMIT = [[3, -4]], (5, -6), 1000
EVERY = pytest.mark.parametrize("visibility", ["public", "hashed", "private"])


def program(visibility="public"):
    spec = TensorSpec(name="x", dtype="float32", shape=(2,), scale=1, visibility=visibility)
    answer = TensorSpec(name="y", dtype="float32", shape=(2,), scale=1)
    layout = Layout.of([spec], [answer], least=-LIMIT, largest=LIMIT, signed=visibility == "public")
    return Program(inputs=(spec,), outputs=(answer,), layout=layout, setup_size=3, integer_limit=LIMIT, figures={})


def statement(visibility="public", inputs=INPUTS):
    return Statement(CONTEXT.hash, stated_inputs(ENGINE, NOWHERE, program(visibility), NOWHERE, inputs), OUTPUTS)


def require(stated, visibility="public", data=b"\0" * 32):
    require_statement(
        Proof(data, stated),
        engine=ENGINE,
        folder=NOWHERE,
        program=program(visibility),
        setup=NOWHERE,
        proof_bytes=32,
        inputs=INPUTS,
        context=CONTEXT,
    )


@EVERY
def test_statement_about_this_inference_is_accepted(visibility):
    require(statement(visibility), visibility)


def test_inputs_are_stated_according_to_visibility():
    assert statement("public").inputs == bytes.fromhex("0003fffc")
    assert statement("hashed").inputs == ENGINE.commit(NOWHERE, program("hashed"), NOWHERE, 0, INPUTS[0])
    assert statement("private").inputs == b""


@pytest.mark.parametrize("visibility", ["public", "hashed"])
def test_statement_about_another_input_is_rejected(visibility):
    with pytest.raises(EngineError, match="other inputs than it was given"):
        require(statement(visibility, [[3, -5]]), visibility)


@EVERY
@pytest.mark.parametrize("extra", [b"\0", b"\0" * 32])
def test_statement_with_more_inputs_is_rejected(visibility, extra):
    stated = statement(visibility)
    with pytest.raises(EngineError, match="other inputs than it was given"):
        require(replace(stated, inputs=stated.inputs + extra), visibility)


@EVERY
@pytest.mark.parametrize("bit", [0, 129, 130, 255])
def test_statement_with_any_context_bit_changed_is_rejected(visibility, bit):
    context = (int.from_bytes(CONTEXT.hash, "big") ^ 1 << (255 - bit)).to_bytes(32, "big")
    with pytest.raises(EngineError, match="another context"):
        require(replace(statement(visibility), context=context), visibility)


@pytest.mark.parametrize("outputs", [(), (5,), (5, -6, 0)])
def test_statement_with_the_wrong_number_of_outputs_is_rejected(outputs):
    with pytest.raises(EngineError, match="another number of outputs"):
        require(replace(statement(), outputs=outputs))


@pytest.mark.parametrize("output", [LIMIT, -LIMIT, 1 << 100])
def test_output_beyond_the_range_of_the_circuit_is_rejected(output):
    with pytest.raises(EngineError, match="an output beyond the range"):
        require(replace(statement(), outputs=(5, output)))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_proof_of_the_wrong_length_is_rejected(length):
    with pytest.raises(EngineError, match=f"A proof has {length} bytes where the keys say 32"):
        require(statement(), data=b"\0" * length)


def test_input_beyond_the_layout_is_rejected():
    with pytest.raises(InputError, match="does not fit 2 bytes"):
        statement(inputs=[[1 << 15, 0]])
