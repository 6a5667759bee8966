from dataclasses import replace

import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.tune import chunks

SIZES = range(chunks.SMALLEST, chunks.LARGEST + 1)


def shape(draft, visibility="public"):
    return assemble(draft, d.recipe(15), visibility).shape


SMALL = shape(d.layers(64, 32, 10, bits=8, shift=11, weight=200))
LENET = shape(d.lenet(), "hashed")
LARGE = shape(d.layers(300, 1024, 1024, 10, bits=8, shift=14, weight=60), "hashed")


def figures(network, bits):
    return estimate(replace(network, chunk_bits=bits))


@pytest.mark.parametrize("network", [SMALL, LENET, LARGE], ids=["64-32-10", "LeNet-5", "1.4 million weights"])
def test_best_size_spares_no_gas_for_a_prompt_proof_and_none_for_a_shorter_wait(network):
    best = chunks.best(network, SIZES, "latency")
    found = figures(network, best.bits)
    for bits in SIZES:
        other = figures(network, bits)
        if other.seconds <= chunks.PROMPT:
            assert found.transaction <= other.transaction or found.seconds > chunks.PROMPT
        longer = other.seconds > max(found.seconds, chunks.PROMPT) * 2
        assert not longer or found.transaction - other.transaction < chunks.DOUBLING["latency"]


def test_lenet_is_proved_in_a_third_of_a_second():
    assert figures(LENET, chunks.best(LENET, SIZES, "latency").bits).seconds < 1 / 3


def test_larger_networks_take_larger_chunks():
    sizes = [chunks.best(network, SIZES, "latency").bits for network in (SMALL, LENET, LARGE)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_objective_gas_waits_longer_for_less_gas():
    patient, usual = (chunks.best(LENET, SIZES, objective).bits for objective in ("gas", "latency"))
    assert patient > usual
    assert figures(LENET, patient).transaction < figures(LENET, usual).transaction


def test_objective_memory_counts_bytes():
    assert chunks.cost(LARGE, "memory") == estimate(LARGE).memory_bytes


def test_key_that_no_contract_holds_costs_infinitely_much():
    # 1.4 million weights in chunks of 2^10 take more than a thousand commitments.
    assert chunks.cost(replace(LARGE, chunk_bits=10), "latency") == float("inf")


@pytest.mark.parametrize(("setup", "sizes"), [(8, [8]), (10, [10]), (12, [10, 11, 12]), (26, list(SIZES))])
def test_sizes_are_those_that_the_setup_serves(setup, sizes):
    assert list(chunks.sizes(setup)) == sizes


def test_note_names_the_setup_that_would_save_gas():
    [note] = chunks.note_of_larger(replace(LARGE, chunk_bits=13), 13, "latency")
    wanted = chunks.best(LARGE, SIZES, "latency").bits
    saved = figures(LARGE, 13).transaction - figures(LARGE, wanted).transaction
    assert f"a trusted setup of 2^{wanted} powers would save {saved:,} gas" in note
    assert "has 2^13" in note
    assert f"`zkinfer setup fetch {wanted}`" in note


def test_note_is_left_out_where_the_setup_suffices_or_little_is_saved():
    wanted = chunks.best(LARGE, SIZES, "latency").bits
    assert chunks.note_of_larger(replace(LARGE, chunk_bits=wanted), wanted, "latency") == ()
    assert chunks.note_of_larger(replace(SMALL, chunk_bits=13), 26, "latency") == ()
