from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.engines.ezkl.engine import layout_for
from zkinfer.circuits.engines.ezkl.instances import (
    LIMB_BITS,
    LIMBS,
    MODULUS,
    decode,
    encode,
    instance_count,
    instances_of,
    limbs_of,
    proof_from,
    to_digest,
)
from zkinfer.circuits.errors import EngineError, InputError, ProofRejectedError
from zkinfer.circuits.statement import Statement
from zkinfer.circuits.tensors import TensorSpec

CONTEXT = bytes(range(1, 33))
HALO2 = b"\xab" * 40
EVERY = pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
contexts = st.binary(min_size=32, max_size=32)


def spec(name, shape, visibility="public", dtype="float32"):
    return TensorSpec(name=name, dtype=dtype, shape=shape, visibility=visibility)


def layout(visibility="public", limit=1 << 27):
    return layout_for([spec("a", (1, 2), visibility), spec("b", (1,), visibility)], [spec("y", (2,))], limit)


def encoded(*values):
    return [encode(value) for value in values]


def instances(visibility):
    context, outputs = list(limbs_of(CONTEXT)), encoded(5, -6)
    return {
        "public": [*context, *encoded(3, -4, 7), *outputs],
        "hashed": [11, 12, 13, *outputs, *context],
        "private": [*outputs, *context],
    }[visibility]


@EVERY
def test_instances_round_trip_to_the_statement(visibility):
    made = proof_from(HALO2, instances(visibility), CONTEXT, layout(visibility))
    assert instances_of(made.statement, made.data, layout(visibility)) == (HALO2, instances(visibility))
    assert made.statement.outputs == (5, -6)
    assert len(instances(visibility)) == instance_count(layout(visibility))


def test_public_inputs_are_packed_in_the_width_of_the_range():
    assert (
        proof_from(HALO2, instances("public"), CONTEXT, layout()).statement.inputs.hex() == "00000003fffffffc00000007"
    )


def test_context_digest_precedes_the_proof():
    made = proof_from(HALO2, instances("hashed"), CONTEXT, layout("hashed"))
    assert made.data == to_digest(11) + HALO2
    assert made.statement.inputs == to_digest(12) + to_digest(13)


@pytest.mark.parametrize(
    ("dtype", "limit", "width"),
    [("uint8", 1 << 27, 2), ("int8", 1 << 27, 1), ("bool", 1 << 27, 1), ("float32", 1 << 31, 4), ("int64", 1 << 40, 8)],
)
def test_width_follows_from_dtype_and_range(dtype, limit, width):
    assert layout_for([spec("x", (1,), dtype=dtype)], [spec("y", (1,))], limit).input_width == width


@given(contexts)
def test_limbs_are_the_first_130_bits(context):
    assert "".join(f"{limb:026b}" for limb in limbs_of(context)) == f"{int.from_bytes(context, 'big'):0256b}"[:130]
    assert len(limbs_of(context)) == LIMBS
    assert all(0 <= limb < 1 << LIMB_BITS for limb in limbs_of(context))


@EVERY
@pytest.mark.parametrize("change", [lambda values: values[:-1], lambda values: [*values, 0], lambda _: []])
def test_wrong_number_of_instances_is_refused(visibility, change):
    with pytest.raises(EngineError, match="another number of public values"):
        proof_from(HALO2, change(instances(visibility)), CONTEXT, layout(visibility))


@EVERY
def test_instances_of_another_context_are_refused(visibility):
    with pytest.raises(EngineError, match="another context"):
        proof_from(HALO2, instances(visibility), bytes(32), layout(visibility))


@pytest.mark.parametrize("element", [MODULUS, MODULUS // 2, 1 << 127])
def test_output_element_that_encodes_no_integer_is_refused(element):
    with pytest.raises(EngineError, match="an impossible value"):
        proof_from(HALO2, [*instances("public")[:-1], element], CONTEXT, layout())


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63), 1 << 100])
def test_output_element_beyond_63_bits_is_refused(value):
    with pytest.raises(EngineError, match="more than 63 bits"):
        proof_from(HALO2, [*instances("public")[:-1], encode(value)], CONTEXT, layout())


def statement(visibility):
    return proof_from(HALO2, instances(visibility), CONTEXT, layout(visibility)).statement


@pytest.mark.parametrize(("visibility", "size"), [("public", 11), ("public", 13), ("hashed", 63), ("private", 1)])
def test_statement_with_inputs_of_the_wrong_length_is_rejected(visibility, size):
    with pytest.raises(ProofRejectedError, match=r"not one of this circuit|another number of values"):
        instances_of(replace(statement(visibility), inputs=bytes(size)), to_digest(1) + HALO2, layout(visibility))


@pytest.mark.parametrize("outputs", [(), (5,), (5, -6, 7)])
def test_statement_with_the_wrong_number_of_outputs_is_rejected(outputs):
    with pytest.raises(ProofRejectedError, match="another number of values"):
        instances_of(replace(statement("public"), outputs=outputs), HALO2, layout())


@pytest.mark.parametrize("output", [1 << 127, -(1 << 127)])
def test_output_outside_the_field_is_rejected(output):
    with pytest.raises(ProofRejectedError, match="does not fit the 127 bits"):
        instances_of(replace(statement("public"), outputs=(output, 0)), HALO2, layout())


@pytest.mark.parametrize("prefix", [MODULUS.to_bytes(32, "big"), b"\xff" * 32, b"", b"\0" * 31])
def test_non_canonical_context_digest_is_rejected(prefix):
    with pytest.raises(ProofRejectedError, match="not a canonical field element"):
        instances_of(statement("hashed"), prefix if len(prefix) < 32 else prefix + HALO2, layout("hashed"))


def test_non_canonical_input_digest_is_rejected():
    changed = replace(statement("hashed"), inputs=to_digest(12) + b"\xff" * 32)
    with pytest.raises(ProofRejectedError, match="not a canonical field element"):
        instances_of(changed, to_digest(11) + HALO2, layout("hashed"))


def test_context_bits_beyond_130_are_not_bound():
    """SECURITY.md and the on-chain adapter document this property of the engine."""
    other = Statement(CONTEXT[:17] + bytes(15), statement("public").inputs, (5, -6))
    assert instances_of(other, HALO2, layout())[1] == instances("public")


HALF = 1 << 127
INTEGERS = st.integers(-HALF + 1, HALF - 1)
ELEMENTS = st.integers(0, MODULUS - 1)


def test_modulus_is_that_of_bn254():
    assert MODULUS == 21888242871839275222246405745257275088548364400416034343698204186575808495617


@given(INTEGERS)
def test_encoding_round_trips_for_any_integer(value):
    element = encode(value)
    assert 0 <= element < MODULUS
    assert decode(element) == value


@pytest.mark.parametrize(
    ("value", "element"), [(0, 0), (1, 1), (-1, MODULUS - 1), (HALF - 1, HALF - 1), (1 - HALF, MODULUS - HALF + 1)]
)
def test_encoding_of_boundaries_is_pinned(value, element):
    assert encode(value) == element
    assert decode(element) == value


@pytest.mark.parametrize("value", [HALF, -HALF, HALF + 1, -HALF - 1, MODULUS, -MODULUS, 1 << 300])
def test_encoding_beyond_127_bits_is_refused(value):
    with pytest.raises(InputError, match="does not fit the 127 bits"):
        encode(value)


@pytest.mark.parametrize("element", [HALF, HALF + 1, MODULUS // 2, MODULUS - HALF - 1, MODULUS - HALF])
def test_decoding_an_element_that_encodes_no_integer_is_refused(element):
    with pytest.raises(InputError, match=r"magnitude reaches 2\^127"):
        decode(element)


@given(st.integers(HALF, MODULUS - HALF))
def test_decoding_any_element_of_the_gap_is_refused(element):
    with pytest.raises(InputError, match="is not a circuit integer"):
        decode(element)


@pytest.mark.parametrize("element", [-1, MODULUS, MODULUS + 1, 1 << 256, -MODULUS])
def test_decoding_a_non_canonical_element_is_refused(element):
    with pytest.raises(InputError, match="not a canonical field element"):
        decode(element)
