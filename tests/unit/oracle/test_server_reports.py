import json

import pytest
from tests.vectors.make_feeds import SPECS, payload

from zkinfer.contracts.errors import FeedFormatError
from zkinfer.oracle.errors import NoReportError, SourceError
from zkinfer.oracle.server_reports import fetch_report
from zkinfer.oracle.sources.http import HttpSource

SPEC = SPECS[1]
PAYLOAD = payload(SPEC, (0, 1))
SERVER = "https://op.example"


def report(one=PAYLOAD):
    return {"feedID": one.report.feed_id, "fullReport": "0x" + one.encode().hex()}


@pytest.fixture
def answers(monkeypatch):
    """Sets what the server answers, and returns the URLs that it was asked."""

    def answer(document):
        asked = []
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        monkeypatch.setattr(HttpSource, "fetch", lambda source: asked.append(source.url) or data)
        return asked

    return answer


def test_latest_report_is_fetched(answers):
    asked = answers({"report": report()})
    assert fetch_report(SERVER, SPEC) == PAYLOAD
    assert asked == [f"{SERVER}/api/v1/reports/latest?feedID={PAYLOAD.report.feed_id}"]


def test_report_of_a_round_is_fetched(answers):
    asked = answers({"reports": [report()]})
    assert fetch_report(SERVER, SPEC, PAYLOAD.round) == PAYLOAD
    assert f"startTimestamp={PAYLOAD.round * 60}&limit=1" in asked[0]


@pytest.mark.parametrize(
    "document", [{}, {"reports": []}, {"reports": 1}, {"reports": [1]}, {"reports": [{"fullReport": 1}]}]
)
def test_missing_report_is_refused(answers, document):
    answers(document)
    with pytest.raises(NoReportError, match="no report"):
        fetch_report(SERVER, SPEC, PAYLOAD.round)


@pytest.mark.parametrize(("spec", "number"), [(SPECS[2], None), (SPEC, PAYLOAD.round + 1)])
def test_report_of_another_feed_or_round_is_refused(answers, spec, number):
    answers({"report": report(), "reports": [report()]})
    with pytest.raises(NoReportError, match="instead"):
        fetch_report(SERVER, spec, number)


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b'{"a": 1, "a": 1}', {"report": {"fullReport": "0xzz"}}])
def test_answer_of_another_form_is_refused(answers, document):
    answers(document)
    with pytest.raises(SourceError):
        fetch_report(SERVER, SPEC)


def test_malformed_report_is_refused(answers):
    answers({"report": {"fullReport": "0x" + PAYLOAD.encode()[:-1].hex()}})
    with pytest.raises(FeedFormatError):
        fetch_report(SERVER, SPEC)
