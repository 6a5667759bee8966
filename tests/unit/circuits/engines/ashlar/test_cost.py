import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate

SMALL = d.layers(64, 32, 10, bits=8, shift=11, weight=200)
WIDE = d.layers(784, 64, 10, bits=8, shift=12, weight=80, tiled=(1,))

# Section 7.5: words of a proof, and gas in thousands by step.
TABLE = [
    pytest.param(SMALL, 13, "public", 85, (69, 10, 15, 11, 11, 10, 7, 48, 113), id="64-32-10"),
    pytest.param(WIDE, 16, "hashed", 97, (75, 10, 13, 13, 16, 15, 8, 54, 113), id="784-64-10"),
    pytest.param(d.lenet(), 17, "hashed", 102, (78, 14, 13, 14, 18, 38, 8, 54, 113), id="LeNet-5, c = 17"),
    pytest.param(d.lenet(), 15, "hashed", 106, (80, 14, 13, 14, 18, 38, 7, 82, 113), id="LeNet-5, c = 15"),
]


def cost(draft, chunk_bits, visibility="public"):
    return estimate(assemble(draft, d.recipe(chunk_bits), visibility).shape)


@pytest.mark.parametrize(("draft", "chunk_bits", "visibility", "words", "steps"), TABLE)
def test_proof_and_gas_are_those_of_the_specification(draft, chunk_bits, visibility, words, steps):
    made = cost(draft, chunk_bits, visibility)
    assert made.proof_bytes == 32 * words
    assert made.transaction == pytest.approx(1000 * sum(steps), rel=0.02)
    for (name, gas), wanted in zip(made.gas.items(), steps, strict=True):
        assert gas == pytest.approx(1000 * wanted, rel=0.2), name


@pytest.mark.parametrize(
    ("draft", "chunk_bits", "seconds", "megabytes"),
    [(SMALL, 13, 0.1, 20), (WIDE, 14, 0.2, 50), (d.lenet(), 15, 0.4, 100)],
)
def test_seconds_and_memory_are_within_the_targets(draft, chunk_bits, seconds, megabytes):
    made = cost(draft, chunk_bits, "hashed")
    assert 0.3 * seconds < made.seconds <= 1.1 * seconds
    assert made.memory_bytes <= 1e6 * megabytes


def test_smaller_chunks_take_less_time_and_more_gas():
    large, small = (cost(d.lenet(), c, "hashed") for c in (17, 15))
    assert small.seconds < large.seconds / 2
    assert small.transaction - large.transaction == pytest.approx(4 * 6_800 + 4 * 16 * 32, rel=0.1)


def test_public_input_costs_by_the_byte_and_a_hashed_one_once():
    public, hashed = (cost(WIDE, 16, each) for each in ("public", "hashed"))
    assert public.transaction - hashed.transaction == pytest.approx(784 * 56 - 10_500, rel=0.1)


def test_work_has_no_proving_key():
    work = cost(SMALL, 13).work()
    assert work.proving_key_bytes == 0
    assert work.gas == cost(SMALL, 13).transaction
