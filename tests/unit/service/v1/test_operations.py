"""google.longrunning.Operations over gRPC."""

import asyncio

import grpc
import pytest
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from tests.unit.service import queue_server
from tests.unit.service.queue_server import bearer, details

from zkinfer.circuits.errors import InputError
from zkinfer.prover.jobs import Failure, JobState
from zkinfer.service.v1 import name_of
from zkinfer.service.v1.operations import read_filter
from zkinfer.v1.values_pb2 import Proof, ProofMetadata, ProofState


def named(job):
    return name_of(job.id)


async def got(served, job, **options):
    return await served.operations.GetOperation(operations_pb2.GetOperationRequest(name=named(job)), **options)


async def awaited(served, job, seconds, **options):
    request = operations_pb2.WaitOperationRequest(name=named(job), timeout=Duration(seconds=seconds))
    return await served.operations.WaitOperation(request, **options)


async def listed(served, **options):
    return await served.operations.ListOperations(operations_pb2.ListOperationsRequest(**options))


def metadata(operation) -> ProofMetadata:
    found = ProofMetadata()
    assert operation.metadata.Unpack(found)
    return found


async def test_waiting_job_has_a_position_and_an_estimate(served):
    served.backend.submit()
    second = served.backend.submit(request_id="mine")
    operation = await got(served, second)
    found = metadata(operation)
    assert (operation.name, operation.done) == (named(second), False)
    assert (found.state, found.queue_position, found.attempt) == (ProofState.PROOF_STATE_QUEUED, 1, 0)
    assert (found.model, found.version, found.request_id) == ("tiny", "1", "mine")
    assert found.context.request_id == second.request.context.request_id
    assert 3 <= found.estimated_end_time.ToDatetime().timestamp() - found.create_time.ToDatetime().timestamp() <= 30


async def test_running_job_reports_its_state(served):
    job = served.backend.submit()
    served.backend.store.renew(served.backend.claim(), progress=0.5)
    found = metadata(await got(served, job))
    assert (found.state, found.progress, found.attempt) == (ProofState.PROOF_STATE_PROVING, 0.5, 1)
    assert not found.HasField("queue_position")


async def test_finished_job_names_its_attestation(served):
    served.backend.submit()
    job = served.backend.prove()
    operation, proof = await got(served, job), Proof()
    assert operation.done
    assert operation.response.Unpack(proof)
    assert (proof.operation, proof.attestation_digest) == (named(job), str(job.attestation))
    assert proof.attestation_size == job.attestation_bytes


@pytest.mark.parametrize(
    ("reason", "code", "sentence"),
    [
        ("RANGE", grpc.StatusCode.INVALID_ARGUMENT, "It leaves the range. Check it."),
        ("SETUP", grpc.StatusCode.INTERNAL, "The proof could not be made."),
    ],
)
async def test_failed_job_has_an_error(served, reason, code, sentence):
    job = served.backend.submit()
    served.backend.store.fail(
        served.backend.claim(), Failure(reason=reason, cause="It leaves the range.", cure="Check it."), retry=False
    )
    operation = await got(served, job)
    assert operation.done
    assert operation.error.code == code.value[0]
    assert operation.error.message.startswith(sentence)


async def test_cancelled_job_has_an_error(served):
    job = served.backend.submit()
    await served.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=named(job)))
    operation = await got(served, job)
    assert operation.error.code == grpc.StatusCode.CANCELLED.value[0]


async def test_cancelling_a_running_job_requests_its_end(served):
    job = served.backend.submit()
    lease = served.backend.claim()
    await served.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=named(job)))
    assert metadata(await got(served, job)).cancel_requested
    assert served.backend.store.renew(lease)


async def test_cancelling_a_finished_job_changes_nothing(served):
    served.backend.submit()
    job = served.backend.prove()
    await served.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=named(job)))
    assert (await got(served, job)).HasField("response")


# --- waiting


async def test_wait_returns_when_the_job_ends(served):
    job = served.backend.submit()
    waiting = asyncio.ensure_future(awaited(served, job, 30))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await asyncio.to_thread(served.backend.prove)
    assert (await waiting).HasField("response")


async def test_concurrent_waits_end_together(served):
    jobs = [served.backend.submit() for _ in range(4)]
    waiting = [asyncio.ensure_future(awaited(served, job, 30)) for job in jobs for _ in range(5)]
    await asyncio.sleep(0.05)
    for job in jobs:
        served.backend.store.cancel(job.id)
    assert all(operation.done for operation in await asyncio.gather(*waiting))


async def test_timed_out_wait_returns_the_job_unchanged(served):
    job = served.backend.submit()
    assert not (await awaited(served, job, 0)).done


async def test_wait_beyond_the_limit_is_answered_immediately(backend, monkeypatch):
    monkeypatch.setattr(queue_server, "MOST_WAITS", 1)
    async with queue_server.served(backend) as served:
        job = backend.submit()
        first = asyncio.ensure_future(awaited(served, job, 60))
        await asyncio.sleep(0.1)
        assert not (await asyncio.wait_for(awaited(served, job, 60), 1.5)).done
        assert not first.done()
        backend.store.cancel(job.id)
        assert (await first).done


async def test_wait_is_capped_by_the_server(served):
    job = served.backend.submit()
    assert not (await asyncio.wait_for(awaited(served, job, 10_000), 10)).done


async def test_wait_answers_before_the_callers_deadline(served):
    job = served.backend.submit()
    assert not (await awaited(served, job, 60, timeout=0.8)).done


async def test_job_survives_a_caller_that_leaves(served):
    job = served.backend.submit()
    call = served.operations.WaitOperation(operations_pb2.WaitOperationRequest(name=named(job)))
    await asyncio.sleep(0.05)
    call.cancel()
    assert not (await got(served, job)).done


# --- lists


async def test_list_is_paginated_newest_first(served):
    names = [named(served.backend.submit()) for _ in range(7)]
    first = await listed(served)
    second = await listed(served, page_token=first.next_page_token)
    third = await listed(served, page_token=second.next_page_token)
    pages = [[operation.name for operation in page.operations] for page in (first, second, third)]
    assert pages == [names[6:3:-1], names[3:0:-1], names[:1]]
    assert third.next_page_token == ""


async def test_list_is_filtered(served):
    done, waiting = served.backend.submit(), served.backend.submit(model="other")
    served.backend.store.cancel(done.id)
    assert [found.name for found in (await listed(served, filter="done = true")).operations] == [named(done)]
    assert [found.name for found in (await listed(served, filter='model = "other"')).operations] == [named(waiting)]
    assert not (await listed(served, filter="state = QUEUED AND model = tiny")).operations


@pytest.mark.parametrize(
    ("request_", "field"),
    [({"filter": "colour = red"}, "filter"), ({"page_token": "x"}, "page_token")],
)
async def test_malformed_list_request_is_refused(served, request_, field):
    with pytest.raises(aio.AioRpcError) as caught:
        await listed(served, **request_)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["BadRequest"].field_violations[0].field == field


@pytest.mark.parametrize(
    ("text", "states", "model"),
    [
        ("", (), None),
        ("  ", (), None),
        ("state=QUEUED", (JobState.QUEUED,), None),
        ("done = false", (JobState.QUEUED, JobState.PROVING, JobState.VERIFYING), None),
        ('model = "a b" AND done=false AND state = "PROVING"', (JobState.PROVING,), "a b"),
    ],
)
def test_filter_is_parsed(text, states, model):
    found = read_filter(text)
    assert (found.states, found.model) == (states, model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state", "not a term"),
        ("state = QUEUED OR state = PROVING", "not a term"),
        ("state = QUEUED AND", "not a term"),
        ("state = QUEUED AND state = FAILED", "or is repeated"),
        ("state = LOUD", "'LOUD' is not a state.*The states are QUEUED"),
        ("done = maybe", "true or false"),
        ("done = true AND state = QUEUED", "No state satisfies both"),
        ("x" * 600, "more than 512 characters"),
        ('model = "a\0"', "is not a term of a filter"),
    ],
)
def test_malformed_filter_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_filter(text)


# --- owners


@pytest.mark.parametrize(
    "name", ["", "operations/proofs/", "operations/proofs/none", "proofs/1", "operations/proofs/a/b", "x" * 999]
)
async def test_unknown_operation_is_not_found(served, name):
    with pytest.raises(aio.AioRpcError, match="no operation") as caught:
        await served.operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert details(caught.value)["ErrorInfo"].reason == "UNKNOWN_OPERATION"


@pytest.mark.parametrize("call", ["GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation"])
async def test_foreign_job_is_reported_as_not_found(served, call):
    served.backend.submit(owner="alice")
    [job] = served.backend.store.page(owner="alice").jobs
    _, token = served.backend.authenticator.tokens.new("bob")
    request = getattr(operations_pb2, f"{call}Request")(name=named(job))
    with pytest.raises(aio.AioRpcError) as foreign:
        await getattr(served.operations, call)(request, metadata=bearer(token))
    served.backend.store.cancel(job.id)
    served.backend.store.delete(job.id)
    with pytest.raises(aio.AioRpcError) as missing:
        await getattr(served.operations, call)(request, metadata=bearer(token))
    assert (foreign.value.code(), foreign.value.details()) == (missing.value.code(), missing.value.details())


async def test_list_has_only_the_callers_jobs(served):
    served.backend.submit(owner="alice")
    served.backend.submit(owner="bob")
    _, token = served.backend.authenticator.tokens.new("alice")
    found = await served.operations.ListOperations(operations_pb2.ListOperationsRequest(), metadata=bearer(token))
    assert len(found.operations) == 1


async def test_new_token_of_the_same_name_sees_the_jobs_of_the_old(served):
    job = served.backend.submit(owner="alice")
    grant, _ = served.backend.authenticator.tokens.new("alice")
    _, second = served.backend.authenticator.tokens.new("alice")
    served.backend.authenticator.tokens.revoke(grant.id)
    assert (await got(served, job, metadata=bearer(second))).name == named(job)


# --- deleting


async def test_deleted_operation_is_gone_with_its_attestation(served):
    served.backend.submit()
    job = served.backend.prove()
    await served.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=named(job)))
    with pytest.raises(aio.AioRpcError, match="no operation"):
        await got(served, job)
    assert not served.backend.artifacts.has(job.attestation)


async def test_unfinished_operation_is_not_deleted(served):
    job = served.backend.submit()
    with pytest.raises(aio.AioRpcError) as caught:
        await served.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=named(job)))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert details(caught.value)["ErrorInfo"].reason == "JOB_STATE"
