from dataclasses import replace

import pytest

from zkinfer.client.models import ModelCost, ModelFidelity, ServedModel
from zkinfer.ui.charts import cost_rows, error_scale

FIDELITY = ModelFidelity("held-out", 100, 1.0, 1e-6, 1e-3, 1.0, None, None)
COST = ModelCost(2.0, 1_000_000, 4000, 500_000)
MODEL = ServedModel("m", "1", True, True, "", "", "", "", "", (), (), (), COST, FIDELITY)


def test_scale_is_logarithmic():
    scale = error_scale(FIDELITY)
    assert [mark.x for mark in scale.marks] == [30.0, 180.0, 330.0]
    assert [tick.text for tick in scale.ticks] == ["0.0001%", "0.01%", "1%", "100%"]


@pytest.mark.parametrize(("error", "x"), [(0.0, 30.0), (1e-9, 30.0), (7.0, 330.0)])
def test_error_beyond_the_scale_lies_on_its_end(error, x):
    assert error_scale(replace(FIDELITY, error_p50=error)).marks[0].x == x


def test_costs_are_compared_with_the_costliest_model():
    dear = replace(MODEL, cost=ModelCost(4.0, 2_000_000, 4000, 1_000_000))
    assert [row.share for row in cost_rows(MODEL, [MODEL, dear])] == [0.5, 0.5, 1.0, 0.5]
    assert [row.text for row in cost_rows(MODEL, [MODEL])] == ["2 s", "1 MB", "4 kB", "500,000"]


def test_time_that_was_not_measured_has_no_bar():
    unknown = replace(MODEL, cost=replace(COST, seconds=None))
    assert (cost_rows(unknown, [unknown, MODEL])[0].share, cost_rows(unknown, [unknown])[0].text) == (0.0, "")


def test_unavailable_model_has_no_costs():
    assert cost_rows(replace(MODEL, cost=None), [MODEL]) == ()
