from google.protobuf.timestamp_pb2 import Timestamp

from zkinfer.service.rest.documents import document_of as document_over_http
from zkinfer.v1 import works_pb2
from zkinfer.works.directory.messages import document_of, lookup_request


def test_document_is_the_one_of_the_http_interface():
    work = works_pb2.Work(
        work="0x12",
        since=Timestamp(seconds=1_800_000_000),
        label=works_pb2.WorkLabel(ai_generated="yes"),
        parents=[works_pb2.WorkParent(work="0x13", share_bps=5)],
        children=["0x14"],
        certificate=works_pb2.WorkCertificate(size=1 << 60),
        as_of=works_pb2.WorksBlock(chain_id=1 << 40),
    )
    answer = works_pb2.LookupWorkResponse(
        certified=True, matches=[works_pb2.WorkMatch(work=work, by="print", distance=0, compared=250)]
    )
    for message in (work, answer, works_pb2.LookupWorkResponse(), works_pb2.Authorisation()):
        assert document_of(message) == document_over_http(message)


def test_question_has_one_kind_and_no_distance_unless_it_is_given():
    found = lookup_request("iscc", "ISCC:EEA", subject="dns:acme.example", uses=["training"])
    assert (found.WhichOneof("query"), found.iscc, found.HasField("distance")) == ("iscc", "ISCC:EEA", False)
    assert lookup_request("content", b"x", distance=0).HasField("distance")
