"""A whole server in this process, with fake workers in separate processes."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker
from tests.unit.service import queue_server

from zkinfer.circuits import compile_model
from zkinfer.circuits.errors import CircuitError, EngineError
from zkinfer.circuits.tensors import quantise_sample
from zkinfer.client.values import messages_of
from zkinfer.oip import messages
from zkinfer.prover.errors import RepositoryError, StoreError
from zkinfer.prover.quantised_inputs import integers_digest, integers_to_bytes
from zkinfer.prover.workers import this_host
from zkinfer.prover.workers.config import worker_name
from zkinfer.service import background
from zkinfer.service import server as module
from zkinfer.service.auth import TokenFile
from zkinfer.service.errors import StateInUseError
from zkinfer.service.identity import Rights
from zkinfer.service.logs import configure
from zkinfer.service.server import running, serve
from zkinfer.service.settings import Limits, Log, ModelSettings, Proving, Queue, Settings, Telemetry
from zkinfer.service.tracing import trace_calls
from zkinfer.v1.models_pb2 import MODEL_STATE_READY, MODEL_STATE_UNAVAILABLE, ListModelsRequest
from zkinfer.v1.models_pb2_grpc import ModelsStub
from zkinfer.v1.proofs_pb2 import CreateProofRequest
from zkinfer.v1.proofs_pb2_grpc import ProofsStub
from zkinfer.v1.values_pb2 import Context

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
OPTIONS = {"engines": queue_server.ENGINES, "worker_command": fake_worker.COMMAND}


@pytest.fixture
def settings(tiny, tmp_path):
    models = tmp_path / "models"
    shutil.copytree(tiny.circuit.folder, models / "tiny" / "1")
    proving = Proving(workers=0, grace_seconds=0.5, memory=1 << 30)
    return Settings(
        repository=models, listen="127.0.0.1:0", state=tmp_path / "state", reload_seconds=0.05, proving=proving
    )


@pytest.fixture
def other_circuit(tiny, tmp_path, monkeypatch):
    """The folder of a circuit of the same shape as `tiny`'s."""
    with monkeypatch.context() as patch:
        factories.without_children(patch)
        model = factories.write_model(tmp_path / "other.onnx", bias=0.25)
        options = {"engine": queue_server.ENGINES["fake/1"], "home": tiny.home, "options": factories.DEV}
        return compile_model(model, tmp_path / "other", **options).circuit.folder


def changed(settings, **changes):
    return settings.model_copy(update=changes)


async def eventually(happened, seconds=20):
    async with asyncio.timeout(seconds):
        while not await happened():
            await asyncio.sleep(0.02)


def submitted(backend, x):
    """Submit a job for this input, as an inference call would."""
    program = backend.tiny.circuit.manifest.program
    integers = quantise_sample({"x": x}, program.inputs)
    [answered] = queue_server.ENGINES["fake/1"].forward(backend.tiny.circuit.folder, program, [integers])
    inputs = backend.artifacts.put(integers_to_bytes(integers))
    return backend.submit(inputs=inputs, outputs=integers_digest(answered))


def backend_of(server, tiny):
    """The backend of a running server, to submit jobs to."""
    dependencies = server.dependencies
    return queue_server.Backend(
        tiny, dependencies.settings.state, dependencies.artifacts, dependencies.store, dependencies.settings, None, None
    )


async def health(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def models(channel, **options):
    return (await ModelsStub(channel).ListModels(ListModelsRequest(**options))).models


async def test_job_is_proven_and_its_attestation_served(settings, tiny):
    settings = changed(settings, proving=Proving(workers=1, memory=1 << 30))
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        job = submitted(backend_of(server, tiny), np.array([[0.0, -1.25, 2.0]], dtype=np.float32))
        request = operations_pb2.WaitOperationRequest(name=f"operations/proofs/{job.id}", timeout=Duration(seconds=60))
        operation = await OperationsStub(channel).WaitOperation(request)
        labels = {"model": "tiny", "version": "1", "outcome": "SUCCEEDED"}

        async def counted():
            return server.dependencies.metrics.registry.get_sample_value("zkinfer_proofs_ended_total", labels) == 1

        assert operation.HasField("response"), operation.error.message
        await eventually(counted)


async def test_restart_continues_waiting_jobs(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server:
        job = submitted(backend_of(server, tiny), np.array([[0.0, -1.25, 2.0]], dtype=np.float32))
    settings = changed(settings, proving=Proving(workers=1, memory=1 << 30))
    async with running(settings, tiny.home, **OPTIONS) as server:
        assert (await module.JobWatcher(server.dependencies.store).wait_final(job.id, 60)).state == "SUCCEEDED"


async def test_server_without_workers_releases_leases_of_a_killed_one(settings, tiny):
    with subprocess.Popen(["sleep", "60"]) as gone:
        name = worker_name(this_host(), gone.pid)
        gone.kill()
    async with running(settings, tiny.home, **OPTIONS) as server:
        job = submitted(backend_of(server, tiny), np.array([[0.0, -1.25, 2.0]], dtype=np.float32))
        server.dependencies.store.claim(name, lease_seconds=600)
        server.dependencies.store.cancel(job.id)
        assert (await module.JobWatcher(server.dependencies.store).wait_final(job.id, 20)).state == "CANCELLED"


async def test_models_are_listed_with_cost_and_fidelity_in_pages(settings, tiny):
    (settings.repository / "broken" / "1").mkdir(parents=True)
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        broken, found = await models(channel)
        first = await ModelsStub(channel).ListModels(ListModelsRequest(page_size=1))
        [second] = await models(channel, page_size=1, page_token=first.next_page_token)
    assert (broken.state, broken.model_id) == (MODEL_STATE_UNAVAILABLE, "")
    assert str(settings.repository) not in broken.reason
    assert (found.state, found.newest, found.model_id) == (MODEL_STATE_READY, True, tiny.circuit.model_id)
    assert (found.inputs[0].name, found.inputs[0].datatype, list(found.inputs[0].shape)) == ("x", "FP32", [1, 3])
    assert found.cost.gas == tiny.circuit.manifest.cost.gas
    assert found.fidelity.samples == tiny.circuit.manifest.fidelity.samples
    assert (first.models[0].name, second.name) == ("broken", "tiny")


async def test_malformed_page_token_is_refused(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        with pytest.raises(aio.AioRpcError, match="not a page token"):
            await models(channel, page_token="-1")


async def test_model_added_while_the_server_runs_is_served(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        shutil.copytree(tiny.circuit.folder, settings.repository / "second" / "1")

        async def listed():
            return "second" in [model.name for model in await models(channel) if model.state == MODEL_STATE_READY]

        await eventually(listed)


def asking(x, **changes):
    [tensor] = messages_of({"x": np.array([x], dtype=np.float32)})
    return CreateProofRequest(**{"model": "tiny", "inputs": [tensor]} | changes)


async def test_rights_and_quota_of_a_token_apply(settings, tiny):
    rights = Rights(models=frozenset({"tiny"}), unfinished_jobs=1)
    _, token = TokenFile(settings.state / "tokens.json").new("alice", rights=rights)
    _, other = TokenFile(settings.state / "tokens.json").new("bob", rights=Rights(models=frozenset({"other"})))
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        create = ProofsStub(channel).CreateProof
        assert (await create(asking([1, 2, 3]), metadata=queue_server.bearer(token))).operation.name
        with pytest.raises(aio.AioRpcError) as quota:
            await create(asking([1, 2, 4]), metadata=queue_server.bearer(token))
        with pytest.raises(aio.AioRpcError) as rights:
            await create(asking([1, 2, 3]), metadata=queue_server.bearer(other))
        listed = await ModelsStub(channel).ListModels(ListModelsRequest(), metadata=queue_server.bearer(other))
    assert quota.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert {"QuotaFailure", "RetryInfo"} <= set(queue_server.details(quota.value))
    assert rights.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert not listed.models


async def test_token_file_removed_while_the_server_runs_denies_every_call(settings, tiny):
    TokenFile(settings.token_file).new("alice")
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        settings.token_file.unlink()
        with pytest.raises(aio.AioRpcError) as caught:
            await models(channel)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "RetryInfo" in queue_server.details(caught.value)
    assert str(settings.state) not in caught.value.details()


async def test_access_log_names_the_job_of_the_call(settings, tiny, capsys):
    configure(Log(format="json"))
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        created = await ProofsStub(channel).CreateProof(asking([1, 2, 3]))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("method", "").endswith("CreateProof")]
    assert f"operations/proofs/{line['job']}" == created.operation.name


# --- the proof mode of a model


async def inferred(server, outputs=(), **parameters):
    """The parameters of a response to a request with these parameters."""
    request = messages.ModelInferRequest(model_name="tiny")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend((1, 2, 3))
    for name in outputs:
        request.outputs.add(name=name)
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    async with aio.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            f"/{module.INFERENCE}/ModelInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )
        return (await call(request, timeout=2)).parameters


async def test_call_without_a_mode_queues_a_proof_unless_the_settings_say_otherwise(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server:
        assert "zkinfer_operation" in await inferred(server)
    settings = changed(settings, models={"tiny": ModelSettings(proof_mode="none")})
    async with running(settings, tiny.home, **OPTIONS) as server:
        assert "zkinfer_operation" not in await inferred(server)
        assert "zkinfer_operation" in await inferred(server, zkinfer_proof_mode="async")
        with pytest.raises(aio.AioRpcError, match="The proof is not ready"):
            await inferred(server, outputs=["zkinfer_attestation"])
        with pytest.raises(aio.AioRpcError, match="zkinfer_proof_mode is none"):
            await inferred(server, outputs=["zkinfer_attestation"], zkinfer_proof_mode="none")
        async with aio.insecure_channel(server.address) as channel:
            config = channel.unary_unary(
                f"/{module.INFERENCE}/ModelConfig",
                request_serializer=messages.ModelConfigRequest.SerializeToString,
                response_deserializer=messages.ModelConfigResponse.FromString,
            )
            found = (await config(messages.ModelConfigRequest(name="tiny"))).config
    assert found.parameters["zkinfer_proof_mode"].string_value == "none"


async def test_settings_of_a_model_that_is_not_there_are_warned_about(settings, tiny, capsys):
    configure(Log(format="json"))
    settings = changed(settings, models={"tiny": ModelSettings(), "tyni": ModelSettings(proof_mode="none")})
    async with running(settings, tiny.home, **OPTIONS):
        pass
    lines = [line for line in capsys.readouterr().err.splitlines() if "not in the repository" in line]
    assert [json.loads(line)["model"] for line in lines] == ["tyni"]


# --- memory


async def test_memory_is_returned_while_the_process_is_larger_than_it_was(monkeypatch):
    trimmed, sizes = asyncio.Event(), iter([100 << 20, 110 << 20, 110 << 20])
    libc = SimpleNamespace(malloc_trim=lambda pad: trimmed.set())
    monkeypatch.setattr(background, "_resident", lambda statm: next(sizes, 200 << 20))
    monkeypatch.setattr(background, "_TRIM_SECONDS", 0.001)
    monkeypatch.setattr(background.ctypes, "CDLL", lambda name: libc)
    task = asyncio.create_task(background.return_memory())
    async with asyncio.timeout(5):
        await trimmed.wait()
    task.cancel()


async def test_allocator_that_cannot_return_memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(background.ctypes, "CDLL", lambda name: SimpleNamespace())
    background.limit_allocator()
    await background.return_memory()


# --- streams of requests


@asynccontextmanager
async def conversation(server, token):
    """A function that sends a request on one stream and returns the answer or the error."""
    async with aio.insecure_channel(server.address) as channel:
        stream = channel.stream_stream(
            f"/{module.INFERENCE}/ModelStreamInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelStreamInferResponse.FromString,
        )(metadata=queue_server.bearer(token) if token else None)

        async def ask(*values, name="x"):
            request = messages.ModelInferRequest(model_name="tiny")
            request.inputs.add(name=name, datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend(values)
            request.parameters["zkinfer_proof_mode"].string_param = "none"
            await stream.write(request)
            return await stream.read()

        yield ask
        await stream.done_writing()


async def test_caller_without_a_free_wait_slot_leaves_no_job(settings, tiny):
    settings = changed(settings, limits=Limits(concurrent_calls=4))
    async with running(settings, tiny.home, **OPTIONS) as server, conversation(server, "") as ask:
        await ask(1, 2, 3)  # its stream takes the only slot of a caller here
        request = messages.ModelInferRequest(model_name="tiny")
        request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend((1, 2, 3))
        request.parameters["zkinfer_proof_mode"].string_param = "sync"
        async with aio.insecure_channel(server.address) as channel:
            with pytest.raises(aio.AioRpcError, match="keep a stream open or wait") as caught:
                await channel.unary_unary(f"/{module.INFERENCE}/ModelInfer")(request.SerializeToString())
        assert server.dependencies.store.page().jobs == ()
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_more_streams_than_a_caller_may_open_are_refused_and_calls_are_not(settings, tiny):
    settings = changed(settings, limits=Limits(streams=2))
    async with running(settings, tiny.home, **OPTIONS) as server, conversation(server, "") as ask:
        assert not (await ask(1, 2, 3)).error_message
        async with conversation(server, "") as another:
            with pytest.raises(aio.AioRpcError, match="Too many request streams are open") as caught:
                await another(1, 2, 3)
        async with aio.insecure_channel(server.address) as channel:
            assert await models(channel)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" in queue_server.details(caught.value)


async def test_token_revoked_during_a_stream_is_refused_from_then_on(settings, tiny):
    tokens = TokenFile(settings.state / "tokens.json")
    grant, token = tokens.new("alice")
    async with running(settings, tiny.home, **OPTIONS) as server, conversation(server, token) as ask:
        assert not (await ask(1, 2, 3)).error_message
        tokens.revoke(grant.id)
        refused = await ask(1, 2, 3)
    assert "revoked" in refused.error_message
    assert not refused.infer_response.outputs


async def test_each_request_of_a_stream_counts_as_a_call(settings, tiny):
    _, token = TokenFile(settings.state / "tokens.json").new("alice", rights=Rights(calls_per_second=2.0))
    async with running(settings, tiny.home, **OPTIONS) as server, conversation(server, token) as ask:
        errors = [(await ask(1, 2, 3)).error_message for _ in range(10)]
    assert errors[:2] == ["", ""]
    assert "2 calls per second" in "".join(errors)


async def test_refusal_in_a_stream_is_logged_without_the_request_values(settings, tiny, capsys):
    configure(Log())
    _, token = TokenFile(settings.state / "tokens.json").new("alice")
    async with running(settings, tiny.home, **OPTIONS) as server, conversation(server, token) as ask:
        assert "31337-marker" in (await ask(1, 2, 3, name="31337-marker")).error_message
    output = capsys.readouterr().err
    assert "refused" in output
    assert "31337-marker" not in output


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"context": Context(chain_id="x")}, "context.chain_id"),
        ({"context": Context(chain_id=str(1 << 256))}, "context.chain_id"),
        ({"context": Context(consumer="0xAB")}, "context.consumer"),
        ({"context": Context(requester="0x" + "AB" * 20)}, "context.requester"),
        ({"context": Context(request_id="0x1")}, "context.request_id"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"request_id": "a\nb"}, "request_id"),
        ({"inputs": []}, "inputs"),
        ({"model": ""}, "model"),
    ],
    ids=range(9),
)
async def test_invalid_proof_request_is_refused_with_the_field(settings, tiny, changes, field):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await ProofsStub(channel).CreateProof(asking([1, 2, 3], **changes))
        assert server.dependencies.store.page().jobs == ()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert queue_server.details(caught.value)["BadRequest"].field_violations[0].field == field


async def test_request_id_of_a_proof_is_independent_of_its_context(settings, tiny):
    word = "0x" + "77" * 32
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        create = ProofsStub(channel).CreateProof
        await create(asking([1, 2, 3], request_id="order-7", context=Context(request_id=word, chain_id="5")))
        await create(asking([1, 2, 3], request_id="order-7", context=Context(request_id=word, chain_id="5")))
        await create(asking([1, 2, 3], request_id=word))
        second, first = server.dependencies.store.page().jobs
    assert (first.request.request_id, first.request.context.request_id) == ("order-7", word)
    assert first.request.context.chain_id == 5
    assert (second.request.request_id, second.request.context.request_id) == (word, word)


async def test_repeated_request_is_the_same_job_after_a_newer_version_appears(settings, tiny, other_circuit):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        create = ProofsStub(channel).CreateProof
        first = (await create(asking([1, 2, 3], request_id="order-7"))).operation.name
        shutil.copytree(other_circuit, settings.repository / "tiny" / "2")

        async def newer():
            return len(server.dependencies.repository.versions("tiny")) == 2

        await eventually(newer)
        again = (await create(asking([1, 2, 3], request_id="order-7"))).operation.name
        other = (await create(asking([1, 2, 3], request_id="order-8"))).operation.name
        with pytest.raises(aio.AioRpcError, match="used before"):
            await create(asking([1, 2, 3], request_id="order-7", version="2"))
        used = [job.request.version for job in server.dependencies.store.page().jobs]
    assert (again, used) == (first, ["2", "1"])
    assert other != first


async def test_health_is_reported_for_each_service(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        services = ("", "zkinfer.v1.Proofs", "zkinfer.v1.Models", "google.longrunning.Operations", module.INFERENCE)
        assert [await health(channel, service) for service in services] == [SERVING] * 5
        with pytest.raises(aio.AioRpcError) as caught:
            await health(channel, "none")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        shutil.rmtree(settings.repository / "tiny")

        async def ill():
            return await health(channel, "zkinfer.v1.Models") == NOT_SERVING

        await eventually(ill)


async def test_failed_background_task_is_logged_and_makes_the_server_unhealthy(settings, tiny, monkeypatch, capsys):
    configure(Log())
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:

        def broken():
            raise RuntimeError("31337 secret")

        monkeypatch.setattr(server.dependencies.repository, "index", broken)

        async def ill():
            return await health(channel) == NOT_SERVING

        await eventually(ill)
    output = capsys.readouterr().err
    assert "background task failed" in output
    assert "31337" not in output


async def test_failed_model_reload_is_logged_and_retried(settings, tiny, monkeypatch, capsys):
    configure(Log())
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        failing = [EngineError("It broke."), CircuitError("Gone.")]
        retain = server.dependencies.answers.retain

        def kept(models):
            if failing:
                raise failing.pop(0)
            retain(models)

        monkeypatch.setattr(server.dependencies.answers, "retain", kept)
        shutil.copytree(tiny.circuit.folder, settings.repository / "second" / "1")

        async def listed():
            return not failing and "second" in [model.name for model in await models(channel)]

        await eventually(listed)
        assert await health(channel) == SERVING
    assert '"error": "EngineError"' in capsys.readouterr().err


NO_WORKER = (sys.executable, "-c", "raise SystemExit(3)")


async def test_proofs_are_unavailable_without_a_running_worker(settings, tiny, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._FIRST_BACKOFF", 0.01)
    settings = changed(settings, proving=Proving(workers=1, memory=1 << 30))
    options = {**OPTIONS, "worker_command": NO_WORKER}
    async with running(settings, tiny.home, **options) as server, aio.insecure_channel(server.address) as channel:

        async def ill():
            return await health(channel, "zkinfer.v1.Proofs") == NOT_SERVING

        await eventually(ill)
        assert await health(channel, "google.longrunning.Operations") == NOT_SERVING
        assert [await health(channel, service) for service in ("", module.INFERENCE)] == [SERVING] * 2
        numbers = generate_latest(server.dependencies.metrics.registry).decode()
    assert 'zkinfer_workers{state="working"} 0.0' in numbers
    assert 'zkinfer_workers{state="missing"} 1.0' in numbers


async def test_proofs_are_served_again_when_the_queue_recovers(settings, tiny, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._SWEEP_INTERVAL", 0.05)
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:

        def full():
            raise StoreError("The disk is full.")

        async def proofs(state):
            return await health(channel, "zkinfer.v1.Proofs") == state

        with monkeypatch.context() as patch:
            patch.setattr(server.dependencies.store, "sweep", full)
            await eventually(lambda: proofs(NOT_SERVING))
            assert await health(channel) == SERVING
        await eventually(lambda: proofs(SERVING))


async def test_workers_get_the_values_of_the_settings(settings, tiny):
    proving = Proving(workers=0, job_seconds=7.0, lease_seconds=5.0, memory=1 << 30)
    settings = changed(settings, proving=proving, log=Log(level="warning", format="text"), queue=Queue(begun=3))
    async with running(settings, tiny.home, **OPTIONS) as server:
        worker_settings = server.dependencies.workers._settings
    assert (worker_settings.job_seconds, worker_settings.lease_seconds, worker_settings.retry_policy.attempts) == (
        7.0,
        5.0,
        3,
    )
    assert (worker_settings.log_level, worker_settings.log_format) == ("warning", "text")


async def test_workers_and_memory_of_all_processes_are_exported(settings, tiny):
    settings = changed(settings, proving=Proving(workers=1, memory=1 << 30))
    async with running(settings, tiny.home, **OPTIONS) as server:

        async def works():
            return server.dependencies.workers.working == 1

        await eventually(works)
        numbers = generate_latest(server.dependencies.metrics.registry).decode()
    assert 'zkinfer_workers{state="missing"} 0.0' in numbers
    assert 'zkinfer_process_memory_bytes{role="server"}' in numbers


async def test_only_health_is_served_without_a_token(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        TokenFile(settings.token_file).new("alice")
        assert await health(channel) == SERVING
        with pytest.raises(aio.AioRpcError) as caught:
            await models(channel)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def services_by_reflection(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    return {service.name for answer in answers for service in answer.list_services_response.service}


async def test_server_survives_a_removed_repository(settings, tiny, capsys):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        settings.repository.rename(settings.repository.with_name("gone"))
        await asyncio.sleep(0.2)
        assert [model.name for model in await models(channel)] == ["tiny"]
        settings.repository.with_name("gone").rename(settings.repository)
    assert '"error": "RepositoryError"' in capsys.readouterr().err


async def declared_by_reflection(channel, symbol):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    [answer] = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    return answer.file_descriptor_response.file_descriptor_proto


async def test_reflection_is_off_by_default(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await services_by_reflection(channel)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    settings = changed(settings, reflection=True)
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        found = await services_by_reflection(channel)
        assert {"zkinfer.v1.Proofs", "google.longrunning.Operations", "inference.GRPCInferenceService"} <= found
        for symbol in sorted(found):
            assert await declared_by_reflection(channel, symbol)


async def test_second_server_on_the_same_state_is_refused(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS):
        with pytest.raises(StateInUseError, match=f"process id {os.getpid()}"):
            async with running(settings, tiny.home, **OPTIONS):
                pass


async def test_missing_repository_stops_the_start_and_releases_the_state(settings, tiny, tmp_path):
    with pytest.raises(RepositoryError, match="cannot be read"):
        async with running(changed(settings, repository=tmp_path / "none"), tiny.home, **OPTIONS):
            pass
    async with running(settings, tiny.home, **OPTIONS):
        pass


async def test_drain_releases_waiting_callers(settings, tiny):
    async with running(settings, tiny.home, **OPTIONS) as server:
        channel = aio.insecure_channel(server.address)
        job = submitted(backend_of(server, tiny), np.zeros((1, 3), dtype=np.float32))
        request = operations_pb2.WaitOperationRequest(name=f"operations/proofs/{job.id}", timeout=Duration(seconds=60))
        waiting = asyncio.ensure_future(OperationsStub(channel).WaitOperation(request))
        await asyncio.sleep(0.1)
    assert not (await asyncio.wait_for(waiting, 5)).done
    await channel.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_the_server(settings, tiny, number):
    seen = []

    def started(server):
        seen.append(server.address)
        os.kill(os.getpid(), number)

    await asyncio.wait_for(serve(settings, tiny.home, started=started, **OPTIONS), 30)
    assert seen


@pytest.fixture
async def traced(backend):
    """A server, and a function that ends tracing and returns the only span."""
    exporter = InMemorySpanExporter()
    middleware, flush = trace_calls(Telemetry(endpoint="unused"), exporter)

    def span():
        flush()
        [found] = exporter.get_finished_spans()
        return found

    async with queue_server.served(backend, traced=[middleware]) as served:
        yield served, span


async def test_calls_are_traced_without_request_values(traced):
    served, span = traced
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = operations_pb2.GetOperationRequest(name="31337-marker")
    with pytest.raises(aio.AioRpcError):
        await served.operations.GetOperation(request, metadata=(("traceparent", parent),))
    found = span()
    assert found.name == "google.longrunning.Operations/GetOperation"
    assert format(found.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert found.attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert "31337" not in found.to_json()


async def test_cancelled_call_is_traced_as_cancelled(traced):
    served, span = traced
    job = served.backend.submit()
    request = operations_pb2.WaitOperationRequest(name=f"operations/proofs/{job.id}", timeout=Duration(seconds=60))
    waiting = served.operations.WaitOperation(request)
    in_flight = served.backend.metrics.registry.get_sample_value

    async def is_served():
        return in_flight("zkinfer_requests_in_flight") == 1

    await eventually(is_served)
    waiting.cancel()

    async def is_over():
        return in_flight("zkinfer_requests_in_flight") == 0

    await eventually(is_over)
    assert span().attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]


async def test_input_and_token_are_in_no_log_or_metric(settings, tiny, capsys):
    configure(Log(format="json"))
    settings = changed(settings, proving=Proving(workers=1, memory=1 << 30))
    marker = np.array([[0.0, 31337.25, 31337.25]], dtype=np.float32)
    _, token = TokenFile(settings.token_file).new("alice")
    async with running(settings, tiny.home, **OPTIONS) as server, aio.insecure_channel(server.address) as channel:
        job = submitted(backend_of(server, tiny), marker)
        await module.JobWatcher(server.dependencies.store).wait_final(job.id, 60)
        await OperationsStub(channel).ListOperations(
            operations_pb2.ListOperationsRequest(), metadata=queue_server.bearer(token)
        )
        with pytest.raises(aio.AioRpcError):
            await OperationsStub(channel).ListOperations(
                operations_pb2.ListOperationsRequest(), metadata=queue_server.bearer(token[:-1] + "x")
            )
        numbers = generate_latest(server.dependencies.metrics.registry).decode()
    output = capsys.readouterr()
    integers = str(round(31337.25 * 2 ** tiny.circuit.manifest.program.inputs[0].scale))
    for text in (output.err, output.out, numbers):
        assert not any(secret in text for secret in ("31337", integers, token[-64:-1], token))
    assert '"caller": "alice"' in output.err
    assert [json.loads(line) for line in output.err.splitlines() if line.startswith("{")]
