"""Timing small circuits, with an engine that takes as long as it is told on a clock of its own."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.circuits.making import engine_failing_at

from zkinfer.circuits.engines import ezkl_speed
from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
from zkinfer.circuits.engines.ezkl_speed import measure_speed
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, SetupError


class Timed(FakeEngine):
    """Two circuits with 10 and 110 units of work for the keys, and twice that for a proof."""

    def __init__(self, keys, proofs):
        self.keys, self.proofs = iter(keys), iter(proofs)
        self.built, self.now = [], 0.0

    def build(self, network, inputs, outputs, run_arguments, folder):
        self.built.append(EzklArguments.parse(run_arguments))
        return super().build(network, inputs, outputs, {"scale": 7}, folder)

    def work(self, folder):
        return replace(super().work(folder), keys=100.0 * len(self.built) - 90, prove=200.0 * len(self.built) - 180)

    def make_keys(self, folder, setup, proving_key):
        self.now += next(self.keys)
        return super().make_keys(folder, setup, proving_key)

    def prove(self, *arguments):
        self.now += next(self.proofs)
        return super().prove(*arguments)


@pytest.fixture
def measured(dev_home, monkeypatch):
    def call(keys=(2.0, 52.0), proofs=(1.0, 1.0, 1.0, 21.0, 21.0, 21.0), progress=lambda _: None):
        engine = Timed(keys, proofs)
        monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
        speed = measure_speed(engine, lambda _: dev_home.setups.find(3, "insecure-dev").path, progress)
        return speed, engine

    return call


def test_line_goes_through_both_circuits(measured):
    speed, _ = measured(keys=(6.0, 56.0), proofs=(5.0,) * 3 + (25.0,) * 3)
    assert (speed.keys_start, speed.keys_rate) == pytest.approx((1.0, 0.5))
    assert (speed.prove_start, speed.prove_rate) == pytest.approx((3.0, 0.1))


def test_proof_that_took_unusually_long_is_left_out(measured):
    calm, _ = measured(proofs=(5.0, 5.0, 5.0, 25.0, 25.0, 25.0))
    busy, _ = measured(proofs=(99.0, 5.0, 5.0, 25.0, 25.0, 99.0))
    assert busy == calm


def test_line_that_would_start_below_zero_starts_at_zero(measured):
    speed, _ = measured(keys=(1.0, 101.0))
    assert (speed.keys_start, speed.keys_rate) == (0.0, 1.0)


def test_larger_circuit_that_seemed_faster_leaves_a_small_rate(measured):
    speed, _ = measured(keys=(9.0, 1.0))
    assert speed.keys_rate == 1e-3
    assert speed.keys_start == pytest.approx(9.0, abs=0.1)


positive = st.floats(0, 1e6)


@given(low=positive, high=positive, work=st.tuples(st.floats(1e-3, 10), st.floats(11, 1e6)))
def test_line_is_never_negative(low, high, work):
    start, rate = ezkl_speed._line((work[0], low), (work[1], high))
    assert start >= 0
    assert rate > 0


def test_circuits_are_such_as_the_engine_accepts(measured):
    _, engine = measured()
    assert [(one.logrows, one.num_inner_cols, one.scale_rebase_multiplier) for one in engine.built] == [
        (9, 2, 2),
        (11, 2, 2),
    ]


def test_setups_are_asked_for_by_the_rows_of_the_circuits(dev_home):
    asked = []

    def setup(log_rows):
        asked.append(log_rows)
        return dev_home.setups.find(3, "insecure-dev").path

    measure_speed(Timed((1.0, 2.0), (1.0,) * 6), setup, lambda _: None)
    assert asked == [9, 11]


def test_progress_goes_up_and_stays_below_one(measured):
    seen = []
    measured(progress=seen.append)
    assert len(seen) == 6
    assert seen == sorted(set(seen))
    assert all(0 < fraction < 1 for fraction in seen)


@pytest.mark.parametrize("call", ["build", "make_keys", "prove"])
def test_engine_that_fails_is_no_speed(dev_home, call):
    with pytest.raises(EngineError, match=f"It broke at {call}|one integer, scale"):
        measure_speed(engine_failing_at(call), lambda _: dev_home.setups.find(3, "insecure-dev").path, lambda _: None)


def test_setup_that_cannot_be_made_is_no_speed():
    def setup(log_rows):
        raise SetupError(f"No setup of 2^{log_rows} rows.")

    with pytest.raises(SetupError, match=r"No setup of 2\^9 rows"):
        measure_speed(FakeEngine(), setup, lambda _: None)
