import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits import Budget
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.fidelity import ERROR_EDGES, MAX_WORST, Accuracy, Fidelity, Worst, measure
from zkinfer.circuits.samples import Labels
from zkinfer.circuits.tensors import TensorSpec

PERFECT = Fidelity(4, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, (4, *[0] * len(ERROR_EDGES)))


def spec(name="y", size=2, dtype="float32", scale=0):
    return TensorSpec(name=name, dtype=dtype, shape=(1, size), scale=scale)


def reference(*rows, name="y", dtype=np.float64):
    return {name: np.array(rows, dtype=dtype)[:, None, :]}


def found(**figures):
    """A perfect result, except for these figures."""
    return Fidelity(**{name: getattr(PERFECT, name) for name in Fidelity.__slots__} | figures)


# --- agreement and errors


def test_equal_answers_agree_with_zero_error():
    perfect = measure([spec(scale=2)], [[[4, 8]], [[-4, 0]]], reference([1, 2], [-1, 0]))
    assert replace(perfect, columns=()) == found(samples=2)
    assert [(one.index, one.error_max) for one in perfect.columns] == [(0, 0.0), (1, 0.0)]


def test_error_of_few_samples_is_relative_to_the_largest_magnitude_of_its_column():
    measured = measure([spec()], [[[1, 2]], [[-3, 0]]], reference([1, 2], [-4, 0]))
    assert (measured.error_p50, measured.error_max, measured.absolute_max) == (0.0, 0.25, 1.0)
    assert (measured.error_p90, measured.error_p99) == (pytest.approx(0.175), pytest.approx(0.2425))


def test_largest_absolute_error_is_over_all_outputs():
    measured = measure(
        [spec("a"), spec("b")], [[[1, 0], [100, 7]]], reference([1, 0], name="a") | reference([100, 0], name="b")
    )
    assert (measured.absolute_max, measured.error_max) == (7.0, 0.07)


def test_agreement_is_the_share_of_samples_with_equal_argmax():
    answers = [[[5, 1, 2]], [[1, 5, 2]], [[0, 1, 2]], [[3, 2, 1]]]
    assert measure([spec(size=3)], answers, reference(*[[9, 1, 2]] * 4)).agreement == 0.5


def test_quantiles_are_over_all_numbers():
    answers = [[[value, 0]] for value in range(100)]
    measured = measure([spec()], answers, reference(*[[0, 100]] * 100))
    assert (measured.samples, measured.error_p50, measured.error_max) == (100, pytest.approx(0.995), 1.0)


def test_single_number_always_agrees_and_is_measured_by_its_error():
    measured = measure([spec(size=1)], [[[1]], [[2]]], reference([-1], [2]))
    assert (measured.agreement, measured.error_max) == (1.0, 1.0)


@pytest.mark.parametrize(("answer", "agreement"), [([3, 1], 1.0), ([3, 2], 0.0), ([4, 1], 0.0)])
def test_integer_output_agrees_only_if_all_elements_are_equal(answer, agreement):
    assert measure([spec(dtype="int64")], [[answer]], reference([3, 1], dtype=np.int64)).agreement == agreement


def test_integers_that_differ_beyond_the_precision_of_a_float_do_not_agree():
    big = 1 << 60
    measured = measure([spec(size=1, dtype="int64")], [[[big + 1]]], reference([big], dtype=np.int64))
    assert measured.agreement == 0.0


def test_sample_agrees_only_if_every_output_does():
    outputs = [spec("y"), spec("label", 1, "int64")]
    wanted = reference([1, 0], [1, 0], [0, 1]) | reference([7], [7], [7], name="label")
    measured = measure(outputs, [[[1, 0], [7]], [[1, 0], [8]], [[1, 0], [7]]], wanted)
    assert measured.agreement == pytest.approx(1 / 3)


def test_all_zero_output_is_judged_by_steps_of_its_scale():
    assert measure([spec(scale=5)], [[[0, 0]]], reference([0, 0])).error_max == 0.0
    assert measure([spec(scale=5)], [[[1, 0]]], reference([0, 0])).error_max == 1 / 64
    assert measure([spec(scale=5)], [[[640, 0]]], reference([0, 0])).error_max == 10.0


# --- columns


def by_columns(answers, wanted, scale=0, dtype="float32"):
    """The fidelity of one output, whose columns are given one by one."""
    rows = np.ldexp(np.array(answers, float).T, scale).round().astype(int).tolist()
    output = spec(size=len(answers), scale=scale, dtype=dtype)
    return measure([output], [[row] for row in rows], {"y": np.array(wanted, float).T[:, None, :]})


LARGE, SMALL = np.linspace(-5000, 5000, 40), np.linspace(0.001, 0.02, 40)


@pytest.mark.parametrize("small", [SMALL, SMALL / 1000, 0.7 + SMALL, np.full(40, 0.02), np.full(40, 1e-6)])
def test_column_that_is_lost_beside_a_large_one_misses_the_budget(small):
    lost = np.full(40, np.median(small).round())
    measured = by_columns([lost, LARGE], [small, LARGE])
    worst = measured.columns[0]
    assert (worst.output, worst.index, worst.low, worst.high) == ("y", 0, small.min(), small.max())
    assert worst.error_p99 > 0.5
    assert measured.error_max == worst.error_max
    assert re.search(r"^The error of column 0 of output 'y' \(.* in the model\) is", Budget().shortfall(measured))


@pytest.mark.parametrize(
    "first", [LARGE, SMALL, 300 + SMALL, 0 * SMALL, 1 + 1e-7 * SMALL, 1e-12 * SMALL, SMALL - SMALL]
)
def test_column_that_is_held_to_one_step_in_a_thousand_keeps_the_budget(first):
    scale = 16
    measured = by_columns([first, LARGE], [first, LARGE], scale)
    assert Budget().met_by(measured)


def test_zero_beside_other_columns_is_judged_by_the_narrowest_of_them():
    measured = by_columns([np.full(40, 0.001), SMALL, LARGE], [0 * SMALL, SMALL, LARGE], scale=16)
    [zero] = [one for one in measured.columns if one.index == 0]
    assert zero.unit == pytest.approx(0.019)
    assert zero.error_p99 == pytest.approx(0.001 / 0.019, rel=0.01)


def test_noise_of_the_float_model_is_not_the_range_of_a_constant_column():
    noisy = 1 + 1e-7 * np.cos(np.arange(40))
    [worst] = by_columns([np.ones(40) + 0.01], [noisy], scale=12).columns
    assert worst.unit == pytest.approx(1)
    assert worst.error_max == pytest.approx(0.01, rel=0.02)


def test_numbers_of_float16_that_differ_by_its_rounding_are_constant():
    rounded = np.float16(300) + np.tile([0, 0.25], 20)
    for dtype, unit in (("float16", 300.25), ("float32", 0.25)):
        assert by_columns([rounded], [rounded], dtype=dtype).columns[0].unit == unit


def test_columns_are_those_of_the_last_axis_and_of_every_float_output():
    outputs = [
        TensorSpec(name="image", dtype="float32", shape=(1, 2, 3)),
        TensorSpec(name="score", dtype="float32", shape=(1, 1)),
        TensorSpec(name="class", dtype="int64", shape=(1,)),
    ]
    wanted = {name: np.ones((9, *one.shape)) for one in outputs for name in [one.name]}
    answers = [[[1, 1, 1, 1, 1, 2], [1], [1]]] * 9
    columns = measure(outputs, answers, wanted).columns
    assert [(one.output, one.index) for one in columns] == [("image", 2), ("image", 0), ("image", 1), ("score", 0)]
    assert [one.name for one in columns[::3]] == ["column 2 of output 'image'", "output 'score'"]


def test_columns_in_the_report_are_the_worst_few():
    answers = [[1000 + index] * 9 for index in range(20)]
    measured = by_columns(answers, [[1000] * 9] * 20)
    assert [one.index for one in measured.columns] == [19, 18, 17, 16, 15]


def test_integer_output_is_judged_by_agreement_alone():
    """A wrong class is no larger an error than another, so 5 % of other classes is no error of 100 %."""
    measured = by_columns([[5] * 19 + [6]], [[5] * 20], dtype="int64")
    assert (measured.columns, measured.agreement) == ((), 0.95)


def test_output_without_axes_has_one_column():
    scalar = TensorSpec(name="y", dtype="float32", shape=())
    [column] = measure([scalar], [[[1]], [[3]]], {"y": np.array([1.0, 2.0])}).columns
    assert (column.single, column.error_max) == (True, 0.5)


def test_budget_that_allows_every_error_allows_it_for_each_column():
    lost = by_columns([[5] * 40, LARGE], [SMALL, LARGE])
    assert lost.columns[0].error_p99 > 100
    assert "column" in Budget(max_error=0.99).shortfall(lost)
    assert "column" not in Budget(max_error=1).shortfall(lost)


# --- histogram and worst samples


def test_histogram_bins_include_their_lower_edge():
    answers = [[[value]] for value in (1000, 999, 998, 900, 0)]
    measured = measure([spec(size=1)], answers, reference(*[[1000]] * 5))
    counts = dict(zip((0.0, *ERROR_EDGES), measured.histogram, strict=True))
    assert {edge: count for edge, count in counts.items() if count} == {0.0: 1, 1e-3: 2, 1e-1: 1, 1.0: 1}


@given(st.lists(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=2), min_size=1, max_size=20))
def test_figures_of_any_answers_are_ordered_and_complete(answers):
    measured = measure([spec()], [[row] for row in answers], reference(*[[1, 1000]] * len(answers)))
    assert sum(measured.histogram) == 2 * len(answers)
    quantiles = [measured.error_p50, measured.error_p90, measured.error_p99, measured.error_max]
    assert quantiles == sorted(quantiles)
    assert len(measured.worst) <= min(MAX_WORST, len(answers))


def test_worst_samples_are_ordered_by_disagreement_then_error():
    answers = [[[9, 1]], [[10, 1]], [[4, 5]], [[10, 6]], [[10, 2]]]
    measured = measure([spec()], answers, reference(*[[10, 1]] * 5))
    assert [one.sample for one in measured.worst] == [2, 3, 4, 0]
    assert measured.worst[:2] == (Worst(2, 4.0, False), Worst(3, 5.0, True))


def test_worst_samples_are_named_by_their_index_in_the_file():
    measured = measure([spec()], [[[9, 0]], [[10, 1]]], reference(*[[10, 0]] * 2), indices=(17, 4))
    assert [one.sample for one in measured.worst] == [17, 4]


def test_worst_samples_are_limited_in_number():
    measured = measure([spec()], [[[value, 0]] for value in range(50)], reference(*[[100, 0]] * 50))
    assert [one.sample for one in measured.worst] == [0, 1, 2, 3, 4]


# --- accuracy


def test_accuracy_of_scores_uses_the_argmax():
    labels = Labels("y", np.array([1, 1, 0, 0]))
    measured = measure(
        [spec()], [[[1, 0]], [[0, 1]], [[1, 0]], [[0, 1]]], reference(*[[0, 1]] * 3, [1, 0]), labels=labels
    )
    assert measured.accuracy == Accuracy("y", model=0.75, circuit=0.5)
    assert measured.accuracy.drop == 0.25


def test_accuracy_of_an_integer_output_uses_equality():
    labels = Labels("class", np.array([7, -1]))
    outputs, wanted = (
        [spec(), spec("class", 1, "int64")],
        reference([1, 0], [1, 0]) | {"class": np.array([[[7]], [[7]]])},
    )
    measured = measure(outputs, [[[0, 1], [7]], [[0, 1], [-1]]], wanted, labels=labels)
    assert measured.accuracy == Accuracy("class", model=0.5, circuit=1.0)


def test_accuracy_without_labels_is_none():
    assert measure([spec()], [[[0, 1]]], reference([0, 1])).accuracy is None


# --- the budget


@pytest.mark.parametrize(
    ("budget", "figures", "missed"),
    [
        (Budget(min_agreement=0.99), {"agreement": 0.98}, r"^98% of the answers agree, and 99% must\.$"),
        (Budget(min_agreement=1), {"agreement": 0.9996}, "99.96% of the answers"),
        (Budget(max_error=0.01), {"error_p99": 0.02}, r"^The error is 2% of the range.*and 1% is allowed\.$"),
        (
            Budget(max_absolute_error=0.5),
            {"absolute_max": 0.75},
            r"^An output differs by 0\.75, and 0\.5 is allowed\.$",
        ),
        (
            Budget(max_accuracy_drop=0.005),
            {"accuracy": Accuracy("y", 0.9, 0.89)},
            r"^The accuracy drops from 90% to 89%, and a drop of 0\.5% is allowed\.$",
        ),
        (Budget(max_accuracy_drop=1), {}, "unknown without labels"),
    ],
)
def test_missed_budget_names_the_missed_rule(budget, figures, missed):
    assert not budget.met_by(found(**figures))
    assert re.search(missed, budget.shortfall(found(**figures)))


@pytest.mark.parametrize(
    ("budget", "figures"),
    [
        (Budget(), {}),
        (Budget(min_agreement=0.98), {"agreement": 0.98}),
        (Budget(max_error=0.02), {"error_p99": 0.02, "error_max": 1.0, "absolute_max": 1e9}),
        (Budget(max_absolute_error=0.5), {"absolute_max": 0.5}),
        (Budget(max_accuracy_drop=0.005), {"accuracy": Accuracy("y", 0.9, 0.895)}),
        (Budget(max_accuracy_drop=0), {"accuracy": Accuracy("y", 0.9, 0.95)}),
    ],
)
def test_budget_met_exactly_is_kept(budget, figures):
    assert budget.met_by(found(**figures))
    assert budget.shortfall(found(**figures)) == ""


def test_budget_missed_twice_names_both_rules_in_one_sentence():
    assert Budget().shortfall(found(agreement=0.5, error_p99=0.5)).count(";") == 1


@pytest.mark.parametrize("name", ["min_agreement", "max_error", "max_accuracy_drop"])
@pytest.mark.parametrize("value", [-0.1, 1.1, 50, math.nan, math.inf])
def test_budget_outside_0_to_1_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name} must be a share between 0 and 1, not"):
        Budget(**{name: value})


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_non_finite_budget_is_refused(value):
    with pytest.raises(InputError, match="max_absolute_error must be a finite number, 0 or more"):
        Budget(max_absolute_error=value)


# --- a margin for few samples


@pytest.mark.parametrize(("samples", "part"), [(1, 1 / 3), (4, 0.5), (64, 0.8)])
def test_fewer_samples_tighten_every_rule(samples, part):
    tighter = Budget(0.9, 0.05, 2.0, 0.01).with_margin(samples)
    assert (tighter.min_agreement, tighter.max_error) == (pytest.approx(1 - 0.1 * part), pytest.approx(0.05 * part))
    assert (tighter.max_absolute_error, tighter.max_accuracy_drop) == (
        pytest.approx(2 * part),
        pytest.approx(0.01 * part),
    )


@pytest.mark.parametrize("budget", [Budget(0, 1, None, 1), Budget(1, 0, 0, 0)])
def test_rule_that_allows_everything_or_nothing_needs_no_margin(budget):
    assert budget.with_margin(4) == budget


@given(samples=st.integers(1, 10_000), allowed=st.floats(0, 1), error=st.floats(0, 1))
def test_result_within_the_margin_keeps_the_budget(samples, allowed, error):
    budget = Budget(0, allowed)
    assert budget.met_by(found(error_p99=error)) >= budget.with_margin(samples).met_by(found(error_p99=error))


def test_error_between_margin_and_budget_is_refused_to_few_samples():
    budget = Budget(0, 0.05)
    assert budget.shortfall(found(error_p99=0.03)) == ""
    assert "2.5% is allowed" in budget.with_margin(4).shortfall(found(error_p99=0.03))
