"""Requests that nobody honest sends: each is refused with a named problem, and the server goes on serving."""

import asyncio
import gzip
import json
import zlib

import aiohttp
import pytest
from tests.unit.service.rest.sockets import raw

INFER = "/v2/models/tiny/infer"
TENSOR = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0.5, -1.25, 2.0]}
GOOD = json.dumps({"inputs": [TENSOR]}).encode()


@pytest.fixture
async def door(narrow):
    async with aiohttp.ClientSession(f"http://{narrow.rest_address}") as client:
        yield client


async def refused(client, status, reason, body=GOOD, path=INFER, **headers):
    """Send a request that is refused; returns the problem. The server still serves."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(path, data=body, headers=named) as answer:
        assert answer.status == status, await answer.text()
        assert answer.headers["content-type"] == "application/problem+json"
        problem = await answer.json(content_type=None)
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["detail"] == problem["error"]
    async with client.post(INFER, data=GOOD) as answer:
        assert answer.status == 200
    return problem


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        GOOD + b"x",
        GOOD.replace(b"0.5", b"NaN"),
        GOOD.replace(b"0.5", b"Infinity"),
        GOOD.replace(b"0.5", b"1e999"),
        GOOD.replace(b"0.5", b"9" * 5000),
        GOOD.replace(b'"inputs"', b'"inputs": [], "inputs"'),
        b"[" * 30_000 + b"]" * 30_000,
        b'{"inputs":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"inputs": [' + b"{}," * 9_000 + b"{}]}",
        GOOD.replace(b'"x"', rb'"\ud800"'),
        GOOD.replace(b'"inputs"', rb'"id": "\uDFFF", "inputs"'),
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
async def test_body_that_is_no_request_is_refused(door, body):
    async with door.post(INFER, data=body) as answer:
        assert answer.status == 400
        problem = await answer.json(content_type="application/problem+json")
    assert problem["code"] == "INVALID_ARGUMENT"
    assert problem["reason"] in ("JSON", "BAD_FIELD")
    async with door.post(INFER, data=GOOD) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shape": [1, 4]}, "inputs[0]"),
        ({"shape": [-1, 3]}, "inputs[0].shape[0]"),
        ({"shape": [1, 1 << 80]}, "inputs[0].shape[1]"),
        ({"shape": [1.0, 3]}, "inputs[0].shape[0]"),
        ({"shape": [1 << 62, 1 << 62]}, "inputs[0]"),
        ({"shape": "[1,3]"}, "inputs[0].shape"),
        ({"datatype": "FP99"}, "inputs[0]"),
        ({"datatype": "BYTES", "data": ["a", "b", "c"]}, "inputs[0]"),
        ({"datatype": "INT8", "data": [1, 2, 300]}, "inputs[0].data"),
        ({"datatype": "INT8", "data": [1, 2, 3.5]}, "inputs[0].data"),
        ({"data": [1, 2, True]}, "inputs[0].data"),
        ({"data": [1, 2, "3"]}, "inputs[0].data"),
        ({"data": [1, 2, None]}, "inputs[0].data"),
        ({"data": [1, 2, 1e39]}, "inputs[0].data"),
        ({"data": [1, 2]}, "inputs[0].contents"),
        ({"data": [[1], [2], [3]]}, "inputs[0]"),
        ({"data": [[1, 2], [3]]}, "inputs[0]"),
        ({"data": None}, "inputs[0]"),
        ({"data": {"a": 1}}, "inputs[0].data"),
        ({"name": "no"}, "inputs"),
        ({"name": 1}, "inputs[0].name"),
        ({"more": 1}, "inputs[0].more"),
        ({"parameters": {"binary_data_size": 12}}, "inputs[0]"),
        ({"parameters": {"shared_memory_region": "a"}, "data": None}, "inputs[0]"),
        ({"parameters": {"a": []}}, "inputs[0].parameters.a"),
    ],
    ids=str,
)
async def test_tensor_that_does_not_fit_is_refused(door, changes, field):
    problem = await refused(
        door, 400, problem_reason(field, changes), json.dumps({"inputs": [TENSOR | changes]}).encode()
    )
    assert problem["field"].startswith(field)


def problem_reason(field, changes):
    """Values that the schema rejects are bad fields; those that the model rejects are bad data."""
    schema = ("inputs[0].shape", "inputs[0].name", "inputs[0].more", "inputs[0].parameters")
    return "BAD_FIELD" if field.startswith(schema) or isinstance(changes.get("data"), dict) else "DATA"


@pytest.mark.parametrize("length", ["", "0", "-1", "abc", "1e3", "99999999999999999999", str(len(GOOD) + 1), "１"])
async def test_header_length_beyond_the_body_is_refused(door, length):
    problem = await refused(door, 400, "BAD_FIELD", inference_header_content_length=length.encode().decode("latin-1"))
    assert problem["field"] == "inference-header-content-length"


@pytest.mark.parametrize(
    ("size", "tail", "field"),
    [
        (12, b"\0" * 13, "body"),
        (13, b"\0" * 12, "inputs[0]"),
        (-1, b"\0" * 12, "inputs[0]"),
        (11, b"\0" * 11, "inputs[0]"),
    ],
)
async def test_binary_tensor_of_another_length_is_refused(door, size, tail, field):
    tensor = {name: value for name, value in TENSOR.items() if name != "data"}
    text = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": size}}]}).encode()
    problem = await refused(
        door,
        400,
        "BAD_FIELD" if field == "body" else "DATA",
        text + tail,
        inference_header_content_length=str(len(text)),
    )
    assert problem["field"].startswith(field)


async def test_body_over_the_limit_is_refused_before_it_arrives(door):
    await refused(door, 413, "REQUEST_TOO_LARGE", b"x" * (1 << 17))


async def test_body_without_a_length_over_the_limit_is_refused(door):
    async def endless():
        for _ in range(17):
            yield b" " * (1 << 12)
        await asyncio.sleep(60)

    await refused(door, 413, "REQUEST_TOO_LARGE", endless())


@pytest.mark.parametrize("path", [INFER, "/v1/proofs", "/v1/attestations:verify", "/v2/repository/index"])
@pytest.mark.parametrize("compressed", [gzip.compress, zlib.compress])
async def test_compressed_body_that_grows_over_the_limit_is_refused(door, compressed, path):
    encoding = "gzip" if compressed is gzip.compress else "deflate"
    await refused(door, 413, "REQUEST_TOO_LARGE", compressed(b" " * (20 << 20)), path, content_encoding=encoding)


ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    "body", [b"", GOOD, ZIPPED[:-3], ZIPPED + ZIPPED], ids=["empty", "not compressed", "cut off", "twice"]
)
async def test_damaged_compressed_body_is_refused(door, body):
    await refused(door, 400, "DATA", body, content_encoding="gzip")


async def test_unknown_compression_is_refused(door):
    await refused(door, 400, "BAD_FIELD", content_encoding="br")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/../../etc/passwd",
        "/v2/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd/infer",
        "/v2/models/tiny/versions/..%2f1/infer",
        "/v2/models/tiny%00/infer",
        "/v2/models/tiny/infer/",
        "//v2/models/tiny/infer",
        "/V2/models/tiny/infer",
        "/v2/models//infer",
        "/v1/operations/proofs/..%2f..%2fserver.lock:cancel",
        "/v1/operations/proofs/" + "a" * 5000 + ":cancel",
    ],
)
async def test_path_that_does_not_exist_is_refused(narrow, path):
    status, problem = await raw(narrow, f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
    assert status == 404 or (status == 400 and problem["reason"] == "JSON")
    assert problem["reason"] in ("UNKNOWN_METHOD", "MODEL_NOT_FOUND", "UNKNOWN_OPERATION", "JSON")


async def test_unknown_or_repeated_query_parameter_is_refused(door):
    for query in ("no=1", "page_size=1&page_size=2", "page_size=x", "page_token=x", "&".join("a=1" for _ in range(99))):
        async with door.get(f"/v1/models?{query}") as answer:
            assert answer.status == 400
