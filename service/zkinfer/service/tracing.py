"""Traces for an OpenTelemetry collector, where the extra `telemetry` is installed and an endpoint is set."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import grpc

from zkinfer.service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from zkinfer.service.interceptors import Around, Call
    from zkinfer.service.settings import Telemetry


def tracing(settings: Telemetry, exporter: Any = None) -> tuple[Around, Callable[[], None]]:  # noqa: ANN401 - of an extra
    """What traces every call that is `observed` inside it, and what sends the last traces before the process ends.

    A span has the method and the outcome; never what was said. The caller's own trace is continued.

    Args:
        settings: with an endpoint.
        exporter: where spans go instead of to the endpoint.

    Raises:
        SettingsError: the extra is missing.
    """
    try:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as err:
        raise _missing() from err
    provider = _provider(settings, exporter)
    tracer = provider.get_tracer("zkinfer")

    @asynccontextmanager
    async def around(call: Call) -> AsyncIterator[None]:
        method = call.method.lstrip("/")
        with tracer.start_as_current_span(
            method,
            context=propagate.extract({key: value for key, value in call.metadata if isinstance(value, str)}),
            kind=trace.SpanKind.SERVER,
            attributes={"rpc.system.name": "grpc", "rpc.method": method},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                code = grpc.StatusCode[call.code]
                span.set_status(trace.StatusCode.UNSET if code is grpc.StatusCode.OK else trace.StatusCode.ERROR)
                span.set_attribute("rpc.grpc.status_code", code.value[0])

    return around, provider.shutdown


def _provider(settings: Telemetry, exporter: Any) -> Any:  # noqa: ANN401
    """Collects spans and sends them in batches."""
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
    return SettingsError("Traces need packages that are not installed.", "pip install 'zkinfer[telemetry]'")
