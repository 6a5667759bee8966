import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zkinfer.circuits.frontend import Layer, Workload


def layer(multiplications, elements=0, name="layer", operator="Conv"):
    return Layer(name=name, operator=operator, multiplications=multiplications, elements=elements)


def workload(*layers):
    return Workload(
        multiplications=sum(one.multiplications for one in layers),
        elements=sum(one.elements for one in layers),
        heaviest=layers,
    )


@pytest.mark.parametrize(("multiplications", "elements", "weight"), [(9, 4, 9), (0, 4, 4), (0, 0, 0)])
def test_layer_weight_is_its_products_or_else_its_results(multiplications, elements, weight):
    assert layer(multiplications, elements).weight == weight


def test_costliest_layers_are_listed_with_their_shares():
    text = workload(layer(9000, 500, "conv1"), layer(0, 500, "act", "Relu")).costliest_layers()
    assert text == (
        "Of its 9,000 multiplications and 1,000 results of other operations most are in: "
        "Conv conv1 (9,000, 90%), Relu act (500, 5%)."
    )


def test_summary_without_multiplications_does_not_mention_them():
    text = workload(layer(0, 500, "act", "Relu")).costliest_layers()
    assert text == "Of its 500 results of other operations most are in: Relu act (500, 100%)."


@pytest.mark.parametrize(("multiplications", "elements", "cells"), [(9, 4, 9), (0, 4, 4), (0, 0, 0)])
def test_model_takes_a_cell_for_every_product_or_result(multiplications, elements, cells):
    assert workload(layer(multiplications, elements)).cells == cells


def test_costliest_layers_are_at_most_five():
    text = workload(*(layer(10, name=f"n{place}") for place in range(8))).costliest_layers()
    assert [place for place in range(8) if f"n{place}" in text] == [0, 1, 2, 3, 4]


def test_long_names_are_truncated():
    assert len(workload(layer(5, name="x" * 5000)).costliest_layers()) < 200


@pytest.mark.parametrize("layers", [(), (layer(0, 0),)])
def test_model_without_operators_lists_no_layers(layers):
    assert workload(*layers).costliest_layers() == ""


@given(counts=st.lists(st.tuples(st.integers(0, 1 << 50), st.integers(0, 1 << 50)), max_size=8))
def test_every_workload_is_formatted_on_one_line(counts):
    text = workload(*(layer(*count) for count in counts)).costliest_layers()
    assert bool(text) == any(max(count) for count in counts)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [({"multiplications": 1.0}, "valid integer"), ({"name": None}, "valid string"), ({"flops": 2}, "Extra inputs")],
)
def test_malformed_layer_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Layer(**{"name": "a", "operator": "Conv", "multiplications": 1, "elements": 1} | change)


def test_workload_round_trips():
    load = workload(layer(9, 5), layer(3, 1))
    assert Workload.model_validate_json(load.model_dump_json()) == load


@pytest.mark.parametrize("name", ["multiplications", "heaviest"])
def test_workload_is_immutable(name):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(workload(), name, ())
