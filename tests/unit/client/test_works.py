from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.client import CallError
from zkinfer.client.works import WorksClient
from zkinfer.v1 import works_pb2
from zkinfer.v1.works_pb2_grpc import WorksServicer, add_WorksServicer_to_server


class Works(WorksServicer):
    """Repeats what it is asked; knows no work 0x0."""

    def GetWork(self, request, context):  # noqa: N802 - the protocol's name
        if request.work == "0x0":
            context.abort(grpc.StatusCode.NOT_FOUND, "There is no such work.")
        return works_pb2.Work(work=request.work)

    def LookupWork(self, request, context):  # noqa: N802 - the protocol's name
        token = dict(context.invocation_metadata()).get("authorization", "")
        return works_pb2.LookupWorkResponse(standing=request.iscc, authorised=token)

    def CheckAuthorisation(self, request, context):  # noqa: N802 - the protocol's name
        return works_pb2.Authorisation(work=request.work, text=request.subject)


@pytest.fixture(scope="module")
def target():
    server = grpc.server(ThreadPoolExecutor(1))
    add_WorksServicer_to_server(Works(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_questions_arrive_with_their_token_and_answers_return(target):
    with WorksClient(target, token="secret") as client:
        assert client.work("0x12").work == "0x12"
        found = client.lookup(works_pb2.LookupWorkRequest(iscc="ISCC:EEA"))
        assert (found.standing, found.authorised) == ("ISCC:EEA", "Bearer secret")
        asked = works_pb2.CheckAuthorisationRequest(work="0x12", subject="dns:acme.example")
        assert client.authorisation(asked).text == "dns:acme.example"


def test_refusal_has_the_server_s_words(target):
    with WorksClient(target) as client, pytest.raises(CallError, match="no such work") as refused:
        client.work("0x0")
    assert refused.value.code == "NOT_FOUND"


def test_token_is_not_sent_without_tls(target):
    with pytest.raises(InputError, match="without TLS"):
        WorksClient("works.example:443", token="secret")


def test_server_that_cannot_be_reached_is_said_to_be():
    with WorksClient("127.0.0.1:1") as client:
        for ask in (
            lambda: client.lookup(works_pb2.LookupWorkRequest()),
            lambda: client.authorisation(works_pb2.CheckAuthorisationRequest()),
        ):
            with pytest.raises(CallError, match="cannot be reached"):
                ask()
