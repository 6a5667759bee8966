import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate

SMALL = d.layers(64, 32, 10, bits=8, shift=11, weight=200)
WIDE = d.layers(784, 64, 10, bits=8, shift=12, weight=80, tiled=(1,))

DEEP = d.layers(*[16] * 7, 4, bits=6, shift=8, weight=30)
ALIKE = d.layers(*[32] * 12, bits=6, shift=9, weight=20)
WIDE_OUTPUT = d.layers(8, 8, 200, bits=6, shift=8, weight=30)

# Words of a proof, and the gas of a transaction that verifies it, on anvil.
MEASURED = [
    pytest.param(SMALL, 13, "public", 85, 304_627, id="64-32-10"),
    pytest.param(SMALL, 13, "private", 85, 300_355, id="64-32-10, private"),
    pytest.param(WIDE, 16, "public", 94, 358_516, id="784-64-10, public"),
    pytest.param(WIDE, 16, "hashed", 97, 327_538, id="784-64-10"),
    pytest.param(d.lenet(), 17, "hashed", 102, 385_413, id="LeNet-5, c = 17"),
    pytest.param(d.lenet(), 15, "hashed", 106, 414_913, id="LeNet-5, c = 15"),
    pytest.param(d.lenet(), 15, "public", 103, 462_036, id="LeNet-5, public"),
    pytest.param(DEEP, 13, "hashed", None, 335_568, id="eight layers"),
    pytest.param(ALIKE, 12, "public", None, 379_287, id="eleven layers of one form"),
    pytest.param(WIDE_OUTPUT, 12, "public", None, 409_045, id="200 outputs"),
]


def cost(draft, chunk_bits, visibility="public"):
    return estimate(assemble(draft, d.recipe(chunk_bits), visibility).shape)


@pytest.mark.parametrize(("draft", "chunk_bits", "visibility", "words", "gas"), MEASURED)
def test_proof_and_gas_are_close_to_the_measurement(draft, chunk_bits, visibility, words, gas):
    made = cost(draft, chunk_bits, visibility)
    assert words is None or made.proof_bytes == 32 * words
    assert made.transaction == pytest.approx(gas, rel=0.02)


@pytest.mark.parametrize(
    ("draft", "chunk_bits", "seconds", "megabytes"),
    [(SMALL, 13, 0.1, 20), (WIDE, 14, 0.2, 50), (d.lenet(), 15, 0.4, 100)],
)
def test_seconds_and_memory_are_within_the_targets(draft, chunk_bits, seconds, megabytes):
    made, interpreter = cost(draft, chunk_bits, "hashed"), 65e6
    assert 0.3 * seconds < made.seconds <= 1.1 * seconds
    assert interpreter < made.memory_bytes <= interpreter + 1e6 * megabytes


@pytest.mark.parametrize(
    ("draft", "chunk_bits", "processor", "megabytes"),
    [(SMALL, 13, 0.13, 67), (WIDE, 14, 0.29, 76), (d.lenet(), 15, 0.53, 89)],
)
def test_work_and_memory_are_close_to_what_was_measured(draft, chunk_bits, processor, megabytes):
    work = cost(draft, chunk_bits).work()
    assert work.prove == pytest.approx(processor, rel=0.2)
    assert work.memory_bytes == pytest.approx(1e6 * megabytes, rel=0.2)


def test_smaller_chunks_take_less_time_and_more_gas():
    large, small = (cost(d.lenet(), c, "hashed") for c in (17, 15))
    assert small.seconds < large.seconds / 2
    assert small.transaction - large.transaction == pytest.approx(4 * 6_800 + 4 * 16 * 32, rel=0.1)


def test_public_input_costs_by_the_byte_and_a_hashed_one_once():
    public, hashed = (cost(WIDE, 16, each) for each in ("public", "hashed"))
    assert public.transaction - hashed.transaction == pytest.approx(358_516 - 327_538, rel=0.1)


def test_further_layer_of_a_form_costs_less_gas_in_a_deep_network():
    def added(count):
        few, more = (d.layers(*[32] * layers, bits=6, shift=9, weight=20) for layers in (count, count + 1))
        return cost(more, 15).gas["kernels"] - cost(few, 15).gas["kernels"]

    assert added(12) < added(5) - 1_500


def test_work_has_no_proving_key():
    work = cost(SMALL, 13).work()
    assert work.proving_key_bytes == 0
    assert work.gas == cost(SMALL, 13).transaction
