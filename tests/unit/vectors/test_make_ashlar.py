"""The stored vectors of Ashlar follow from the prover of the tests, and cover the bug classes."""

import json

import pytest
from tests.ashlar import cases, liars
from tests.ashlar.broken_keys import BROKEN
from tests.vectors import make_ashlar

STATEMENTS = (
    "outputs_one_more",
    "outputs_one_less",
    "input_bytes_one_more",
    "input_bytes_one_less",
    "output_out_of_range v + r",
    "output_in_range most",
)


def stored(path):
    return (cases.FOLDER / path).read_text()


@pytest.mark.parametrize("name", sorted(set(make_ashlar.examples()) - {"gemm_unsigned_public_1"}))
def test_stored_good_vector_is_reproduced(name):
    assert stored(f"{name}.json") == make_ashlar.dump(make_ashlar.good_vector(name, make_ashlar.examples()[name]))


def test_stored_parts_are_reproduced():
    for name, entries in make_ashlar.parts().items():
        assert stored(f"parts/{name}.json") == make_ashlar.dump(entries)


def test_stored_bad_keys_and_statements_are_reproduced():
    assert stored("bad/keys.json") == make_ashlar.dump(list(make_ashlar.bad_keys()))
    assert stored("bad/statements.json") == make_ashlar.dump(list(make_ashlar.bad_statements()))


@pytest.mark.nightly
def test_all_stored_bad_vectors_are_reproduced():
    for path, entries in make_ashlar.files().items():
        assert stored(path) == make_ashlar.dump(entries)


def test_every_good_vector_is_made_here_or_given():
    assert {*make_ashlar.examples(), *cases.GIVEN} == set(cases.GOOD)


def test_bad_vectors_cover_rules_statements_and_lies():
    keys, statements, lies = (json.loads(stored(f"bad/{name}.json")) for name in ("keys", "statements", "lies"))
    assert {broken.name for broken in BROKEN} <= {entry["test"] for entry in keys}
    assert set(STATEMENTS) <= {entry["test"] for entry in statements}
    assert set(liars.LIES) == {entry["test"] for entry in lies}
    accepted = {entry["test"] for entry in lies if entry["reject"] is None}
    assert accepted == set(liars.HARMLESS)


def test_bad_proofs_are_refused_by_every_step_that_reads_proofs():
    proofs = json.loads(stored("bad/proofs.json"))
    assert {entry["reject"] for entry in proofs} == {2, 4, 5, 8, 11, 15}
    hinted = [entry["reject"] for entry in proofs if entry["test"].endswith("hint_recomputed")]
    assert hinted.count(15) > 40
    assert 11 not in hinted
