"""OpenTelemetry traces, if the extra `telemetry` is installed and an endpoint is set."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import grpc

from zkinfer.service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from zkinfer.service.interceptors import Call, Middleware
    from zkinfer.service.settings import Telemetry

_DOORS = {"grpc": "rpc.system.name", "http": "network.protocol.name"}


def trace_calls(settings: Telemetry, exporter: Any = None) -> tuple[Middleware, Callable[[], None]]:  # noqa: ANN401 - of an extra
    """Middleware that traces every call, and a function that flushes pending spans at shutdown.

    `record_calls` must run inside it. A span has the method and the outcome, never content. It continues the caller's
    trace.

    Args:
        settings: with an endpoint.
        exporter: replaces the exporter to the endpoint.

    Raises:
        SettingsError: the extra is not installed.
    """
    try:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as err:
        raise _missing() from err
    provider = _provider(settings, exporter)
    tracer = provider.get_tracer("zkinfer")

    @asynccontextmanager
    async def middleware(call: Call) -> AsyncIterator[None]:
        method = call.method.lstrip("/")
        with tracer.start_as_current_span(
            method,
            context=propagate.extract({key: value for key, value in call.metadata if isinstance(value, str)}),
            kind=trace.SpanKind.SERVER,
            attributes={_DOORS[call.door]: call.door, "rpc.method": method},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                code = grpc.StatusCode[call.code]
                span.set_status(trace.StatusCode.UNSET if code is grpc.StatusCode.OK else trace.StatusCode.ERROR)
                span.set_attribute("rpc.grpc.status_code", code.value[0])

    return middleware, provider.shutdown


def _provider(settings: Telemetry, exporter: Any) -> Any:  # noqa: ANN401
    """A provider that exports spans in batches."""
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise _missing() from err
    resource = Resource.create({"service.name": "zkinfer", "service.version": version("zkinfer")})
    provider = TracerProvider(resource=resource)
    sent_to = exporter or OTLPSpanExporter(endpoint=settings.endpoint, insecure=settings.insecure)
    provider.add_span_processor(BatchSpanProcessor(sent_to))
    return provider


def _missing() -> SettingsError:
    return SettingsError("Tracing needs packages that are not installed.", "pip install 'zkinfer[telemetry]'")
