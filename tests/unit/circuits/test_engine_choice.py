from dataclasses import replace

import pytest
from tests.unit.circuits.factories import DEV, engine_with

from zkinfer.circuits.cost import Work
from zkinfer.circuits.engine_choice import by_cost, candidates, compile_cheapest
from zkinfer.circuits.engines.base import Engine
from zkinfer.circuits.errors import BudgetError, ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import Finding

WORK = Work(keys=0.0, prove=1.0, memory_bytes=1000, proving_key_bytes=0, proof_bytes=32, gas=100)
FINDING = Finding(node="a", cause="Operator A is not supported (node 'a').", cure="Use B.")


class Notes:
    def __init__(self):
        self.notes = []

    def progress(self, stage, fraction):
        pass

    def note(self, text):
        self.notes.append(text)


def engine(prove=1.0, gas=100, *, unavailable="", **calls) -> Engine:
    made = engine_with(least_work=lambda _: replace(WORK, prove=prove, gas=gas), **calls)
    made.unavailable = unavailable
    return made


def fails(error):
    def call(*_arguments, **_options):
        raise error

    return call


@pytest.fixture
def cheapest(tiny_model, own_home, memory, tmp_path, in_process):
    def call(engines, **changes):
        seen = Notes()
        made = compile_cheapest(
            tiny_model, tmp_path / "out", engines=engines, home=own_home, options=replace(DEV, **changes), observer=seen
        )
        return made, seen.notes

    return call


def test_candidates_are_ranked_by_the_objective(tiny_model, in_process):
    found = candidates(tiny_model, {"one": engine(prove=2, gas=100), "two": engine(prove=1, gas=200)})
    assert [one.name for one in by_cost(found, "latency")] == ["two", "one"]
    assert [one.name for one in by_cost(found, "gas")] == ["one", "two"]


@pytest.mark.parametrize(
    ("blocked", "said"),
    [
        (
            engine(supports=lambda *_, **__: (FINDING, FINDING)),
            "Operator A is not supported (node 'a'). Use B. (1 more)",
        ),
        (engine(supports=fails(ModelError("It is no model.", "Export it."))), "It is no model. Export it."),
        (engine(unavailable="Its core is not installed."), "Its core is not installed."),
    ],
)
def test_blocked_engine_is_left_out_with_the_reason(tiny_model, in_process, blocked, said):
    [one] = candidates(tiny_model, {"blocked": blocked})
    assert (one.obstacle, by_cost((one,), "latency")) == (said, [])


def test_engine_that_needs_a_model_of_scores_is_told_with_the_whole_command(tmp_path, tiny_model, in_process):
    cure = "`zkinfer scores MODEL.onnx` writes the model without its labels."
    finding = Finding(node="p", cause="Operator Softmax (node 'p') is refused.", cure=cure)
    model = tmp_path / "my model.onnx"
    model.write_bytes(tiny_model.read_bytes())
    [one] = candidates(model, {"blocked": engine(supports=lambda *_, **__: (finding,))})
    command = f"`zkinfer scores '{model}' --out 'my model-scores.onnx'` writes the model without its labels."
    assert one.obstacle == f"Operator Softmax (node 'p') is refused. {command}"


def test_cheapest_engine_compiles_and_the_choice_is_told(cheapest):
    made, notes = cheapest({"dear": engine(prove=2), "cheap": engine(), "absent": engine(unavailable="No core.")})
    assert made.circuit.manifest.recipe.engine == "fake/1"
    assert notes[:2] == [
        "absent is not offered: No core.",
        "engine cheap, the cheapest: a proof takes at least 0.7 s, 1 kB of memory and 100 gas",
    ]


def test_engine_without_a_circuit_within_the_budget_gives_way_to_the_next(cheapest):
    made, notes = cheapest(
        {"cheap": engine(tune=fails(BudgetError("It misses the budget.", "", ()))), "dear": engine(2)}
    )
    assert made.circuit.manifest.recipe.engine == "fake/1"
    assert "cheap has no circuit within the budget: It misses the budget." in notes


def test_no_engine_within_the_budget_raises_the_last_reason(cheapest):
    failing = {name: engine(tune=fails(BudgetError(f"{name} misses it.", "", ()))) for name in ("one", "two")}
    with pytest.raises(BudgetError, match="two misses it"):
        cheapest(failing)


def test_no_engine_at_all_is_refused_with_the_reason_of_each(cheapest):
    with pytest.raises(UnsupportedModelError, match=r"one: No core\. two: Operator A"):
        cheapest({"one": engine(unavailable="No core."), "two": engine(supports=lambda *_, **__: (FINDING,))})
