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


ASHLAR = {
    "prove": 0.3,
    "memory": 3e8,
    "child": 3e8,
    "compile": 9.0,
    "compile_memory": 300,
    "verify_rust": 0.002,
    "verify_python": 1.0,
    "predicted": {"seconds": 0.3, "memory": 3e8},
    "agreement": 0.9,
    "error_p99": 0.05,
}


def broken_under_ashlar(**changes):
    model = Model("deep", architecture="credit", ashlar_seconds=6)
    return broken_promises([(model, {"ashlar": ASHLAR | changes})])


def test_model_under_ashlar_alone_keeps_its_own_limits():
    assert broken_under_ashlar() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prove": 6.1, "predicted": {"seconds": 6, "memory": 3e8}}, "deep: Ashlar takes 6.10 s for a proof"),
        ({"memory": 1.5e9}, "takes 1,500,000,000 bytes of memory for a proof (promised: 1e+09)"),
        ({"compile": 31.0}, "takes 31.0 s to compile (promised: 30)"),
        ({"verify_rust": 0.2}, "takes 0.20 s to verify in Rust (promised: 0.1)"),
        ({"verify_python": 3.5}, "takes 3.50 s to verify in Python (promised: 3)"),
        ({"prove": 0.5}, "was predicted 0.60 times its seconds (promised: within 30%)"),
        ({"child": 2e8}, "was predicted 1.50 times its memory"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_exceeded_limit_of_ashlar_is_named_without_a_rival(changes, sentence):
    [promise] = broken_under_ashlar(**changes)
    assert sentence in promise


@pytest.mark.parametrize(("seconds", "count"), [(0.3, 0), (0.31, 1)])
def test_ashlar_has_a_promised_speedup_of_its_own(seconds, count):
    model = Model("digits", ashlar_faster=20)
    own = ASHLAR | {"prove": seconds, "memory": 300, "predicted": {"seconds": seconds, "memory": 3e8}}
    promises = broken_promises([(model, {"plain": PLAIN, "ashlar": own})])
    assert len(promises) == count
    assert all("(promised: 20.00)" in promise for promise in promises)


def test_small_models_have_a_higher_promised_speedup():
    assert {model.name: model.faster for model in MODELS if model.faster > 1} == {
        "dense 4-16-3": 10,
        "digits 64-32-10": 5,
    }


def test_promises_under_ashlar_are_those_of_the_models_that_they_name():
    assert {model.name: model.ashlar_faster for model in MODELS if model.ashlar_faster} == {
        "digits 64-32-10": 20,
        "dense 784-64-10": 20,
        "LeNet-5 28x28": 100,
    }
    assert {model.architecture: model.ashlar_seconds for model in MODELS if model.architecture} == {
        "convolutional": 1.5,
        "residual": 4.0,
        "forest": 6.0,
        "credit": 6.0,
    }
