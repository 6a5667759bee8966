"""Who gets in, over the wire: tokens, certificates, rates."""

import grpc
import pytest
from google.longrunning import operations_proto_pb2 as operations_pb2
from grpc import aio
from tests.unit.service import queue_server
from tests.unit.service.certificates import Authority
from tests.unit.service.queue_server import bearer, details

from zkinfer.service.auth import Authenticator
from zkinfer.service.errors import SettingsError
from zkinfer.service.identity import Rights
from zkinfer.service.limits import RateLimiter
from zkinfer.service.settings import Tls
from zkinfer.service.transport import listen

LIST = operations_pb2.ListOperationsRequest()


def listed(served, **options):
    return served.operations.ListOperations(LIST, **options)


def with_tls(desk, **tls):
    desk.settings = desk.settings.model_copy(update={"tls": Tls(**tls), "listen": "127.0.0.1:0"})


@pytest.mark.parametrize(
    "metadata", [(), bearer("zki_" + "0" * 12 + "_" + "0" * 64), (("authorization", "Basic eA=="),)]
)
async def test_caller_without_a_valid_token_is_refused(served, metadata):
    served.desk.authenticator.tokens.new("alice")
    with pytest.raises(aio.AioRpcError) as caught:
        await listed(served, metadata=metadata)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert details(caught.value)["ErrorInfo"].reason == "UNAUTHENTICATED"


async def test_revoked_token_is_refused_at_the_next_call(served):
    grant, token = served.desk.authenticator.tokens.new("alice")
    await listed(served, metadata=bearer(token))
    served.desk.authenticator.tokens.revoke(grant.id)
    with pytest.raises(aio.AioRpcError, match="revoked"):
        await listed(served, metadata=bearer(token))


async def test_damaged_file_of_tokens_lets_nobody_in_and_shows_no_path(served):
    _, token = served.desk.authenticator.tokens.new("alice")
    served.desk.authenticator.tokens.path.write_text("damaged")
    with pytest.raises(aio.AioRpcError) as caught:
        await listed(served, metadata=bearer(token))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(served.desk.folder) not in caught.value.details()


async def test_caller_who_comes_too_often_is_told_when_to_come_again(desk):
    desk.rates = RateLimiter(1.0, clock=lambda: 0.0)
    async with queue_server.served(desk) as served:
        await listed(served)
        with pytest.raises(aio.AioRpcError) as caught:
            await listed(served)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(caught.value)["RetryInfo"].retry_delay.seconds == 1


async def test_request_id_of_the_caller_comes_back(served):
    request = operations_pb2.GetOperationRequest(name="none")
    with pytest.raises(aio.AioRpcError) as caught:
        await served.operations.GetOperation(request, metadata=(("x-request-id", "mine-1"),))
    assert details(caught.value)["RequestInfo"].request_id == "mine-1"


async def test_request_id_comes_back_from_a_call_that_succeeds(served):
    call = listed(served, metadata=(("x-request-id", "mine-1"),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine-1"


async def test_request_id_that_could_break_a_log_is_replaced(served):
    request = operations_pb2.GetOperationRequest(name="none")
    with pytest.raises(aio.AioRpcError) as caught:
        await served.operations.GetOperation(request, metadata=(("x-request-id", 'a" b'),))
    assert details(caught.value)["RequestInfo"].request_id.isalnum()


# --- certificates


async def test_server_with_a_certificate_is_called_over_tls(desk, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path)
    with_tls(desk, key=files["key"], certificate=files["certificate"])
    async with queue_server.served(desk, grpc.ssl_channel_credentials(authority.certificate)) as served:
        assert not (await listed(served)).operations


async def test_bearer_of_a_certificate_is_known_by_its_name(desk, tmp_path):
    authority = Authority()
    with_tls(desk, **authority.write(tmp_path))
    desk.authenticator = Authenticator(tokens=desk.authenticator.tokens, certificates=True)
    job = desk.submit(owner="backend-1")
    desk.submit(owner="backend-2")
    credentials = grpc.ssl_channel_credentials(authority.certificate, *authority.issue("backend-1"))
    async with queue_server.served(desk, credentials) as served:
        [found] = (await listed(served)).operations
    assert found.name.endswith(job.id)


async def test_bearer_who_is_not_listed_is_refused(desk, tmp_path):
    authority = Authority()
    with_tls(desk, **authority.write(tmp_path))
    desk.authenticator = Authenticator(
        tokens=desk.authenticator.tokens, certificates=True, subjects={"backend-1": Rights()}
    )
    credentials = grpc.ssl_channel_credentials(authority.certificate, *authority.issue("backend-2"))
    async with queue_server.served(desk, credentials) as served:
        with pytest.raises(aio.AioRpcError, match="backend-2 is not authorised"):
            await listed(served)


@pytest.mark.parametrize("foreign", [False, True], ids=["none", "foreign"])
async def test_caller_without_a_certificate_of_ours_gets_no_connection(desk, tmp_path, foreign):
    authority = Authority()
    with_tls(desk, **authority.write(tmp_path))
    shown = Authority("other").issue("backend-1") if foreign else ()
    async with queue_server.served(desk, grpc.ssl_channel_credentials(authority.certificate, *shown)) as served:
        with pytest.raises(aio.AioRpcError) as caught:
            await listed(served, timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_renewed_certificate_is_used_without_a_restart(desk, tmp_path):
    old, new = Authority("old"), Authority("new")
    files = old.write(tmp_path)
    with_tls(desk, key=files["key"], certificate=files["certificate"])
    async with queue_server.served(desk, grpc.ssl_channel_credentials(old.certificate)) as served:
        await listed(served)
        new.write(tmp_path)
        target = served.address.replace("127.0.0.1", "localhost")
        async with aio.secure_channel(target, grpc.ssl_channel_credentials(new.certificate)) as channel:
            assert not (await listed(queue_server.Served(desk, target, channel), timeout=10)).operations


async def test_certificate_that_cannot_be_read_stops_the_start(desk, tmp_path):
    with_tls(desk, key=tmp_path / "none.pem", certificate=tmp_path / "none.pem")
    with pytest.raises(SettingsError, match="cannot be read: no such file"):
        listen(aio.server(), desk.settings)


@pytest.mark.parametrize("damaged", ["certificate", "key", "client_ca", "pair"])
async def test_certificate_that_is_none_stops_the_start_and_is_named(desk, tmp_path, damaged):
    files = Authority().write(tmp_path)
    if damaged == "pair":
        files["key"].write_bytes(Authority().issue("server")[0])
    else:
        files[damaged].write_text("none")
    with_tls(desk, **files)
    with pytest.raises(SettingsError, match=r"are not a certificate and its private key|no CA certificate"):
        listen(aio.server(), desk.settings)


async def test_port_in_use_stops_the_start(served):
    settings = served.desk.settings.model_copy(update={"listen": served.address})
    with pytest.raises(SettingsError, match="cannot listen at"):
        listen(aio.server(options=[("grpc.so_reuseport", 0)]), settings)
