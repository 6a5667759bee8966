"""Uploads to a server that knows works: bombs and strangers are refused, and nothing stays or starves others."""

import gzip
import io
import struct
import threading
import zlib

import pytest
from PIL import Image
from tests.unit.service.rest.conftest import lasting
from tests.unit.service.rest.work_door import Door, known_in, refused
from tests.unit.works.files import picture

from zkinfer.circuits import storage
from zkinfer.service.auth import TokenFile
from zkinfer.service.identity import Rights
from zkinfer.service.settings import Limits
from zkinfer.works.directory import question
from zkinfer.works.errors import ContentError
from zkinfer.works.kinds import ALGORITHM

ID = "0x" + "ab" * 32
EVERY = [
    ("GET", f"/v1/works/{ID}"),
    ("GET", f"/v1/works/{ID}/metadata"),
    ("GET", f"/v1/works/{ID}/authorisation?subject=dns:acme.example&uses=commercial"),
    ("GET", f"/v1/works?sha256={'0' * 64}"),
    ("POST", "/v1/works:lookup"),
    ("GET", f"/matches/byBinding?alg={ALGORITHM}&value=AAAA"),
    ("POST", "/matches/byBinding"),
    ("POST", "/matches/byContent"),
    ("GET", "/manifests/urn:c2pa:x"),
    ("GET", "/services/supportedAlgorithms"),
]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return known_in(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def door(tiny, known, tmp_path_factory):
    with lasting(tiny, tmp_path_factory.mktemp("hostile"), directory=known[0]) as server:
        yield Door(server.rest_address, known[1])


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder that is used instead of shared memory."""
    monkeypatch.setattr(storage, "_volatile_parent", lambda: str(tmp_path))
    return tmp_path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data=b"", before=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def saved(kind, size=(8, 8), **options):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, **options)
    return out.getvalue()


UPLOADS = {
    "wide": png(40_000_000, 1, bytes(40_000_001)),
    "tall": png(1, 40_000_000),
    "huge": png((1 << 31) - 1, (1 << 31) - 1),
    "empty-sides": png(0, 0),
    "no-rows": png(100, 100),
    "truncated": saved("JPEG", (300, 300))[:500],
    "tiff-loop": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "gif-huge": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\0\0;",
    "webp-empty": b"RIFF\x04\0\0\0WEBP",
    "zeros": b"\x89PNG\r\n\x1a\n" + bytes(1 << 20),
}


@pytest.mark.parametrize("path", ["/v1/works:lookup", "/matches/byContent"])
@pytest.mark.parametrize("name", UPLOADS)
def test_hostile_picture_is_refused_and_leaves_no_file(door, temporary, path, name):
    assert refused(door, path, UPLOADS[name]) == 400
    assert list(temporary.iterdir()) == []


def test_bomb_in_a_text_of_a_picture_is_not_unpacked(door, temporary):
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9))
    data = png(64, 64, bytes(range(65)) * 64, before=text)
    assert len(data) < 1 << 20
    assert door.ask("/v1/works:lookup", data)[0] in (200, 400)
    assert list(temporary.iterdir()) == []


def test_file_that_is_looked_at_is_private_and_removed_after_a_failure(door, temporary, monkeypatch):
    seen = []

    def decode(path):
        seen.append((path.read_bytes(), path.is_relative_to(temporary), path.parent.stat().st_mode & 0o777))
        raise ContentError("It cannot be decoded.", "Export it again.")

    monkeypatch.setattr(question, "decode", decode)
    data = saved("PNG")
    assert refused(door, "/v1/works:lookup", data) == 400
    assert seen == [(data, True, 0o700)]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>fetch('/')</script></svg>",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b"\0\0\0\x18ftypheic" + bytes(100),
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
    ],
    ids=["svg", "pdf", "zip", "heic", "xml"],
)
def test_file_of_another_kind_is_an_unsupported_media_type_whatever_it_says(door, data):
    for said in ("image/png", "application/octet-stream"):
        assert refused(door, "/matches/byContent", data, **{"content-type": said}) == 415


@pytest.mark.parametrize("path", ["/v1/works:lookup", "/matches/byContent"])
def test_empty_upload_is_refused(door, path):
    assert refused(door, path, b"", verb="POST") in (400, 415)


@pytest.mark.parametrize("path", ["/v1/works:lookup", "/matches/byContent"])
def test_upload_that_unpacks_to_too_much_is_refused(door, path):
    packed = gzip.compress(bytes(300 << 20), 1)
    assert refused(door, path, packed, **{"content-encoding": "gzip"}) in (400, 413)


def test_algorithm_that_is_unknown_is_refused_before_the_picture_is_decoded(door, tmp_path):
    data = picture(tmp_path, "a.jpg", 3).read_bytes()
    for name in ("alg", "hintAlg"):
        assert refused(door, f"/matches/byContent?{name}=com.example.hash", data) == 400


@pytest.fixture(scope="module")
def guarded(tiny, known, tmp_path_factory):
    """A server that lets in bearers of one token, and looks at two files at a time."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "state").mkdir(mode=0o700)
    token = TokenFile(folder / "state" / "tokens.json").new("alice", rights=Rights())[1]
    with lasting(tiny, folder, directory=known[0], limits=Limits(concurrent_files=2)) as server:
        yield Door(server.rest_address, known[1]), {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("verb", "path"), EVERY)
def test_caller_without_a_token_learns_nothing(guarded, verb, path):
    door, token = guarded
    data = b"x" if verb == "POST" else None
    for headers in ({}, {"authorization": "Bearer " + "0" * 40}, {"authorization": "Basic eDp4"}):
        status, problem = door.ask(path, data, verb, **headers)
        assert (status, problem["reason"]) == (401, "UNAUTHENTICATED")
    assert door.ask(path, data, verb, **token)[0] != 401


@pytest.mark.parametrize(("verb", "path"), EVERY)
def test_page_of_a_foreign_origin_is_refused(door, verb, path):
    data = b"x" if verb == "POST" else None
    assert refused(door, path, data, verb=verb, origin="https://evil.example") == 403


def test_files_beyond_the_limit_are_refused_while_other_questions_are_answered(guarded, tmp_path):
    door, token = guarded
    out = io.BytesIO()
    Image.effect_noise((4000, 4000), 90).save(out, "JPEG", quality=30)
    found = []

    def look():
        found.append(door.ask("/v1/works:lookup", out.getvalue(), **token)[0])

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert door.ask(f"/v1/works/{door.work}", **token)[0] == 200
    for thread in threads:
        thread.join()
    assert set(found) == {200, 429}
    assert door.ask("/v1/works:lookup", out.getvalue(), **token)[0] == 200
