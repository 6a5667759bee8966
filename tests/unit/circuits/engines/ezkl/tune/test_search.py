"""The search, with a fake process; integration tests run ezkl itself."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.compiled_programs import Process, request, spec

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.engines.ezkl.tune import search
from zkinfer.circuits.errors import BudgetError, TooCostlyError, UnsupportedModelError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload
from zkinfer.circuits.samples import Labels

WRONG_BELOW_NINE = dict.fromkeys(range(2, 9), 100)
ALWAYS_WRONG = dict.fromkeys(range(2, 15), 1 << 14)


def wide(arguments):
    """Integers that grow with every factor that is multiplied before rescaling."""
    return 8 + arguments.input_scale + arguments.scale_rebase_multiplier * arguments.param_scale


def tuned(process, **changes):
    return search.tune(process, request(**changes), lambda _: None)


def chosen(process, **changes):
    return EzklArguments.parse(tuned(process, **changes).run_arguments)


# --- the budget


def test_result_is_accepted_by_the_engine():
    arguments = tuned(Process()).run_arguments
    assert EzklArguments.parse(arguments).to_run_arguments() == arguments


@pytest.mark.parametrize("effort", ["quick", "normal", "max"])
@pytest.mark.parametrize("least", [2, 5, 7, 8, 11, 14])
def test_chosen_scales_keep_the_budget(effort, least):
    process = Process(error=dict.fromkeys(range(2, least), 100), bits=wide, digits=5000)
    assert chosen(process, effort=effort).input_scale >= least


@settings(deadline=None, max_examples=20)
@given(least=st.integers(2, 14), multipliers=st.integers(1, 3), digits=st.integers(0, 5000))
def test_chosen_option_keeps_the_budget(least, multipliers, digits):
    process = Process(error=dict.fromkeys(range(2, least), 100), bits=wide, digits=digits)
    [option] = [option for option in tuned(process).options if option.chosen]
    assert option.within_budget
    assert option.fidelity.error_p99 <= 0.01


def test_scale_at_which_a_value_leaves_the_range_is_skipped():
    assert chosen(Process(error=dict.fromkeys(range(2, 9)))).input_scale >= 9


def test_accuracy_budget_is_kept_on_labelled_samples():
    changes = {"labels": Labels("y", np.array([0, 1])), "budget": Budget(0, 1, max_accuracy_drop=0)}
    [option] = [option for option in tuned(Process(), **changes).options if option.chosen]
    assert option.fidelity.accuracy.drop == 0


def test_missed_budget_is_refused_with_the_nearest_option():
    process = Process(error=ALWAYS_WRONG | {11: 60})
    message = (
        r"No settings keep.*\(scales 11/11, rescaled at \dx: The error of column 0 of output 'y' .* is 2.93% of .*, "
        r"since there are only 2 calibration samples\)\."
    )
    with pytest.raises(BudgetError, match=message) as refusal:
        tuned(process)
    assert "--max-error" in refusal.value.cure


def test_missed_budget_is_refused_with_the_cost_of_the_nearest_option():
    process = Process(error=ALWAYS_WRONG | {11: 60})
    with pytest.raises(BudgetError, match="No settings keep") as refusal:
        tuned(process)
    nearest, *others = refusal.value.options
    assert nearest.name.startswith("scales 11/11")
    assert nearest.cost is not None
    assert others
    assert not any(option.chosen or option.within_budget for option in refusal.value.options)


def test_missed_budget_is_reported_even_if_the_nearest_option_fits_no_setup():
    process = Process(products=300_000, error=ALWAYS_WRONG | {11: 60})
    with pytest.raises(BudgetError, match="No settings keep") as refusal:
        tuned(process, max_setup_size=12)
    assert all(option.cost is None for option in refusal.value.options)


def test_options_that_fit_a_setup_are_preferred():
    most = chosen(Process(error=WRONG_BELOW_NINE)).logrows
    assert chosen(Process(error=WRONG_BELOW_NINE), max_setup_size=most).logrows == most


def test_unreachable_absolute_error_is_refused():
    process = Process(error=dict.fromkeys(range(2, 15), 1 << 13))
    with pytest.raises(BudgetError, match=r"An output differs by 0\.5, and 0\.1036 is allowed, with a margin"):
        tuned(process, budget=Budget(0, 1, max_absolute_error=0.25))


def test_model_without_a_successful_trial_is_refused():
    with pytest.raises(BudgetError, match="every attempt exceeded the range of integers"):
        tuned(Process(error=dict.fromkeys(range(2, 15))))


def test_model_without_a_sound_circuit_is_refused_with_the_reason():
    message = r"No settings keep.*no sound circuit exists: The product 'p' could grow\)\. Use smaller constants\."
    with pytest.raises(BudgetError, match=message):
        tuned(Process(unsound=lambda arguments: True))


def test_sound_rescaling_is_preferred_to_unsound():
    process = Process(unsound=lambda arguments: arguments.scale_rebase_multiplier > 1)
    assert chosen(process).scale_rebase_multiplier == 1


# --- the cheapest


def test_cheapest_of_all_options_is_chosen():
    found = tuned(Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000))
    costs = [option.cost.work.prove for option in found.options if option.cost is not None]
    [best] = [option.cost.work.prove for option in found.options if option.chosen]
    assert best <= 1.33 * min(costs)


@pytest.mark.parametrize("objective", ["gas", "memory"])
def test_objective_decides_what_is_minimised(objective):
    process = Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
    found = tuned(process, objective=objective)
    costs = [option.cost.work.by(objective) for option in found.options if option.cost is not None]
    [best] = [option.cost.work.by(objective) for option in found.options if option.chosen]
    assert best <= 1.02 * min(costs)


def test_gas_objective_never_has_more_gas_than_latency():
    process = Process(bits=wide, products=30_000)
    [fast], [thrifty] = (
        [option.cost.work.gas for option in tuned(process, objective=objective).options if option.chosen]
        for objective in ("latency", "gas")
    )
    assert thrifty <= fast


def test_rescaling_that_costs_more_is_not_chosen():
    """Late rescaling makes integers wider, hence more digits; here it saves nothing."""
    process = Process(bits=lambda arguments: 8 + 18 * arguments.scale_rebase_multiplier, digits=200_000)
    assert chosen(process).scale_rebase_multiplier == 1


def test_earlier_rescaling_is_not_tried_if_the_context_determines_the_range():
    process = Process(bits=lambda arguments: 10)
    tuned(process, effort="quick")
    assert {multiplier for _, _, multiplier in process.tried} == {3}


def test_search_is_deterministic():
    def again():
        return tuned(Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000))

    assert again() == again()


def test_machine_speed_changes_only_the_seconds():
    slow, fast = (
        tuned(Process(bits=wide, digits=5000), speed=Speed(rate, rate, rate, rate), effort="quick")
        for rate in (10.0, 0.1)
    )
    assert slow.run_arguments == fast.run_arguments
    assert slow.options[-1].cost.prove_seconds > 50 * fast.options[-1].cost.prove_seconds


def test_range_reaches_four_times_beyond_calibration():
    process = Process(bits=wide)
    arguments = EzklArguments.parse(tuned(process).run_arguments)
    assert arguments.integer_limit >= 4 << wide(arguments)


class Holding(Process):
    """Rounds a constant to 0 below some scale."""

    needed = 10

    def try_out(self, network, inputs, outputs, arguments, batch, folder, *, likely_bits):
        built, answer, bits = super().try_out(
            network, inputs, outputs, arguments, batch, folder, likely_bits=likely_bits
        )
        missing = self.needed - arguments.input_scale
        return built, replace(answer, missing_bits=(missing,) if missing > 0 else ()), bits


@pytest.mark.parametrize("effort", ["quick", "normal", "max"])
def test_scale_that_holds_a_small_constant_is_tried_and_taken(effort):
    assert chosen(Holding(), effort=effort).input_scale >= 10


def test_constant_that_no_scale_holds_changes_nothing():
    process = Holding()
    process.needed = 40
    assert chosen(process) == chosen(Process())


# --- effort


def test_more_effort_tries_more():
    counts = []
    for effort in ("quick", "normal", "max"):
        process = Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
        tuned(process, effort=effort)
        counts.append(len(process.tried))
    assert counts[0] < counts[1] <= counts[2]


def test_more_effort_never_costs_more():
    works = []
    for effort in ("quick", "normal", "max"):
        options = tuned(Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000), effort=effort).options
        works += [option.cost.work.prove for option in options if option.chosen]
    assert works[2] <= 1.33 * works[1] <= 1.33**2 * works[0]


@pytest.mark.parametrize("effort", ["", "fast", None])
def test_unknown_effort_is_refused(effort):
    with pytest.raises(KeyError, match=repr(effort)):
        tuned(Process(), effort=effort)


def test_scales_are_not_tried_twice():
    process = Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
    tuned(process, effort="max")
    assert len(process.tried) == len(set(process.tried))


def test_bits_are_guessed_from_the_last_trial_with_the_same_rescaling():
    process = Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
    tuned(process, effort="max")
    first = [multiplier for _, _, multiplier in process.tried]
    blind = [place for place, guess in enumerate(process.guesses) if guess == 0]
    assert blind == [first.index(multiplier) for multiplier in (3, 2, 1)]


def test_large_model_is_tried_on_fewer_samples():
    samples = np.tile(np.array([[[1.0, -1.0]]]), (100, 1, 1))
    process = Process(products=10_000)
    given = {"samples": {"x": samples}, "reference": {"y": samples}, "labels": Labels("y", np.zeros(100, int))}
    tuned(process, workload=Workload(multiplications=10_000, elements=0, heaviest=()), **given)
    assert {len(batch) for batch in process.batches[:-1]} == {12}
    assert len(process.batches[-1]) == 100


def test_very_large_model_is_tried_on_eight_samples_and_the_winner_on_all():
    samples = np.tile(np.array([[[1.0, -1.0]]]), (100, 1, 1))
    process = Process(products=10_000)
    vast = Workload(multiplications=10**7, elements=0, heaviest=())
    tuned(process, workload=vast, samples={"x": samples}, reference={"y": samples})
    assert [len(batch) for batch in process.batches[-2:]] == [8, 100]


def hundred_samples(wrong_below):
    """A process that is wrong only on the last of a hundred samples and below some scale, with a request for it."""
    samples = np.tile(np.array([[[1.0, -1.0]]]), (100, 1, 1))
    samples[-1] = [[0.5, 0.25]]
    vast = Workload(multiplications=10**7, elements=0, heaviest=())
    process = LastIsWrong(bits=wide, digits=5000)
    process.below = wrong_below
    return process, {"workload": vast, "samples": {"x": samples}, "reference": {"y": samples}}


class LastIsWrong(Process):
    def try_out(self, network, inputs, outputs, arguments, batch, folder, *, likely_bits):
        built, answer, bits = super().try_out(
            network, inputs, outputs, arguments, batch, folder, likely_bits=likely_bits
        )
        if len(batch) == 100 and arguments.input_scale < self.below:
            answer.outputs[-1][0][1] += 1 << arguments.input_scale
        return built, answer, bits + (len(batch) == 100)


@pytest.mark.parametrize("effort", ["quick", "normal"])
@pytest.mark.parametrize("below", [5, 9, 14])
def test_scales_that_fail_on_all_samples_are_replaced_by_larger_ones(effort, below):
    process, asked = hundred_samples(below)
    found = tuned(process, effort=effort, **asked)
    assert EzklArguments.parse(found.run_arguments).input_scale >= below
    [option] = [option for option in found.options if option.chosen]
    assert (option.fidelity.samples, option.fidelity.agreement) == (100, 1.0)


def test_range_holds_all_samples():
    process, asked = hundred_samples(0)
    arguments = EzklArguments.parse(tuned(process, **asked).run_arguments)
    assert arguments.integer_limit >= 4 << (wide(arguments) + 1)


def test_budget_missed_on_all_samples_is_refused():
    process, asked = hundred_samples(15)
    with pytest.raises(BudgetError, match=r"99% of the answers agree.*since there are only 100 calibration samples"):
        tuned(process, **asked)


def test_error_without_the_margin_for_few_samples_is_refused():
    every_scale_errs = {scale: round(0.008 * 2**scale) for scale in range(7, 15)}
    process = Process(error=dict.fromkeys(range(2, 7), 100) | every_scale_errs)
    with pytest.raises(BudgetError, match="with a margin, since there are only 2 calibration samples"):
        tuned(process)


@pytest.mark.parametrize("effort", ["quick", "normal", "max"])
def test_progress_increases(effort):
    seen = []
    search.tune(Process(bits=wide, error=WRONG_BELOW_NINE), request(effort=effort), seen.append)
    assert seen == sorted(seen)
    assert all(0 <= fraction < 1 for fraction in seen)


# --- a limit of the time


class Slow(Process):
    """Every trial takes a second of a clock that stands still otherwise, every layout a tenth."""

    now = 0.0

    def try_out(self, *arguments, **named):
        self.now += 1
        return super().try_out(*arguments, **named)

    def sketch(self, *arguments):
        self.now += 0.1
        return super().sketch(*arguments)


@pytest.fixture
def limited(monkeypatch):
    """Search for some seconds; returns the result, and what was saved until then."""

    def search_for(process, seconds, **changes):
        monkeypatch.setattr(time, "monotonic", lambda: process.now)
        saved = []
        found = search.tune(process, request(search_seconds=seconds, **changes), lambda _: None, saved.append)
        assert process.now <= seconds
        return found, saved

    return search_for


@pytest.mark.parametrize("seconds", [8, 10, 12])
def test_search_whose_time_ends_returns_the_best_so_far(limited, seconds):
    process = Slow(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
    found, _ = limited(process, seconds)
    assert EzklArguments.parse(found.run_arguments).input_scale >= 9
    [option] = [option for option in found.options if option.chosen]
    assert option.within_budget
    assert re.search(r"reached the limit of --search-seconds with \d+ settings tried$", found.notes[0])


def test_search_that_ends_in_time_is_the_same_as_one_without_a_limit(limited):
    found, _ = limited(Slow(bits=wide, error=WRONG_BELOW_NINE, digits=5000), 1000)
    assert found == tuned(Process(bits=wide, error=WRONG_BELOW_NINE, digits=5000))


def test_search_saves_every_better_result_before_its_end(limited):
    process = Slow(bits=wide, error=WRONG_BELOW_NINE, digits=5000)
    found, saved = limited(process, 1000)
    assert len(saved) > 1
    assert saved[-1].run_arguments == found.run_arguments
    assert all(EzklArguments.parse(one.run_arguments).input_scale >= 9 for one in saved)


def test_search_without_a_limit_saves_nothing():
    saved = []
    search.tune(Process(), request(), lambda _: None, saved.append)
    assert saved == []


@pytest.mark.parametrize("seconds", [0.01, 1.5, 3])
def test_search_whose_time_ends_before_any_settings_are_found_is_refused(limited, seconds):
    process = Slow(error=ALWAYS_WRONG)
    message = r"reached the limit of --search-seconds before any .*tried: \d\).*most are in: Gemm dense"
    with pytest.raises(TooCostlyError, match=message) as refusal:
        limited(process, seconds)
    assert "Allow more with --search-seconds" in refusal.value.cure


def test_search_whose_time_ends_before_all_samples_are_measured_says_on_how_many(limited):
    samples = np.tile(np.array([[[1.0, -1.0]]]), (100, 1, 1))
    vast = Workload(multiplications=10**7, elements=0, heaviest=())
    given = {"workload": vast, "samples": {"x": samples}, "reference": {"y": samples}}
    found, _ = limited(Slow(bits=wide, digits=5000), 4, **given)
    assert found.samples == 8
    assert found.notes[0].endswith("the chosen ones were measured on 8 of 100 calibration samples only")


def test_search_whose_time_ends_with_too_large_a_circuit_is_refused(limited):
    with pytest.raises(TooCostlyError, match="1 MB may be used"):
        limited(Slow(products=300_000), 4, max_memory=1_000_000)


# --- options


def test_options_list_every_successful_trial():
    process = Process(bits=wide, error=WRONG_BELOW_NINE | {8: None}, digits=5000)
    options = tuned(process).options
    ran = len([scales for scales in process.tried if scales[0] != 8])
    assert len({option.name.partition(", 2^")[0] for option in options}) == ran
    assert sum(option.chosen for option in options) == 1


def test_options_include_the_layouts_of_other_objectives():
    options = tuned(Process(bits=wide, products=30_000)).options
    [chosen] = [option for option in options if option.chosen]
    scales, _, layout = chosen.name.partition(", 2^")
    others = [option for option in options if option.name.startswith(scales) and not option.chosen]
    assert others
    assert {option.fidelity for option in others} == {chosen.fidelity}
    assert layout not in {option.name.partition(", 2^")[2] for option in others}
    assert min(option.cost.work.gas for option in options if option.cost) <= chosen.cost.work.gas


def test_option_beyond_the_budget_has_no_cost():
    options = tuned(Process(bits=wide, error=WRONG_BELOW_NINE)).options
    beyond = [option for option in options if not option.within_budget]
    assert beyond
    assert all(option.cost is None and not option.chosen for option in beyond)


# --- limits


def test_too_costly_model_is_refused_with_costs_and_layers():
    message = r"would take about \S+ GB of memory.*1 MB may be used.*most are in: Gemm dense \(900, 90%\)"
    with pytest.raises(TooCostlyError, match=message) as refusal:
        tuned(Process(products=300_000), max_memory=1_000_000)
    assert "--max-memory" in refusal.value.cure


def test_memory_is_unlimited_without_a_limit():
    assert chosen(Process(products=300_000), max_memory=None).logrows > 10


def test_memory_limit_leads_to_a_smaller_circuit():
    process = Process(products=300_000)
    least = next(option for option in tuned(process, objective="memory").options if option.chosen).cost.work
    found = next(option for option in tuned(process, max_memory=least.memory_bytes).options if option.chosen)
    assert found.cost.work.memory_bytes <= least.memory_bytes


def test_model_too_large_for_every_setup_is_refused_with_the_cure():
    with pytest.raises(UnsupportedModelError, match=r"has 2\^12\. Run `zkinfer setup fetch 1\d`"):
        tuned(Process(products=300_000), max_setup_size=12)


def test_result_for_a_very_large_setup_is_accepted_by_the_engine():
    assert chosen(Process(products=1 << 24), max_setup_size=28).logrows <= 24


# --- one recipe, and what decided the cost


def test_least_run_arguments_of_the_best_circuit_are_chosen():
    def least(arguments):
        return arguments.model_copy(update={"scale_rebase_multiplier": 1, "param_scale": 1})

    found = tuned(Process(least=least))
    arguments = EzklArguments.parse(found.run_arguments)
    assert (arguments.scale_rebase_multiplier, arguments.param_scale) == (1, 1)
    [option] = [option for option in found.options if option.chosen]
    assert option.name.startswith(f"scales {arguments.input_scale}/1, rescaled at 1x")


WIDEST = {"node": "v7", "operator": "Sigmoid", "output": "p", "low": -57.25, "high": 39.5}


def noted(lookups, widest=WIDEST, **changes):
    process = Process(lookups=lookups)
    process.widest = widest
    return tuned(process, **changes).notes


def test_wide_lookup_that_decides_the_size_is_noted_with_node_range_and_cure():
    [note] = noted((-7000, 5000), names={"v7": "probabilities"})
    assert re.match(
        r"a lookup table of [\d,]+ entries makes the circuit 2\^1\d rows, not 2\^\d+; it is that of Sigmoid "
        r"'probabilities', whose argument ranges from -57.25 to 39.5; "
        r"to make it smaller, clip its argument to \[-8, 8\]",
        note,
    )


def test_wide_lookup_of_an_unnamed_node_is_noted_with_the_output_it_leads_to():
    [note] = noted((-7000, 5000), WIDEST | {"operator": "Exp"})
    assert "the Exp before output 'p'" in note
    assert note.endswith("to make it smaller, leave that output out")


def test_wide_lookup_of_an_unknown_function_is_noted_without_it():
    [note] = noted((-7000, 5000), None)
    assert note.endswith("smaller values before the model's functions make it smaller")


@pytest.mark.parametrize(("finer", "advised"), [(0, True), (5, False)])
def test_wide_lookup_at_high_scales_is_noted_with_a_scaler_as_cure_if_there_is_none(finer, advised):
    process = Process(lookups=(-7000, 5000), error=dict.fromkeys(range(2, 11), 100))
    process.widest = WIDEST
    [note] = tuned(process, inputs=(spec("x", scale=finer),)).notes
    assert ("scale the features inside the model" in note) == advised


@pytest.mark.parametrize("lookups", [None, (0, 0), (-100, 100)])
def test_narrow_lookup_is_not_noted(lookups):
    assert noted(lookups) == ()


@pytest.mark.parametrize(("finer", "advised"), [(0, True), (5, False)])
def test_missed_budget_is_refused_with_a_scaler_as_cure_if_there_is_none(finer, advised):
    with pytest.raises(BudgetError) as refusal:
        tuned(Process(error=ALWAYS_WRONG), inputs=(spec("x", scale=finer),))
    assert ("put a scaler into the model" in refusal.value.cure) == advised
