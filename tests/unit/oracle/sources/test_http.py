import httpx2
import pytest
from tests.unit.oracle.series import NOW, observed, recipe

from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.documents import MAX_BYTES
from zkinfer.oracle.sources.http import HttpSource

DOCUMENT = b'{"prices": [{"close": 1}, {"close": 2}, {"close": 3}]}'
URL = "https://example.test/prices?key=secret"


class Endless(httpx2.SyncByteStream):
    def __iter__(self):
        while True:
            yield bytes(1 << 16)


def source(*answers, url=URL, **options):
    """A source that gives these answers in turn, and the requests it was asked with."""
    asked, left = [], list(answers)

    def handle(request):
        asked.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pauses = []
    found = HttpSource(url, transport=httpx2.MockTransport(handle), sleep=pauses.append, **options)
    return found, asked, pauses


def ok():
    return httpx2.Response(200, stream=httpx2.ByteStream(DOCUMENT))


def moved(to):
    return httpx2.Response(302, headers={"Location": to})


def test_series_behind_a_url_is_observed():
    found, asked, _ = source(ok())
    assert found.observe(recipe(), NOW).inputs == observed(["1", "2", "3"]).inputs
    assert asked[0].headers["Accept-Encoding"] == "identity"


def test_origin_in_the_source_file_has_no_secret():
    found, _, _ = source(ok(), headers={"X-Key": "secret"})
    file = found.observe(recipe(), NOW).source_file
    assert b'"origin":"https://example.test"' in file
    assert b"secret" not in file


def test_headers_are_sent():
    found, asked, _ = source(ok(), headers={"X-Key": "abc"})
    found.fetch()
    assert asked[0].headers["X-Key"] == "abc"


@pytest.mark.parametrize("failure", [httpx2.ConnectError("x"), httpx2.ReadTimeout("x"), httpx2.Response(503)])
def test_failure_that_may_pass_is_tried_again(failure):
    found, asked, pauses = source(failure, failure, ok())
    assert found.fetch() == DOCUMENT
    assert len(asked) == 3
    assert pauses == [0.2, 0.4]


@pytest.mark.parametrize("failure", [httpx2.ConnectError(URL), httpx2.Response(429)])
def test_source_that_never_answers_is_refused(failure):
    found, asked, _ = source(*[failure] * 3)
    with pytest.raises(SourceError, match="no answer in 3 attempts") as refused:
        found.fetch()
    assert len(asked) == 3
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("status", [400, 401, 404, 204])
def test_other_status_is_refused_at_once(status):
    found, asked, _ = source(httpx2.Response(status))
    with pytest.raises(SourceError, match=f"status {status}"):
        found.fetch()
    assert len(asked) == 1


def test_redirect_on_the_host_is_followed():
    found, asked, _ = source(moved("/v2/prices"), ok())
    assert found.fetch() == DOCUMENT
    assert asked[1].url == "https://example.test/v2/prices"


@pytest.mark.parametrize(
    "target",
    ["https://other.test/prices", "http://example.test/prices", "https://example.test:444/prices", "//x.test/"],
)
def test_redirect_to_another_host_is_refused(target):
    found, asked, _ = source(moved(target))
    with pytest.raises(SourceError, match=r"redirects to .* another host"):
        found.fetch()
    assert len(asked) == 1


def test_endless_redirects_are_refused():
    found, asked, _ = source(*[moved("/again")] * 9)
    with pytest.raises(SourceError, match="more than 3 times"):
        found.fetch()
    assert len(asked) == 4


def test_answer_over_the_limit_is_refused_before_it_ends():
    found, _, _ = source(httpx2.Response(200, stream=Endless()))
    with pytest.raises(SourceError, match=f"more than {MAX_BYTES:,} bytes"):
        found.fetch()


def test_slow_answer_is_refused(monkeypatch):
    times = iter(range(0, 1000, 10))
    monkeypatch.setattr("zkinfer.oracle.sources.http.time.monotonic", lambda: next(times))
    found, _, _ = source(*(httpx2.Response(200, stream=Endless()) for _ in range(2)), attempts=2)
    with pytest.raises(SourceError, match="no complete answer in 5 s"):
        found.fetch()


def test_compressed_answer_is_refused():
    found, _, _ = source(httpx2.Response(200, headers={"Content-Encoding": "br"}, stream=Endless()))
    with pytest.raises(SourceError, match="compresses"):
        found.fetch()


@pytest.mark.parametrize("url", ["ftp://example.test/", "https://", "example.test", "file:///etc/passwd"])
def test_url_of_another_kind_is_refused(url):
    with pytest.raises(SourceError, match="begins with https"):
        HttpSource(url)


@pytest.mark.parametrize("url", ["http://example.test/", "http://10.0.0.1/", "http://localhost.example.test/"])
def test_plain_http_is_refused_unless_spelt_out(url):
    with pytest.raises(SourceError, match="not encrypted"):
        HttpSource(url)
    assert HttpSource(url, unsafe_plain_http=True).url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/", "http://localhost/", "http://[::1]/"])
def test_plain_http_on_this_machine_is_accepted(url):
    assert HttpSource(url).url == url


def test_source_without_attempts_is_refused():
    found, asked, _ = source(attempts=0)
    with pytest.raises(SourceError, match="at least once"):
        found.fetch()
    assert asked == []
