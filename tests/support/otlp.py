"""An OpenTelemetry collector inside the test: takes spans over OTLP/gRPC and OTLP/HTTP and keeps them."""

import base64
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, ClassVar

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class Span:
    """An exported span."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_nano: int
    end_nano: int
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Spans:
    """All spans so far."""

    _spans: list[Span] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        """Keep the spans of an export."""
        with self._lock:
            self._spans.extend(_spans(request))

    def of_trace(self, trace_id: str) -> list[Span]:
        """Spans under one trace id, by start time."""
        with self._lock:
            return sorted((span for span in self._spans if span.trace_id == trace_id), key=lambda span: span.start_nano)

    def all(self) -> list[Span]:
        """Every span."""
        with self._lock:
            return list(self._spans)


def _spans(request: trace_service_pb2.ExportTraceServiceRequest) -> Iterable[Span]:
    for resource_spans in request.resource_spans:
        resource = {attribute.key: attribute.value.string_value for attribute in resource_spans.resource.attributes}
        for scope in resource_spans.scope_spans:
            for span in scope.spans:
                yield Span(
                    service=resource.get("service.name", ""),
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    start_nano=span.start_time_unix_nano,
                    end_nano=span.end_time_unix_nano,
                    attributes={attribute.key: attribute.value.string_value for attribute in span.attributes},
                )


class _GrpcReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def Export(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802 - as generated
        self._spans.add(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class _HttpReceiver(BaseHTTPRequestHandler):
    spans: ClassVar[Spans]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = trace_service_pb2.ExportTraceServiceRequest()
        if "json" in self.headers.get("content-type", ""):
            _parse_json(body, request)
        else:
            request.ParseFromString(body)
        self.spans.add(request)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test asserts on the spans."""


def _parse_json(body: bytes, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
    """Parse OTLP/JSON: protobuf's JSON, except that ids are written in hexadecimal instead of Base64."""
    json_format.Parse(body, request, ignore_unknown_fields=True)
    for resource_spans in request.resource_spans:
        for scope in resource_spans.scope_spans:
            for span in scope.spans:
                for name in ("trace_id", "span_id", "parent_span_id"):
                    setattr(span, name, _from_hex(getattr(span, name)))


def _from_hex(decoded: bytes) -> bytes:
    """Undo the Base64 decoding of a hexadecimal text: 3 bytes came out of 4 digits."""

    return bytes.fromhex(base64.b64encode(decoded).decode())


class Collector:
    """Listens on two free ports of the loopback interface."""

    def __init__(self) -> None:
        self.spans = Spans()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        receiver = _GrpcReceiver(self.spans)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, self._server)  # type: ignore[no-untyped-call]
        self.grpc_endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        handler = type("Handler", (_HttpReceiver,), {"spans": self.spans})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http_endpoint = f"127.0.0.1:{self._http.server_port}"
        self._thread = Thread(target=self._http.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._server.stop(grace=None).wait()
