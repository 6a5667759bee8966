"""Hostile questions about works: ids, subjects and bindings that mean harm are refused, with a reason."""

import base64
import io
import json
import urllib.parse

import iscc_core
import pytest
from tests.unit.service.rest.conftest import lasting
from tests.unit.service.rest.work_door import Door, known_in, refused

from zkinfer.works.kinds import ALGORITHM


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return known_in(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def door(tiny, known, tmp_path_factory):
    with lasting(tiny, tmp_path_factory.mktemp("hostile"), directory=known[0]) as server:
        yield Door(server.rest_address, known[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1e3",
        "0x",
        "0x" + "g" * 64,
        "0x" + "a" * 65,
        "00" * 33,
        "1" * 5000,
        str(1 << 256),
        "%EF%BC%91",  # a wide 1
        "%00",
        "%FF%FE",
        "%ED%A0%80",  # half of a surrogate pair
        "..%2F..%2Fworks.db",
        "'%20OR%201=1--",
        "%25",
    ],
)
@pytest.mark.parametrize("after", ["", "/metadata", "/authorisation?subject=dns:acme.example&uses=commercial"])
def test_work_of_a_malformed_id_is_refused(door, text, after):
    assert refused(door, f"/v1/works/{text}{after}") in (400, 404)


@pytest.mark.parametrize(
    "text",
    [
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "..%5C..%5Cworks.db",
        "%2e%2e",
        "%00",
        "urn:c2pa:%00",
        "%FF",
        "%ED%A0%80",
        "%25",
        "_",
        "'%20OR%201=1--",
        "u" * 8000,
        "%F0%9F%92%A3" * 200,
    ],
)
def test_manifest_of_a_hostile_id_is_not_found(door, text):
    assert refused(door, f"/manifests/{text}") == 404


@pytest.mark.parametrize(
    "subject",
    [
        "1.2.3.4",
        "dns:1.2.3.4",
        "dns:127.0.0.1.",
        "dns:[::1]",
        "dns:https://acme.example",
        "dns:acme.example:443",
        "dns:acme.example/path",
        "dns:acme.example\nx",
        "dns:acme.example\0",
        "dns:*.example",
        "dns:" + "a" * 64 + ".example",
        "dns:" + "a." * 500,
        "dns:١.٢.٣.٤",
        "DNS:acme.example",
        "0x" + "a" * 39,
        "0x" + "ａ" * 40,
        "💣",
    ],
)
def test_subject_that_names_nobody_is_refused(door, subject):
    query = urllib.parse.urlencode({"subject": subject, "uses": "commercial"})
    assert refused(door, f"/v1/works/{door.work}/authorisation?{query}") == 400
    assert refused(door, f"/v1/works?sha256={'0' * 64}&{query}") == 400


@pytest.mark.parametrize("uses", ["", ",", "attribution", "COMMERCIAL", "1", ",".join(["x"] * 300)])
def test_uses_that_are_none_are_refused(door, uses):
    assert refused(door, f"/v1/works/{door.work}/authorisation?subject=dns:acme.example&uses={uses}") == 400


def test_three_hundred_times_one_use_is_that_use(door):
    uses = ",".join(["commercial"] * 300)
    status, found = door.ask(f"/v1/works/{door.work}/authorisation?subject=dns:acme.example&uses={uses}")
    assert (status, found["authorised"], found["text"].count("commercial")) == (200, "no", 1)


@pytest.mark.parametrize(
    "query",
    [
        f"sha256={'0' * 64}&sha256={'1' * 64}",
        "sha256=",
        "sha256=" + "%D9%A0" * 64,  # Arabic zeros
        "sha256=%00",
        "sha256=%FF",
        "iscc=",
        "iscc=ISCC:" + "A" * 5000,
        "iscc=%ED%A0%80",
        f"sha256={'0' * 64}&distance=-1",
        f"sha256={'0' * 64}&distance=1e1",
        f"sha256={'0' * 64}&distance=" + "9" * 400,
        f"sha256={'0' * 64}&max_results=%D9%A1",
        "&".join(f"x{number}=1" for number in range(40)),
    ],
)
def test_hostile_query_is_refused(door, query):
    assert refused(door, f"/v1/works?{query}") == 400


def other_codes():
    """ISCCs that are no Image-Code of 64 or 256 bits."""
    text = iscc_core.gen_text_code_v0("the words of somebody else", 64)["iscc"]
    return [
        text,
        iscc_core.gen_image_code_v0(list(range(256)) * 4, 128)["iscc"],
        iscc_core.gen_instance_code_v0(io.BytesIO(b"x"), 64)["iscc"],
        iscc_core.gen_iscc_code_v0(
            [
                text,
                iscc_core.gen_data_code_v0(io.BytesIO(b"x"))["iscc"],
                iscc_core.gen_instance_code_v0(io.BytesIO(b"x"))["iscc"],
            ]
        )["iscc"],
    ]


@pytest.mark.parametrize("code", other_codes())
def test_code_of_another_kind_is_refused(door, code):
    assert refused(door, f"/v1/works?iscc={code}") == 400
    value = urllib.parse.quote(base64.b64encode(code.encode()).decode())
    assert refused(door, f"/matches/byBinding?alg={ALGORITHM}&value={value}") == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 5000,
        b'{"alg": "io.iscc.v0"}',
        b'{"alg": "io.iscc.v0", "value": 1}',
        b'{"alg": "io.iscc.v0", "value": ["AAAA"]}',
        b'{"alg": "io.iscc.v0", "alg": "io.iscc.v0", "value": "AAAA"}',
        b'{"alg": "io.iscc.v0", "value": "\\ud800"}',
        b'{"alg": "io.iscc.v0", "value": "\xff"}',
        b'{"alg": "io.iscc.v0", "value": ""}',
        b'{"alg": "__proto__", "value": "AAAA"}',
        json.dumps({"alg": ALGORITHM, "value": "A" * 100_000}).encode(),
    ],
    ids=range(13),
)
def test_hostile_binding_is_refused(door, body):
    assert refused(door, "/matches/byBinding", body, verb="POST") == 400


@pytest.mark.parametrize("path", ["/v1/works", "/matches/byBinding", "/manifests/x"])
def test_very_long_uri_is_refused(door, path):
    assert refused(door, f"{path}?value={'A' * 40_000}") in (414, 431)
