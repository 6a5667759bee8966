from dataclasses import replace

import pytest
from tests.ashlar import cases
from tests.ashlar.broken_keys import BROKEN
from tests.ashlar.keys import with_changes
from tests.ashlar.programs import random_example, saturated

from zkinfer.verifier.ashlar import MalformedKeyError
from zkinfer.verifier.ashlar.program import NO_SOURCE, WEIGHTS, Term, Tile, decode_key
from zkinfer.verifier.ashlar.verify import read_key
from zkinfer.verifier.ashlar.wellformed import require_well_formed


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


@pytest.mark.parametrize("seed", range(40))
def test_random_program_is_well_formed(seed):
    example = random_example(seed)
    require_well_formed(example.header, example.program)


def test_two_blocks_that_share_all_tiles_are_well_formed():
    example = saturated(decoded("mlp_public_1"), (), ())
    require_well_formed(example.header, example.program)


def test_two_blocks_that_share_some_tiles_alone_are_refused():
    example = saturated(decoded("mlp_public_1"), (), ())
    changed = with_changes(
        replace(decoded("mlp_public_1"), header=example.header, program=example.program),
        {"program.blocks.1.terms.0.tiles.0.offset": 32},
    )
    with pytest.raises(MalformedKeyError, match=r"W3.*overlap|W3.*not all"):
        read_key(changed)


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
