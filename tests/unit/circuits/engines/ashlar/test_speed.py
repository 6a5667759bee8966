"""The speed of a machine, measured with two small networks, and bounds from the number of operations."""

import time
from pathlib import Path

import pytest
from tests.unit.circuits.engines.ashlar import drafts as d

from zkinfer.circuits.engines.ashlar import speed
from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.frontend import Workload

PATH = Path("setup")


@pytest.fixture
def timed(monkeypatch):
    """Keys and proofs take the seconds of a list, one after the other."""

    def let(keys, proofs):
        clock, times = [0.0], {"make_key": iter(keys), "prove": iter(proofs)}

        def takes(name):
            def call(*_):
                clock[0] += next(times[name])

            return call

        for name in times:
            monkeypatch.setattr(speed.core, name, takes(name))
        monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    return let


def work(width, chunk_bits):
    return estimate(assemble(speed._dense(width), speed._recipe(chunk_bits)).shape).work().prove


def test_speed_is_that_of_the_fastest_proofs(timed):
    timed([0.1, 0.5], [0.03, 0.02, 0.02, 0.9, 0.02, 0.5, 0.08, 0.09, 0.08, 0.3])
    done = []
    found = speed.measure(PATH, done.append)
    small, large = (work(*size) for size in speed._SIZES)
    assert [found.prove_seconds(small), found.prove_seconds(large)] == pytest.approx([0.02, 0.08])
    assert found.keys_start == pytest.approx(0.1)
    assert done == [0.5, 1.0]


def test_speed_is_positive_even_if_the_larger_network_was_faster(timed):
    timed([0.1, 0.5], [0.05] * 5 + [0.04] * 5)
    found = speed.measure(PATH, lambda fraction: None)
    assert found.prove_rate > 0
    assert found.prove_start >= 0


def test_start_of_a_child_is_part_of_every_proof(monkeypatch):
    figures = {"keys_start": 0.1, "keys_rate": 1.0, "prove_start": 0.5, "prove_rate": 2.0}

    def call(_engine, name, *_, **__):
        return figures if name == "measure_speed" else time.sleep(0.02)

    monkeypatch.setattr(AshlarEngine, "_call", call)
    monkeypatch.setattr(AshlarEngine, "_require_core", lambda _: None)
    found = AshlarEngine().measure_speed(lambda k: PATH)
    assert 0.52 <= found.prove_start < 1.5
    assert found.prove_rate == 2.0


@pytest.mark.parametrize(("draft", "cells"), [(d.layers(64, 32, 10, bits=8, shift=11, weight=200), 42)])
def test_bound_is_below_the_prediction(draft, cells):
    least = speed.least_work(Workload(multiplications=2368, elements=cells, heaviest=()))
    made = estimate(assemble(draft, d.recipe(13)).shape).work()
    assert least.prove < made.prove
    assert least.memory_bytes <= made.memory_bytes
    assert least.gas < made.gas


def test_search_takes_time_in_proportion_to_the_operations():
    residual = Workload(multiplications=40_000_000, elements=200_000, heaviest=())
    quick, normal = (speed.search_seconds(residual, effort) for effort in ("quick", "normal"))
    assert 2 < quick < normal / 2
    assert 20 < normal < 60
