import json

import pytest

from zkinfer.ui.errors import ServerError
from zkinfer.ui.server_values import STATES, ModelPage, Proof, ServedModel, parsed

MODEL = {
    "name": "m",
    "version": "1",
    "state": "MODEL_STATE_READY",
    "newest": True,
    "cost": {"prove_duration": "2.500s", "memory_bytes": 1_000_000, "proof_bytes": 4000, "gas": 500_000},
    "fidelity": {
        "data": "held-out",
        "samples": 100,
        "agreement": 1.0,
        "error_p50": 1e-6,
        "error_p99": 1e-3,
        "error_max": 1.0,
    },
}
PROOF = {
    "name": "operations/proofs/abc",
    "done": True,
    "metadata": {
        "@type": "type.googleapis.com/zkinfer.v1.ProofMetadata",
        "state": "PROOF_STATE_SUCCEEDED",
        "progress": 1.0,
        "model": "m<b>",
        "version": "1",
        "request_id": "0x01",
        "create_time": "2026-11-30T00:00:00.123456789Z",
        "end_time": "2026-11-30T00:00:01Z",
    },
    "response": {"attestation_digest": "sha256:00"},
}


def read(kind, document):
    return parsed(kind, json.dumps(document).encode(), "document")


def test_cost_is_in_seconds_and_bytes():
    cost = read(ServedModel, MODEL).cost
    assert (cost.seconds, cost.memory_bytes, cost.proof_bytes, cost.gas) == (2.5, 1_000_000, 4000, 500_000)


def test_time_that_was_not_measured_is_unknown():
    cost = {name: value for name, value in MODEL["cost"].items() if name != "prove_duration"}
    assert read(ServedModel, MODEL | {"cost": cost}).cost.seconds is None


@pytest.mark.parametrize("state", STATES)
def test_state_of_a_proof_is_known(state):
    document = PROOF | {"metadata": PROOF["metadata"] | {"state": f"PROOF_STATE_{state}"}}
    assert read(Proof, document).state == state


def test_fields_and_states_of_a_newer_server_are_accepted():
    document = PROOF | {"new": 1, "metadata": PROOF["metadata"] | {"state": "PROOF_STATE_RESTING", "new": []}}
    assert read(Proof, document).state == "UNSPECIFIED"


def test_failure_is_the_error_of_its_message():
    document = PROOF | {"error": {"code": 13, "message": "It ran out of memory.", "details": []}}
    assert read(Proof, document).error == "It ran out of memory."


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (ModelPage, {}),
        (ModelPage, {"models": [{}]}),
        (ServedModel, MODEL | {"labels": "one"}),
        (ServedModel, MODEL | {"fidelity": MODEL["fidelity"] | {"agreement": 1.5}}),
        (ServedModel, MODEL | {"cost": MODEL["cost"] | {"gas": -1}}),
        (ServedModel, MODEL | {"cost": MODEL["cost"] | {"gas": 10**30}}),
        (ServedModel, MODEL | {"cost": MODEL["cost"] | {"prove_duration": "soon"}}),
        (Proof, PROOF | {"metadata": None}),
        (Proof, PROOF | {"metadata": PROOF["metadata"] | {"create_time": "yesterday"}}),
        (Proof, PROOF | {"metadata": PROOF["metadata"] | {"create_time": "2026-11-30T00:00:00"}}),
        (Proof, PROOF | {"metadata": PROOF["metadata"] | {"progress": 2}}),
        (Proof, []),
    ],
)
def test_malformed_document_is_refused(kind, document):
    with pytest.raises(ServerError, match="The server's document is malformed at"):
        read(kind, document)


@pytest.mark.parametrize("data", [b"", b"{", b'{"models": NaN}', b'{"models": [], "models": []}', b"[" * 100])
def test_ambiguous_json_is_refused(data):
    with pytest.raises(ServerError):
        parsed(ModelPage, data, "list of models")
