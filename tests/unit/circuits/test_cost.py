import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.cost import (
    REFERENCE_SPEED,
    Speed,
    Work,
    duration,
    refuse_too_costly,
    refusing_exhaustion,
    size,
)
from zkinfer.circuits.errors import (
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    InputError,
    ModelError,
    TooCostlyError,
)
from zkinfer.circuits.frontend import Layer, Workload

WORK = Work(
    keys=100.0, prove=200.0, memory_bytes=3 << 30, proving_key_bytes=1_500_000_000, proof_bytes=3072, gas=550_000
)
SPEED = Speed(keys_start=1.0, keys_rate=0.5, prove_start=2.0, prove_rate=0.25)
LAYER = Layer(name="conv1", operator="Conv", multiplications=75, elements=10)
WORKLOAD = Workload(multiplications=75, elements=25, heaviest=(LAYER,))


def test_seconds_are_start_up_time_plus_work_times_rate():
    cost = WORK.at(SPEED)
    assert (cost.keys_seconds, cost.prove_seconds) == (51.0, 52.0)
    assert cost.work == WORK


def test_faster_machine_takes_less_time_for_the_same_work():
    faster = dataclasses.replace(REFERENCE_SPEED, prove_rate=REFERENCE_SPEED.prove_rate / 2)
    assert WORK.at(faster).prove_seconds < WORK.at(REFERENCE_SPEED).prove_seconds


TWO_SIZES = Speed(1.0, 0.5, 2.0, 0.25, small=1.0, large=100.0, gain=0.5)


@pytest.mark.parametrize(
    ("work", "share"), [(0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (10.0, 0.75), (100.0, 0.5), (1e9, 0.5)]
)
def test_rate_is_interpolated_by_log_work_and_constant_beyond_both_ends(work, share):
    assert TWO_SIZES.share(work) == pytest.approx(share)
    assert TWO_SIZES.prove_seconds(work) == pytest.approx(2.0 + 0.25 * share * work)
    assert TWO_SIZES.keys_seconds(work) == pytest.approx(1.0 + 0.5 * share * work)


@given(works=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(sorted))
def test_more_work_never_takes_less_time(works):
    less, more = (TWO_SIZES.prove_seconds(work) for work in works)
    assert less <= more


@pytest.mark.parametrize(("objective", "value"), [("latency", 200.0), ("gas", 550_000.0), ("memory", 3.0 * (1 << 30))])
def test_objective_selects_the_cost_to_minimise(objective, value):
    assert WORK.by(objective) == value


@pytest.mark.parametrize("objective", ["", "time", "Latency", None])
def test_unknown_objective_is_refused(objective):
    with pytest.raises(KeyError, match=repr(objective)):
        WORK.by(objective)


@pytest.mark.parametrize("name", ["keys", "gas"])
def test_work_is_immutable(name):
    with pytest.raises(dataclasses.FrozenInstanceError, match=name):
        setattr(WORK, name, 0)


def test_cost_is_formatted_on_one_line():
    assert WORK.at(SPEED).describe() == (
        "keys in about 51 s, a proof in about 52 s, 3.22 GB of memory, a proving key of 1.5 GB, "
        "proofs of 3,072 bytes, about 550,000 gas to verify on chain"
    )


# --- refusals before the work


@pytest.mark.parametrize("allowed", [3 << 30, (3 << 30) + 1, 1 << 60])
def test_circuit_within_the_memory_limit_is_accepted(allowed):
    assert refuse_too_costly(WORK.at(SPEED), allowed, WORKLOAD) is None


@pytest.mark.parametrize("allowed", [0, 1, (3 << 30) - 1])
def test_circuit_beyond_the_memory_limit_is_refused(allowed):
    with pytest.raises(TooCostlyError, match=r"about 3\.22 GB of memory"):
        refuse_too_costly(WORK.at(SPEED), allowed, WORKLOAD)


def test_refusal_names_costs_and_layers():
    with pytest.raises(TooCostlyError, match="would take") as refusal:
        refuse_too_costly(WORK.at(SPEED), 2_000_000_000, WORKLOAD)
    assert refusal.value.cause == (
        "Proving this model would take about 3.22 GB of memory and 52 s for each proof (keys: 51 s); "
        "2 GB may be used. Of its 75 multiplications and 25 results of other operations most are in: "
        "Conv conv1 (75, 75%)."
    )


def test_refusal_names_the_cure():
    with pytest.raises(TooCostlyError, match="may be used") as refusal:
        refuse_too_costly(WORK.at(SPEED), 1, WORKLOAD)
    for cure in ("fewer channels", "more memory", "--max-memory", "--objective memory"):
        assert cure in refusal.value.cure


def test_refusal_names_the_model_of_the_caller():
    assert issubclass(TooCostlyError, ModelError)
    assert issubclass(TooCostlyError, InputError)


@pytest.mark.parametrize("error", [EngineMemoryError, EngineTimeoutError])
def test_out_of_memory_becomes_a_too_costly_model(error):
    message = r"It ran out\. 2 GB may be used\. .*Conv conv1"
    with pytest.raises(TooCostlyError, match=message) as refusal, refusing_exhaustion(2_000_000_000, WORKLOAD):
        raise error("It ran out.")
    assert "--max-memory" in refusal.value.cure


def test_other_failures_are_propagated():
    with pytest.raises(EngineError, match="It broke"), refusing_exhaustion(1, WORKLOAD):
        raise EngineError("It broke.")


# --- human-readable formats


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (999_400, "999 kB"),
        (999_600, "1,000 kB"),
        (45_600_000_000, "45.6 GB"),
        (7e12, "7 TB"),
        (123_456e12, "123,456 TB"),
    ],
)
def test_size_is_formatted_with_three_digits(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.123, "0.12 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
        (86_400 * 5000, "5,000 days"),
    ],
)
def test_duration_is_formatted_in_a_suitable_unit(seconds, text):
    assert duration(seconds) == text
