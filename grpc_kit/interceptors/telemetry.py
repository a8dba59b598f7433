"""A span, metrics and a log line for each call, under the trace that the caller began."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog
from grpc import aio
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Histogram

from grpc_kit.errors import ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor

# Names of the metrics are those that gRPC dashboards expect (go-grpc-middleware's).
_LABELS = ("grpc_type", "grpc_service", "grpc_method")
STARTED = Counter("grpc_server_started", "Calls begun.", _LABELS)
HANDLED = Counter("grpc_server_handled", "Calls ended, by status code and reason.", (*_LABELS, "grpc_code", "reason"))
HANDLING = Histogram(
    "grpc_server_handling_seconds",
    "Time from the beginning to the end of unary calls.",
    _LABELS,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

_QUIET = ("/grpc.health.v1.", "/grpc.reflection.")
_CODES = {code.value[0]: code for code in grpc.StatusCode}

log = structlog.get_logger(__name__)


class TelemetryInterceptor(CallInterceptor):
    """Outermost of the chain, so that it sees how each call ended."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("grpc_kit")
        self._propagator = TraceContextTextMapPropagator()

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Measure the call."""
        if call.method.startswith(_QUIET):
            yield
            return
        span = self._start_span(call)
        # Never detached: the context belongs to the task of this call and ends with it.
        otel_context.attach(trace.set_span_in_context(span))
        labels = _labels(call)
        STARTED.labels(*labels).inc()
        began = time.perf_counter()
        code, reason = grpc.StatusCode.OK, ""
        try:
            yield
            code = _code(call, grpc.StatusCode.OK)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            code, reason = _code(call, grpc.StatusCode.UNKNOWN), _reason(error)
            raise
        finally:
            self._finish(call, span, labels, code, reason, time.perf_counter() - began)

    def _start_span(self, call: Call) -> trace.Span:
        service, _, method = call.method[1:].partition("/")
        return self._tracer.start_span(
            call.method[1:],
            context=self._propagator.extract(call.metadata),
            kind=trace.SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )

    def _finish(
        self,
        call: Call,
        span: trace.Span,
        labels: tuple[str, str, str],
        code: grpc.StatusCode,
        reason: str,
        seconds: float,
    ) -> None:
        HANDLED.labels(*labels, code.name, reason).inc()
        if not call.streams_response:
            HANDLING.labels(*labels).observe(seconds)
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        if reason:
            span.set_attribute("error.type", reason)
        if code in _FAULTS:
            span.set_status(trace.StatusCode.ERROR, reason)
        log.info("rpc", method=call.method, code=code.name, reason=reason, ms=round(seconds * 1000, 1), peer=call.peer)
        span.end()


# Faults of the server's side, by OpenTelemetry's conventions; what the caller did wrong is no error of the span.
_FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


def _labels(call: Call) -> tuple[str, str, str]:
    kinds = {
        (False, False): "unary",
        (True, False): "client_stream",
        (False, True): "server_stream",
        (True, True): "bidi_stream",
    }
    service, _, method = call.method[1:].partition("/")
    return kinds[call.streams_request, call.streams_response], service, method


def _code(call: Call, default: grpc.StatusCode) -> grpc.StatusCode:
    found = call.context.code()
    return found if isinstance(found, grpc.StatusCode) else _CODES.get(found, default) if found else default


def _reason(error: Exception) -> str:
    """The reason that the error map gave."""
    cause = error.__cause__ if isinstance(error, aio.AbortError) else error
    return cause.reason if isinstance(cause, ServiceError) else ""
