"""Predictions against measurements; `measured.py` says where the numbers come from."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.measured import circuits_with, layout_measured, name_of
from tests.unit.circuits.engines.ezkl.test_layout import SMALL, layouts

from zkinfer.circuits.engines.ezkl.cost import least_work, work_of

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
