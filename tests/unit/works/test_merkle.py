"""Merkle trees in OpenZeppelin's standard form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.circuits.errors import DataError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.works.merkle import Tree, root_of

LEAVES = st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


@given(LEAVES)
def test_every_leaf_leads_to_the_root(leaves):
    tree = Tree.of(leaves)
    assert {root_of(leaf, tree.proof(leaf)) for leaf in leaves} == {tree.root}


@given(LEAVES, st.binary(min_size=32, max_size=32))
def test_other_leaf_has_no_proof(leaves, other):
    if other not in leaves:
        with pytest.raises(DataError, match="not in the Merkle tree"):
            Tree.of(leaves).proof(other)


@given(LEAVES)
def test_order_of_the_leaves_does_not_matter(leaves):
    ordered = sorted(leaves)
    assert Tree.of(ordered) == Tree.of(ordered[::-1])


def test_two_leaves_are_hashed_in_order():
    one, other = bytes(32), bytes([1]) * 32
    assert Tree.of([other, one]).root == keccak256(one + other)


@pytest.mark.parametrize("leaves", [[], [bytes(32), bytes(32)]])
def test_no_leaf_and_equal_leaves_are_refused(leaves):
    with pytest.raises(DataError):
        Tree.of(leaves)
