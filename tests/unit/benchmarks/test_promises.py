"""What a run of the benchmark must show, on figures as `contestants` prints them."""

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


def test_nothing_is_broken_where_all_is_kept():
    assert broken(SMALL) == []


def test_no_faster_than_promised_is_enough():
    assert broken(SMALL, prove=0.6) == []


def test_compile_that_proves_once_may_take_what_a_plain_proof_takes():
    assert broken(SMALL, compile_memory=400) == []


def test_proof_that_takes_more_memory_breaks_both_promises():
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
    [said] = broken(SMALL, **changes)
    assert re.search(re.escape(sentence), said)


@pytest.mark.parametrize(("seconds", "count"), [(6.5, 0), (6.61, 1)])
def test_larger_model_may_be_slower_by_noise_only(seconds, count):
    assert len(broken(LARGE, prove=seconds)) == count


def test_every_rival_must_be_beaten():
    found = {"plain": PLAIN, "accurate": PLAIN | {"prove": 4.0}, "faithful": OWN}
    [said] = broken_promises([(SMALL, found)])
    assert said.endswith("as plain, for accuracy.")


def test_model_without_rival_promises_nothing():
    assert broken_promises([(LARGE, {"zkinfer": OWN})]) == []


def test_small_models_are_promised_to_be_many_times_faster():
    assert {model.name: model.faster for model in MODELS if model.faster > 1} == {
        "dense 4-16-3": 10,
        "digits 64-32-10": 5,
    }
