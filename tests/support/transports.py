"""One call, three ways in: native gRPC, gRPC-Web and REST, all through the gateway, all answering in the same words."""

import base64
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from parley.allocation.v1 import room_allocation_service_pb2
from parley.identity.v1 import identity_service_pb2
from parley.meeting.v1 import meeting_service_pb2
from parley.operations.v1 import quarantine_service_pb2
from parley.signaling.v1 import signaling_service_pb2

_SERVICES: Final = {
    name: service
    for module in (
        identity_service_pb2,
        meeting_service_pb2,
        signaling_service_pb2,
        room_allocation_service_pb2,
        quarantine_service_pb2,
    )
    for name, service in module.DESCRIPTOR.services_by_name.items()
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_TRAILERS: Final = 0x80
_SECONDS: Final = 15.0

HTTP_STATUS: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""HTTP status of each code in REST answers (google.api.http's mapping)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: a message, or an error in the words of the contracts."""

    code: grpc.StatusCode
    response: Message | None = None
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] | None = None
    fields: tuple[str, ...] = ()
    retry_after: float | None = None
    message: str = ""
    details: tuple[str, ...] = ()


class Transport(Protocol):
    """A way to call the public services."""

    name: str

    async def call(self, method: MethodDescriptor, request: Message, token: str | None = None) -> Outcome:
        """Send one request; of a server stream, the first message is the answer."""
        ...


def method(name: str) -> MethodDescriptor:
    """Find a public method by `Service.Method`."""
    service, _, rpc = name.partition(".")
    found: MethodDescriptor = _SERVICES[service].methods_by_name[rpc]
    return found


def path_of(rpc: MethodDescriptor) -> str:
    """Path of a method on HTTP/2: `/package.Service/Method`."""
    return f"/{rpc.containing_service.full_name}/{rpc.name}"


def has_rest_route(rpc: MethodDescriptor) -> bool:
    """Say whether the contract gives the method an HTTP route."""
    return bool(rpc.GetOptions().HasExtension(annotations_pb2.http))


def _failure(status: status_pb2.Status) -> Outcome:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    names = []
    after = None
    for detail in status.details:
        names.append(detail.TypeName())
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            after = retry.retry_delay.ToNanoseconds() / 1e9
    return Outcome(
        code=_CODES[status.code],
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad.field_violations),
        retry_after=after,
        message=status.message,
        details=tuple(names),
    )


def _from_trailers(code: int, message: str, details: bytes) -> Outcome:
    status = status_pb2.Status.FromString(details) if details else status_pb2.Status(code=code, message=message)
    assert status.code == code, f"grpc-status {code} and its details' {status.code} differ"
    return _failure(status)


def _bearer(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token is not None else {}


class Grpc:
    """Native gRPC over HTTP/2."""

    name = "grpc"

    def __init__(self, authority: str) -> None:
        self._channel = grpc.aio.insecure_channel(authority, [("grpc.max_send_message_length", -1)])

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def call(self, method: MethodDescriptor, request: Message, token: str | None = None) -> Outcome:
        """Send one request; of a server stream, the first message is the answer."""
        response = GetMessageClass(method.output_type)
        factory = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        rpc: Any = factory(
            path_of(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        metadata = tuple(_bearer(token).items())
        try:
            if not method.server_streaming:
                return Outcome(grpc.StatusCode.OK, response=await rpc(request, metadata=metadata, timeout=_SECONDS))
            stream = rpc(request, metadata=metadata, timeout=_SECONDS)
            first = await stream.read()
            stream.cancel()
            return Outcome(grpc.StatusCode.OK, response=first)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            details = trailers.get("grpc-status-details-bin", b"")
            assert isinstance(details, bytes)
            return _from_trailers(error.code().value[0], error.details() or "", details)


class GrpcWeb:
    """gRPC-Web in binary frames, as a browser speaks it."""

    name = "grpc-web"

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, method: MethodDescriptor, request: Message, token: str | None = None) -> Outcome:
        """Send one request; of a server stream, the first message is the answer."""
        body = request.SerializeToString()
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **_bearer(token)}
        async with self._client.stream(
            "POST", path_of(method), content=struct.pack(">BI", 0, len(body)) + body, headers=headers, timeout=_SECONDS
        ) as answer:
            assert answer.status_code == httpx.codes.OK, f"gRPC-Web answered HTTP {answer.status_code}"
            if "grpc-status" in answer.headers:
                return _web_trailers(answer.headers)
            buffer = b""
            async for chunk in answer.aiter_bytes():
                buffer += chunk
                outcome = _web_frames(buffer, method)
                if outcome is not None:
                    return outcome
        message = "a gRPC-Web answer ended without trailers"
        raise AssertionError(message)


def _web_frames(buffer: bytes, method: MethodDescriptor) -> Outcome | None:
    """Look for the end of an answer in the frames so far: trailers, or the first message of a server stream."""
    response = None
    while len(buffer) >= 5:
        flags, length = struct.unpack(">BI", buffer[:5])
        if len(buffer) < 5 + length:
            return None
        frame, buffer = buffer[5 : 5 + length], buffer[5 + length :]
        if flags & _TRAILERS:
            lines = (line.split(":", 1) for line in frame.decode().split("\r\n") if line)
            outcome = _web_trailers({name.strip().lower(): value.strip() for name, value in lines})
            return outcome if response is None else Outcome(outcome.code, response=response)
        response = GetMessageClass(method.output_type).FromString(frame)
        if method.server_streaming:
            return Outcome(grpc.StatusCode.OK, response=response)
    return None


def _web_trailers(trailers: Mapping[str, str]) -> Outcome:
    details = trailers.get("grpc-status-details-bin", "")
    return _from_trailers(
        int(trailers["grpc-status"]),
        unquote(trailers.get("grpc-message", "")),
        base64.b64decode(details + "=" * (-len(details) % 4)),
    )


class Rest:
    """REST with JSON, by the contract's HTTP annotations."""

    name = "rest"

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, method: MethodDescriptor, request: Message, token: str | None = None) -> Outcome:
        """Send one request."""
        verb, path, query, body = transcode(method, request)
        answer = await self._client.request(
            verb,
            path,
            params=query,
            content=None if body is None else json.dumps(body),
            headers={"content-type": "application/json", **_bearer(token)},
            timeout=_SECONDS,
        )
        if answer.status_code == httpx.codes.OK:
            response = json_format.Parse(answer.content, GetMessageClass(method.output_type)())
            return Outcome(grpc.StatusCode.OK, response=response)
        outcome = _failure(json_format.Parse(answer.content, status_pb2.Status()))
        assert answer.status_code == HTTP_STATUS[outcome.code], f"HTTP {answer.status_code} for {outcome.code}"
        return outcome


def transcode(rpc: MethodDescriptor, request: Message) -> tuple[str, str, dict[str, Any], Any]:
    """Turn a request into verb, path, query parameters and JSON body by the method's `google.api.http` rule."""
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    fields = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = re.sub(r"\{([a-z_.]+)(?:=[^}]*)?\}", lambda found: _take(fields, found[1]), getattr(rule, verb))
    if rule.body == "*":
        return verb.upper(), path, {}, fields
    body = fields.pop(rule.body, {}) if rule.body else None
    return verb.upper(), path, _flatten(fields), body


def _take(fields: dict[str, Any], name: str) -> str:
    *parents, leaf = name.split(".")
    for parent in parents:
        fields = fields.get(parent, {})
    return quote(str(fields.pop(leaf, "")), safe="/")


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
