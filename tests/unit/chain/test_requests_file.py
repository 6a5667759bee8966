import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkinfer.chain import PlacedRequest, context_of, read_request
from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError, JsonError
from zkinfer.contracts import Request

address = st.binary(min_size=20, max_size=20).map(lambda data: "0x" + data.hex())
word = st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())
number, amount = st.integers(0, 2**64 - 1), st.integers(0, 2**96 - 1)
requests = st.builds(Request, word, word, address, address, number, address, amount, address, amount, word)
placed = st.builds(PlacedRequest, requests, st.integers(1, 2**64 - 1), address)
GOOD = PlacedRequest(
    Request("0x" + "01" * 32, "0x" + "02" * 32, "0x" + "03" * 20, "0x" + "04" * 20, 5, prover_fee=2**96 - 1),
    31337,
    "0x" + "1e" * 20,
)


@given(placed)
def test_request_round_trips_through_its_file(one):
    assert PlacedRequest.from_bytes(one.to_bytes()) == one


def test_file_has_the_field_names_of_the_contract():
    assert set(json.loads(GOOD.to_bytes())) == {
        *("format", "chainId", "ledger", "listing", "inputCommitment", "consumer", "requester", "expiry"),
        *("prover", "proverFee", "refundTo", "ownerFee", "salt"),
    }


def test_id_and_context_are_those_at_its_ledger():
    assert GOOD.id == GOOD.request.id(31337, GOOD.ledger)
    assert GOOD.context == context_of(GOOD.request, 31337, GOOD.ledger)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "zkinfer-request/2"),
        ("chainId", 0),
        ("chainId", "31337"),
        ("listing", "0x11"),
        ("consumer", "0x" + "AA" * 20),
        ("expiry", -1),
        ("proverFee", 7),
        ("proverFee", "07"),
        ("ownerFee", str(2**96)),
        ("salt", None),
        ("colour", "red"),
    ],
)
def test_file_with_an_unknown_field_is_refused_by_name(name, value):
    document = json.loads(GOOD.to_bytes()) | {name: value}
    with pytest.raises(InputError, match=f"The file is not a request: '{name}'"):
        PlacedRequest.from_bytes(canonical.dump(document))


def test_file_without_a_field_is_refused_by_name():
    document = json.loads(GOOD.to_bytes())
    del document["refundTo"]
    with pytest.raises(InputError, match="'refundTo': Field required"):
        PlacedRequest.from_bytes(canonical.dump(document))


@pytest.mark.parametrize("data", [b"", b"{", GOOD.to_bytes() + b"\n", b" " * 20_000])
def test_file_that_is_not_canonical_json_is_refused(data):
    with pytest.raises(JsonError, match="The request"):
        PlacedRequest.from_bytes(data)


def test_invalid_request_is_not_written():
    with pytest.raises(InputError, match="The request is invalid: 'chain_id'"):
        PlacedRequest(GOOD.request, 0, GOOD.ledger).to_bytes()


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such file.*Check the path of the request"):
        read_request(tmp_path / "nothing.json")


def test_file_is_read(tmp_path):
    (tmp_path / "request.json").write_bytes(GOOD.to_bytes())
    assert read_request(tmp_path / "request.json") == GOOD
