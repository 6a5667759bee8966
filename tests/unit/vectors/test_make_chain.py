"""The vectors that forge compares with the contracts follow from the Python side."""

import json

from tests.vectors import make_chain

from zkinfer.circuits.digest import keccak256
from zkinfer.contracts import EZKL_SELECTOR, Registration, input_commitment, listing_of


def test_stored_values_are_reproduced():
    assert make_chain.VALUES.read_text() == make_chain.dump(make_chain.values())


def test_stored_proofs_match_the_stored_requests():
    stored = json.loads(make_chain.DIGITS.read_text())
    model = stored["model"]
    layout = make_chain.layout_of(model["layout"])
    registration = Registration(model["onnxDigest"], bytes.fromhex(model["key"][2:]), layout, EZKL_SELECTOR)
    publisher = stored["addresses"]["publisher"]
    assert registration.model_id == model["modelId"]
    assert listing_of(registration, publisher) == model["listing"] == stored["lock"]["request"]["listing"]
    for case in [*stored["batch"], stored["lock"]]:
        request = make_chain.request_of(case["request"])
        assert request.id(stored["chainId"], stored["addresses"]["ledger"]) == case["id"]
        context = make_chain.context_of(
            stored["chainId"], request.consumer, case["id"], request.requester, request.expiry
        )
        assert case["context"] == "0x" + context.hash.hex()
        assert input_commitment(bytes.fromhex(case["inputs"][2:])) == request.input_commitment


def test_stored_key_matches_its_digest():
    model = json.loads(make_chain.DIGITS.read_text())["model"]
    assert "0x" + keccak256(bytes.fromhex(model["key"][2:])).hex == model["keyDigest"]
