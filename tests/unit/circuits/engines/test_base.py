import pytest
from pydantic import ValidationError

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.engines.base import Program, Slot, slots_in_order
from zkinfer.circuits.tensors import TensorSpec


def spec(name, shape, visibility="public"):
    return TensorSpec(name=name, dtype="float32", shape=shape, visibility=visibility)


def layout(visibility):
    inputs = [spec("a", (1, 3), visibility), spec("b", (2, 2), visibility)]
    slots = slots_in_order(inputs, [spec("y", (1, 2)), spec("z", ())])
    return [(slot.role, slot.name, slot.start, slot.count, slot.hashed) for slot in slots]


def test_public_layout_is_context_inputs_outputs():
    assert layout("public") == [
        ("context", "ctx", 0, 5, False),
        ("input", "a", 5, 3, False),
        ("input", "b", 8, 4, False),
        ("output", "y", 12, 2, False),
        ("output", "z", 14, 1, False),
    ]


def test_hashed_layout_is_digests_outputs_context():
    assert layout("hashed") == [
        ("context-digest", "ctx", 0, 1, True),
        ("input", "a", 1, 1, True),
        ("input", "b", 2, 1, True),
        ("output", "y", 3, 2, False),
        ("output", "z", 5, 1, False),
        ("context", "ctx", 6, 5, False),
    ]


def test_private_layout_is_outputs_context():
    assert layout("private") == [
        ("output", "y", 0, 2, False),
        ("output", "z", 2, 1, False),
        ("context", "ctx", 3, 5, False),
    ]


def program(**changes):
    slots = slots_in_order([spec("a", (1, 3))], [spec("y", (1, 2))])
    usual = {"inputs": (), "outputs": (), "slots": slots, "rows": 5, "log_rows": 3, "integer_limit": 8}
    return Program(**usual | changes)


def test_instance_count_is_that_of_all_slots():
    assert program().instance_count == 10
    assert program(slots=()).instance_count == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", -1),
        ("rows", 5.0),
        ("log_rows", -1),
        ("log_rows", 29),
        ("integer_limit", 0),
        ("integer_limit", (1 << 63) + 1),
    ],
)
def test_program_out_of_bounds_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        program(**{name: value})


@pytest.mark.parametrize(
    "change",
    [{"role": "weights"}, {"start": -1}, {"count": 0}, {"hashed": 1}, {"name": None}, {"comment": ""}],
    ids=str,
)
def test_slot_out_of_its_form_is_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        Slot(**{"role": "input", "name": "x", "start": 0, "count": 1} | change)


def test_production_engines_prove_something_and_are_named_by_their_ids():
    engines = production_engines()
    assert set(engines) == {"ezkl/23.0.5"}
    assert all(engine.production and engine.id == name for name, engine in engines.items())
