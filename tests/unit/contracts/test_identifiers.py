from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.contracts import ANY_INPUT, Layout, Registration, Request, input_commitment, listing_of, output_commitment
from zkinfer.contracts.identifiers import keccak256, words

LEDGER = "0x" + "11" * 20
REQUEST = Request(
    listing="0x" + "01" * 32,
    input_commitment=ANY_INPUT,
    consumer="0x" + "02" * 20,
    requester="0x" + "03" * 20,
    expiry=4,
    prover="0x" + "05" * 20,
    prover_fee=6,
    refund_to="0x" + "07" * 20,
    owner_fee=8,
    salt="0x" + "09" * 32,
)

REGISTRATION = Registration("0x" + "01" * 32, b"\2" * 32, Layout("public", 1, 2, 1), selector=b"\1\2\3\4")


def test_any_input_constant_is_pinned():
    assert "0x" + keccak256(b"zkinfer.any-input").hex() == ANY_INPUT


def test_fees_are_summed():
    assert REQUEST.fees == 14


@pytest.mark.parametrize("name", [field.name for field in fields(Request)])
def test_id_depends_on_every_field(name):
    value = getattr(REQUEST, name)
    other = value + 1 if isinstance(value, int) else "0x" + "ee" * (len(value) // 2 - 1)
    assert replace(REQUEST, **{name: other}).id(1, LEDGER) != REQUEST.id(1, LEDGER)


def test_id_depends_on_chain_and_ledger():
    ids = {REQUEST.id(1, LEDGER), REQUEST.id(2, LEDGER), REQUEST.id(1, REQUEST.prover)}
    assert len(ids) == 3


def test_listing_depends_on_the_publisher():
    assert listing_of(REGISTRATION, LEDGER) != listing_of(REGISTRATION, REQUEST.prover)


@pytest.mark.parametrize(
    "changed",
    [
        {"onnx_digest": "0x" + "02" * 32},
        {"key": b"\3" * 32},
        {"selector": b"next"},
        {"layout": Layout("hashed", 1, 2, 1)},
        {"layout": Layout("public", 2, 2, 1)},
        {"layout": Layout("public", 1, 3, 1)},
        {"layout": Layout("public", 1, 2, 2)},
    ],
)
def test_listing_depends_on_everything_that_binds_the_model(changed):
    assert listing_of(replace(REGISTRATION, **changed), LEDGER) != listing_of(REGISTRATION, LEDGER)


@pytest.mark.parametrize("changed", [{"fee": 7}, {"uri": "ipfs://other"}])
def test_listing_is_independent_of_mutable_fields(changed):
    assert listing_of(replace(REGISTRATION, **changed), LEDGER) == listing_of(REGISTRATION, LEDGER)


@given(st.lists(st.integers(-(2**63), 2**63), max_size=8))
def test_output_commitment_is_the_hash_of_words_in_twos_complement(values):
    packed = b"".join(value.to_bytes(32, "big", signed=True) for value in values)
    assert output_commitment(values) == input_commitment(packed) == "0x" + keccak256(packed).hex()


@pytest.mark.parametrize("layout", [Layout("public", 4, 2, 1), Layout("hashed", 32, 2, 1), Layout("private", 0, 0, 9)])
def test_layout_round_trips_through_its_fields(layout):
    assert Layout.of(layout.fields) == layout


@pytest.mark.parametrize("value", [-1, 2**256])
def test_number_beyond_a_word_is_refused(value):
    with pytest.raises(ValueError, match="does not fit a word"):
        words([value])


@pytest.mark.parametrize("value", ["0x", "0x11", b"\0" * 31, "0x" + "11" * 33])
def test_malformed_address_or_word_is_refused(value):
    with pytest.raises(ValueError, match="an address has 20 bytes and a word 32"):
        words([value])
