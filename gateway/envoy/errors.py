"""How answers that Envoy makes itself look: in the same words as those of the control plane."""

import base64
import json
from collections.abc import Sequence

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.envoy.json import Json

_DOMAIN = "parley.dev"
_RETRY_SECONDS = 1

_GRPC_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    403: code_pb2.PERMISSION_DENIED,
    404: code_pb2.NOT_FOUND,
    408: code_pb2.DEADLINE_EXCEEDED,
    413: code_pb2.INVALID_ARGUMENT,
    429: code_pb2.RESOURCE_EXHAUSTED,
    431: code_pb2.INVALID_ARGUMENT,
    500: code_pb2.INTERNAL,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.DEADLINE_EXCEEDED,
}
_REASONS = {
    400: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RATE_LIMITED",
    431: "INVALID_ARGUMENT",
    500: "INTERNAL",
    503: "SHUTTING_DOWN",
    504: "DEADLINE_EXCEEDED",
}
_RETRIED = (429, 503)
_TEXTS = {
    429: "Too many requests on this connection.",
    503: "The service can't be reached right now. Try again in a moment.",
}
_FROM_ENVOY = "%LOCAL_REPLY_BODY%"


def local_reply_config() -> Json:
    """What Envoy answers when it does not get an answer for a caller.

    gRPC calls get status and `google.rpc` details in their headers; REST calls get a `google.rpc.Status` as JSON.
    """
    mappers = [_grpc_mapper(status) for status in _RETRIED]
    mappers += [_rest_mapper(status) for status in _GRPC_CODES]
    return {"mappers": mappers}


def not_found() -> Json:
    """The REST answer for a path that no contract has, as a route action's direct response."""
    status = {"code": code_pb2.NOT_FOUND, "message": "The API has no such method.", "details": []}
    return {"status": 404, "body": {"inline_string": json.dumps(status)}}


def _grpc_mapper(status: int) -> Json:
    return {
        "filter": _and([_status_is(status), _grpc_request()]),
        "body": {"inline_string": _TEXTS[status]},
        "body_format_override": {"text_format_source": {"inline_string": _FROM_ENVOY}},
        "headers_to_add": [_header("grpc-status-details-bin", _binary_details(status)), _retry_after()],
    }


def _rest_mapper(status: int) -> Json:
    body: Json = {"code": _GRPC_CODES[status], "message": _TEXTS.get(status, _FROM_ENVOY), "details": []}
    if status in _REASONS:
        body["details"] = [_json_detail(detail) for detail in _details(status)]
    return {
        "filter": _and([_status_is(status), _grpc_request(invert=True)]),
        "body_format_override": {"json_format": body, "content_type": "application/json"},
        "headers_to_add": [_retry_after()] if status in _RETRIED else [],
    }


def _details(status: int) -> Sequence[Message]:
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=_REASONS[status], domain=_DOMAIN)]
    if status in _RETRIED:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=_RETRY_SECONDS)))
    return details


def _binary_details(status: int) -> str:
    packed = []
    for detail in _details(status):
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    message = status_pb2.Status(code=_GRPC_CODES[status], message=_TEXTS[status], details=packed)
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode().rstrip("=")


def _json_detail(detail: Message) -> Json:
    kind = {"@type": f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"}
    if isinstance(detail, error_details_pb2.ErrorInfo):
        return {**kind, "reason": detail.reason, "domain": detail.domain}
    return {**kind, "retryDelay": f"{_RETRY_SECONDS}s"}


def _status_is(status: int) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"parley.local_reply.{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def _grpc_request(*, invert: bool = False) -> Json:
    header = {
        "name": "content-type",
        "string_match": {"prefix": "application/grpc"},
        "treat_missing_header_as_empty": True,
        "invert_match": invert,
    }
    return {"header_filter": {"header": header}}


def _and(filters: Sequence[Json]) -> Json:
    return {"and_filter": {"filters": list(filters)}}


def _retry_after() -> Json:
    return _header("retry-after", str(_RETRY_SECONDS))


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
