"""Every pass, alone and with the others, against onnxruntime on graphs that hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, reject, settings
from tests.unit.circuits.frontend.random_graphs import random_graphs

from zkinfer.circuits.engines.ezkl.lowering.pipeline import LOWERING, normal_form
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.graph import copy
from zkinfer.circuits.frontend.passes import pipeline
from zkinfer.circuits.frontend.prune import pruned, serialised
from zkinfer.circuits.frontend.runtime import difference, samples

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", LOWERING.passes)
@FEW
@given(model=random_graphs())
def test_pass_alone_keeps_the_answers(name, model):
    before = pipeline.fixed_point(copy(model), LOWERING)
    inputs, outputs = shapes.specs(before)
    after = copy(before)
    while LOWERING.passes[name](after):
        after = shapes.inferred(pruned(after))
    assert shapes.specs(after) == (inputs, outputs)
    assert difference(model, after, samples(inputs, 7)) is None


@FEW
@given(model=random_graphs())
def test_passes_together_keep_the_answers_and_find_nothing_more_to_do(model):
    try:
        normal = normal_form(model, {}, 7)[0]
    except UnsupportedModelError:  # two outputs that are one value
        reject()
    again = normal_form(normal, {}, 7)[0]
    assert serialised(again) == serialised(normal)
