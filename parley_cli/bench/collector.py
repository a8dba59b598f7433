"""An OpenTelemetry collector within the measurement: it keeps spans by trace."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_NANO = 1e-9


@dataclass(frozen=True)
class Span:
    """A span.

    Attributes:
        service: `service.name` of who made it.
        name: Its name.
        begin: Seconds since the epoch.
        end: Seconds since the epoch.
    """

    service: str
    name: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans over OTLP/gRPC.

    Attributes:
        endpoint: Where it listens, `host:port`.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: dict[str, list[Span]] = defaultdict(list)

    def spans(self, trace_id: str) -> Sequence[Span]:
        """Spans of a trace that came so far, by their beginning."""
        return sorted(self._spans.get(trace_id, ()), key=lambda span: span.begin)

    async def Export(  # noqa: N802 - gRPC's name
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: Any,  # noqa: ANN401, ARG002 - not used
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keeps the spans of an export."""
        for resource_spans in request.resource_spans:
            service = next(
                (each.value.string_value for each in resource_spans.resource.attributes if each.key == "service.name"),
                "",
            )
            for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
                found = Span(service, span.name, span.start_time_unix_nano * _NANO, span.end_time_unix_nano * _NANO)
                self._spans[span.trace_id.hex()].append(found)
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def running_collector() -> AsyncIterator[Collector]:
    """A collector on a free port of the loopback interface."""
    collector = Collector()
    server = aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
