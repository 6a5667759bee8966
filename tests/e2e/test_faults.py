"""Acknowledged jobs are finished exactly once despite faults. `make reliability` is the long form."""

import contextlib
import itertools
import os
import re
import signal
import socket
import sqlite3
import threading
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.longrunning.operations_proto_pb2 import CancelOperationRequest, GetOperationRequest
from tests.e2e.campaign import Campaign
from tests.e2e.faults import clock_moved, clock_shim, filled, tmpfs_wrapper
from tests.e2e.ledger import audit, ending_of, metadata_of, operations
from tests.e2e.server_process import (
    MODEL,
    RECONNECTING,
    alive,
    channel_to,
    client_of,
    given,
    kill_process,
    parameters_of,
    until,
)
from tritonclient.utils import InferenceServerException

from zkinfer.oip import messages
from zkinfer.service.auth import TokenFile
from zkinfer.v1.proofs_pb2 import CreateProofRequest, VerifyAttestationRequest
from zkinfer.v1.values_pb2 import Tensor

pytestmark = [pytest.mark.alone, pytest.mark.slow]
INPUT = (0.1, 0.2, 0.3, 0.4)


def asked(client, values=INPUT, **parameters):
    """Request one inference; returns its proof operation."""
    result = client.infer(MODEL, given(values), parameters=parameters, client_timeout=30)
    return parameters_of(result)["zkinfer_operation"]


def awaited(server, name, seconds=90):
    """Wait for the end of an operation, and return it."""
    found = []

    def done():
        with channel_to(server) as channel, contextlib.suppress(grpc.RpcError):
            found.append(OperationsStub(channel).GetOperation(GetOperationRequest(name=name), timeout=5))
        return bool(found) and found[-1].done

    until(done, seconds, pause=0.2)
    return found[-1]


def test_campaign_of_kills_loses_no_job_and_duplicates_none(server, models, home):
    server.options = ("--workers", "2")
    with server:
        campaign = Campaign(server, seed=20, jobs=20, kills=6)
        campaign.run()
        with channel_to(server) as channel:
            verdict = audit(channel, campaign.ledger, models / MODEL / "1", home.root)
        assert verdict.faults == []
        assert (verdict.lost, verdict.duplicates, verdict.failed) == (0, 0, 0)
        assert verdict.attested == verdict.acknowledged >= 20
        mine = [one.pid for one in server.relatives()]
        assert server.stop() == 0
    assert not any(alive(pid) for pid in mine)
    assert list((server.state / "artifacts").glob(".part-*")) == []
    with sqlite3.connect(server.state / "jobs.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_server_takes_all_its_processes_with_it(server):
    with server, client_of(server) as client:
        asked(client)
        until(lambda: server.relatives("engine") != [], 60)
        mine = [one.pid for one in server.relatives()]
        server.kill()
        until(lambda: not any(alive(pid) for pid in mine), 20)


def test_job_whose_worker_is_killed_each_time_fails_with_a_reason(server):
    with server, client_of(server) as client:
        name = asked(client)

        def killed_enough():
            for one in server.relatives("engine"):
                kill_process(one.pid)
            with channel_to(server) as channel:
                return OperationsStub(channel).GetOperation(GetOperationRequest(name=name), timeout=30).done

        until(killed_enough, 120)
        ending = ending_of(awaited(server, name))
        assert "started as often as allowed" in ending
        assert "never finished" in ending
        assert client.infer(MODEL, given(INPUT), parameters={"zkinfer_proof_mode": "none"}) is not None


# --- a disk that is full


def test_full_disk_refuses_new_jobs_while_answers_and_old_jobs_continue(server):
    server.folder.joinpath("state").mkdir(mode=0o700)
    server.wrapper = tmpfs_wrapper(server.state, megabytes=96)
    with server, client_of(server) as client:
        taken = [asked(client, (0.1, 0.2, 0.3, number / 10)) for number in range(3)]
        until(lambda: server.relatives("engine") != [], 60)
        with filled(server) as room:
            with pytest.raises(InferenceServerException, match=r"UNAVAILABLE.*cannot store jobs at the moment"):
                asked(client, (0.9, 0.2, 0.3, 0.4))
            assert re.search("disk is nearly full|no space left", server.tail())
            assert client.infer(MODEL, given(INPUT), parameters={"zkinfer_proof_mode": "none"}) is not None
            # One of the old jobs finishes meanwhile, without room for its attestation.
            until(lambda: "outcome of a job not stored" in server.log.read_text(errors="replace"), 180)
            room()
        for name in taken:
            assert ending_of(awaited(server, name)).startswith("sha256:")
        assert asked(client, (0.9, 0.2, 0.3, 0.4))


# --- callers that are slow, disconnect or send garbage


def test_silent_connections_do_not_block_other_callers(server):
    with server, contextlib.ExitStack() as stack:
        for number in range(300):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if number % 2:
                one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04")
        with client_of(server) as client:
            assert asked(client)


def test_job_survives_a_disconnected_caller(server):
    with server:
        with client_of(server) as client:
            call = client.async_infer(MODEL, given(INPUT), callback=lambda result, error: None)
            call.cancel()
            client.start_stream(lambda result, error: None)
            client.async_stream_infer(MODEL, given((0.5, 0.5, 0.5, 0.5)))
            with channel_to(server) as channel:
                until(lambda: any(True for _ in operations(channel)), 30)
            client.stop_stream(cancel_requests=True)
        with channel_to(server) as channel:
            for operation in list(operations(channel)):
                assert ending_of(awaited(server, operation.name)).startswith("sha256:")


def test_garbage_on_the_port_is_survived(server):
    random = np.random.default_rng(5)
    with server, client_of(server) as client:
        for head in (b"", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", server.port)) as one, contextlib.suppress(OSError):
                    one.sendall(head + random.bytes(4000))
        with channel_to(server) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            for _ in range(50):
                with contextlib.suppress(grpc.RpcError):
                    call(random.bytes(500), timeout=10)
        assert client.is_server_ready()
        assert asked(client)


def test_unread_streams_do_not_block_other_callers(server):
    """Each sends a thousand requests and reads no answer, so that answers pile up."""
    with server, contextlib.ExitStack() as stack, client_of(server) as client:
        before = resident(server)
        for _ in range(3):
            channel = stack.enter_context(channel_to(server))
            call = channel.stream_stream(
                "/inference.GRPCInferenceService/ModelStreamInfer",
                request_serializer=lambda message: message.SerializeToString(),
            )
            message = triton._utils._get_inference_request(
                model_name=MODEL,
                inputs=given(INPUT),
                model_version="",
                request_id="",
                outputs=None,
                sequence_id=0,
                sequence_start=False,
                sequence_end=False,
                priority=0,
                timeout=None,
                parameters={"zkinfer_proof_mode": "none"},
            )
            call(iter([message] * 1000))
        time.sleep(2)
        assert asked(client)
        assert resident(server) < before + (150 << 20)


INFER, STREAM = (f"/inference.GRPCInferenceService/Model{kind}" for kind in ("Infer", "StreamInfer"))
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
NO_PROOF = {"zkinfer_proof_mode": "none"}


@contextlib.contextmanager
def half_open(server, number, method, token=""):
    """`number` calls on one connection that never send a request."""
    own_connection = [("grpc.use_local_subchannel_pool", 1)]
    channel, asleep = grpc.insecure_channel(server.address, options=own_connection), threading.Event()

    def nothing():
        asleep.wait()
        yield b""

    metadata = [("authorization", f"Bearer {token}")] if token else None
    calls = [channel.stream_stream(method)(nothing(), metadata=metadata) for _ in range(number)]
    yield calls
    asleep.set()
    channel.close()


def idle_streams(server, number):
    """`number` streams that never send a request."""
    return half_open(server, number, STREAM)


def refusals(calls):
    """The status codes of ended calls, each of which must have a retry delay."""
    over = [call for call in calls if not call.is_active()]
    details = [dict(call.trailing_metadata()).get("grpc-status-details-bin", b"") for call in over]
    assert [call for call, detail in zip(over, details, strict=True) if b"RetryInfo" not in detail] == []
    return [call.code().name for call in over]


def tokens_of(server, *names):
    """Create a token for each name; from now on calls without a token are refused."""
    file = TokenFile(server.state / "tokens.json")
    return [file.new(name)[1] for name in names]


def test_unauthenticated_calls_without_a_request_do_not_block_callers(server):
    """Health checks need no authentication: 600 such calls on three connections send nothing."""
    [token] = tokens_of(server, "alice")
    with server, contextlib.ExitStack() as stack, client_of(server) as client:
        checks = [call for _ in range(3) for call in stack.enter_context(half_open(server, 200, CHECK))]
        watches = stack.enter_context(half_open(server, 100, WATCH))
        until(lambda: len(refusals(checks)) > 500, 30, pause=0.2)
        for _ in range(5):
            assert client.is_server_live()
            assert answered(client, token)
        until(lambda: len(refusals(checks + watches)) == 700, 30, pause=0.2)
        assert set(refusals(checks)) == {"DEADLINE_EXCEEDED"}
        assert set(refusals(watches)) == {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


def test_calls_without_a_request_do_not_block_another_caller(server):
    alice, bob = tokens_of(server, "alice", "bob")
    with server, client_of(server) as client, half_open(server, 260, INFER, alice) as calls:
        until(lambda: len(refusals(calls)) > 100, 30, pause=0.2)
        for _ in range(5):
            assert answered(client, bob)
        until(lambda: len(refusals(calls)) == 260, 30, pause=0.2)
        assert set(refusals(calls)) == {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
        until(lambda: answered_again(client, alice), 30, pause=0.2)


def answered(client, token):
    """Request an answer without a proof, with a token."""
    headers = {"authorization": f"Bearer {token}"}
    return client.infer(MODEL, given(INPUT), parameters=NO_PROOF, headers=headers, client_timeout=20)


def answered_again(client, token):
    """Whether a caller that was refused for too many calls is served again."""
    with contextlib.suppress(InferenceServerException):
        return answered(client, token) is not None
    return False


def test_idle_streams_of_one_caller_do_not_block_others(server):
    with server, client_of(server) as client, idle_streams(server, 200), idle_streams(server, 200):
        time.sleep(2)
        for _ in range(5):
            assert client.infer(MODEL, given(INPUT), parameters={"zkinfer_proof_mode": "none"}, client_timeout=20)
        with client_of(server) as another:
            assert another.is_server_live()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 25  # less than the grace period for running calls


def test_inputs_of_refused_requests_are_not_left_on_disk(server):
    server.options, server.variables = ("--workers", "0"), {"ZKINFER_QUEUE__PER_OWNER": "2"}
    with server, client_of(server) as client:
        for number in range(2):
            asked(client, (0.1, 0.2, 0.3, number / 10))
        for number in range(2, 8):
            with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
                asked(client, (0.1, 0.2, 0.3, number / 10))
        until(lambda: len(list((server.state / "artifacts").iterdir())) == 2, 20)


# --- callers who send too much


CREATE, VERIFY = (f"/zkinfer.v1.Proofs/{name}" for name in ("CreateProof", "VerifyAttestation"))
LARGE = 18 << 20


def padded():
    """A request that waits for its proof, with a parameter of 18 MiB that is none of ours."""
    request = messages.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend(INPUT)
    request.parameters["zkinfer_proof_mode"].string_param = "sync"
    request.parameters["mine"].string_param = "x" * LARGE
    return request.SerializeToString()


LOADS = {
    "streams": (STREAM, padded, True),
    "calls": (INFER, padded, False),
    "fields": (INFER, lambda: b"\x2a\0" * (LARGE // 2), False),  # empty inputs, which take fifty times their size
    "fields of a health check": (CHECK, lambda: b"\x0a\0" * (LARGE // 2), False),
    "proofs": (CREATE, lambda: CreateProofRequest(inputs=[Tensor(data=bytes(LARGE))]).SerializeToString(), False),
    "verifications": (
        VERIFY,
        lambda: VerifyAttestationRequest(attestation=bytes(LARGE)).SerializeToString(),
        False,
    ),
}


def send_large(channel, door, data, token, over):
    """Send one large request after another, until it is over."""
    method, _, streamed = LOADS[door]
    metadata = [("authorization", f"Bearer {token}")] if method != CHECK else None
    while not over.wait(0.01):
        with contextlib.suppress(grpc.RpcError, ValueError):  # of a channel that is closed
            if streamed:
                requests = itertools.takewhile(lambda _: not over.is_set(), itertools.repeat(data))
                list(channel.stream_stream(method)(requests, metadata=metadata))
            else:
                channel.unary_unary(method)(data, metadata=metadata, timeout=3)


@contextlib.contextmanager
def load(server, door, token, callers=6):
    """So many connections of one caller with large requests."""
    data, over = LOADS[door][1](), threading.Event()
    options = [*RECONNECTING, ("grpc.max_send_message_length", -1)]
    channels = [grpc.insecure_channel(server.address, options=options) for _ in range(callers)]
    threads = [threading.Thread(target=send_large, args=(one, door, data, token, over)) for one in channels]
    for one in threads:
        one.start()
    yield
    over.set()
    for channel in channels:
        channel.close()
    for one in threads:
        one.join(20)


@pytest.mark.parametrize("door", LOADS)
def test_caller_with_large_requests_leaves_memory_and_time_to_others(server, door):
    """Resident memory stays far below what is sent, is given back, and another caller is served within a second."""
    server.options = ("--workers", "0")  # so that no proof comes, and who waits for one waits
    alice, bob = tokens_of(server, "alice", "bob")
    with server, client_of(server) as client:
        answered(client, bob)
        before, sizes, seconds = resident(server), [], []
        with load(server, door, alice):
            end = time.monotonic() + 8
            while time.monotonic() < end:
                began = time.monotonic()
                answered(client, bob)
                seconds.append(time.monotonic() - began)
                sizes.append(resident(server))
                time.sleep(0.02)
        assert before + (4 << 20) < max(sizes) < 450 << 20
        assert sorted(seconds)[len(seconds) * 9 // 10] < 1.0
        until(lambda: resident(server) < before + (64 << 20), 20)


def resident(server):
    """The resident memory of the server process in bytes."""
    with open(f"/proc/{server.pid}/statm") as file:  # noqa: PTH123 - a file in /proc
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- clock jumps


@pytest.mark.parametrize("days", [400, -400])
def test_clock_jump_ends_no_job_and_starts_none_twice(server, days, tmp_path):
    shim, clock = clock_shim(tmp_path)
    server.variables = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET_FILE": str(clock)}
    with server, client_of(server) as client:
        names = [asked(client, (0.1, 0.2, 0.3, number / 10)) for number in range(4)]
        until(lambda: server.relatives("engine") != [], 60)
        clock_moved(clock, days * 86_400)
        endings = [ending_of(awaited(server, name)) for name in names]
        assert all(ending.startswith("sha256:") for ending in endings)
        with channel_to(server) as channel:
            assert {metadata_of(one).attempt for one in operations(channel)} == {1}
        assert awaited(server, asked(client, (0.5, 0.5, 0.5, 0.5)))


# --- cancellation and clean shutdown


def held_engine(server):
    """An engine suspended during a proof, as a small proof would end before a call arrives."""
    found = []

    def held():
        for one in server.relatives("engine"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGSTOP)
                found.append(one)
        return found != []

    until(held, 60)
    return found[0]


def test_cancelled_proof_is_stopped_and_its_engine_killed(server):
    with server, client_of(server) as client, channel_to(server) as channel:
        name = asked(client)
        held_engine(server)
        OperationsStub(channel).CancelOperation(CancelOperationRequest(name=name))
        assert "cancelled" in ending_of(awaited(server, name))
        until(lambda: server.relatives("engine") == [], 20)


def test_sigterm_during_work_exits_cleanly_and_the_rest_is_done_later(server):
    server.options = ("--workers", "1")
    with server, client_of(server) as client:
        names = [asked(client, (0.1, 0.2, 0.3, number / 10)) for number in range(6)]
        until(lambda: server.relatives("engine") != [], 60)
        mine = [one.pid for one in server.relatives()]
        assert server.stop() == 0
        assert not any(alive(pid) for pid in mine)
        server.start()
        assert all(ending_of(awaited(server, name)).startswith("sha256:") for name in names)


LEASE = {"ZKINFER_PROVING__LEASE_SECONDS": "6"}


def test_hung_worker_loses_its_job_and_has_no_effect(server):
    server.options, server.variables = ("--workers", "2"), LEASE
    with server, client_of(server) as client, channel_to(server) as channel:
        name = asked(client)
        engine = held_engine(server)
        os.kill(engine.parent, signal.SIGSTOP)
        until(lambda: all(metadata_of(one).attempt >= 2 for one in operations(channel)), 60)
        for held in (engine.pid, engine.parent):  # now two workers believe that they own the job
            os.kill(held, signal.SIGCONT)
        until(lambda: "job lost" in server.log.read_text(errors="replace"), 60)
        ended = awaited(server, name, 180)
        assert ending_of(ended).startswith("sha256:")
        assert metadata_of(ended).attempt >= 2
        until(lambda: server.relatives("engine") == [], 60)
        assert list(operations(channel)) == [ended]


def test_suspended_server_resumes_its_jobs(server):
    """SIGSTOP for longer than the lease looks like a server on a hanging machine."""
    server.variables = LEASE
    with server, client_of(server) as client:
        name = asked(client)
        everyone = [server.pid, *(one.pid for one in server.relatives())]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in everyone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(8 if number == signal.SIGSTOP else 0)
        assert ending_of(awaited(server, name, 180)).startswith("sha256:")
