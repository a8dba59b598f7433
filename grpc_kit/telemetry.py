"""Traces, logs and metrics of a process. None makes a call wait: buffers are bounded, what does not fit is lost."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal
from wsgiref.simple_server import WSGIServer

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import start_http_server

_SECRET_WORDS = ("password", "passcode", "token", "secret", "authorization", "cookie", "credential", "sdp")
_REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """What a process tells about itself, and where.

    Attributes:
        service_name: `service.name` of its spans.
        instance: `service.instance.id` of its spans.
        version: `service.version` of its spans.
        otlp_endpoint: `host:port` of an OTLP/gRPC collector; empty: spans are not exported.
        log_format: `json` for machines, `console` for people. Logs go to standard error.
        log_level: Least level that is written.
        metrics_address: Where the metrics' HTTP server listens.
        metrics_port: Its port; 0: there is none.
    """

    service_name: str
    instance: str = ""
    version: str = ""
    otlp_endpoint: str = ""
    log_format: Literal["console", "json"] = "console"
    log_level: str = "INFO"
    metrics_address: str = "127.0.0.1"
    metrics_port: int = 0


@dataclass(slots=True)
class Telemetry:
    """A process's telemetry while it runs."""

    _provider: TracerProvider | None = None
    _metrics: WSGIServer | None = field(default=None)

    def shutdown(self) -> None:
        """Send what is buffered, for a few seconds at most, and stop. It blocks: call it when all calls are over."""
        if self._provider is not None:
            self._provider.shutdown()
        if self._metrics is not None:
            self._metrics.shutdown()
            self._metrics.server_close()


def start_telemetry(options: TelemetryOptions) -> Telemetry:
    """Set up logs, traces and metrics of this process.

    Args:
        options: What to tell and where.

    Returns:
        What to shut down at the end.

    Raises:
        OSError: The metrics' port can't be had.
    """
    configure_logging(options.log_format, options.log_level)
    metrics = None
    if options.metrics_port:
        metrics, _ = start_http_server(options.metrics_port, addr=options.metrics_address)
    return Telemetry(_start_tracing(options), metrics)


def configure_logging(log_format: Literal["console", "json"], level: str) -> None:
    """Write this process's logs, those of libraries too, to standard error.

    Args:
        log_format: `json` or `console`.
        level: Least level that is written.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace_ids,
        redact_secrets,
    ]
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            # Plain tracebacks: the default ones print local variables, secrets among them.
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # A collector that is down is no news each second.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    """Add the ids of the current span to a log line (a structlog processor)."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def redact_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401
    """Replace values whose names say that they are secret (a structlog processor)."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = _REDACTED
    return event


def _start_tracing(options: TelemetryOptions) -> TracerProvider | None:
    """Set the process's tracer provider. It is there without a collector too, so that trace ids stand in logs."""
    attributes = {
        "service.name": options.service_name,
        "service.instance.id": options.instance,
        "service.version": options.version,
    }
    provider = TracerProvider(resource=Resource.create({key: value for key, value in attributes.items() if value}))
    if options.otlp_endpoint:
        exporter = OTLPSpanExporter(endpoint=options.otlp_endpoint, insecure=True, timeout=2)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    trace.set_tracer_provider(provider)
    return provider
