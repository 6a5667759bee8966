"""Predictions against measurements; `measured.py` says where the numbers come from."""

import dataclasses
import time
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.measured import circuits_with, layout_measured, name_of
from tests.unit.circuits.engines.ezkl.test_layout import SMALL, layouts
from tests.unit.circuits.factories import engine_failing_at

from zkinfer.circuits.cost import Work
from zkinfer.circuits.engines.ezkl.cost import least_work, measure_speed, work_of
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, SetupError

LARGE = 100_000_000  # bytes; a smaller process is mostly the interpreter and the engine's code


@pytest.mark.parametrize("circuit", circuits_with("prove_seconds"), ids=name_of)
def test_proof_takes_the_work_that_was_measured(circuit):
    assert work_of(layout_measured(circuit)).prove == pytest.approx(circuit["measured"]["prove_seconds"], rel=0.3)


@pytest.mark.parametrize("circuit", circuits_with("keys_seconds"), ids=name_of)
def test_keys_take_the_work_that_was_measured(circuit):
    assert work_of(layout_measured(circuit)).keys == pytest.approx(circuit["measured"]["keys_seconds"], rel=0.4)


@pytest.mark.parametrize("circuit", circuits_with("memory_bytes", least=LARGE), ids=name_of)
def test_memory_is_what_was_measured(circuit):
    assert work_of(layout_measured(circuit)).memory_bytes == pytest.approx(circuit["measured"]["memory_bytes"], rel=0.1)


@pytest.mark.parametrize("circuit", circuits_with("gas"), ids=name_of)
def test_gas_is_what_was_measured(circuit):
    assert work_of(layout_measured(circuit)).gas == pytest.approx(circuit["measured"]["gas"], rel=0.05)


def test_sizes_are_those_of_the_layout():
    work = work_of(SMALL)
    assert (work.proving_key_bytes, work.proof_bytes) == (SMALL.proving_key_bytes, SMALL.proof_bytes)


@given(layout=layouts)
def test_every_circuit_takes_something_of_everything(layout):
    assert min(dataclasses.astuple(work_of(layout))) > 0


@given(layout=layouts, name=st.sampled_from(["blocks", "constants", "log_rows", "instances"]))
def test_larger_circuit_is_never_cheaper(layout, name):
    larger = dataclasses.replace(layout, **{name: getattr(layout, name) + 1})
    pairs = zip(dataclasses.astuple(work_of(larger)), dataclasses.astuple(work_of(layout)), strict=True)
    assert all(more >= less for more, less in pairs)


@given(counts=st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)).map(sorted))
def test_least_work_never_falls(counts):
    low, high = (dataclasses.astuple(least_work(count)) for count in counts)
    assert all(more >= less for less, more in zip(low, high, strict=True))


@pytest.mark.parametrize("circuit", circuits_with("proving_key_bytes"), ids=name_of)
def test_least_work_is_less_than_any_circuit_took(circuit):
    """As if everything that was assigned had been multiplications."""
    least, measured = least_work(circuit["total_assignments"]), circuit["measured"]
    assert least.proving_key_bytes <= measured["proving_key_bytes"]
    assert least.proof_bytes <= measured["proof_bytes"]
    assert least.prove <= 1.3 * measured["prove_seconds"]


@settings(deadline=None)
@given(layout=layouts)
def test_least_work_is_less_than_that_of_any_layout_that_holds_as_much(layout):
    """Every program has the range checks of a sign and of digits, and the context among its public values."""
    parts = layout.function_parts if layout.functions else 0  # without tables of functions, they have no parts
    program = dataclasses.replace(
        layout, range_parts=(1, *layout.range_parts), function_parts=parts, instances=5 + layout.instances
    )
    least = least_work(program.columns * program.rows)
    pairs = zip(dataclasses.astuple(least), dataclasses.astuple(work_of(program)), strict=True)
    assert all(less <= more for less, more in pairs)


def test_least_work_beyond_the_largest_circuit_goes_on_growing():
    assert least_work(1 << 34).memory_bytes > 100 * least_work(1 << 24).memory_bytes


SMALL_WORK, LARGE_WORK = Work(1.0, 2.0, 0, 0, 0, 0), Work(100.0, 200.0, 0, 0, 0, 0)


class Timed(FakeEngine):
    """One unit of work for the keys of the small circuit and two for a proof; a hundred times as much for the large."""

    def __init__(self, starts, keys, small, large):
        super().__init__()
        self.starts, self.keys, self.proofs = iter(starts), keys, {"10": iter(small), "13": iter(large)}
        self.built, self.proven, self.now = [], [], 0.0

    def build(self, network, inputs, outputs, run_arguments, folder):
        self.built.append(EzklArguments.parse(run_arguments))
        return super().build(network, inputs, outputs, {"scale": 7}, folder)

    def work(self, folder):
        return SMALL_WORK if folder.name == "10" else LARGE_WORK

    def commit(self, *arguments):
        self.now += next(self.starts)
        return super().commit(*arguments)

    def make_keys(self, folder, setup, proving_key):
        self.now += self.keys if folder.name == "10" else 50.0
        return super().make_keys(folder, setup, proving_key)

    def prove(self, folder, *arguments):
        self.proven.append(folder.name)
        self.now += next(self.proofs[folder.name])
        return super().prove(folder, *arguments)


@pytest.fixture
def measured(dev_home, monkeypatch):
    def call(starts=(1.0,) * 3, keys=6.0, small=(1.2,) * 3, large=(11.0,) * 3, progress=lambda _: None):
        engine = Timed(starts, keys, small, large)
        monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
        speed = measure_speed(engine, lambda _: dev_home.setups.find(3, "insecure-dev").path, progress)
        return speed, engine

    return call


def test_rate_is_what_remains_of_a_proof_after_the_start(measured):
    speed, _ = measured()
    assert (speed.prove_start, speed.prove_rate) == pytest.approx((1.0, 0.1))


def test_large_circuit_tells_what_a_unit_of_much_work_takes(measured):
    speed, _ = measured()
    assert (speed.small, speed.large, speed.gain) == pytest.approx((2.0, 200.0, 0.5))


def test_both_circuits_are_predicted_as_they_were_measured(measured):
    speed, _ = measured()
    assert (speed.prove_seconds(SMALL_WORK.prove), speed.prove_seconds(LARGE_WORK.prove)) == pytest.approx((1.2, 11.0))
    assert speed.keys_seconds(SMALL_WORK.keys) == pytest.approx(6.0)


@pytest.mark.parametrize(("keys", "start"), [(6.0, 5.9), (0.5, 0.4), (0.05, 0.0)])
def test_keys_have_the_rate_of_proofs_and_what_is_left_is_their_start(measured, keys, start):
    speed, _ = measured(keys=keys)
    assert (speed.keys_start, speed.keys_rate) == pytest.approx((start, 0.1))


@pytest.mark.parametrize(
    "busy",
    [
        {"starts": (99.0, 1.0, 1.0)},
        {"starts": (1.0, 9.0, 9.0)},
        {"small": (99.0, 1.2, 9.0)},
        {"large": (11.0, 99.0, 99.0)},
    ],
    ids=str,
)
def test_call_that_took_unusually_long_is_left_out(measured, busy):
    assert asdict(measured(**busy)[0]) == pytest.approx(asdict(measured()[0]))


def test_sizes_are_measured_in_turns(measured):
    assert measured()[1].proven == ["10", "13"] * 3


def test_circuit_that_seemed_to_take_no_time_leaves_a_small_rate(measured):
    speed, _ = measured(starts=(99.0,) * 3)
    assert (speed.keys_rate, speed.prove_rate, speed.gain) == (1e-3, 1e-3, 1.0)


def test_circuits_are_such_as_the_engine_accepts(measured):
    small, large = measured()[1].built
    assert (small.logrows, large.logrows) == (10, 13)
    assert {(one.num_inner_cols, one.scale_rebase_multiplier) for one in (small, large)} == {(2, 2)}


def test_setup_is_asked_for_by_the_rows_of_the_circuits(dev_home):
    asked = []

    def setup(log_rows):
        asked.append(log_rows)
        return dev_home.setups.find(3, "insecure-dev").path

    measure_speed(Timed((0.0,) * 3, 1.0, (1.0,) * 3, (1.0,) * 3), setup, lambda _: None)
    assert asked == [10, 13]


def test_progress_goes_up_and_stays_below_one(measured):
    seen = []
    measured(progress=seen.append)
    assert len(seen) == 4
    assert seen == sorted(set(seen))
    assert all(0 < fraction < 1 for fraction in seen)


@pytest.mark.parametrize("call", ["commit", "build", "make_keys", "prove"])
def test_engine_that_fails_is_no_speed(dev_home, call):
    with pytest.raises(EngineError, match=f"It broke at {call}|one integer, scale"):
        measure_speed(engine_failing_at(call), lambda _: dev_home.setups.find(3, "insecure-dev").path, lambda _: None)


def test_setup_that_cannot_be_made_is_no_speed():
    def setup(log_rows):
        raise SetupError(f"No setup of 2^{log_rows} rows.")

    with pytest.raises(SetupError, match=r"No setup of 2\^10 rows"):
        measure_speed(Timed((), 1.0, (), ()), setup, lambda _: None)
