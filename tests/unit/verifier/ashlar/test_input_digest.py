import pytest
from tests.ashlar import cases
from tests.ashlar.keys import with_changes
from tests.ashlar.numbers import KnownTau
from tests.ashlar.programs import gemm_of_range
from tests.ashlar.prover import Prover

from zkinfer.circuits.errors import DataError, InputError, RangeError, SetupError
from zkinfer.circuits.srs import bn254
from zkinfer.circuits.srs.ceremonies import generate_insecure_dev
from zkinfer.verifier.ashlar import MalformedKeyError, commit_input
from zkinfer.verifier.ashlar.program import CLAMP_S, CLAMP_U, decode_key

COMMITTED = [name for name in cases.GOOD if "committed" in name]


@pytest.fixture(scope="session")
def setup(tmp_path_factory):
    path = tmp_path_factory.mktemp("setup") / "insecure-dev-7.srs"
    generate_insecure_dev(7, path)
    return path


@pytest.mark.parametrize("name", COMMITTED)
def test_digest_of_a_vector_is_recomputed(name, setup):
    case, values = cases.load(name)
    assert commit_input(case.key, values["input"], setup) == case.inputs


def test_digest_of_an_input_of_several_chunks_is_recomputed(setup):
    example = gemm_of_range(CLAMP_S, 8, [v * 37 % 512 - 256 for v in range(61)], mode=1, weights=(1,) * 128)
    case = Prover(example.header, example.program, example.weights, KnownTau()).prove(example.inputs)
    assert case.read().sizes.x_chunks == 4
    assert commit_input(case.key, example.inputs, setup) == case.inputs


def test_digest_of_another_input_is_another(setup):
    case, values = cases.load("mlp_committed_1")
    first, *rest = values["input"]
    assert commit_input(case.key, [first - 1, *rest], setup) != case.inputs


def test_digest_of_zeros_is_that_of_infinity(setup):
    example = gemm_of_range(CLAMP_U, 3, (0, 0, 0), mode=1)
    case = Prover(example.header, example.program, example.weights, KnownTau()).prove(example.inputs)
    assert commit_input(case.key, (0, 0, 0), setup) == case.inputs


@pytest.mark.parametrize(("kind", "low", "high"), [(CLAMP_S, -8, 7), (CLAMP_U, 0, 7)])
def test_input_outside_the_range_of_the_key_is_refused_by_its_index(kind, low, high, setup):
    example = gemm_of_range(kind, 3, (0, low, high), mode=1)
    key = Prover(example.header, example.program, example.weights, KnownTau()).key
    commit_input(key, (0, low, high), setup)
    for value in (low - 1, high + 1):
        with pytest.raises(RangeError, match=rf"Input 2 is {value}, outside {low} to {high}"):
            commit_input(key, (0, low, value), setup)


@pytest.mark.parametrize("count", [0, 5, 7])
def test_other_number_of_inputs_is_refused(count, setup):
    case, _ = cases.load("mlp_committed_1")
    with pytest.raises(DataError, match="the key has 6"):
        commit_input(case.key, [0] * count, setup)


@pytest.mark.parametrize("name", ["mlp_public_1", "mlp_private_1"])
def test_key_without_hashed_inputs_is_refused(name, setup):
    case, values = cases.load(name)
    with pytest.raises(InputError, match="not hashed"):
        commit_input(case.key, values["input"], setup)


def test_key_that_is_not_well_formed_is_refused(setup):
    case, values = cases.load("mlp_committed_1")
    with pytest.raises(MalformedKeyError):
        commit_input(case.key[:-1], values["input"], setup)


def test_setup_that_is_missing_or_too_small_is_refused(setup, tmp_path):
    case, values = cases.load("mlp_committed_1")
    with pytest.raises(SetupError, match="cannot be read"):
        commit_input(case.key, values["input"], tmp_path / "none.srs")
    generate_insecure_dev(2, tmp_path / "small.srs")
    with pytest.raises(SetupError, match="too few for 8"):
        commit_input(case.key, values["input"], tmp_path / "small.srs")


def test_setup_of_just_enough_powers_is_taken(tmp_path):
    case, values = cases.load("mlp_committed_1")
    generate_insecure_dev(3, tmp_path / "small.srs")
    assert commit_input(case.key, values["input"], tmp_path / "small.srs") == case.inputs


def test_setup_of_another_ceremony_is_refused(setup):
    case, values = cases.load("mlp_committed_1")
    key = with_changes(decode_key(case.key), {"tau_g2": bn254.generator_g2()})
    with pytest.raises(SetupError, match="another ceremony"):
        commit_input(key, values["input"], setup)


def test_damaged_point_of_the_setup_is_refused(setup, tmp_path):
    case, values = cases.load("mlp_committed_1")
    data = bytearray(setup.read_bytes())
    data[4 + 64] ^= 1
    (tmp_path / "damaged.srs").write_bytes(data)
    with pytest.raises(SetupError, match="Point 1 of the monomial part"):
        commit_input(case.key, values["input"], tmp_path / "damaged.srs")
