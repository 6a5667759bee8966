import pytest
from tests.unit.ui.test_server_values import MODEL as DOCUMENT

from zkinfer.ui.charts import cost_rows, error_scale
from zkinfer.ui.server_values import ServedModel


def with_cost(**changes):
    return ServedModel.model_validate(DOCUMENT | {"cost": DOCUMENT["cost"] | changes})


MODEL = with_cost(prove_duration="2s")
FIDELITY = MODEL.fidelity


def test_scale_is_logarithmic():
    scale = error_scale(FIDELITY)
    assert [mark.x for mark in scale.marks] == [30.0, 180.0, 330.0]
    assert [tick.text for tick in scale.ticks] == ["0.0001%", "0.01%", "1%", "100%"]


@pytest.mark.parametrize(("error", "x"), [(0.0, 30.0), (1e-9, 30.0), (7.0, 330.0)])
def test_error_beyond_the_scale_lies_on_its_end(error, x):
    assert error_scale(FIDELITY.model_copy(update={"error_p50": error})).marks[0].x == x


def test_costs_are_compared_with_the_costliest_model():
    dear = with_cost(prove_duration="4s", memory_bytes=2_000_000, gas=1_000_000)
    assert [row.share for row in cost_rows(MODEL, [MODEL, dear])] == [0.5, 0.5, 1.0, 0.5]
    assert [row.text for row in cost_rows(MODEL, [MODEL])] == ["2 s", "1 MB", "4 kB", "500,000"]


def test_time_that_was_not_measured_has_no_bar():
    unknown = with_cost(prove_duration=None)
    assert (cost_rows(unknown, [unknown, MODEL])[0].share, cost_rows(unknown, [unknown])[0].text) == (0.0, "")


def test_unavailable_model_has_no_costs():
    assert cost_rows(MODEL.model_copy(update={"cost": None}), [MODEL]) == ()
