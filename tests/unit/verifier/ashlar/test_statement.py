from random import Random

import pytest
from tests.ashlar import cases
from tests.ashlar.numbers import Numbers
from tests.ashlar.programs import gemm_of_range
from tests.ashlar.prover import Prover
from tests.ashlar.relations import positions

from zkinfer.verifier.ashlar import SumcheckError
from zkinfer.verifier.ashlar.field import Element, at_index
from zkinfer.verifier.ashlar.program import CLAMP_S, CLAMP_U, Dim, Output
from zkinfer.verifier.ashlar.statement import Layout, Statement, decode_inputs, outputs_at, public_input_at

P = (1 << 31) - 1
SHAPES = [(3,), (1,), (3, 3), (4, 2), (2, 3, 5), (3, 1, 1), (1, 3), (5, 1, 3)]


def dims_of(shape):
    return tuple(Dim(size, (size - 1).bit_length()) for size in shape)


def values_of(dims):
    rng = Random(len(dims))
    return [rng.randint(-128, 127) for _ in positions(dims)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_public_input_is_a_polynomial_over_positions_of_the_box(shape):
    dims, t = dims_of(shape), Element(123456, P)
    values = values_of(dims)
    expected = sum((v * t**place for v, place in zip(values, positions(dims), strict=True)), Element(0, P))
    assert public_input_at(t, values, dims) == expected


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_are_extended_from_their_positions_in_the_box(shape):
    dims, rng = dims_of(shape), Random(2)
    values, bits = values_of(dims), sum(dim.bits for dim in dims)
    tau = [Element(rng.randrange(P), P) for _ in range(bits + 2)]
    places = zip(values, positions(dims), strict=True)
    expected = sum((v * at_index(place, tau[:bits]) for v, place in places), Element(0, P))
    assert outputs_at(tau, values, Output(bits, dims, ())) == expected


@pytest.mark.parametrize(
    ("kind", "b", "width", "integers", "packed"),
    [
        (CLAMP_S, 7, 1, [-128, 127, -1], "807fff"),
        (CLAMP_S, 8, 2, [-256, 255, -1], "ff0000ffffff"),
        (CLAMP_U, 8, 1, [0, 255, 128], "00ff80"),
        (CLAMP_U, 9, 2, [511, 1, 256], "01ff00010100"),
    ],
)
def test_public_inputs_are_packed_as_the_table_of_the_input_says(kind, b, width, integers, packed):
    example = gemm_of_range(kind, b, integers)
    layout = Layout.of(example.header, example.program)
    assert layout == Layout(0, width, 3, 2)
    assert decode_inputs(bytes.fromhex(packed), example.program, layout) == integers


@pytest.mark.parametrize("b", [3, 7])
def test_negative_public_inputs_are_proved_and_as_unsigned_refused(b):
    example = gemm_of_range(CLAMP_S, b, (-1, -(1 << b), 1))
    case = Prover(example.header, example.program, example.weights, Numbers()).prove(example.inputs)
    case.check()
    for data in (b"\1" + case.inputs[1:], bytes([1 << b]) + case.inputs[1:]):
        with pytest.raises(SumcheckError):
            case.changed("unsigned", inputs=data).check()


@pytest.mark.parametrize("name", cases.GOOD)
def test_layout_is_that_of_the_vector(name):
    case, values = cases.load(name)
    layout = case.read().layout
    found = {"visibility": layout.visibility, "inputWidth": layout.input_width}
    assert found | {"inputs": layout.inputs, "outputs": layout.outputs} == values["layout"]


def test_encoded_statement_is_context_inputs_and_outputs_in_words():
    encoded = Statement(b"\1" * 32, b"\xab", (5, -1)).encode()
    assert encoded == b"\1" * 32 + b"\xab" + (5).to_bytes(32, "big") + b"\xff" * 32
