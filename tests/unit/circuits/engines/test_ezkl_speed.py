"""Timing a small circuit, with an engine that takes as long as it is told on a clock of its own."""

import time
from dataclasses import replace

import pytest
from tests.unit.circuits.making import engine_failing_at

from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
from zkinfer.circuits.engines.ezkl_speed import measure_speed
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, SetupError


class Timed(FakeEngine):
    """A circuit with 10 units of work for the keys, and 20 for a proof."""

    def __init__(self, starts, keys, proofs):
        self.starts, self.keys, self.proofs = iter(starts), keys, iter(proofs)
        self.built, self.now = [], 0.0

    def build(self, network, inputs, outputs, run_arguments, folder):
        self.built.append(EzklArguments.parse(run_arguments))
        return super().build(network, inputs, outputs, {"scale": 7}, folder)

    def work(self, folder):
        return replace(super().work(folder), keys=10.0, prove=20.0)

    def commit(self, integers):
        self.now += next(self.starts)
        return super().commit(integers)

    def make_keys(self, folder, setup, proving_key):
        self.now += self.keys
        return super().make_keys(folder, setup, proving_key)

    def prove(self, *arguments):
        self.now += next(self.proofs)
        return super().prove(*arguments)


@pytest.fixture
def measured(dev_home, monkeypatch):
    def call(starts=(1.0, 1.0), keys=6.0, proofs=(3.0, 3.0), progress=lambda _: None):
        engine = Timed(starts, keys, proofs)
        monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
        speed = measure_speed(engine, lambda _: dev_home.setups.find(3, "insecure-dev").path, progress)
        return speed, engine

    return call


def test_rate_is_what_remains_of_a_proof_after_the_start(measured):
    speed, _ = measured()
    assert (speed.prove_start, speed.prove_rate) == pytest.approx((1.0, 0.1))


@pytest.mark.parametrize(("keys", "start"), [(6.0, 5.0), (1.5, 0.5), (0.5, 0.0)])
def test_keys_have_the_rate_of_proofs_and_what_is_left_is_their_start(measured, keys, start):
    speed, _ = measured(keys=keys)
    assert (speed.keys_start, speed.keys_rate) == pytest.approx((start, 0.1))


@pytest.mark.parametrize("busy", [{"starts": (99.0, 1.0)}, {"starts": (1.0, 9.0)}, {"proofs": (99.0, 3.0)}])
def test_call_that_took_unusually_long_is_left_out(measured, busy):
    assert measured(**busy)[0] == measured()[0]


def test_circuit_that_seemed_to_take_no_time_leaves_a_small_rate(measured):
    speed, _ = measured(starts=(9.0, 9.0))
    assert (speed.keys_rate, speed.prove_rate) == (1e-3, 1e-3)


def test_circuit_is_such_as_the_engine_accepts(measured):
    [arguments] = measured()[1].built
    assert (arguments.logrows, arguments.num_inner_cols, arguments.scale_rebase_multiplier) == (11, 2, 2)


def test_setup_is_asked_for_by_the_rows_of_the_circuit(dev_home):
    asked = []

    def setup(log_rows):
        asked.append(log_rows)
        return dev_home.setups.find(3, "insecure-dev").path

    measure_speed(Timed((0.0,) * 2, 1.0, (1.0,) * 2), setup, lambda _: None)
    assert asked == [11]


def test_progress_goes_up_and_stays_below_one(measured):
    seen = []
    measured(progress=seen.append)
    assert len(seen) == 3
    assert seen == sorted(set(seen))
    assert all(0 < fraction < 1 for fraction in seen)


@pytest.mark.parametrize("call", ["commit", "build", "make_keys", "prove"])
def test_engine_that_fails_is_no_speed(dev_home, call):
    with pytest.raises(EngineError, match=f"It broke at {call}|one integer, scale"):
        measure_speed(engine_failing_at(call), lambda _: dev_home.setups.find(3, "insecure-dev").path, lambda _: None)


def test_setup_that_cannot_be_made_is_no_speed():
    def setup(log_rows):
        raise SetupError(f"No setup of 2^{log_rows} rows.")

    with pytest.raises(SetupError, match=r"No setup of 2\^11 rows"):
        measure_speed(Timed((0.0,) * 2, 1.0, ()), setup, lambda _: None)
