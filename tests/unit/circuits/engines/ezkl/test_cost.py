"""Predictions against measurements, whose origin `measured.py` describes."""

import dataclasses
import json
import time
from dataclasses import asdict
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paths import VECTORS
from tests.unit.circuits.engines.ezkl.measured import circuits_with, layout_measured, name_of
from tests.unit.circuits.engines.ezkl.test_layout import SMALL, layouts
from tests.unit.circuits.factories import engine_failing_at

from zkinfer.circuits.cost import Speed, Work
from zkinfer.circuits.engines.ezkl.cost import least_work, measure_speed, work_of
from zkinfer.circuits.engines.ezkl.layout import Layout
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, SetupError

LARGE = 100_000_000  # bytes; a smaller process is mostly the interpreter and the engine's code


@pytest.mark.parametrize("circuit", circuits_with("prove_seconds"), ids=name_of)
def test_proving_work_is_close_to_the_measurement(circuit):
    assert work_of(layout_measured(circuit)).prove == pytest.approx(circuit["measured"]["prove_seconds"], rel=0.3)


@pytest.mark.parametrize("circuit", circuits_with("keys_seconds"), ids=name_of)
def test_key_generation_work_is_close_to_the_measurement(circuit):
    assert work_of(layout_measured(circuit)).keys == pytest.approx(circuit["measured"]["keys_seconds"], rel=0.4)


@pytest.mark.parametrize("circuit", circuits_with("memory_bytes", least=LARGE), ids=name_of)
def test_memory_is_close_to_the_measurement(circuit):
    assert work_of(layout_measured(circuit)).memory_bytes == pytest.approx(circuit["measured"]["memory_bytes"], rel=0.1)


@pytest.mark.parametrize("circuit", circuits_with("gas"), ids=name_of)
def test_gas_is_close_to_the_measurement(circuit):
    assert work_of(layout_measured(circuit)).gas == pytest.approx(circuit["measured"]["gas"], rel=0.05)


def test_sizes_are_those_of_the_layout():
    work = work_of(SMALL)
    assert (work.proving_key_bytes, work.proof_bytes) == (SMALL.proving_key_bytes, SMALL.proof_bytes)


@given(layout=layouts)
def test_every_cost_of_a_circuit_is_positive(layout):
    assert min(dataclasses.astuple(work_of(layout))) > 0


@given(layout=layouts, name=st.sampled_from(["blocks", "constants", "log_rows", "instances"]))
def test_larger_circuit_is_never_cheaper(layout, name):
    larger = dataclasses.replace(layout, **{name: getattr(layout, name) + 1})
    pairs = zip(dataclasses.astuple(work_of(larger)), dataclasses.astuple(work_of(layout)), strict=True)
    assert all(more >= less for more, less in pairs)


@given(counts=st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)).map(sorted))
def test_least_work_is_monotonic(counts):
    low, high = (dataclasses.astuple(least_work(count)) for count in counts)
    assert all(more >= less for less, more in zip(low, high, strict=True))


@pytest.mark.parametrize("circuit", circuits_with("proving_key_bytes"), ids=name_of)
def test_least_work_is_below_every_measured_circuit(circuit):
    """Even if every assigned cell had been a multiplication."""
    least, measured = least_work(circuit["total_assignments"]), circuit["measured"]
    assert least.proving_key_bytes <= measured["proving_key_bytes"]
    assert least.proof_bytes <= measured["proof_bytes"]
    assert least.prove <= 1.3 * measured["prove_seconds"]


@settings(deadline=None)
@given(layout=layouts)
def test_least_work_is_below_every_layout_of_the_same_size(layout):
    """Every program has the range checks of a sign and of digits, and the context as public values."""
    parts = layout.function_parts if layout.functions else 0  # without lookup tables there are no parts
    program = dataclasses.replace(
        layout, range_parts=(1, *layout.range_parts), function_parts=parts, instances=5 + layout.instances
    )
    least = least_work(program.columns * program.rows)
    pairs = zip(dataclasses.astuple(least), dataclasses.astuple(work_of(program)), strict=True)
    assert all(less <= more for less, more in pairs)


def test_least_work_keeps_growing_beyond_the_largest_circuit():
    assert least_work(1 << 34).memory_bytes > 100 * least_work(1 << 24).memory_bytes


SMALL_WORK, LARGE_WORK = Work(1.0, 2.0, 0, 0, 0, 0), Work(100.0, 200.0, 0, 0, 0, 0)


class Timed(FakeEngine):
    """The small circuit needs one unit of work for keys and two for a proof, the large one a hundred times as much."""

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


def test_rate_excludes_the_start_up_time(measured):
    speed, _ = measured()
    assert (speed.prove_start, speed.prove_rate) == pytest.approx((1.0, 0.1))


def test_large_circuit_determines_the_gain(measured):
    speed, _ = measured()
    assert (speed.small, speed.large, speed.gain) == pytest.approx((2.0, 200.0, 0.5))


def test_both_circuits_are_predicted_as_measured(measured):
    speed, _ = measured()
    assert (speed.prove_seconds(SMALL_WORK.prove), speed.prove_seconds(LARGE_WORK.prove)) == pytest.approx((1.2, 11.0))
    assert speed.keys_seconds(SMALL_WORK.keys) == pytest.approx(6.0)


@pytest.mark.parametrize(("keys", "start"), [(6.0, 5.9), (0.5, 0.4), (0.05, 0.0)])
def test_keys_have_the_rate_of_proofs_and_the_remainder_is_start_up_time(measured, keys, start):
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
def test_unusually_slow_call_is_ignored(measured, busy):
    assert asdict(measured(**busy)[0]) == pytest.approx(asdict(measured()[0]))


def test_both_sizes_are_measured_alternately(measured):
    assert measured()[1].proven == ["10", "13"] * 3


def test_circuit_measured_at_no_time_gets_the_smallest_rate(measured):
    speed, _ = measured(starts=(99.0,) * 3)
    assert (speed.keys_rate, speed.prove_rate, speed.gain) == (1e-3, 1e-3, 1.0)


def test_calibration_circuits_have_ten_and_thirteen_log_rows(measured):
    small, large = measured()[1].built
    assert (small.logrows, large.logrows) == (10, 13)
    assert {(one.num_inner_cols, one.scale_rebase_multiplier) for one in (small, large)} == {(2, 2)}


def test_setups_are_requested_for_the_rows_of_the_circuits(dev_home):
    asked = []

    def setup(log_rows):
        asked.append(log_rows)
        return dev_home.setups.find(3, "insecure-dev").path

    measure_speed(Timed((0.0,) * 3, 1.0, (1.0,) * 3, (1.0,) * 3), setup, lambda _: None)
    assert asked == [10, 13]


def test_progress_increases_and_stays_below_one(measured):
    seen = []
    measured(progress=seen.append)
    assert len(seen) == 4
    assert seen == sorted(set(seen))
    assert all(0 < fraction < 1 for fraction in seen)


@pytest.mark.parametrize("call", ["commit", "build", "make_keys", "prove"])
def test_error_of_the_engine_is_propagated_without_a_speed(dev_home, call):
    with pytest.raises(EngineError, match=f"It broke at {call}|one integer, scale"):
        measure_speed(engine_failing_at(call), lambda _: dev_home.setups.find(3, "insecure-dev").path, lambda _: None)


def test_missing_setup_is_an_error_without_a_speed():
    def setup(log_rows):
        raise SetupError(f"No setup of 2^{log_rows} rows.")

    with pytest.raises(SetupError, match=r"No setup of 2\^10 rows"):
        measure_speed(Timed((), 1.0, (), ()), setup, lambda _: None)


# --- whole proofs
#
# Wall times of `Prover.prove`, measured by `benchmarks/engine.py` on the quiet machine that the vectors name. The speed
# follows from proofs of the two circuits in `calibrated_on`, one small and one large; the others are unseen. None was
# used to fit the work, though some of these networks were, under other settings.

WALLS = json.loads((VECTORS / "ezkl_walls.json").read_bytes())
WALL_SPEED, WALL_PROOFS = Speed(keys_start=0.0, keys_rate=0.0, **WALLS["speed"]), WALLS["proofs"]
UNSEEN = [proof for proof in WALL_PROOFS if proof["name"] not in WALLS["calibrated_on"]]


def layout_of(proof):
    columns = {name: proof[name] for name in ("log_rows", "blocks", "inner", "constants", "instances")}
    return Layout(**columns, range_parts=(1, 1), functions=0, function_parts=0, searches=0)


def predicted(proof, speed=WALL_SPEED):
    return work_of(layout_of(proof)).at(speed)


@pytest.mark.parametrize("proof", WALL_PROOFS, ids=itemgetter("name"))
def test_wall_time_is_predicted_within_thirty_percent(proof):
    assert predicted(proof).prove_seconds == pytest.approx(proof["seconds"], rel=0.3)


@pytest.mark.parametrize("proof", WALL_PROOFS, ids=itemgetter("name"))
def test_memory_is_predicted_within_thirty_percent(proof):
    assert predicted(proof).work.memory_bytes == pytest.approx(proof["memory_bytes"], rel=0.3)


@pytest.mark.parametrize("proof", [one for one in WALL_PROOFS if "proof_bytes" in one], ids=itemgetter("name"))
def test_layout_is_that_of_the_measured_proof(proof):
    layout = layout_of(proof)
    assert layout.proof_bytes == proof["proof_bytes"]
    assert layout.proving_key_bytes == pytest.approx(proof["proving_key_bytes"], rel=0.003)


def test_five_circuits_are_unseen_by_the_calibration():
    assert len(UNSEEN) == 5


def test_rate_of_a_small_circuit_alone_mispredicts_large_ones():
    """This is why two sizes are timed."""
    alone = dataclasses.replace(WALL_SPEED, gain=1.0)
    missed = [one for one in UNSEEN if predicted(one, alone).prove_seconds > 1.3 * one["seconds"]]
    assert [one["name"] for one in missed] == ["convolution 28x28, faithful", "convolution 28x28"]


@pytest.mark.parametrize("rate", [0.45, 1.1])
def test_wrong_calibration_is_detected(rate):
    wrong = dataclasses.replace(WALL_SPEED, prove_rate=rate)
    assert any(predicted(one, wrong).prove_seconds != pytest.approx(one["seconds"], rel=0.3) for one in UNSEEN)
