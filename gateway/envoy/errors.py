"""How answers that Envoy makes itself look: in the same words as those of the control plane."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from google.protobuf import any_pb2, duration_pb2, json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.envoy.json import Json

_DOMAIN = "parley.dev"
_RETRY_SECONDS = 1

_CONTENT_TYPE = "content-type"
_GRPC = "application/grpc"
_GRPC_WEB = "application/grpc-web"


@dataclass(frozen=True)
class _Reply:
    """An answer of Envoy's own.

    Attributes:
        status: HTTP status by which Envoy knows it.
        grpc_code: What a gRPC caller gets.
        rest_code: What a REST caller gets as `code`.
        reason: Name of an `ErrorReason`; empty: none fits.
        text: Message for people; empty: what Envoy says itself.
        retry: Whether calling again may help.
    """

    status: int
    grpc_code: int
    rest_code: int
    reason: str = ""
    text: str = ""
    retry: bool = False


_REPLIES = (
    _Reply(400, code_pb2.INTERNAL, code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    _Reply(403, code_pb2.PERMISSION_DENIED, code_pb2.PERMISSION_DENIED),
    _Reply(404, code_pb2.UNIMPLEMENTED, code_pb2.NOT_FOUND, text="The API has no such method."),
    _Reply(405, code_pb2.UNIMPLEMENTED, code_pb2.UNIMPLEMENTED, text="This path has no such method. Use GET."),
    _Reply(408, code_pb2.DEADLINE_EXCEEDED, code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    _Reply(
        413,
        code_pb2.INVALID_ARGUMENT,
        code_pb2.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        "The request's body is too large.",
    ),
    _Reply(
        415,
        code_pb2.INVALID_ARGUMENT,
        code_pb2.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        "This is a gRPC method. Call it by gRPC or gRPC-Web, or by its path under v1.",
    ),
    _Reply(
        429,
        code_pb2.RESOURCE_EXHAUSTED,
        code_pb2.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        "There are too many requests on this connection.",
        retry=True,
    ),
    _Reply(431, code_pb2.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT", "The headers are too large."),
    _Reply(500, code_pb2.INTERNAL, code_pb2.INTERNAL, "INTERNAL"),
    _Reply(
        503,
        code_pb2.UNAVAILABLE,
        code_pb2.UNAVAILABLE,
        "SHUTTING_DOWN",
        "The service can't be reached right now. Try again in a moment.",
        retry=True,
    ),
    _Reply(
        504, code_pb2.DEADLINE_EXCEEDED, code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "The service took too long."
    ),
)

# The transcoder refuses a body or a parameter after it has made the request look like gRPC, and passes its refusal on
# as it is.
_OF_TRANSCODER = 400


def local_reply_config() -> Json:
    """What Envoy answers when it does not get an answer for a caller.

    gRPC and gRPC-Web callers get status and `google.rpc` details in headers, REST callers a `google.rpc.Status` as
    JSON. A REST call that was transcoded is a gRPC call by then, whose answer the transcoder turns into JSON.
    """
    mappers = []
    for reply in _REPLIES:
        # While a request still says gRPC-Web, the gRPC-Web filter has not seen it and will not translate the answer.
        mappers.append(_grpc_mapper(reply, [_request_is(_GRPC_WEB)], f"{_GRPC_WEB}+proto"))
        mappers.append(_grpc_mapper(reply, _answered_as_grpc(reply), _GRPC))
        mappers.append(_rest_mapper(reply))
    return {"mappers": mappers}


def _answered_as_grpc(reply: _Reply) -> list[Json]:
    if reply.status != _OF_TRANSCODER:
        return [_request_is(_GRPC)]
    transcoded = {"name": "x-envoy-original-path", "present_match": True, "invert_match": True}
    return [_request_is(_GRPC), {"header_filter": {"header": transcoded}}]


def _grpc_mapper(reply: _Reply, conditions: Sequence[Json], content_type: str) -> Json:
    headers = {
        _CONTENT_TYPE: content_type,
        "grpc-status": str(reply.grpc_code),
        "grpc-message": quote(reply.text, safe=" !'(),.") or "%RESPONSE_CODE_DETAILS%",
    }
    if reply.reason:
        headers["grpc-status-details-bin"] = _binary_details(reply)
    return {
        "filter": _all([_status_is(reply.status), *conditions]),
        "status_code": 200,
        "body": {"inline_string": ""},
        "headers_to_add": [_header(name, value) for name, value in headers.items()] + _retry_after(reply),
    }


def _rest_mapper(reply: _Reply) -> Json:
    body = {
        "code": reply.rest_code,
        "message": reply.text or "%LOCAL_REPLY_BODY%",
        "details": [_json_detail(detail) for detail in _details(reply)],
    }
    return {
        "filter": _status_is(reply.status),
        "body_format_override": {"json_format": body, "content_type": "application/json"},
        "headers_to_add": _retry_after(reply),
    }


def _details(reply: _Reply) -> Sequence[Message]:
    details: list[Message] = []
    if reply.reason:
        details.append(error_details_pb2.ErrorInfo(reason=reply.reason, domain=_DOMAIN))
    if reply.retry:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=_RETRY_SECONDS)))
    return details


def _binary_details(reply: _Reply) -> str:
    status = status_pb2.Status(code=reply.grpc_code, message=reply.text)
    for detail in _details(reply):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")


def _json_detail(detail: Message) -> Json:
    kind = {"@type": f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"}
    return {**kind, **json_format.MessageToDict(detail)}


def _status_is(status: int) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"parley.local_reply.{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def _request_is(content_type: str) -> Json:
    return {"header_filter": {"header": {"name": _CONTENT_TYPE, "string_match": {"prefix": content_type}}}}


def _all(filters: Sequence[Json]) -> Json:
    return {"and_filter": {"filters": list(filters)}}


def _retry_after(reply: _Reply) -> list[Json]:
    return [_header("retry-after", str(_RETRY_SECONDS))] if reply.retry else []


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
