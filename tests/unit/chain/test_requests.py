import copy
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.circuits.factories import DOCUMENT
from tests.unit.verifier import forge

from zkinfer.chain import answer_of, context_of, registration_of, request_for, require_answer
from zkinfer.circuits import Circuit, canonical
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import CircuitError, DataError, InputError
from zkinfer.circuits.manifest import parse_manifest
from zkinfer.circuits.statement import Context
from zkinfer.circuits.statement import Layout as ProgramLayout
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.contracts import ANY_INPUT, ZERO_ADDRESS, Layout, Request, input_commitment
from zkinfer.contracts.deploy import EZKL_SELECTOR
from zkinfer.verifier import ContextMismatchError, InputMismatchError, LayoutMismatchError

CHAIN, LEDGER = 31337, "0x" + "1e" * 20
CONSUMER, REQUESTER, LISTING = "0x" + "c0" * 20, "0x" + "aa" * 20, "0x" + "11" * 32
# As long as the constants of a key; only the digest matters here.
WORDS = [0] * 33 + [1 << 8] + [7] * 6
KEY = b"".join(word.to_bytes(32, "big") for word in WORDS)
ASKED = {"listing": LISTING, "consumer": CONSUMER, "requester": REQUESTER, "expiry": 99}
X = np.array([[0.5, -1.25, 2.0]], dtype=np.float32)


def circuit(tmp_path, *, visibility="public", engine="ezkl/23.0.5", key=KEY):
    """A circuit with a hand-written manifest and unchecked files."""
    document = copy.deepcopy(DOCUMENT)
    specs = [TensorSpec(name=name, dtype="float32", shape=(1, 3), scale=8, visibility=visibility) for name in "xz"]
    answer = TensorSpec(name="y", dtype="float32", shape=(1, 2), scale=8)
    document["program"]["inputs"] = [spec.model_dump(mode="json") for spec in specs]
    layout = ProgramLayout.of(specs, [answer], least=-1024, largest=1024, signed=visibility == "public")
    document["program"]["layout"] = layout.model_dump(mode="json", by_alias=True)
    document["recipe"] |= {"engine": engine, "inputVisibility": visibility}
    document["identity"]["verifyingKey"] = "keccak256:" + keccak256(KEY).hex
    (tmp_path / "vka.bin").write_bytes((len(key) // 32).to_bytes(8, "little") + key)
    return Circuit(tmp_path, parse_manifest(canonical.dump(document)))


@pytest.mark.parametrize("layout", [Layout("public", 2, 6, 2), Layout("hashed", 32, 2, 2), Layout("private", 0, 0, 2)])
def test_registration_has_the_layout_of_the_program(tmp_path, layout):
    made = circuit(tmp_path, visibility=layout.visibility)
    registration = registration_of(made, fee=7, uri="https://example.org")
    assert (registration.layout, registration.selector) == (layout, EZKL_SELECTOR)
    assert (registration.fee, registration.uri, registration.key) == (7, "https://example.org", KEY)
    assert registration.model_id == made.model_id


def test_registration_of_another_engine_is_refused(tmp_path):
    with pytest.raises(InputError, match="no engine 'fake/1'"):
        registration_of(circuit(tmp_path, engine="fake/1"))


def test_registration_of_another_version_is_refused(tmp_path):
    with pytest.raises(CircuitError, match=r"is of ezkl/22.0.0; ezkl/23.0.5 is installed"):
        registration_of(circuit(tmp_path, engine="ezkl/22.0.0"))


def test_registration_with_another_key_is_refused(tmp_path):
    with pytest.raises(CircuitError, match=r"verifying key in .* is not the one that its manifest names"):
        registration_of(circuit(tmp_path, key=KEY[:-1] + b"\x08"))


def test_request_commits_to_all_numbers_of_public_inputs_in_order(tmp_path):
    request = request_for(circuit(tmp_path), {"z": 2 * X, "x": X}, **ASKED)
    integers = [128, -320, 512, 256, -640, 1024]
    assert request.input_commitment == input_commitment(
        b"".join(one.to_bytes(2, "big", signed=True) for one in integers)
    )


def test_request_commits_to_one_digest_per_hashed_tensor(tmp_path):
    engine = FakeEngine()
    made = circuit(tmp_path, visibility="hashed")
    request = request_for(made, {"x": X, "z": 2 * X}, engine=engine, setup=tmp_path, **ASKED)
    integers = [128, -320, 512], [256, -640, 1024]
    digests = [
        engine.commit(made.folder, made.manifest.program, tmp_path, place, one) for place, one in enumerate(integers)
    ]
    assert request.input_commitment == input_commitment(b"".join(digests))


def test_request_without_inputs_accepts_any(tmp_path):
    request = request_for(circuit(tmp_path, visibility="private"), None, **ASKED)
    assert (request.input_commitment, request.refund_to, request.prover) == (ANY_INPUT, REQUESTER, ZERO_ADDRESS)


def test_requests_have_distinct_salts(tmp_path):
    made = circuit(tmp_path)
    assert request_for(made, None, **ASKED) != request_for(made, None, **ASKED)


def test_request_with_private_inputs_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"keep the inputs private.*Request any input"):
        request_for(circuit(tmp_path, visibility="private"), {"x": X, "z": X}, **ASKED)


@pytest.mark.parametrize("inputs", [{"x": X}, {"x": X, "z": X, "w": X}])
def test_request_with_other_inputs_is_refused(tmp_path, inputs):
    with pytest.raises(DataError, match="is missing, or the model has none"):
        request_for(circuit(tmp_path), inputs, **ASKED)


def test_context_of_a_request_has_its_id():
    request = Request(LISTING, ANY_INPUT, CONSUMER, REQUESTER, 99)
    context = context_of(request, CHAIN, LEDGER)
    assert (context.chain_id, context.request_id) == (CHAIN, request.id(CHAIN, LEDGER))
    assert (context.consumer, context.requester, context.expiry) == (CONSUMER, REQUESTER, 99)


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    return forge.Parties(tmp_path_factory.mktemp("parties"))


@pytest.fixture(scope="module")
def asked(parties):
    inputs = parties.attest().predicate.statement.inputs
    return Request(LISTING, input_commitment(inputs), CONSUMER, REQUESTER, forge.EXPIRY)


@pytest.fixture(scope="module")
def attestation(parties, asked):
    return parties.attest(context=context_of(asked, CHAIN, LEDGER))


def test_answer_is_taken_from_the_attestation(attestation, asked):
    answer = require_answer(attestation, asked, CHAIN, LEDGER)
    assert answer == answer_of(attestation, asked)
    assert answer.proof == attestation.proof
    assert answer.posted == (asked, answer.inputs, answer.outputs, answer.proof)
    assert input_commitment(answer.inputs) == asked.input_commitment


def test_answer_to_any_input_is_accepted(parties, asked):
    asked = replace(asked, input_commitment=ANY_INPUT)
    other = parties.attest(x=forge.OTHER_X, context=context_of(asked, CHAIN, LEDGER))
    assert require_answer(other, asked, CHAIN, LEDGER).request == asked


@pytest.mark.parametrize(
    ("change", "name"),
    [({"salt": "0x" + "01" * 32}, "requestId"), ({"consumer": REQUESTER}, "consumer"), ({"expiry": 1}, "requestId")],
)
def test_answer_to_another_request_is_refused(attestation, asked, change, name):
    with pytest.raises(ContextMismatchError, match=f"attestation's {name} is .*--request REQUEST.json"):
        require_answer(attestation, replace(asked, **change), CHAIN, LEDGER)


def test_answer_for_another_chain_is_refused(attestation, asked):
    with pytest.raises(ContextMismatchError, match="chainId is 31337; the request asks for 1"):
        require_answer(attestation, asked, 1, LEDGER)


def test_answer_to_another_input_is_refused(parties, asked):
    other = parties.attest(x=forge.OTHER_X, context=context_of(asked, CHAIN, LEDGER))
    with pytest.raises(InputMismatchError, match="about another input"):
        require_answer(other, asked, CHAIN, LEDGER)


def edited(attestation, **changes):
    predicate = attestation.predicate.model_copy(update=changes)
    return replace(attestation, statement=attestation.statement.model_copy(update={"predicate": predicate}))


@pytest.mark.parametrize("name", ["public_inputs", "public_outputs"])
def test_answer_with_the_wrong_sizes_is_refused(attestation, asked, name):
    claimed = edited(attestation, **{name: getattr(attestation.predicate, name)[:-4]})
    with pytest.raises(LayoutMismatchError, match="other sizes than its layout"):
        require_answer(claimed, asked, CHAIN, LEDGER)


def test_answer_with_the_context_of_another_request_is_refused(parties, asked):
    other = parties.attest(context=Context.offline())
    claimed = edited(other, context=context_of(asked, CHAIN, LEDGER))
    with pytest.raises(ContextMismatchError, match="another request than the attestation says"):
        require_answer(claimed, asked, CHAIN, LEDGER)
