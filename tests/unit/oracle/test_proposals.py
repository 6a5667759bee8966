from dataclasses import replace

import pytest
from tests.unit.oracle import volatility
from tests.vectors.make_feeds import word

from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.proposals import Terms, propose_feed, propose_recipe, proposed_max_age
from zkinfer.oracle.sources.settings import SourceSettings

pytestmark = pytest.mark.slow
TERMS = Terms(listing=word(1), owner="0x" + "33" * 20, description="WTI volatility")


@pytest.fixture(scope="module")
def circuit(run_folder):
    return volatility.circuit_in(run_folder)


def settings(**changes):
    return SourceSettings.of({"file": "prices.json", "select": "prices[*].close", **changes})


def closes():
    return [str(one) for one in volatility.closes()]


@pytest.mark.parametrize(
    ("tick", "heartbeat", "sourced", "age"),
    [
        (60, 3600, False, 600),
        (1, 60, False, 600),
        (3600, 86400, False, 36000),
        (60, 3600, True, 7200),
        (60, 60, True, 600),
    ],
)
def test_maximum_age_follows_from_tick_and_heartbeat(tick, heartbeat, sourced, age):
    assert proposed_max_age(tick, heartbeat, sourced=sourced) == age


def test_recipe_fits_the_circuit(circuit):
    found = propose_recipe(circuit, settings(form="return"), closes())
    found.require_circuit(circuit)
    assert (found.count, found.observed, found.form, found.tolerance) == (24, 25, "return", "0.005")


@pytest.mark.parametrize(
    ("numbers", "bounds"),
    [
        (["46.92", "74.44"], ("1", "1000")),
        (["0.5"], ("0.01", "10")),
        (["1000", "1001"], ("100", "100000")),
        (["-3", "20"], ("-1000", "1000")),
        (["0"], ("-10", "10")),
    ],
)
def test_bounds_of_the_source_are_powers_of_ten_around_it(circuit, numbers, bounds):
    assert propose_recipe(circuit, settings(), numbers).bounds == bounds


def test_settings_take_precedence(circuit):
    found = propose_recipe(circuit, settings(bounds=[20, 200], tolerance="1%"), closes())
    assert (found.bounds, found.tolerance) == (("20", "200"), "0.01")


@pytest.mark.parametrize(("changes", "numbers"), [({}, []), ({"count": 23}, ["1"]), ({"form": "return"}, ["-1", "1"])])
def test_recipe_that_is_impossible_is_refused(circuit, changes, numbers):
    with pytest.raises(RecipeError):
        propose_recipe(circuit, settings(**changes), numbers)


def test_series_with_another_value_is_refused(circuit):
    with pytest.raises(SourceError, match="not a number"):
        propose_recipe(circuit, settings(), ["1", "x"])


def test_bounds_and_tolerance_come_from_the_fidelity_report(circuit):
    report = circuit.manifest.fidelity
    spec = propose_feed(circuit, volatility.recipe_of(circuit), TERMS).spec
    (column,) = report.columns
    assert spec.least == 0
    assert spec.most == pytest.approx((2 * column.high - column.low) * 1e8, abs=1)
    assert spec.tolerance == pytest.approx(report.absolute_max * 1e8, abs=1)


def test_terms_take_precedence(circuit):
    terms = replace(TERMS, least=5, most=6, tolerance=7, decimals=2, tick=10, heartbeat=20, max_age=30)
    spec = propose_feed(circuit, volatility.recipe_of(circuit), terms).spec
    assert (spec.least, spec.most, spec.tolerance, spec.decimals) == (5, 6, 7, 2)
    assert (spec.tick, spec.heartbeat, spec.max_age) == (10, 20, 30)


def test_tolerance_is_at_least_a_unit_of_the_output(circuit):
    coarse = propose_feed(circuit, volatility.recipe_of(circuit), replace(TERMS, decimals=0)).spec
    assert coarse.tolerance == 1


def test_output_that_does_not_exist_is_refused(circuit):
    with pytest.raises(RecipeError, match="no output 1"):
        propose_feed(circuit, volatility.recipe_of(circuit), replace(TERMS, output=1))


def test_output_without_a_reported_range_needs_bounds(circuit):
    fidelity = circuit.manifest.fidelity.model_copy(update={"columns": ()})
    silent = replace(circuit, manifest=circuit.manifest.model_copy(update={"fidelity": fidelity}))
    with pytest.raises(RecipeError, match="does not tell the range"):
        propose_feed(silent, volatility.recipe_of(circuit), TERMS)
    assert propose_feed(silent, volatility.recipe_of(circuit), replace(TERMS, least=1, most=2)).spec.most == 2
