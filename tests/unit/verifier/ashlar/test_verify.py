"""Every vector is accepted, with the values on the way that another implementation computed."""

from dataclasses import replace

import pytest
from tests.ashlar import cases
from tests.ashlar.numbers import KnownTau, Numbers
from tests.ashlar.programs import random_example
from tests.ashlar.prover import Prover

from zkinfer.verifier.ashlar import verify

CHALLENGES = ("alpha", "beta", "gamma", "tau", "t")


def written(value):
    """Numbers as the vectors hold them."""
    if isinstance(value, (list, tuple)):
        return [written(entry) for entry in value]
    return f"0x{int(value) % cases.KNOWN_TAU.order:064x}"


@pytest.fixture(scope="module", params=cases.GIVEN)
def vector(request):
    case, values = cases.load(request.param)
    return case, values, case.check()


def test_vectors_of_another_implementation_exist():
    assert len(cases.GIVEN) == 8


def test_vector_is_accepted_with_a_pairing(vector):
    case, *_ = vector
    verify(case.key, case.context, case.inputs, case.outputs, case.proof)


@pytest.mark.parametrize("kind", [float, str, lambda value: value + 0.5])
def test_output_that_is_no_integer_is_an_error_of_the_caller(vector, kind):
    case, *_ = vector
    with pytest.raises(TypeError):
        verify(case.key, case.context, case.inputs, [kind(output) for output in case.outputs], case.proof)


def test_vector_gives_the_challenges_of_the_oracle(vector):
    _, values, found = vector
    expected = values["seen"]
    assert {name: written(getattr(found.challenges, name)) for name in CHALLENGES} == {
        name: expected[name] for name in CHALLENGES
    }
    assert written(found.rho) == expected["rho"]
    assert written(found.sigma) == expected["sigma"]
    assert written([found.delta, found.opening.zeta, found.opening.delta, found.opening.z]) == [
        expected[name] for name in ("delta", "zeta", "delta2", "z")
    ]


def test_vector_gives_the_claims_of_the_oracle(vector):
    _, values, found = vector
    expected = values["seen"]
    assert {name: written(value) for name, value in found.kernels.items()} | {"Z": written(0)} == expected["kw"]
    assert written([found.second_claims[-1], found.line.s1, found.line.lz]) == [
        expected[name] for name in ("claim", "s1", "lz")
    ]
    assert "0x" + "".join(f"{number:064x}" for number in found.pairing_point) == values["pairingPoint"]


def test_vector_has_the_digest_and_layout_of_its_key(vector):
    case, values, _ = vector
    key = case.read()
    layout = key.layout
    assert "0x" + key.digest.hex() == values["vkDigest"]
    assert values["layout"] == {
        "visibility": layout.visibility,
        "inputWidth": layout.input_width,
        "inputs": layout.inputs,
        "outputs": layout.outputs,
    }


@pytest.mark.parametrize("name", cases.GIVEN)
def test_slow_prover_of_the_tests_makes_the_vector_byte_for_byte(name):
    case, values = cases.load(name)
    key = case.read()
    made = Prover(key.header, key.program, values["weights"], KnownTau()).prove(values["input"], case.context)
    assert replace(made, name=name, group=case.group) == case


@pytest.mark.parametrize("order", [8191, (1 << 31) - 1], ids=["13 bits", "31 bits"])
@pytest.mark.parametrize("name", cases.GIVEN)
def test_proof_over_a_small_prime_is_accepted(name, order):
    case, values = cases.load(name)
    key = case.read()
    Prover(key.header, key.program, values["weights"], Numbers(order)).prove(values["input"]).check()


@pytest.mark.parametrize("seed", range(40))
def test_proof_of_a_random_program_is_accepted(seed):
    example = random_example(seed)
    Prover(example.header, example.program, example.weights, Numbers()).prove(example.inputs).check()


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(40, 3000))
def test_proof_of_a_further_random_program_is_accepted(seed):
    example = random_example(seed)
    Prover(example.header, example.program, example.weights, Numbers()).prove(example.inputs).check()
