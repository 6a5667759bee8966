import json

import numpy as np
import pytest
from tests.paths import ROOT
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.key import Shape, commit_weights, encode_code, input_limits, key_digest, make_key
from zkinfer.circuits.errors import SetupError, UnsupportedModelError
from zkinfer.circuits.srs.bn254 import GENERATOR, ORDER, multiply
from zkinfer.circuits.srs.ceremonies import TAU, generate_insecure_dev
from zkinfer.circuits.srs.file_format import read_outline

VECTORS = sorted((ROOT / "tests/vectors/ashlar").glob("*_1.json"))


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    path = tmp_path_factory.mktemp("setup") / "insecure-dev-8.srs"
    generate_insecure_dev(8, path)
    return path


def tau_g2(setup):
    with setup.open("rb") as file:
        return read_outline(file, setup.name).tau_g2


def expected(weights):
    """The commitment by tau itself, which is public."""
    point = multiply(GENERATOR, sum(int(w) * pow(TAU, i, ORDER) for i, w in enumerate(weights)) % ORDER)
    return b"".join(number.to_bytes(32, "big") for number in point or (0, 0))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_key_of_a_vector_is_rebuilt_from_its_code_and_weights(path, setup):
    wanted = json.loads(path.read_text())
    key = bytes.fromhex(wanted["key"][2:])
    code = key[:32] + key[160 + 64 * int.from_bytes(key[28:30], "big") :]
    commitments = commit_weights(np.array(wanted["weights"]), key[21], setup)
    made = make_key(code, commitments, tau_g2(setup))
    assert made == key
    assert "0x" + key_digest(made).hex == wanted["vkDigest"]


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("cnn_public_1", (0, 15)),
        ("gemm_signed_public_1", (-256, 255)),
        ("gemm_unsigned_public_1", (0, 511)),
        ("gemm_bytes_public_1", (0, 255)),
    ],
)
def test_limits_of_the_input_are_the_image_of_its_table(name, limits):
    key = bytes.fromhex(json.loads((ROOT / f"tests/vectors/ashlar/{name}.json").read_text())["key"][2:])
    assert input_limits(key[:32] + key[160 + 64 * int.from_bytes(key[28:30], "big") :]) == limits


@pytest.mark.parametrize(
    "weights",
    [
        [1],
        [0, 0, -1],
        [0] * 20,
        [(1 << 60) - 1, 1 - (1 << 60), 3, -3],
        list(range(-100, 101)),
        [-(1 << 31), (1 << 31) - 1, *[0] * 14, 5],
    ],
    ids=["one", "negative", "zeros", "bias", "several chunks", "second chunk"],
)
def test_commitment_to_each_chunk_is_the_sum_of_its_powers(weights, setup):
    made = commit_weights(np.array(weights), 4, setup)
    chunks = [weights[first : first + 16] for first in range(0, len(weights), 16)]
    assert made == b"".join(map(expected, chunks))


def test_no_weights_have_no_commitment(setup):
    assert commit_weights(np.zeros(0, np.int64), 4, setup) == b""


def test_setup_of_too_few_powers_is_refused(setup):
    with pytest.raises(SetupError, match=r"fewer than 2\^9 powers"):
        commit_weights(np.ones(5, np.int64), 9, setup)


def dense(outputs, inputs, chunk_bits, visibility="public"):
    entry = d.entry(inputs)
    out, terms = d.dense(0, entry.factors, d.random(1, -7, 7, outputs, inputs))
    return assemble(d.network(entry, [], [(out, terms)]), d.recipe(chunk_bits), visibility)


def test_header_holds_profile_mode_and_sizes():
    made = dense(5, 9, 6, "hashed")
    shape = made.shape
    assert made.code[:16] == b"zkinfer.ashlar.1"
    assert list(made.code[16:24]) == [1, 1, 4, shape.program.n_t, shape.vector_bits, 6, 1, 2]
    assert made.code[24:32].hex() == "00000001" + f"{shape.chunks['F']:04x}" + f"{len(made.code) // 32 - 1:04x}"


def test_vector_bits_cover_the_longest_vector_and_the_chunk():
    assert dense(2, 4, 6).shape.vector_bits == 6
    assert dense(32, 100, 6).shape.vector_bits == 12  # F has 4,096 entries
    assert dense(2, 100, 4).shape.vector_bits == 9  # P has 3 * 128 + 32


def test_input_box_counts_in_hashed_mode_only():
    assert dense(2, 100, 6, "hashed").shape.lengths["X"] == 128
    assert dense(2, 100, 6, "private").shape.lengths["X"] == 0


@pytest.mark.parametrize("visibility", ["public", "hashed", "private"])
def test_words_of_a_proof_are_those_of_the_vectors(visibility):
    name = {"public": "mlp_public_1", "hashed": "mlp_committed_1", "private": "mlp_private_1"}[visibility]
    wanted = json.loads((ROOT / f"tests/vectors/ashlar/{name}.json").read_text())
    entry = d.entry(6)
    weights = np.array(wanted["weights"])
    hidden, first = d.dense(0, entry.factors, weights[:32].reshape(4, 8)[:, :6], weights[48:52])
    out, last = d.dense(1, hidden, weights[32:44].reshape(3, 4), weights[52:55])
    shape = assemble(d.network(entry, [(hidden, first, 3, d.relu(4))], [(out, last)]), d.recipe(6), visibility).shape
    assert shape.proof_words == len(bytes.fromhex(wanted["proof"][2:])) / 32
    assert shape.key_words == len(bytes.fromhex(wanted["key"][2:])) / 32
    layout = shape.layout
    sizes = {"inputWidth": layout.input_width, "inputs": layout.inputs, "outputs": layout.outputs}
    assert {"visibility": wanted["layout"]["visibility"], **sizes} == wanted["layout"]


@pytest.mark.parametrize(
    ("bits", "signed", "width"),
    [(8, False, 1), (9, False, 2), (15, False, 2), (8, True, 1), (9, True, 2), (16, True, 2)],
)
def test_public_integers_take_the_least_width_that_holds_them(bits, signed, width):
    entry = d.entry(3, bits=bits, signed=signed)
    layout = assemble(d.network(entry, [], [d.dense(0, entry.factors, [[1, 1, 1]])]), d.recipe()).shape.layout
    assert (layout.input_width, layout.signed, layout.inputs) == (width, signed, 3)


def test_key_that_no_contract_holds_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"more than the 767.*allows larger chunks"):
        dense(128, 64, 4)


def test_shape_with_smaller_chunks_has_more_of_them():
    made = dense(5, 9, 6)
    smaller = Shape(made.shape.program, 5, "public")
    assert (made.shape.chunks["F"], smaller.chunks["F"]) == (2, 4)
    assert encode_code(smaller)[32:] == made.code[32:]
