"""What the operator sees of calls over HTTP: the address, metrics, logs and traces, never content."""

import json

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from tests.unit.service.rest.conftest import opened

from zkinfer.cli.serve import report, show
from zkinfer.service import server as module
from zkinfer.service.settings import Telemetry
from zkinfer.service.tracing import trace_calls

MARKER = 31337e6  # out of range
BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [MARKER, 0, 0]}]})


async def test_address_is_shown_at_the_start(settings, tiny, capsys):
    async with opened(settings, tiny) as (server, _):
        show(server)
        assert report(server)["rest"] == server.rest_address
    assert f"HTTP at {server.rest_address}" in capsys.readouterr().out


async def test_calls_are_counted_by_method_and_code_and_paths_are_not(settings, tiny):
    async with opened(settings, tiny) as (server, client):
        for path in ("/v2/models/tiny", "/v2/models/31337", "/31337"):
            async with client.get(path):
                pass
        text = generate_latest(server.dependencies.metrics.registry).decode()
    method = "/inference.GRPCInferenceService/ModelMetadata"
    assert f'zkinfer_requests_total{{code="OK",method="{method}"}} 1.0' in text
    assert f'zkinfer_requests_total{{code="NOT_FOUND",method="{method}"}} 1.0' in text
    assert 'zkinfer_requests_total{code="UNIMPLEMENTED",method="/unknown"} 1.0' in text
    assert "31337" not in text


async def test_log_of_a_refused_call_has_its_id_and_no_value(settings, tiny, capsys):
    async with (
        opened(settings, tiny) as (_, client),
        client.post("/v2/models/tiny/infer", data=BODY, headers={"x-request-id": "mine"}) as answer,
    ):
        assert answer.status == 400
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"mine"' in line]
    assert {line["event"] for line in lines} == {"refused", "call"}
    assert {line.get("door", "http") for line in lines} == {"http"}
    assert "31337" not in json.dumps(lines)


async def test_call_continues_the_trace_of_its_caller(settings, tiny, monkeypatch):
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(module, "trace_calls", lambda settings: trace_calls(settings, exporter))
    traced = settings.model_copy(update={"telemetry": Telemetry(endpoint="unused")})
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with (
        opened(traced, tiny) as (_, client),
        client.get("/v2/models/31337", headers={"traceparent": parent}) as answer,
    ):
        assert answer.status == 404
    [span] = exporter.get_finished_spans()
    assert span.name == "inference.GRPCInferenceService/ModelMetadata"
    assert format(span.context.trace_id, "032x") == parent.split("-")[1]
    assert span.attributes["network.protocol.name"] == "http"
    assert "31337" not in span.to_json()
