import pytest

from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import EngineError

GOOD = EzklArguments(
    input_scale=7, param_scale=7, decomp_base=512, decomp_legs=3, lookup_range=(-10, 20), logrows=12
).to_run_arguments()


def parse(**changes):
    return EzklArguments.parse(GOOD | changes)


def test_published_form_is_pinned():
    assert GOOD == {
        "input_scale": 7,
        "param_scale": 7,
        "decomp_base": 512,
        "decomp_legs": 3,
        "lookup_range": [-10, 20],
        "logrows": 12,
        "num_inner_cols": 2,
        "scale_rebase_multiplier": 1,
        "input_visibility": "public",
        "output_visibility": "public",
        "param_visibility": "fixed",
        "disable_freivalds": True,
        "ignore_range_check_inputs_outputs": False,
        "bounded_log_lookup": False,
        "rebase_frac_zero_constants": False,
        "check_mode": "unsafe",
    }


def test_published_form_round_trips():
    assert EzklArguments.parse(GOOD).to_run_arguments() == GOOD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("param_visibility", value) for value in ("private", "public", "hashed", "Fixed", None)),
        *(("output_visibility", value) for value in ("private", "hashed", "fixed", None)),
        *(("input_visibility", value) for value in ("fixed", "encrypted", "Public", "", None)),
        *(("ignore_range_check_inputs_outputs", value) for value in (True, "false", None)),
        *(("disable_freivalds", value) for value in (False, "true", None)),
        *(("bounded_log_lookup", value) for value in (True, None)),
        *(("rebase_frac_zero_constants", value) for value in (True, None)),
        *(("check_mode", value) for value in ("safe", "", None)),
    ],
)
def test_argument_that_would_weaken_the_circuit_is_refused(name, value):
    with pytest.raises(EngineError, match=f"Run argument '?{name}'? is not acceptable"):
        parse(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("disable_freivalds", 1),
        ("ignore_range_check_inputs_outputs", 0),
        ("bounded_log_lookup", 0),
        ("rebase_frac_zero_constants", 0.0),
    ],
)
def test_number_for_a_boolean_is_refused(name, value):
    with pytest.raises(EngineError, match=name):
        parse(**{name: value})


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_argument_is_refused_even_if_it_has_a_default(name):
    rest = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(EngineError, match=f"Run argument '?{name}'? is not acceptable|are incomplete: {name}"):
        EzklArguments.parse(rest)


@pytest.mark.parametrize("name", ["variables", "epsilon", "commitment", "Logrows", "", "a\nb", "x" * 10_000])
def test_unknown_argument_is_refused(name):
    with pytest.raises(EngineError, match="is not acceptable: Extra inputs are not permitted") as refusal:
        parse(**{name: 1})
    assert len(str(refusal.value)) < 300
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("input_scale", 1, 20),
        ("param_scale", 1, 20),
        ("decomp_base", 2, 1 << 16),
        ("logrows", 6, 24),
        ("num_inner_cols", 1, 16),
        ("scale_rebase_multiplier", 1, 3),
    ],
)
def test_number_is_accepted_at_its_bounds_and_refused_beyond(name, low, high):
    others = {"decomp_base": 32, "decomp_legs": 3, "logrows": 17 if name == "decomp_base" else 12}
    for value in (low, high):
        assert getattr(parse(**others | {name: value}), name) == value
    for value in (low - 1, high + 1, float(low), str(low), True, None):
        with pytest.raises(EngineError, match=f"{name}|not in canonical form"):
            parse(**others | {name: value})


@pytest.mark.parametrize("change", [{"decomp_base": 1 << 16, "logrows": 12}, {"lookup_range": [-9000, 9000]}])
def test_tables_that_need_many_blocks_are_refused(change):
    """A circuit of a thousand columns would cost an auditor hours and gigabytes."""
    with pytest.raises(EngineError, match=r"tables that do not fit four blocks of 2\^12 rows"):
        parse(**change)


@pytest.mark.parametrize("change", [{"decomp_base": 512, "decomp_legs": 8}, {"decomp_base": 60_000, "decomp_legs": 4}])
def test_range_beyond_63_bits_is_refused(change):
    """Products of such values can wrap around the field."""
    with pytest.raises(EngineError, match="cover more than 63 bits"):
        parse(**change, logrows=17)


@pytest.mark.parametrize("multiplier", [0, 4, 16, 1.0, True])
def test_late_rescaling_beyond_the_bound_is_refused(multiplier):
    with pytest.raises(EngineError, match=r"scale_rebase_multiplier|not in canonical form"):
        parse(scale_rebase_multiplier=multiplier)


@pytest.mark.parametrize("legs", [0, 9, -1, 1.0])
def test_number_of_legs_out_of_bounds_is_refused(legs):
    with pytest.raises(EngineError, match="decomp_legs"):
        parse(decomp_legs=legs)


@pytest.mark.parametrize(
    "value",
    [[1, 2], [-2, -1], [2, -2], [0], [0, 0, 0], [0.0, 1.0], "0", None, 3],
    ids=str,
)
def test_malformed_lookup_range_is_refused(value):
    with pytest.raises(EngineError, match="lookup_range"):
        parse(lookup_range=value)


@pytest.mark.parametrize("value", [[0, 0], [-8000, 8000], [0, 1], [-1, 0]])
def test_lookup_range_within_bounds_is_accepted(value):
    assert list(parse(lookup_range=value).lookup_range) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"7", {1, 2}], ids=repr)
def test_argument_that_is_not_json_is_refused(value):
    with pytest.raises(EngineError, match=r"input_scale|JSON"):
        parse(input_scale=value)


@pytest.mark.parametrize(("base", "legs", "limit"), [(512, 3, 1 << 27), (2, 1, 2), (1024, 2, 1 << 20)])
def test_integer_limit_is_base_to_the_legs(base, legs, limit):
    assert parse(decomp_base=base, decomp_legs=legs).integer_limit == limit


@pytest.mark.parametrize(("multiplier", "legs"), [(1, 7), (2, 5), (3, 3)])
def test_range_shrinks_with_later_rescaling(multiplier, legs):
    assert parse(decomp_legs=legs, scale_rebase_multiplier=multiplier).decomp_legs == legs
    with pytest.raises(EngineError, match="cover"):
        parse(decomp_legs=legs + 1, scale_rebase_multiplier=multiplier)


def _lesser(*, whole_inputs=False, **changes):
    names = ("scale_rebase_multiplier", "input_scale", "param_scale")
    found = parse(decomp_base=32, **changes).lesser(whole_inputs=whole_inputs)
    return [tuple(getattr(one, name) for name in names) for one in found]


def test_lesser_arguments_are_in_ascending_order_and_keep_the_scale_of_float_inputs():
    found = _lesser(scale_rebase_multiplier=2)
    assert found == sorted(found) == [*((1, 7, scale) for scale in range(7, 15)), (2, 7, 6)]


def test_lesser_arguments_come_as_near_as_possible_to_the_threshold_of_rescaling():
    found = set(_lesser(scale_rebase_multiplier=3))
    assert {(2, 7, 10), (2, 7, 11), (1, 7, 20)} <= found  # 21 itself is beyond the largest scale
    assert not {(2, 7, 12), (1, 7, 21)} & found


def test_lesser_arguments_of_whole_inputs_vary_their_scale():
    found = _lesser(whole_inputs=True, input_scale=9)
    assert {(1, 8, 7), (1, 7, 9), (1, 9, 6)} == set(found)
    assert {(2, 13, 7), (2, 14, 7), (1, 20, 7)} <= set(
        _lesser(whole_inputs=True, input_scale=9, scale_rebase_multiplier=3)
    )


def test_least_arguments_of_all_have_no_lesser_ones():
    assert _lesser(whole_inputs=True, input_scale=1, param_scale=1) == []
