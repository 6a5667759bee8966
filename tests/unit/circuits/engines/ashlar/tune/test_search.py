"""Recipes found from calibration samples, for models of the repository and small ones beside them."""

from dataclasses import replace

import numpy as np
import pytest
from tests.paths import ROOT
from tests.unit.circuits.engines.ashlar.lowering.networks import model

from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import normal_form, plan
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.engines.ashlar.tune.search import Search, quantised, search
from zkinfer.circuits.errors import BudgetError, TooCostlyError, UnsupportedModelError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.tensors import dequantise

ZOO = ROOT / "tests/assets/zoo"
DIGITS = ROOT / "service/zkinfer/cli/demo/digits/digits.onnx"


def normal(shape, rng, count):
    return rng.normal(size=(count, *shape))


def pixels(shape, rng, count):
    return rng.integers(0, 17, (count, *shape)) / 16


def small(shape, rng, count):
    return 0.1 * rng.normal(size=(count, *shape))


def requested(graph, inputs, outputs, draw, *, count=100, **given):
    spec, rng = inputs[0], np.random.default_rng(7)
    samples = draw(spec.shape, rng, count).astype(spec.dtype)
    session = runtime.Session(graph)
    answers = [session.run({spec.name: sample}) for sample in samples]
    reference = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    given = {"budget": Budget(), "chunk_bits": range(10, 17)} | given
    return Search(graph, outputs, samples, reference, **given)


def of_file(path, draw, **given):
    made = normal_form(load(path, sha256_file(path)), {}, 1)
    return requested(made.model, made.inputs, made.outputs, draw, **given)


def of_graph(graph, draw=normal, **given):
    made = normal_form(graph, {}, 1)
    return requested(made.model, made.inputs, made.outputs, draw, **given)


@pytest.mark.parametrize(
    ("path", "draw"),
    [
        (DIGITS, pixels),
        (ZOO / "batch_norm.onnx", normal),
        (ZOO / "conv_average.onnx", normal),
        (ZOO / "conv_max.onnx", normal),
        (ZOO / "residual.onnx", normal),
        (ZOO / "leaky_relu.onnx", normal),
        (ZOO / "tanh.onnx", normal),
        (ZOO / "gelu.onnx", normal),
        (ZOO / "sklearn_linear.onnx", normal),
        (ZOO / "sklearn_forest_regressor.onnx", small),
        (ZOO / "xgboost_regressor.onnx", small),
        (ZOO / "lightgbm_regressor.onnx", small),
    ],
    ids=lambda value: getattr(value, "stem", ""),
)
def test_recipe_meets_the_budget(path, draw):
    request = of_file(path, draw)
    best, tried = search(request)
    assert request.budget.met_by(best.fidelity)
    assert tried[-1].recipe == best.recipe
    assert all(trial.shape.chunk_bits == trial.recipe.chunk_bits for trial in tried)
    assert AshlarRecipe.parse(best.recipe.to_run_arguments()) == best.recipe


def test_recipe_alone_rebuilds_the_circuit_and_its_answers():
    request = of_file(ZOO / "conv_max.onnx", normal, count=20)
    best, _ = search(request)
    recipe = AshlarRecipe.parse(best.recipe.to_run_arguments())
    made = draft(plan(request.model, listed=not isinstance(recipe.input.scale, int)), recipe)
    made_again = assemble(made, recipe)
    assert made_again.code == assemble(best.draft, best.recipe).code
    assert made_again.shape == best.shape
    [answers] = ForwardPass(made).run(quantised(request.samples, recipe.input))
    spec = request.outputs[0].model_copy(update={"scale": made.outputs[0].scale})
    numbers = np.stack([dequantise(answer.tolist(), spec) for answer in answers])
    spread = np.ptp(request.reference[spec.name])
    assert np.abs(numbers - request.reference[spec.name]).max() < 0.05 * spread


def test_stricter_budget_takes_wider_activations():
    widths = []
    for error in (0.05, 0.003):
        best, _ = search(of_file(ZOO / "dense.onnx", normal, budget=Budget(max_error=error)))
        widths.append(max(entry[1] for entry in best.recipe.activations.values()))
    assert widths[0] < widths[1]


def test_budget_that_no_recipe_meets_is_refused_with_what_was_tried():
    with pytest.raises(BudgetError, match=r"None of \d+ recipes meets the budget; the best.*is allowed") as caught:
        search(of_file(ZOO / "dense.onnx", normal, budget=Budget(max_error=1e-6)))
    assert len(caught.value.options) >= 8
    assert "--max-error" in caught.value.cure


def test_budget_that_is_missed_by_the_margin_alone_asks_for_more_samples():
    request = of_file(ZOO / "dense.onnx", normal, count=4, effort="quick")
    least = search(replace(request, budget=Budget(max_error=0.5)))[0].fidelity.decisive_error
    with pytest.raises(BudgetError) as caught:
        search(replace(request, budget=Budget(max_error=least / 5)))
    assert "--effort normal" in caught.value.cure
    tried = [trial.fidelity.decisive_error for trial in caught.value.options]
    with pytest.raises(BudgetError) as caught:
        search(replace(request, budget=Budget(max_error=1.1 * min(tried))))
    assert "more than 4 calibration samples" in caught.value.cure


def credit(scales, count=3):
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(len(scales), count))
    nodes = [
        ("Sub", "x mean", "c"),
        ("Div", "c std", "s"),
        ("Gemm", "s w b", "g"),
        ("Relu", "g", "r"),
        ("Gemm", "r v", "y"),
    ]
    mean = np.float32(scales) * rng.normal(size=len(scales))
    constants = {
        "mean": mean,
        "std": np.float32(scales),
        "w": weights,
        "b": rng.normal(size=count),
        "v": rng.normal(size=(count, 2)),
    }

    def draw(shape, rng, number):
        return mean + np.float32(scales) * rng.normal(size=(number, *shape))

    return model([1, len(scales)], "y", *nodes, **constants), draw


def test_raw_features_of_unlike_size_have_scales_of_their_own():
    graph, draw = credit([1e-3, 1.0, 250.0, 1e6])
    request = of_graph(graph, draw)
    best, _ = search(request)
    assert len(best.recipe.input.scales) == 4
    assert max(best.recipe.input.scales) - min(best.recipe.input.scales) > 25
    integers = quantised(request.samples, best.recipe.input)
    assert np.abs(integers).max() < (1 << best.recipe.input.bits - 1) // 2 + 1  # the margin


def test_wide_layer_is_saturated_in_two_blocks_where_it_must_be():
    rng = np.random.default_rng(5)
    weights = np.where(rng.random((1024, 4)) < 0.5, 1, -1) * rng.uniform(0.5, 1, (1024, 4))
    nodes = [("MatMul", "x w", "g"), ("Relu", "g", "r"), ("MatMul", "r v", "y")]
    graph = model([1, 1024], "y", *nodes, w=weights, v=rng.normal(size=(4, 2)))
    best, _ = search(of_graph(graph, budget=Budget(max_error=0.004)))
    assert len(best.recipe.saturate) == 1
    assert all(bound.k <= 16 for bound in assemble(best.draft, best.recipe).bounds.blocks)


def test_integers_keep_their_scale():
    nodes = [("Cast", "x", "f", {"to": 1}), ("MatMul", "f w", "y")]
    graph = model([1, 4], "y", *nodes, kind=2, w=np.random.default_rng(1).normal(size=(4, 2)))
    best, _ = search(of_graph(graph, lambda shape, rng, count: rng.integers(0, 256, (count, *shape))))
    assert (best.recipe.input.scale, best.recipe.input.bits, best.recipe.input.signed) == (0, 8, False)


def test_other_forward_pass_is_used_where_one_is_given():
    calls = []

    def forward(made):
        calls.append(made)
        return ForwardPass(made).run

    search(of_file(ZOO / "dense.onnx", normal, forward=forward))
    assert calls


class Limits:
    """Limits that refuse after so many recipes, or what takes more than so many bytes."""

    def __init__(self, tried=99, memory=10**12):
        self.tried, self.memory, self.fractions = tried, memory, []

    def refuse_late(self, tried):
        if tried >= self.tried:
            raise TooCostlyError(f"late after {tried}")

    def refuse_costly(self, work):
        if work.memory_bytes > self.memory:
            raise TooCostlyError(f"{work.memory_bytes} bytes")

    def report(self, fraction):
        self.fractions.append(fraction)


def test_search_whose_time_has_passed_ends_with_what_was_tried():
    request = of_file(ZOO / "dense.onnx", normal, budget=Budget(max_error=1e-6), limits=Limits(tried=2))
    with pytest.raises(TooCostlyError, match="late after 2"):
        search(request)


def test_recipe_that_takes_too_much_memory_is_not_chosen():
    request = of_file(ZOO / "tanh.onnx", normal, budget=Budget(max_error=0.5))
    usual = estimate(search(request)[0].shape).memory_bytes
    with pytest.raises(TooCostlyError, match="bytes"):
        search(replace(request, limits=Limits(memory=usual // 100)))
    assert search(replace(request, limits=Limits(memory=usual)))[0].recipe == search(request)[0].recipe


def test_progress_grows_and_ends_with_the_last_group():
    limits = Limits()
    with pytest.raises(BudgetError):
        search(of_file(ZOO / "dense.onnx", normal, budget=Budget(max_error=1e-6), limits=limits))
    assert limits.fractions == sorted(limits.fractions)
    assert limits.fractions[-1] == 1


def test_quick_search_tries_fewer_recipes():
    tried = {}
    for effort in ("quick", "normal"):
        request = of_file(ZOO / "dense.onnx", normal, budget=Budget(max_error=1e-6), effort=effort)
        with pytest.raises(BudgetError) as caught:
            search(request)
        tried[effort] = len(caught.value.options)
    assert tried["quick"] < tried["normal"] / 2


def test_network_that_is_not_supported_is_refused():
    path = ZOO / "softmax.onnx"
    with pytest.raises(UnsupportedModelError, match="Softmax"):
        of_file(path, normal)


def test_choice_is_the_same_twice():
    first, second = (search(of_file(ZOO / "dense.onnx", normal))[0].recipe for _ in range(2))
    assert first == second
