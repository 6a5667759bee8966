import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.unit.circuits.factories import X

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import DataError, RangeError
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.client.values import messages_of
from zkinfer.oip.messages import ModelInferRequest
from zkinfer.prover.errors import QueueFullError, QuotaExceededError, RequestConflictError, StoreError
from zkinfer.prover.inference import InferencePools
from zkinfer.prover.jobs import JobState, QueueLimits
from zkinfer.prover.quantised_inputs import integers_digest, integers_from_bytes, integers_of
from zkinfer.prover.repository import ModelVersion
from zkinfer.service.errors import BadFieldError, ForbiddenError
from zkinfer.service.identity import ANONYMOUS, Identity, Rights
from zkinfer.service.limits import CostEstimator, MemoryBudget
from zkinfer.service.oip.tensors import DATATYPES, to_raw
from zkinfer.service.oip.tensors import arrays_of as oip_arrays_of
from zkinfer.service.submission import ProofRequest, Submitter
from zkinfer.service.v1.proofs import arrays_of

NONE = ProofRequest(mode="none")


@pytest.fixture
def model(tiny):
    return ModelVersion("tiny", "1", tiny.circuit, FakeEngine(), tiny.circuit.digest, tiny.circuit.model_id)


@pytest.fixture
def intake_with(backend):
    opened = []

    def make(**limits):
        answers = InferencePools(sessions=1)
        estimator = CostEstimator(backend.tiny.home)
        submitter = Submitter(
            answers=answers,
            store=backend.store,
            estimator=estimator,
            limits=lambda _: QueueLimits(**limits),
            memory=MemoryBudget(1 << 30),
        )
        opened.extend((submitter, answers))
        return submitter

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def submitter(intake_with):
    return intake_with()


def jobs(backend):
    return backend.store.page().jobs


async def test_answer_without_a_proof_leaves_nothing(submitter, model, backend):
    accepted = await submitter.submit(ANONYMOUS, model, {"x": X}, NONE)
    assert accepted.job is None
    assert accepted.answer.outputs["y"].shape == (1, 2)
    assert jobs(backend) == ()
    assert list(backend.artifacts.root.iterdir()) == []


async def test_job_records_the_answer_and_the_context(submitter, model, backend):
    asked = ProofRequest(request_id="order 66", chain_id=5, expiry=4_000_000_000)
    accepted = await submitter.submit(Identity(name="alice"), model, {"x": X}, asked)
    job = backend.store.get(accepted.job.id)
    request = job.request
    assert job.state == JobState.QUEUED
    assert (request.owner, request.model, request.version, request.request_id) == ("alice", "tiny", "1", "order 66")
    assert (request.circuit, request.model_id) == (model.digest, model.model_id)
    assert request.outputs == accepted.answer.outputs_digest == integers_digest(accepted.answer.integers)
    assert request.context.chain_id == 5
    assert request.deadline == datetime.fromtimestamp(4_000_000_000, UTC)
    assert integers_from_bytes(backend.artifacts.get(request.inputs, 1000)) == [[128, -320, 512]]


async def test_identical_request_while_pending_is_the_same_job(submitter, model, backend):
    first, second = [await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest()) for _ in range(2)]
    assert first.job.id == second.job.id
    other = await submitter.submit(Identity(name="alice"), model, {"x": X}, ProofRequest())
    assert other.job.id != first.job.id


async def test_inputs_removed_meanwhile_are_stored_again(submitter, model, backend, monkeypatch):
    put = backend.artifacts.put

    def put_and_lose(data):
        monkeypatch.setattr(type(backend.artifacts), "put", lambda _, data: put(data))
        digest = put(data)
        backend.artifacts.delete(digest)
        return digest

    monkeypatch.setattr(type(backend.artifacts), "put", lambda _, data: put_and_lose(data))
    accepted = await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest())
    assert backend.artifacts.has(accepted.job.request.inputs)


async def test_large_inputs_are_quantised_outside_the_event_loop(submitter, model, monkeypatch):
    monkeypatch.setattr("zkinfer.service.submission._FEW_ELEMENTS", 0)
    assert (await submitter.submit(ANONYMOUS, model, {"x": X}, NONE)).answer.integers


# --- refusals


async def test_model_outside_the_rights_of_the_identity_is_refused(submitter, model):
    nobody = Identity(name="eve", rights=Rights(models=frozenset({"other"})))
    with pytest.raises(ForbiddenError, match="eve may not use the model 'tiny'"):
        await submitter.submit(nobody, model, {"x": X}, NONE)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({}, DataError, "The input 'x' is missing"),
        ({"x": X, "z": X}, DataError, "no input 'z'"),
        ({"x": X * np.inf}, DataError, "NaN or infinity"),
        ({"x": X * 1e20}, RangeError, r"Input 'x' is .* at element \[0, 0\], which does not fit"),
    ],
)
async def test_invalid_inputs_leave_no_job(submitter, model, backend, inputs, error, message):
    with pytest.raises(error, match=message):
        await submitter.submit(ANONYMOUS, model, inputs, ProofRequest())
    assert jobs(backend) == ()


async def test_full_queue_is_refused_before_an_answer(intake_with, model, backend):
    submitter = intake_with(queued=1)
    await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest())
    with pytest.raises(QueueFullError) as caught:
        await submitter.submit(ANONYMOUS, model, {"x": X * 2}, ProofRequest())
    assert caught.value.retry_after > 0
    assert len(jobs(backend)) == 1


@pytest.mark.parametrize(
    ("limits", "error"), [({"queued": 0}, QueueFullError), ({"per_owner": 0}, QuotaExceededError)], ids=["queue", "own"]
)
async def test_repeatedly_refused_proofs_compute_no_answers(intake_with, model, monkeypatch, limits, error):
    submitter, asked, forward = intake_with(**limits), [], InferencePools.forward
    monkeypatch.setattr(InferencePools, "forward", lambda *given: asked.append(given) or forward(*given))
    for _ in range(5):
        with pytest.raises(error):
            await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest())
    assert len(asked) == 1  # only the first, before the rejection was known


async def test_accepted_request_is_answered_again_despite_a_full_queue(intake_with, model):
    submitter, asked = intake_with(per_owner=1), ProofRequest(request_id="order 66")
    first, second = [await submitter.submit(ANONYMOUS, model, {"x": X}, asked) for _ in range(2)]
    assert first.job.id == second.job.id


async def test_answer_without_a_proof_is_given_when_the_queue_is_full(intake_with, model):
    assert (await intake_with(queued=0).submit(ANONYMOUS, model, {"x": X}, NONE)).answer


async def test_request_id_of_another_request_is_refused(submitter, model):
    asked = ProofRequest(request_id="order 66")
    await submitter.submit(ANONYMOUS, model, {"x": X}, asked)
    with pytest.raises(RequestConflictError):
        await submitter.submit(ANONYMOUS, model, {"x": X * 2}, asked)


async def test_full_disk_gives_no_answer(submitter, model, backend, monkeypatch):
    def fail(_, data):
        raise StoreError("The disk is full.", "Make room.")

    monkeypatch.setattr(type(backend.artifacts), "put", fail)
    with pytest.raises(StoreError, match="The disk is full"):
        await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest())
    assert jobs(backend) == ()


# --- leftovers of requests without a job


def spooled(backend):
    return sorted(path.name for path in backend.artifacts.root.iterdir())


async def test_refused_request_leaves_no_input(intake_with, model, backend):
    submitter = intake_with(per_owner=1)
    await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest())
    with pytest.raises(QuotaExceededError):
        await submitter.submit(ANONYMOUS, model, {"x": X * 0.5}, ProofRequest())
    submitter.close()
    assert spooled(backend) == [jobs(backend)[0].request.inputs.hex]


async def test_refused_request_keeps_the_input_that_another_job_needs(intake_with, model, backend):
    submitter = intake_with(per_owner=1)
    await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest(request_id="one"))
    with pytest.raises(QuotaExceededError):
        await submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest(request_id="two"))
    submitter.close()
    assert spooled(backend) == [jobs(backend)[0].request.inputs.hex]


async def test_failed_answer_leaves_no_input(submitter, model, backend):
    with pytest.raises(RangeError):
        await submitter.submit(ANONYMOUS, model, {"x": X * 1e12}, ProofRequest())
    submitter.close()
    assert spooled(backend) == []


async def test_caller_that_leaves_before_the_answer_leaves_no_input(submitter, model, backend):
    asking = asyncio.create_task(submitter.submit(ANONYMOUS, model, {"x": X}, ProofRequest()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    submitter.close()
    assert spooled(backend) == []


# --- one rule for the inputs of all calls and commands


def sent_over_oip(array, spec):
    datatype = next(name for name, one in DATATYPES.items() if np.dtype(one.code) == array.dtype and name != "BF16")
    request = ModelInferRequest(raw_input_contents=[to_raw(array, DATATYPES[datatype])])
    request.inputs.add(name=spec.name, datatype=datatype, shape=array.shape)
    return oip_arrays_of(request, [spec])


def sent_to_create_proof(array, spec):
    return arrays_of(messages_of({spec.name: array}), "inputs")


def taken(array, spec):
    """The integers, or that it is refused."""
    try:
        return integers_of({spec.name: array} if isinstance(array, np.ndarray) else array, [spec])
    except DataError:
        return "refused"


@pytest.mark.parametrize("shape", [(1, 4), (4,), (2, 2), (4, 1), (1, 1, 4), (1, 8), (3,)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "uint64", "uint8", "bool"])
@pytest.mark.parametrize("of_model", ["float32", "float16", "int64", "int8", "uint8", "bool"])
def test_every_door_takes_and_refuses_the_same_shapes_and_types(of_model, dtype, shape):
    spec = TensorSpec(name="x", dtype=of_model, shape=(1, 4), scale=7 if of_model.startswith("float") else 0)
    array = np.resize(np.array([1, 0, 1, 1]), shape).astype(dtype)
    proven = taken(array, spec)
    for door in (sent_over_oip, sent_to_create_proof):
        try:
            found = taken(door(array, spec), spec)
        except BadFieldError:
            found = "refused"
        assert found == proven
    is_shape = shape in ((1, 4), (4,))
    is_type = of_model.startswith("float") or (dtype == "bool" if of_model == "bool" else "float" not in dtype)
    assert (proven != "refused") == (is_shape and is_type)
