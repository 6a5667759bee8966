"""The promises that a benchmark run must keep, on figures as printed by `contestants`."""

import re

import pytest
from benchmarks.networks import MODELS, Model
from benchmarks.promises import broken_promises

SMALL = Model("small", (4, 16, 3), faster=10)
LARGE = Model("large", (784, 64, 10))
PLAIN = {"prove": 6.0, "memory": 400, "compile_memory": 300, "agreement": 0.9, "error_p99": 0.01}
OWN = {"prove": 0.5, "memory": 70, "compile_memory": 300, "agreement": 0.9, "error_p99": 0.01}


def broken(model, **changes):
    found = {"plain": PLAIN, "faithful": OWN | changes, "zkinfer": OWN | {"error_p99": 0.05, "agreement": 0.8}}
    return broken_promises([(model, found)])


def test_no_promise_is_broken_if_all_are_kept():
    assert broken(SMALL) == []


def test_exactly_the_promised_speed_is_sufficient():
    assert broken(SMALL, prove=0.6) == []


def test_compile_that_proves_once_may_use_the_memory_of_a_plain_proof():
    assert broken(SMALL, compile_memory=400) == []


def test_proof_with_more_memory_breaks_both_promises():
    of_a_proof, of_all = broken(SMALL, memory=401)
    assert "takes 1.00 times the memory for a proof of plain" in of_a_proof
    assert "takes 1.00 times the memory for all, from the model to a proof, of plain" in of_all


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"prove": 0.61},
            "small: zkinfer, faithful proves 9.84 times as fast (promised: 10.00) as plain, for resources.",
        ),
        ({"compile_memory": 800}, "takes 2.00 times the memory for all, from the model to a proof, of plain"),
        ({"agreement": 0.89}, "answers alike for 89.0%, less than the 90.0% of plain"),
        ({"error_p99": 0.02}, "errs by 2.00%, more than the 1.00% of plain"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_broken_promise_is_named(changes, sentence):
    [promise] = broken(SMALL, **changes)
    assert re.search(re.escape(sentence), promise)


@pytest.mark.parametrize(("seconds", "count"), [(6.5, 0), (6.61, 1)])
def test_larger_model_may_be_slower_by_noise_only(seconds, count):
    assert len(broken(LARGE, prove=seconds)) == count


def test_every_rival_must_be_beaten():
    found = {"plain": PLAIN, "accurate": PLAIN | {"prove": 4.0}, "faithful": OWN}
    [promise] = broken_promises([(SMALL, found)])
    assert promise.endswith("as plain, for accuracy.")


def test_model_without_a_rival_has_no_promises():
    assert broken_promises([(LARGE, {"zkinfer": OWN})]) == []


def test_small_models_have_a_higher_promised_speedup():
    assert {model.name: model.faster for model in MODELS if model.faster > 1} == {
        "dense 4-16-3": 10,
        "digits 64-32-10": 5,
    }
