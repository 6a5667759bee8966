import pytest
from pydantic import ValidationError

from zkinfer.circuits.engines import DEFAULT_ENGINE, ENGINES, engine_named, production_engines
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.statement import Layout
from zkinfer.circuits.tensors import TensorSpec

SPEC = TensorSpec(name="a", dtype="float32", shape=(1, 3))
LAYOUT = Layout.of([SPEC], [SPEC], least=-7, largest=7, signed=True)


def program(**changes):
    usual = {"inputs": (SPEC,), "outputs": (SPEC,), "layout": LAYOUT, "setup_size": 3, "integer_limit": 8}
    return Program(**usual | {"figures": {"rows": 1234}} | changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("setup_size", -1), ("setup_size", 29), ("setup_size", 5.0), ("integer_limit", 0), ("inputs", ()),
        ("integer_limit", (1 << 63) + 1), ("outputs", ()), ("figures", {str(n): n for n in range(17)}),
        ("layout", None),
    ],
)  # fmt: skip
def test_program_out_of_bounds_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        program(**{name: value})


def test_figures_are_formatted_on_one_line():
    assert program(figures={"rows": 3371, "log2(rows)": 11}).describe_figures() == "rows 3,371, log2(rows) 11"


def test_registered_engines_are_production_engines_named_by_id():
    engines = production_engines()
    assert set(engines) == {"ezkl/23.0.5", "ashlar/0.1.0"}
    assert all(engine.production and engine.id == name for name, engine in engines.items())
    assert {name.partition("/")[0] for name in engines} == set(ENGINES)


@pytest.mark.parametrize("name", [DEFAULT_ENGINE, "ezkl/23.0.5"])
def test_engine_is_found_by_name_or_id(name):
    assert engine_named(name, Limits.for_verifying()).id == "ezkl/23.0.5"


@pytest.mark.parametrize("name", ["", "fake", "fake/1", "Ezkl", "../ezkl"])
def test_unknown_engine_is_refused_with_the_available_ones(name):
    with pytest.raises(InputError, match=r"There is no engine .* Choose one of: ezkl"):
        engine_named(name)
