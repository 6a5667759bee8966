"""The vectors of contributors' proofs that forge gives to the fund follow from the Python side."""

import json

import pytest
from tests.vectors import make_merkle

from zkinfer.contracts.tills import leaf_of
from zkinfer.works.merkle import root_of

TREES = json.loads(make_merkle.VECTORS.read_text())["trees"]
PUBLISHED_ROOT = "0xd4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"


def root(claim):
    leaf = leaf_of(claim["account"], int(claim["weight"]))
    return "0x" + root_of(leaf, [bytes.fromhex(one[2:]) for one in claim["proof"]]).hex()


def test_stored_proofs_are_reproduced():
    assert make_merkle.VECTORS.read_text() == make_merkle.dump(make_merkle.make())


def test_published_root_is_reproduced():
    assert TREES[0]["root"] == PUBLISHED_ROOT


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree["root"][:10])
def test_claims_lead_to_the_root_and_mangled_ones_do_not(tree):
    assert {root(claim) for claim in tree["claims"]} == {tree["root"]}
    assert tree["refused"]
    assert tree["root"] not in {root(claim) for claim in tree["refused"]}


def test_every_way_to_mangle_a_claim_is_stored():
    assert len({claim["reason"] for tree in TREES for claim in tree["refused"]}) == 7
