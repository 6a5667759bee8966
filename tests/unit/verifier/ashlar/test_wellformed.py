from dataclasses import replace

import pytest
from tests.ashlar import cases
from tests.ashlar.broken_keys import BROKEN
from tests.ashlar.keys import with_changes
from tests.ashlar.numbers import Numbers
from tests.ashlar.programs import random_example
from tests.ashlar.prover import Prover

from zkinfer.verifier.ashlar import MalformedKeyError
from zkinfer.verifier.ashlar.program import EQ, EXCESS, NO_SOURCE, WEIGHTS, Axis, Range, Table, Term, Tile, decode_key
from zkinfer.verifier.ashlar.verify import read_key
from zkinfer.verifier.ashlar.wellformed import require_well_formed

NONE = Range(0, 0)


def decoded(name):
    return decode_key(cases.load(name)[0].key)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.rule} {broken.name}")
def test_key_that_breaks_a_rule_is_refused_by_its_name(broken):
    key = with_changes(decoded(broken.vector), broken.changes)
    with pytest.raises(MalformedKeyError) as refusal:
        read_key(key)
    assert refusal.value.rule == broken.rule
    assert refusal.value.step == 1


def test_every_rule_is_broken():
    assert {broken.rule for broken in BROKEN} == {f"W{number}" for number in range(1, 10)}


@pytest.mark.parametrize("seed", range(100))
def test_random_program_is_well_formed(seed):
    example = random_example(seed)
    require_well_formed(example.header, example.program)


def saturated(shared):
    """The vector mlp with its block in two: a first one with an EXCESS table, whose terms read the same tiles."""
    key = decoded("mlp_public_1")
    first, block = key.program.blocks
    terms = block.terms
    if not shared:
        moved = [Tile(32, terms[0].tiles[0].spans), terms[1].tiles[0]]
        terms = tuple(replace(term, tiles=(tile,)) for term, tile in zip(terms, moved, strict=True))
    excess = replace(block, table=3, offset=12, shift=3, terms=terms)
    less = Term(2, 1, -8, (Axis(EQ, Range(0, 2), Range(0, 2), 0, 0, 0, 0),), ())
    last = replace(block, terms=(*block.terms, less))
    output = key.program.outputs[0]
    output = replace(output, terms=(replace(output.terms[0], source=2), output.terms[1]))
    tables = (*key.program.tables, Table(EXCESS, 4, 2, 96, 0))
    program = replace(key.program, tables=tables, blocks=(first, excess, last), outputs=(output,))
    return replace(key, header=replace(key.header, hidden=2, tables=4), program=program)


def test_two_blocks_that_share_all_tiles_are_well_formed_and_proved():
    key = saturated(shared=True)
    require_well_formed(key.header, key.program)
    _, values = cases.load("mlp_public_1")
    header = decode_key(with_changes(key, {})).header
    Prover(header, key.program, values["weights"], Numbers()).prove(values["input"]).check()


def test_two_blocks_that_share_some_tiles_alone_are_refused():
    key = saturated(shared=False)
    with pytest.raises(MalformedKeyError, match=r"W3.*overlap"):
        require_well_formed(key.header, key.program)


def test_blocks_whose_terms_share_one_of_two_tiles_are_refused():
    key = decoded("cnn_public_1")
    pool = key.program.outputs[0].terms[0]
    other = replace(pool, tiles=pool.tiles[:1])
    outputs = (key.program.outputs[0], replace(key.program.outputs[0], terms=(other,)))
    with pytest.raises(MalformedKeyError, match=r"W3.*not all"):
        require_well_formed(replace(key.header, outputs=2), replace(key.program, outputs=outputs))


def test_terms_of_one_constraint_that_share_tiles_are_refused():
    key = decoded("cnn_public_1")
    output = key.program.outputs[0]
    doubled = replace(output, terms=(*output.terms, output.terms[0]))
    with pytest.raises(MalformedKeyError, match=r"W3.*a constraint"):
        require_well_formed(key.header, replace(key.program, outputs=(doubled,)))


def test_bias_without_axes_is_well_formed():
    key = decoded("wide_public_1")
    scalar = Term(WEIGHTS, NO_SOURCE, 1, (), (Tile(40, ()),))
    output = key.program.outputs[0]
    program = replace(key.program, outputs=(replace(output, terms=(*output.terms, scalar)),))
    require_well_formed(key.header, program)
