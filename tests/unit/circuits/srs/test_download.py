import errno
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import SetupStore, download, fetch_setup

pytestmark = pytest.mark.usefixtures("rehearsal")


class Mirror(ThreadingHTTPServer):
    """Serves one body locally, with configurable misbehaviour."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = b""
        self.ranges = []  # the Range header of each request
        self.resumes = True
        self.stops_after = None
        self.status = 200
        self.location = None
        self.length = True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        start = int(match[1]) if match and self.server.resumes else 0
        self.answer(start)
        self.wfile.write(self.server.body[start : self.server.stops_after])

    def answer(self, start):
        total = len(self.server.body)
        self.send_response(206 if start and self.server.status == 200 else self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        if self.server.length:
            self.send_header("Content-Length", str(total - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(dev_bytes):
    with Mirror() as server:
        server.body = dev_bytes
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def kept(tmp_path):
    return SetupStore(tmp_path / "home")


@pytest.fixture
def part(kept):
    kept.home.mkdir()
    return kept.home / "rehearsal-3.part"


def fetched(kept, mirror, k=3, **options):
    return fetch_setup(kept, k, "rehearsal", base_url=mirror.url, **options)


def test_fetch_stores_the_file_and_reports_progress(kept, mirror, dev_bytes):
    seen = []
    setup = fetched(kept, mirror, progress=seen.append)
    assert setup.path.read_bytes() == dev_bytes
    assert seen[-1] == 1.0
    assert kept.list() == [setup]
    assert not setup.path.with_suffix(".part").exists()


def test_fetch_of_a_stored_file_makes_no_request(kept, mirror, dev_files):
    setup = kept.add(dev_files[3])
    assert fetched(kept, mirror) == setup
    assert mirror.ranges == []


def test_fetch_of_a_file_without_a_pinned_digest_checks_its_points(kept, mirror, dev_files):
    mirror.body = dev_files[5].read_bytes()
    setup = fetched(kept, mirror, k=5)
    assert kept.find(5) == setup


def test_fetch_interrupted_keeps_the_part_and_resumes(kept, mirror, dev_bytes):
    mirror.stops_after = 500
    with pytest.raises(SetupError, match=r"ended after 500 of 1,284 bytes.*to resume"):
        fetched(kept, mirror)
    mirror.stops_after = None
    assert fetched(kept, mirror).path.read_bytes() == dev_bytes
    assert mirror.ranges == [None, "bytes=500-"]


def test_fetch_from_a_server_that_does_not_resume_starts_over(kept, mirror, part):
    part.write_bytes(b"x" * 500)
    mirror.resumes = False
    assert fetched(kept, mirror).k == 3
    assert mirror.ranges == ["bytes=500-"]


@pytest.mark.parametrize("size", [500, 1284])
def test_fetch_resumed_over_other_content_starts_over(kept, mirror, part, size):
    part.write_bytes(b"x" * size)
    assert fetched(kept, mirror).k == 3
    assert mirror.ranges[-1] is None


def test_fetch_with_a_part_that_is_too_long_starts_over(kept, mirror, part):
    part.write_bytes(b"x" * 9999)
    assert fetched(kept, mirror).k == 3
    assert mirror.ranges == [None]


def test_fetch_complete_part_needs_no_network(kept, part, dev_bytes):
    part.write_bytes(dev_bytes)
    assert fetch_setup(kept, 3, "rehearsal").k == 3


def test_fetch_wrong_content_is_refused_and_removed(kept, mirror, part):
    mirror.body = mirror.body[:-300] + bytes(300)
    with pytest.raises(SetupError, match=r"rejected and removed\. Its sha256 is"):
        fetched(kept, mirror)
    assert not part.exists()
    assert kept.list() == []


def test_fetch_wrong_content_without_a_pinned_digest_is_refused_and_removed(kept, mirror, dev_files):
    mirror.body = bytearray(dev_files[5].read_bytes())
    mirror.body[1000] ^= 1
    with pytest.raises(SetupError, match="Point 15 of the monomial part"):
        fetched(kept, mirror, k=5)
    assert not list(kept.home.glob("*.part"))


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"\0"])
def test_fetch_wrong_length_is_refused_before_reading(kept, mirror, part, change):
    mirror.body = change(mirror.body)
    with pytest.raises(SetupError, match=r"has 1,28[35] bytes instead of 1,284"):
        fetched(kept, mirror)
    assert not part.exists()


def test_fetch_without_a_content_length_reads_a_bounded_amount(kept, mirror):
    mirror.body += b"\0" * 99
    mirror.length = False
    assert fetched(kept, mirror).path.stat().st_size == 1284


@pytest.mark.parametrize(("status", "message"), [(404, r"does not exist \(404\)"), (503, "returned HTTP status 503")])
def test_fetch_error_status_is_refused(kept, mirror, status, message):
    mirror.status = status
    with pytest.raises(SetupError, match=message):
        fetched(kept, mirror)


def test_fetch_range_beyond_the_end_is_refused_and_the_part_removed(kept, mirror, part):
    part.write_bytes(b"x" * 500)
    mirror.status, mirror.resumes = 416, False
    with pytest.raises(SetupError, match="expected size"):
        fetched(kept, mirror)
    assert not part.exists()


def test_fetch_without_a_server_is_refused(kept):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SetupError, match=r"Cannot reach.*refused"):
        fetch_setup(kept, 3, "rehearsal", base_url=url)


def test_fetch_from_a_silent_server_times_out(kept):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SetupError, match=r"Cannot reach.*timed out"):
            fetch_setup(kept, 3, "rehearsal", base_url=url, timeout_s=0.1)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "file:///etc", "http://127.0.0.1.example.org", "https//typo"]
)
def test_fetch_unsafe_address_is_refused(kept, url):
    with pytest.raises(SetupError, match="neither https nor http to a loopback"):
        fetch_setup(kept, 3, "rehearsal", base_url=url)


def test_fetch_malformed_address_is_refused(kept):
    with pytest.raises(SetupError, match="is not a valid URL"):
        fetch_setup(kept, 3, "rehearsal", base_url="https://[::1")


def test_fetch_redirect_to_an_unsafe_address_is_refused(kept, mirror):
    mirror.status, mirror.location = 302, "http://example.org/file"
    with pytest.raises(SetupError, match=r"http://example\.org/file is neither https"):
        fetched(kept, mirror)


def test_fetch_onto_a_full_disk_is_refused(kept, mirror, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "flush_to_disk", full)
    with pytest.raises(SetupError, match=r"No space left on device.*Free some disk space"):
        fetched(kept, mirror)


@pytest.mark.parametrize("k", [0, 27])
def test_fetch_k_out_of_range_is_refused(kept, mirror, k):
    with pytest.raises(SetupError, match="There is no trusted setup of"):
        fetched(kept, mirror, k=k)


def test_fetch_insecure_dev_is_refused(kept, mirror, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(SetupError, match=r"not published\..*--setup insecure-dev"):
        fetch_setup(kept, 3, "insecure-dev", base_url=mirror.url)


def test_concurrent_fetches_download_once(kept, mirror):
    threads = [threading.Thread(target=fetched, args=(kept, mirror)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mirror.ranges) == 1
    assert fetched(kept, mirror).k == 3
