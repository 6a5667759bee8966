"""Predicted seconds and bytes against those of whole proofs: `tests/vectors/ezkl_walls.json`.

Measured by `benchmarks/engine.py` on the quiet machine that the file names: wall time of `Prover.prove`. The speed is
what proofs of the circuits of `calibrated_on` say, one small layout and one large; the others took no part in it. None
took part in the fit of the work, though some of these networks did under other settings.
"""

import json
from dataclasses import replace

import pytest
from tests.paths import VECTORS

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.ezkl.cost import work_of
from zkinfer.circuits.engines.ezkl.layout import Layout

WALLS = json.loads((VECTORS / "ezkl_walls.json").read_bytes())
SPEED, PROOFS = Speed(keys_start=0.0, keys_rate=0.0, **WALLS["speed"]), WALLS["proofs"]
UNSEEN = [proof for proof in PROOFS if proof["name"] not in WALLS["calibrated_on"]]


def layout_of(proof):
    columns = {name: proof[name] for name in ("log_rows", "blocks", "inner", "constants", "instances")}
    return Layout(**columns, range_parts=(1, 1), functions=0, function_parts=0, searches=0)


def predicted(proof, speed=SPEED):
    return work_of(layout_of(proof)).at(speed)


def name_of(proof):
    return proof["name"]


@pytest.mark.parametrize("proof", PROOFS, ids=name_of)
def test_seconds_are_within_thirty_percent_of_the_clock(proof):
    assert predicted(proof).prove_seconds == pytest.approx(proof["seconds"], rel=0.3)


@pytest.mark.parametrize("proof", PROOFS, ids=name_of)
def test_memory_is_within_thirty_percent(proof):
    assert predicted(proof).work.memory_bytes == pytest.approx(proof["memory_bytes"], rel=0.3)


@pytest.mark.parametrize("proof", [one for one in PROOFS if "proof_bytes" in one], ids=name_of)
def test_layout_is_the_one_that_was_proven(proof):
    layout = layout_of(proof)
    assert layout.proof_bytes == proof["proof_bytes"]
    assert layout.proving_key_bytes == pytest.approx(proof["proving_key_bytes"], rel=0.003)


def test_most_circuits_took_no_part_in_the_calibration():
    assert len(UNSEEN) == 5


def test_rate_of_a_small_circuit_alone_would_miss_large_ones():
    """Why two sizes are timed."""
    alone = replace(SPEED, gain=1.0)
    missed = [one for one in UNSEEN if predicted(one, alone).prove_seconds > 1.3 * one["seconds"]]
    assert [one["name"] for one in missed] == ["convolution 28x28, faithful", "convolution 28x28"]


@pytest.mark.parametrize("rate", [0.45, 1.1])
def test_machine_calibrated_wrongly_is_noticed(rate):
    wrong = replace(SPEED, prove_rate=rate)
    assert any(predicted(one, wrong).prove_seconds != pytest.approx(one["seconds"], rel=0.3) for one in UNSEEN)
