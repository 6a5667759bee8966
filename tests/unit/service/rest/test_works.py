"""Works over HTTP: what a real server answers from a directory that followed a chain."""

import base64
import hashlib
import io
import json
import struct
import urllib.error
import urllib.parse
import urllib.request
import zlib

import jsonschema_rs
import pytest
from PIL import Image
from tests.unit.contracts.work_scene import offer_of
from tests.unit.contracts.work_scene import scene as new_scene
from tests.unit.service.rest.conftest import lasting
from tests.unit.works.directory.directories import followed, signed_work

from zkinfer.client.errors import CallError
from zkinfer.client.works import WorksClient
from zkinfer.contracts.market import subject_of
from zkinfer.service.settings import WorksDirectory
from zkinfer.works.directory.lookup import Directory
from zkinfer.works.kinds import ALGORITHM
from zkinfer.works.prints import DISTANCE_LIMIT

UNKNOWN = "0x" + "ab" * 32


class Door:
    """A server that knows one marked work, which Acme may use commercially."""

    def __init__(self, address, grpc, path, certificate, work, database):
        self.address, self.grpc, self.path = address, grpc, path
        self.certificate, self.work, self.database = certificate, work, database

    def ask(self, path, data=None, content_type="application/octet-stream", **query):
        """Status, body and headers of a response."""
        text = "?" + urllib.parse.urlencode(query) if query else ""
        request = urllib.request.Request(f"http://{self.address}{path}{text}", data, {"content-type": content_type})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as err:
            with err:
                return err.code, err.read(), err.headers

    def json(self, path, data=None, **query):
        """Status and document of a response."""
        status, body, _ = self.ask(path, data, **query)
        return status, json.loads(body)

    @property
    def saved_again(self):
        """The picture without its metadata, at a low quality."""
        with Image.open(self.path) as picture:
            out = io.BytesIO()
            picture.convert("RGB").save(out, "JPEG", quality=50)
        return out.getvalue()


@pytest.fixture(scope="module")
def door(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("works")
    scene = new_scene()
    found = followed(scene, folder)
    path, certificate, what = signed_work(found, marked="embedded")
    work = found.register(what=what)
    _, market = scene.as_(1)
    offer = market.offer(offer_of(int(work, 16)))
    _, buyer = scene.as_(2)
    buyer.buy(offer, scene.address(2), subject_of("acme.example"))
    found.follow()
    found.read_files()
    database = f"{folder}/works.db"
    with lasting(tiny, folder, directory=WorksDirectory(database=database)) as server, found.store:
        yield Door(server.rest_address, server.address, path, certificate, work, database)


@pytest.fixture(scope="module")
def bare(proving):
    """A server without works."""
    return Door(proving, "", None, None, UNKNOWN, "")


def value(text):
    return base64.b64encode(text.encode()).decode()


def test_work_is_that_of_the_directory(door):
    status, found = door.json(f"/v1/works/{door.work}")
    assert (status, found["work"], found["content"]) == (200, door.work, "0x" + door.certificate.sha256)
    assert found["certificate"]["iscc256"] == door.certificate.predicate.content.iscc256
    with Directory(f"sqlite:///{door.database}") as directory, WorksClient(door.grpc) as client:
        assert client.work(door.work) == directory.work(door.work)


def test_work_is_found_by_the_decimal_id_of_its_token_uri(door):
    assert door.json(f"/v1/works/{int(door.work, 16)}")[1]["work"] == door.work


def test_headers_say_what_may_be_done_with_a_work(door):
    _, _, headers = door.ask(f"/v1/works/{door.work}")
    assert headers["content-usage"] == "train-ai=n, search=n"
    assert headers["tdm-reservation"] == "1"


def test_metadata_are_those_of_a_token(door):
    status, found = door.json(f"/v1/works/{int(door.work, 16)}/metadata")
    assert (status, found["name"]) == (200, door.certificate.name)
    assert found["dataMiningPreference"]["aiTraining"] == "notAllowed"
    assert "proof_type" not in found  # nothing is proven of a work by hand
    assert {"trait_type": "Origin", "value": "human"} in found["attributes"]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"/v1/works/{UNKNOWN}", 404, "NOT_INDEXED"),
        (f"/v1/works/{UNKNOWN}/metadata", 404, "NOT_INDEXED"),
        ("/v1/works/0x12", 400, "QUERY"),
        (f"/v1/works/{1 << 256}", 400, "QUERY"),
        ("/v1/works/cat/authorisation?subject=dns:acme.example&uses=commercial", 400, "QUERY"),
        (f"/v1/works/{UNKNOWN}/authorisation?subject=dns:acme.example&uses=commercial", 404, "NOT_INDEXED"),
        ("/v1/works", 400, "BAD_FIELD"),
        ("/v1/works?sha256=12", 400, "QUERY"),
        ("/v1/works?iscc=ISCC:AAA", 400, "CODE"),
        (f"/v1/works?sha256={'0' * 64}&iscc=ISCC:AAA", 400, "BAD_FIELD"),
        (f"/v1/works?sha256={'0' * 64}&max_results=101", 400, "QUERY"),
        (f"/v1/works?sha256={'0' * 64}&max_results=-1", 400, "DATA"),
        (f"/v1/works?sha256={'0' * 64}&distance=25", 400, "QUERY"),
        (f"/v1/works?sha256={'0' * 64}&uses=stealing&subject=dns:acme.example", 400, "QUERY"),
        (f"/v1/works?sha256={'0' * 64}&colour=red", 400, "BAD_FIELD"),
        ("/manifests/urn:c2pa:none", 404, "NOT_INDEXED"),
        ("/manifests/..%2f..%2fetc%2fpasswd", 404, "UNKNOWN_METHOD"),
        (f"/matches/byBinding?alg=com.example.hash&value={'AA' * 4}", 400, "DATA"),
        (f"/matches/byBinding?alg={ALGORITHM}&value=!", 400, "DATA"),
        (f"/matches/byBinding?alg={ALGORITHM}&value={'A' * 401}", 400, "DATA"),
        (f"/matches/byBinding?alg={ALGORITHM}&value=AAAA", 400, "CODE"),
        (f"/matches/byBinding?alg={ALGORITHM}&value=AAAA&maxResults=few", 400, "DATA"),
    ],
)
def test_malformed_or_unknown_is_refused_with_its_reason(door, path, status, reason):
    found = door.json(path)
    assert (found[0], found[1]["reason"]) == (status, reason), found[1]


def test_subject_is_authorised_for_what_it_bought_alone(door):
    path = f"/v1/works/{door.work}/authorisation"
    assert door.json(path, subject="dns:ACME.example", uses="commercial,derivatives")[1]["authorised"] == "yes"
    assert door.json(path, subject="dns:acme.example", uses="commercial,training")[1]["authorised"] == "no"
    refused = door.json(path, subject="dns:other.example", uses="commercial")[1]
    assert (refused["authorised"], len(refused["offers"])) == ("no", 1)


@pytest.mark.parametrize("subject", ["", "acme", "https://acme.example", "dns:", "dns:1.2.3.4/x", "0x12", "dns:a b"])
def test_subject_that_is_no_domain_or_account_is_refused(door, subject):
    status, found = door.json(f"/v1/works/{door.work}/authorisation", subject=subject, uses="commercial")
    assert (status, found["code"]) == (400, "INVALID_ARGUMENT")


def test_file_itself_is_certified(door):
    status, found = door.json("/v1/works:lookup", door.path.read_bytes(), subject="dns:acme.example", uses="commercial")
    assert (status, found["certified"], found["authorised"]) == (200, True, "yes")
    assert found["matches"][0]["by"] == "sha256"
    by_digest = door.json("/v1/works", sha256=door.certificate.sha256)[1]
    assert by_digest["matches"][0]["work"] == found["matches"][0]["work"]


def test_picture_saved_again_without_metadata_is_found_and_not_certified(door):
    status, found = door.json("/v1/works:lookup", door.saved_again)
    first = found["matches"][0]
    assert (status, found["certified"], first["work"]["work"], first["by"]) == (200, False, door.work, "certificate")
    assert first["distance"] <= DISTANCE_LIMIT < 224 <= first["compared"]
    assert found["label"]["level"] in ("claimed", "")
    assert any("fingerprints" in one for one in found["not_proven"])


def test_fingerprint_finds_the_work(door):
    for code in (door.certificate.predicate.content.iscc64, door.certificate.predicate.content.iscc256):
        assert door.json("/v1/works", iscc=code)[1]["matches"][0]["work"]["work"] == door.work


def bomb():
    """A PNG of 60,000 x 60,000 pixels in a few kilobytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("path", ["/v1/works:lookup", "/matches/byContent"])
@pytest.mark.parametrize(
    ("data", "status"),
    [(bomb(), 400), (b"\x89PNG\r\n\x1a\n" + bytes(100), 400), (bytes((16 << 20) + 1), 413)],
    ids=["bomb", "damaged", "large"],
)
def test_file_that_cannot_be_looked_at_is_refused(door, path, data, status):
    assert door.json(path, data)[0] == status


def test_file_that_is_no_picture_is_found_by_digest_alone(door):
    status, found = door.json("/v1/works:lookup", b"a text")
    assert (status, found["matches"], found["label"]["ai_generated"]) == (200, [], "unknown")
    assert door.json("/matches/byContent", b"a text")[0] == 415


def test_manifest_is_found_by_binding_and_content_and_is_the_registered_one(door):
    code = door.certificate.predicate.content.iscc256
    answers = [
        door.json("/matches/byBinding", alg=ALGORITHM, value=value(code), maxResults=3),
        door.json("/matches/byBinding", alg=ALGORITHM, value=value(code).rstrip("=")),
        door.json("/matches/byBinding", json.dumps({"alg": ALGORITHM, "value": value(code)}).encode()),
        door.json("/matches/byContent", door.saved_again, alg=ALGORITHM),
        door.json("/matches/byContent", door.saved_again, hintAlg=ALGORITHM, hintValue="AAAA"),
    ]
    assert {status for status, _ in answers} == {200}
    (name,) = {found["matches"][0]["manifestId"] for _, found in answers}
    assert [found["matches"][0]["similarityScore"] for _, found in answers[:3]] == [100, 100, 100]
    for query in ({}, {"returnActiveManifest": "false"}):
        status, store, headers = door.ask(f"/manifests/{name}", **query)
        assert (status, headers["content-type"]) == (200, "application/c2pa")
        assert hashlib.sha256(store).hexdigest() == door.certificate.predicate.manifest
    assert door.ask(f"/manifests/{name}", returnActiveManifest="true")[1] == store  # it has no other
    assert door.ask(f"/manifests/{name}", returnActiveManifest="perhaps")[0] == 400


def test_binding_of_bytes_is_that_of_their_text(door):
    code = door.certificate.predicate.content.iscc256.removeprefix("ISCC:")
    data = base64.b32decode(code + "=" * (-len(code) % 8))
    for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        assert door.json("/matches/byBinding", alg=ALGORITHM, value=text)[1]["matches"]


def test_binding_with_more_members_is_refused(door):
    body = json.dumps({"alg": ALGORITHM, "value": "AAAA", "more": 1}).encode()
    assert door.json("/matches/byBinding", body)[0] == 400


def test_algorithm_of_fingerprints_is_known_and_no_watermark(door):
    found = door.json("/services/supportedAlgorithms")[1]
    assert found == {"watermarks": [], "fingerprints": [{"alg": ALGORITHM}]}


def test_answers_are_of_their_schemas(door):
    document = door.json("/openapi.json")[1]
    answers = {
        "zkinfer.v1.Work": door.json(f"/v1/works/{door.work}")[1],
        "zkinfer.v1.LookupWorkResponse": door.json("/v1/works:lookup", door.saved_again)[1],
        "TokenMetadata": door.json(f"/v1/works/{door.work}/metadata")[1],
        "SoftBindingAlgorithms": door.json("/services/supportedAlgorithms")[1],
        "SoftBindingMatches": door.json("/matches/byContent", door.saved_again)[1],
    }
    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        assert jsonschema_rs.validator_for(schema).is_valid(answer), name


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (f"/v1/works/{UNKNOWN}", None),
        (f"/v1/works/{UNKNOWN}/metadata", None),
        (f"/v1/works/{UNKNOWN}/authorisation", None),
        (f"/v1/works?sha256={'0' * 64}", None),
        ("/v1/works:lookup", b"x"),
        (f"/matches/byBinding?alg={ALGORITHM}&value={value('ISCC:AAA')}", None),
        ("/matches/byContent", b"x"),
        ("/manifests/urn:c2pa:x", None),
        ("/services/supportedAlgorithms", None),
    ],
)
def test_server_without_works_says_so(bare, path, data):
    status, found = bare.json(path, data)
    assert (status, found["reason"]) == (404, "UNKNOWN_METHOD")
    assert "zkinfer serve --works" in found["detail"]


def test_client_of_grpc_gets_the_same_refusals(door):
    with WorksClient(door.grpc) as client:
        with pytest.raises(CallError, match="There is no work"):
            client.work(UNKNOWN)
        with pytest.raises(CallError, match="is no work"):
            client.work("7")
