"""Access over gRPC: tokens, certificates, rates. Encoded messages before they are decoded."""

import grpc
import pytest
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.message import DecodeError
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.service import queue_server
from tests.unit.service.certificates import Authority
from tests.unit.service.queue_server import bearer, details

from zkinfer.circuits.errors import DataError
from zkinfer.oip.messages import ModelInferRequest
from zkinfer.service.auth import Authenticator
from zkinfer.service.errors import SettingsError
from zkinfer.service.identity import Rights
from zkinfer.service.limits import RateLimiter
from zkinfer.service.settings import Tls
from zkinfer.service.transport import count_numbers, listen

LIST = operations_pb2.ListOperationsRequest()


def listed(served, **options):
    return served.operations.ListOperations(LIST, **options)


def with_tls(backend, **tls):
    backend.settings = backend.settings.model_copy(update={"tls": Tls(**tls), "listen": "127.0.0.1:0"})


@pytest.mark.parametrize(
    "metadata", [(), bearer("zki_" + "0" * 12 + "_" + "0" * 64), (("authorization", "Basic eA=="),)]
)
async def test_caller_without_a_valid_token_is_refused(served, metadata):
    served.backend.authenticator.tokens.new("alice")
    with pytest.raises(aio.AioRpcError) as caught:
        await listed(served, metadata=metadata)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert details(caught.value)["ErrorInfo"].reason == "UNAUTHENTICATED"


async def test_revoked_token_is_refused_at_the_next_call(served):
    grant, token = served.backend.authenticator.tokens.new("alice")
    await listed(served, metadata=bearer(token))
    served.backend.authenticator.tokens.revoke(grant.id)
    with pytest.raises(aio.AioRpcError, match="revoked"):
        await listed(served, metadata=bearer(token))


async def test_damaged_token_file_denies_every_caller_without_its_path(served):
    _, token = served.backend.authenticator.tokens.new("alice")
    served.backend.authenticator.tokens.path.write_text("damaged")
    with pytest.raises(aio.AioRpcError) as caught:
        await listed(served, metadata=bearer(token))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(served.backend.folder) not in caught.value.details()


async def test_caller_beyond_its_rate_gets_a_retry_delay(backend):
    backend.rates = RateLimiter(1.0, clock=lambda: 0.0)
    async with queue_server.served(backend) as served:
        await listed(served)
        with pytest.raises(aio.AioRpcError) as caught:
            await listed(served)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(caught.value)["RetryInfo"].retry_delay.seconds == 1


async def test_request_id_of_the_caller_is_returned(served):
    request = operations_pb2.GetOperationRequest(name="none")
    with pytest.raises(aio.AioRpcError) as caught:
        await served.operations.GetOperation(request, metadata=(("x-request-id", "mine-1"),))
    assert details(caught.value)["RequestInfo"].request_id == "mine-1"


async def test_request_id_is_returned_by_a_successful_call(served):
    call = listed(served, metadata=(("x-request-id", "mine-1"),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine-1"


async def test_unsafe_request_id_is_replaced(served):
    request = operations_pb2.GetOperationRequest(name="none")
    with pytest.raises(aio.AioRpcError) as caught:
        await served.operations.GetOperation(request, metadata=(("x-request-id", 'a" b'),))
    assert details(caught.value)["RequestInfo"].request_id.isalnum()


# --- certificates


async def test_server_with_a_certificate_serves_tls(backend, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path)
    with_tls(backend, key=files["key"], certificate=files["certificate"])
    async with queue_server.served(backend, grpc.ssl_channel_credentials(authority.certificate)) as served:
        assert not (await listed(served)).operations


async def test_client_certificate_identifies_the_caller(backend, tmp_path):
    authority = Authority()
    with_tls(backend, **authority.write(tmp_path))
    backend.authenticator = Authenticator(tokens=backend.authenticator.tokens, certificates=True)
    job = backend.submit(owner="backend-1")
    backend.submit(owner="backend-2")
    credentials = grpc.ssl_channel_credentials(authority.certificate, *authority.issue("backend-1"))
    async with queue_server.served(backend, credentials) as served:
        [found] = (await listed(served)).operations
    assert found.name.endswith(job.id)


async def test_unlisted_certificate_is_refused(backend, tmp_path):
    authority = Authority()
    with_tls(backend, **authority.write(tmp_path))
    backend.authenticator = Authenticator(
        tokens=backend.authenticator.tokens, certificates=True, subjects={"backend-1": Rights()}
    )
    credentials = grpc.ssl_channel_credentials(authority.certificate, *authority.issue("backend-2"))
    async with queue_server.served(backend, credentials) as served:
        with pytest.raises(aio.AioRpcError, match="backend-2 is not authorised"):
            await listed(served)


@pytest.mark.parametrize("foreign", [False, True], ids=["none", "foreign"])
async def test_caller_without_a_trusted_certificate_gets_no_connection(backend, tmp_path, foreign):
    authority = Authority()
    with_tls(backend, **authority.write(tmp_path))
    shown = Authority("other").issue("backend-1") if foreign else ()
    async with queue_server.served(backend, grpc.ssl_channel_credentials(authority.certificate, *shown)) as served:
        with pytest.raises(aio.AioRpcError) as caught:
            await listed(served, timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_renewed_certificate_is_used_without_a_restart(backend, tmp_path):
    old, new = Authority("old"), Authority("new")
    files = old.write(tmp_path)
    with_tls(backend, key=files["key"], certificate=files["certificate"])
    async with queue_server.served(backend, grpc.ssl_channel_credentials(old.certificate)) as served:
        await listed(served)
        new.write(tmp_path)
        target = served.address.replace("127.0.0.1", "localhost")
        async with aio.secure_channel(target, grpc.ssl_channel_credentials(new.certificate)) as channel:
            assert not (await listed(queue_server.Served(backend, target, channel), timeout=10)).operations


async def test_unreadable_certificate_stops_the_start(backend, tmp_path):
    with_tls(backend, key=tmp_path / "none.pem", certificate=tmp_path / "none.pem")
    with pytest.raises(SettingsError, match="cannot be read: no such file"):
        listen(aio.server(), backend.settings)


@pytest.mark.parametrize("damaged", ["certificate", "key", "client_ca", "pair"])
async def test_malformed_certificate_stops_the_start_and_is_named(backend, tmp_path, damaged):
    files = Authority().write(tmp_path)
    if damaged == "pair":
        files["key"].write_bytes(Authority().issue("server")[0])
    else:
        files[damaged].write_text("none")
    with_tls(backend, **files)
    with pytest.raises(SettingsError, match=r"are not a certificate and its private key|no CA certificate"):
        listen(aio.server(), backend.settings)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
async def test_private_key_that_others_can_read_stops_the_start(backend, tmp_path, mode):
    files = Authority().write(tmp_path)
    files["key"].chmod(mode)
    with_tls(backend, **files)
    with pytest.raises(SettingsError, match=r"key.pem can be read by other users.*chmod 600"):
        listen(aio.server(), backend.settings)


async def test_port_in_use_stops_the_start(served):
    settings = served.backend.settings.model_copy(update={"listen": served.address})
    with pytest.raises(SettingsError, match="cannot listen at"):
        listen(aio.server(options=[("grpc.so_reuseport", 0)]), settings)


# --- encoded messages


def numbers_in(message):
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return count_numbers(data, ModelInferRequest.DESCRIPTOR)


def test_numbers_of_a_message_are_counted_at_any_depth():
    request = ModelInferRequest(model_name="tiny", raw_input_contents=[bytes(100)])
    request.parameters["mine"].string_param = "x" * 1000
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 300])
    tensor.contents.fp32_contents.extend([0.5] * 300)
    tensor.contents.int64_contents.extend([0, 1 << 40, -1])
    tensor.contents.fp64_contents.extend([0.5] * 7)
    assert numbers_in(request) == 2 + 300 + 3 + 7


@pytest.mark.parametrize(
    "field", [b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x7a"], ids=["parameters", "inputs", "outputs", "raw", "?"]
)
def test_thousands_of_empty_fields_are_refused(field):
    assert numbers_in((field + b"\0") * 10_000) == 0
    with pytest.raises(DataError, match="more than 10,000 fields\\. Send tensors in raw_input_contents"):
        numbers_in((field + b"\0") * 10_001)


def test_empty_fields_within_a_field_are_counted_too():
    request = ModelInferRequest()
    for _ in range(10_001):
        request.inputs.add().parameters["a"].Clear()
    with pytest.raises(DataError, match="fields"):
        numbers_in(request)


def test_more_numbers_than_a_tensor_can_have_are_refused():
    request = ModelInferRequest()
    request.inputs.add().contents.int64_contents.extend(range(5))
    data = request.SerializeToString()
    assert numbers_in(data) == 5
    many = ModelInferRequest()
    many.inputs.add().contents.bool_contents.extend([True] * ((1 << 22) + 1))
    with pytest.raises(DataError, match="more than 4,194,304 numbers"):
        numbers_in(many)


@pytest.mark.parametrize(
    "data", [b"\x2a", b"\x2a\x05", b"\xff" * 20, b"\x2b\x2c", b"\x0d\0", b"\x2a\xff\xff\xff\xff\x7f"]
)
def test_message_that_is_cut_short_or_malformed_is_refused(data):
    with pytest.raises(DataError, match="not a message of the type"):
        numbers_in(data)


@given(st.binary(max_size=200))
def test_what_is_refused_as_malformed_could_not_be_decoded_either(data):
    try:
        numbers_in(data)
    except DataError:
        if all(byte & 7 not in (3, 4) for byte in data):  # groups, which are valid and which nobody sends
            with pytest.raises(DecodeError):
                ModelInferRequest.FromString(data)
