import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.compiled_programs import Process, request, spec

from zkinfer.circuits.engines.ezkl.instances import LIMB_BITS
from zkinfer.circuits.engines.ezkl.run_args import MAX_BLOCKS, RESERVED_ROWS, EzklArguments
from zkinfer.circuits.engines.ezkl.tune import layout_search
from zkinfer.circuits.engines.ezkl.tune.layout_search import HEADROOM_BITS, cheapest, fit, price
from zkinfer.circuits.engines.ezkl.tune.trials import Scales, try_scales
from zkinfer.circuits.errors import UnsupportedModelError

GB = 1 << 30


def fitted(process=None, multiplier=1, **changes):
    process, asked = process or Process(), request(**changes)
    return next(iter(fit(process, asked, try_scales(process, asked, Scales(7, 7, multiplier)))), None)


def layouts(objectives, **changes):
    process, asked = Process(products=300_000), request(**changes)
    return fit(process, asked, try_scales(process, asked, Scales(7, 7, 1)), objectives)


def needing(bits, **changes):
    return Process(bits=lambda _: bits, **changes)


# --- decomposition


@settings(deadline=None, max_examples=30)
@given(bits=st.integers(1, 60), products=st.integers(100, 1_000_000))
def test_range_holds_observed_integers_with_headroom(bits, products):
    found = fitted(needing(bits, products=products))
    assert EzklArguments.parse(found.arguments.to_run_arguments()) == found.arguments
    assert found.arguments.integer_limit >= 1 << max(bits + HEADROOM_BITS, LIMB_BITS)
    assert found.arguments.integer_limit <= 1 << 63
    assert found.arguments.decomp_base <= found.arguments.rows - RESERVED_ROWS
    assert found.headroom == found.arguments.integer_limit / 2**bits


@pytest.mark.parametrize("bits", [61, 63, 200])
def test_range_beyond_62_bits_has_no_circuit(bits):
    assert fitted(needing(bits)) is None


@pytest.mark.parametrize(("multiplier", "bits"), [(2, 45), (3, 29)])
def test_range_limit_is_lower_with_late_rescaling(multiplier, bits):
    """One product then has several range-checked factors."""
    found = fitted(needing(bits), multiplier=multiplier)
    assert EzklArguments.parse(found.arguments.to_run_arguments()) == found.arguments
    assert fitted(needing(bits + 1), multiplier=multiplier) is None


@pytest.mark.parametrize(("dtype", "bits"), [("int32", 28), ("uint32", 29)])
def test_range_is_no_wider_than_inputs_of_32_bits(dtype, bits):
    """Nothing else would hold them to their type."""
    inputs = (spec("x", dtype=dtype),)
    assert fitted(needing(bits), inputs=inputs).arguments.integer_limit <= 1 << bits + 3
    with pytest.raises(UnsupportedModelError, match=rf"integers of {bits + 3} bits, .* x {dtype}\[1, 2\] to the range"):
        fitted(needing(bits + 1), inputs=inputs)
    assert fitted(needing(bits + 1)) is not None


@pytest.mark.parametrize("log_rows", range(6, 21))
@pytest.mark.parametrize("bits", [26, 27, 40, 61, 62])
def test_decomposition_takes_the_fewest_legs_whose_table_fits_the_rows(bits, log_rows):
    found = layout_search._decomposition(bits, log_rows, 63)
    largest = min((1 << log_rows) - RESERVED_ROWS, 1 << 16)
    if found is None:
        assert largest**8 < 1 << bits
        return
    base, legs = found
    assert base <= largest
    assert 1 << bits <= base**legs <= 1 << 63
    assert legs == 1 or largest ** (legs - 1) < 1 << bits


def test_rows_for_fewer_than_two_digits_have_no_decomposition():
    assert layout_search._decomposition(26, 4, 63) is None


def test_context_alone_needs_a_minimum_range():
    assert fitted(needing(3)).arguments.integer_limit >= 1 << LIMB_BITS


# --- rows, columns, lookups


@pytest.mark.parametrize("products", [500, 20_000, 900_000])
def test_program_fits_the_blocks(products):
    found = fitted(Process(products=products))
    capacity = MAX_BLOCKS * found.arguments.num_inner_cols * (found.arguments.rows - RESERVED_ROWS)
    assert products + 100 * found.arguments.decomp_legs <= capacity


def test_larger_program_costs_more():
    assert fitted(Process(products=100_000)).work.prove > fitted(Process(products=10_000)).work.prove


def test_program_without_lookups_gets_no_lookup_range():
    assert fitted().arguments.lookup_range == (0, 0)


@pytest.mark.parametrize("seen", [(-300, 700), (0, 0), (0, 5000), (-1, 0), (-40_000, 3)])
def test_lookup_range_covers_twice_the_observed_range_and_fills_the_rows(seen):
    arguments = fitted(Process(lookups=seen)).arguments
    low, high = arguments.lookup_range
    assert low <= 2 * seen[0] <= 0 <= 2 * seen[1] <= high
    usable = arguments.rows - RESERVED_ROWS
    parts = -(-(high - low + 1) // usable)
    assert parts == -(-(2 * seen[1] - 2 * seen[0] + 1) // usable)
    assert parts * usable - (high - low + 1) < 2


def test_inputs_keep_their_visibility():
    asked = request()
    hashed = tuple(one.model_copy(update={"visibility": "hashed"}) for one in asked.inputs)
    assert fitted(inputs=hashed).arguments.input_visibility == "hashed"


def test_public_values_fit_the_rows():
    found = fitted(Process(model_instance_shapes=[[1, 5], [1, 30_000], [1, 2]]))
    assert found.arguments.logrows == 15


# --- the cheapest layout


@settings(deadline=None, max_examples=30)
@given(bits=st.integers(10, 50), products=st.integers(100, 200_000), digits=st.integers(0, 20_000))
def test_every_objective_gets_its_own_minimum(bits, products, digits):
    process = needing(bits, products=products, digits=digits)
    latency, gas, memory = (fitted(process, objective=name).work for name in ("latency", "gas", "memory"))
    assert gas.gas <= 1.02 * min(latency.gas, memory.gas)
    assert memory.memory_bytes <= 1.02 * min(latency.memory_bytes, gas.memory_bytes)
    assert latency.prove <= 1.33 * min(gas.prove, memory.prove)


def test_gas_objective_trades_time_for_gas():
    fast, thrifty = (fitted(Process(products=30_000), objective=name).work for name in ("latency", "gas"))
    assert thrifty.gas < fast.gas
    assert thrifty.prove > fast.prove


def test_layout_is_deterministic():
    assert fitted() == fitted()


def test_unsound_circuits_are_skipped():
    found = fitted(Process(unsound=lambda arguments: arguments.decomp_legs < 4))
    assert found.arguments.decomp_legs >= 4


def test_search_without_a_sound_layout_gives_no_circuit():
    assert fitted(Process(unsound=lambda arguments: True)) is None


def test_engine_evaluates_few_candidates_of_each_size_one_at_a_time():
    process = Process(unsound=lambda arguments: True)
    fitted(process)
    sizes = [arguments.logrows for [arguments] in process.exact]
    assert max(sizes.count(log_rows) for log_rows in sizes) == 2


class SparingProcess(Process):
    """Assigns less than sketched unless there are two inner columns."""

    def __init__(self, share, **changes):
        super().__init__(**changes)
        self.share = share

    def _settings(self, arguments):
        shape = super()._settings(arguments)
        share = 1 if arguments.num_inner_cols == 2 else self.share
        return shape | {"total_assignments": int(share * shape["total_assignments"])}


@settings(deadline=None, max_examples=50)
@given(
    share=st.floats(0.71, 1.2),
    bits=st.integers(10, 40),
    products=st.integers(100, 200_000),
    objective=st.sampled_from(["latency", "gas", "memory"]),
)
def test_candidates_that_are_skipped_would_not_have_been_chosen(share, bits, products, objective):
    few, all_ = (SparingProcess(share, bits=lambda _: bits, products=products) for _ in range(2))
    thrifty = fitted(few, objective=objective)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_search, "_is_beaten", lambda *_: False)
        assert fitted(all_, objective=objective) == thrifty
    assert len(few.exact) < len(all_.exact)


def test_no_candidates_have_no_cheapest():
    assert cheapest([], request()) is None


def priced(found, prove, gas):
    return replace(found, work=replace(found.work, prove=prove * found.work.prove, gas=int(gas * found.work.gas)))


def test_equal_prices_are_ordered_by_error_then_headroom():
    found = fitted()
    wider = replace(found, arguments=found.arguments.model_copy(update={"decomp_legs": 5}))
    closer = replace(
        found, trial=replace(found.trial, fidelity=replace(found.trial.fidelity, columns=(), error_p99=-1.0))
    )
    assert cheapest([found, wider], request()) is wider
    assert cheapest([found, wider, closer], request()) is closer
    assert cheapest([found, wider, closer, priced(found, 1.2, 0.8)], request()).work.prove > found.work.prove


@pytest.mark.parametrize(("factor", "kept"), [(1.0, True), (1.9, True), (2.1, False)])
def test_constants_are_held_up_to_twice_the_cost(factor, kept):
    lossy = fitted()
    lossy = replace(lossy, trial=replace(lossy.trial, missing_bits=(3, 9)))
    holding = priced(replace(lossy, trial=replace(lossy.trial, missing_bits=(9,))), factor, factor)
    assert cheapest([lossy, holding], request()) is (holding if kept else lossy)


@pytest.mark.parametrize(("prove", "gas", "taken"), [(1.2, 0.8, True), (1.3, 0.5, True), (1.2, 0.9, False)])
def test_gas_objective_accepts_time_where_gas_falls_by_a_larger_share(prove, gas, taken):
    found = fitted()
    thrifty = priced(found, prove, gas)
    assert cheapest([found, thrifty], request()) is (thrifty if taken else found)


def test_much_slower_circuit_is_not_chosen_for_its_gas():
    found = fitted()
    dear = replace(found, work=replace(found.work, prove=2 * found.work.prove, gas=1))
    assert cheapest([found, dear], request()) is found


# --- limits


@pytest.mark.parametrize("limit", [13, 14, 16])
def test_largest_setup_is_respected(limit):
    found = fitted(Process(products=50_000), max_setup_size=limit)
    assert found.arguments.logrows <= limit


def test_small_setup_leads_to_several_blocks():
    found = fitted(Process(products=50_000), max_setup_size=13)
    assert found.arguments.num_inner_cols * (found.arguments.rows - RESERVED_ROWS) < 50_000


@pytest.mark.parametrize(("products", "needed"), [(300_000, 15), (3_000_000, 18)])
def test_model_too_large_for_every_setup_is_refused_with_the_setup_to_fetch(products, needed):
    message = rf"needs 2\^{needed} rows; the largest available trusted setup has 2\^12.*setup fetch {needed}`"
    with pytest.raises(UnsupportedModelError, match=message):
        fitted(Process(products=products), max_setup_size=12)


def test_setup_named_in_the_refusal_is_large_enough():
    process = Process(products=300_000)
    with pytest.raises(UnsupportedModelError, match=r"needs 2\^15 rows"):
        fitted(process, max_setup_size=14)
    assert fitted(process, max_setup_size=15).arguments.logrows == 15


def test_model_beyond_the_largest_circuit_has_no_layout():
    assert fitted(Process(products=1 << 30)) is None


def test_memory_limit_selects_a_smaller_circuit():
    process = Process(products=300_000)
    free = fitted(process, objective="latency").work
    small = fitted(process, objective="memory").work
    assert small.memory_bytes < free.memory_bytes
    between = (small.memory_bytes + free.memory_bytes) // 2
    assert fitted(process, max_memory=between).work.memory_bytes <= between


def test_limit_below_every_circuit_selects_the_smallest():
    process = Process(products=300_000)
    assert (
        fitted(process, max_memory=1).work.memory_bytes <= 1.02 * fitted(process, objective="memory").work.memory_bytes
    )


def test_requested_objectives_get_distinct_layouts():
    found = layouts(("latency", "gas", "memory", "gas"))
    assert len({one.arguments for one in found}) == len(found) > 1
    assert (
        min(one.work.memory_bytes for one in found)
        <= 1.02 * fitted(Process(products=300_000), objective="memory").work.memory_bytes
    )


def test_layout_is_named_by_scales_rows_and_columns():
    [found] = layouts(("memory",))
    assert str(found) == f"scales 7/7, rescaled at 1x, 2^{found.arguments.logrows} x {found.columns}"
    assert found.columns % found.arguments.num_inner_cols == 0


def test_without_a_limit_no_circuit_is_too_large():
    asked = request(max_memory=None)
    assert price(fitted(), asked) == (False, fitted().work.prove)


def test_circuits_within_the_limit_are_priced_below_all_others():
    found, limit = fitted(), request(max_memory=GB)
    large = replace(found, work=replace(found.work, prove=0.001, memory_bytes=2 * GB))
    assert price(found, limit) < price(large, limit)
    assert math.isclose(price(large, limit)[1], 2 * GB)
