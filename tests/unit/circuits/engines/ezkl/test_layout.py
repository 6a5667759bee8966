"""Counted columns against measured sizes, whose origin `measured.py` describes."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.circuits.engines.ezkl.measured import circuits_with, layout_measured, name_of

from zkinfer.circuits.engines.ezkl.layout import Layout, layout_as_built, layout_of, min_log_rows
from zkinfer.circuits.engines.ezkl.run_args import RESERVED_ROWS, EzklArguments

SETTINGS = {
    "run_args": {"decomp_base": 512, "logrows": 10, "num_inner_cols": 2, "lookup_range": [0, 0]},
    "required_lookups": [],
    "required_range_checks": [[-1, 1], [0, 511]],
    "model_instance_shapes": [[1, 5], [1, 3], [1, 2]],
    "total_assignments": 1000,
    "total_const_size": 40,
    "total_dynamic_col_size": 0,
    "total_shuffle_col_size": 0,
    "num_dynamic_lookups": 0,
    "num_shuffles": 0,
    "module_sizes": {"poseidon": [0, [0]]},
}
USABLE = (1 << 10) - RESERVED_ROWS
SMALL = Layout(
    log_rows=10,
    blocks=1,
    inner=2,
    constants=1,
    range_parts=(1, 1),
    functions=0,
    function_parts=0,
    searches=0,
    instances=10,
)


def built(**changes):
    return layout_as_built(SETTINGS | changes)


def under(settings=SETTINGS, **changes):
    usual = {"decomp_base": 512, "decomp_legs": 3, "logrows": 10, "lookup_range": (0, 0)}
    return layout_of(settings, EzklArguments(input_scale=7, param_scale=7, **usual | changes))


# --- as measured


@pytest.mark.parametrize("circuit", circuits_with("proving_key_bytes"), ids=name_of)
def test_proving_key_size_is_as_measured(circuit):
    wanted = circuit["measured"]["proving_key_bytes"]
    assert layout_measured(circuit).proving_key_bytes == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("circuit", circuits_with("proof_bytes"), ids=name_of)
def test_proof_size_is_as_measured(circuit):
    layout = layout_measured(circuit)
    tolerance = 0.02 if layout.inner <= 4 else 0.03  # never chosen: more than four columns
    assert layout.proof_bytes == pytest.approx(circuit["measured"]["proof_bytes"], rel=tolerance)


def test_layout_of_the_smallest_circuit_is_pinned():
    assert built() == SMALL
    assert (SMALL.rows, SMALL.columns, SMALL.advice, SMALL.degree, SMALL.extension) == (1024, 2, 6, 5, 4)
    assert (SMALL.lookups, SMALL.permuted, SMALL.products, SMALL.fixed) == (4, 8, 3, 12)
    assert (SMALL.commitments, SMALL.evaluations, SMALL.proof_bytes) == (22, 48, 3072)


# --- from settings


@pytest.mark.parametrize(("assigned", "blocks"), [(0, 1), (2 * USABLE, 1), (2 * USABLE + 1, 2), (8 * USABLE, 4)])
def test_blocks_hold_all_assignments(assigned, blocks):
    assert built(total_assignments=assigned).blocks == blocks


@pytest.mark.parametrize(("constants", "columns"), [(0, 1), (USABLE, 1), (USABLE + 1, 2)])
def test_constants_have_their_own_columns(constants, columns):
    assert built(total_const_size=constants).constants == columns


@pytest.mark.parametrize(("last", "parts"), [(USABLE - 1, 1), (USABLE, 2), (3 * USABLE - 1, 3)])
def test_range_longer_than_the_rows_is_split(last, parts):
    assert built(required_range_checks=[[0, last]]).range_parts == (parts,)


def test_lookup_range_counts_only_with_lookups():
    run_args = SETTINGS["run_args"] | {"lookup_range": [-600, 600]}
    assert built(run_args=run_args).function_parts == 0
    layout = built(run_args=run_args, required_lookups=["Sigmoid", "Tanh"])
    assert (layout.functions, layout.function_parts) == (2, 2)


@pytest.mark.parametrize(("shuffles", "gathers", "kinds"), [(0, 0, 0), (3, 0, 1), (0, 1, 1), (2, 5, 2)])
def test_searches_are_counted_by_kind(shuffles, gathers, kinds):
    assert built(num_shuffles=shuffles, num_dynamic_lookups=gathers).searches == kinds


def test_instances_are_the_public_values():
    assert built().instances == 10


def test_only_the_range_of_digits_follows_the_base():
    settings = SETTINGS | {"required_range_checks": [[-1, 1], [0, 511], [0, 5000]]}
    assert under(settings, decomp_base=4096, logrows=12).range_parts == (1, 2, 2)
    assert under(settings, decomp_base=512, logrows=12).range_parts == (1, 1, 2)


def test_fewer_inner_columns_take_more_blocks():
    settings = SETTINGS | {"total_assignments": 2 * USABLE}
    assert [under(settings, num_inner_cols=count).blocks for count in (1, 2, 3)] == [2, 1, 1]


def test_settings_without_a_count_are_refused():
    with pytest.raises(KeyError, match="num_shuffles"):
        layout_as_built({name: value for name, value in SETTINGS.items() if name != "num_shuffles"})


# --- monotonicity


@pytest.mark.parametrize("name", ["blocks", "constants", "range_parts", "function_parts"])
def test_four_parts_fit_and_five_do_not(name):
    def widened(count):
        return dataclasses.replace(SMALL, **{name: (1, count) if name == "range_parts" else count})

    assert widened(4).fits()
    assert not widened(5).fits()


@pytest.mark.parametrize(("inner", "degree", "extension"), [(1, 5, 4), (3, 5, 4), (4, 6, 8), (8, 10, 16)])
def test_degree_follows_the_inner_columns(inner, degree, extension):
    layout = dataclasses.replace(SMALL, inner=inner)
    assert (layout.degree, layout.extension) == (degree, extension)


def test_split_table_raises_the_degree():
    assert dataclasses.replace(SMALL, range_parts=(1, 4)).degree == 8


layouts = st.builds(
    Layout,
    log_rows=st.integers(6, 20),
    blocks=st.integers(1, 4),
    inner=st.integers(1, 4),
    constants=st.integers(1, 4),
    range_parts=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    functions=st.integers(0, 3),
    function_parts=st.integers(1, 4),
    searches=st.integers(0, 2),
    instances=st.integers(1, 1000),
)


@given(layout=layouts)
def test_another_block_never_reduces_a_size(layout):
    wider = dataclasses.replace(layout, blocks=layout.blocks + 1)
    for name in ("advice", "fixed", "commitments", "evaluations", "proof_bytes", "proving_key_bytes"):
        assert getattr(wider, name) > getattr(layout, name)


@given(layout=layouts)
def test_doubling_the_rows_doubles_the_key_and_not_the_proof(layout):
    longer = dataclasses.replace(layout, log_rows=layout.log_rows + 1)
    assert longer.proving_key_bytes == 2 * layout.proving_key_bytes
    assert longer.proof_bytes == layout.proof_bytes


# --- confinement to one block


@pytest.mark.parametrize(
    ("change", "log_rows"),
    [
        ({}, 6),
        ({"total_assignments": 1 << 20, "total_const_size": 1 << 20}, 6),
        ({"model_instance_shapes": [[1, 48]]}, 6),
        ({"model_instance_shapes": [[1, 49]]}, 7),
        ({"model_instance_shapes": [[1, 5], [32, 32]]}, 11),
        ({"module_sizes": {"poseidon": [2000, [1]]}}, 11),
        ({"module_sizes": {"poseidon": [10, [60, 60]]}}, 8),
        ({"total_dynamic_col_size": 600, "total_shuffle_col_size": 400}, 10),
    ],
    ids=str,
)
def test_least_log_rows_hold_everything_confined_to_one_block(change, log_rows):
    assert min_log_rows(SETTINGS | change) == log_rows
