"""What the contracts say about the public services: methods, idempotency, and descriptors for the JSON transcoder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf import any_pb2, descriptor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions
from google.rpc import error_details_pb2, status_pb2

PUBLIC_SERVICES = (
    "parley.allocation.v1.RoomAllocationService",
    "parley.identity.v1.IdentityService",
    "parley.meeting.v1.MeetingService",
    "parley.operations.v1.QuarantineService",
    "parley.signaling.v1.SignalingService",
)
"""Services that the gateway lets in. `NodeService` and `SfuControlService` stay inside."""

_FILE = Path(__file__).with_name("parley.binpb")
_IDEMPOTENT = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


@dataclass(frozen=True)
class Method:
    """A method of a public service.

    Attributes:
        service: Full name of the service.
        name: Name of the method.
        idempotent: Whether calling it twice is the same as once, by its `idempotency_level`.
        streaming: Whether either side sends a stream.
    """

    service: str
    name: str
    idempotent: bool
    streaming: bool

    @property
    def path(self) -> str:
        """Its path in HTTP/2."""
        return f"/{self.service}/{self.name}"


def public_methods() -> Sequence[Method]:
    """All methods of the public services, in the order of the contracts."""
    return [_method(service, method) for service, method in _public(_load())]


@dataclass(frozen=True)
class Binding:
    """A method of the public services as REST calls it.

    Attributes:
        verb: HTTP method.
        path: Pattern of its path, `/v1/{name=meetings/*}:start`.
        body: Field that the body is, `*`: the whole request; empty: there is none.
        request: Full name of the request's message.
    """

    verb: str
    path: str
    body: str
    request: str

    @property
    def path_fields(self) -> Sequence[str]:
        """Fields of the request that the path gives."""
        return re.findall(r"\{([a-z_.]+)=", self.path)

    @property
    def path_regex(self) -> str:
        """Regular expression of its path. The transcoder passes over slashes at the end."""
        plain = re.sub(r"\{[a-z_.]+=([^}]*)\}", r"\1", self.path)
        return re.escape(plain).replace(r"\*", "[^/?]+") + "/*"


def rest_bindings() -> Sequence[Binding]:
    """All REST calls, in the order of the contracts."""
    return [
        Binding(verb.upper(), getattr(rule, verb), rule.body, method.input_type.removeprefix("."))
        for _, method in _public(_load())
        if (verb := (rule := _rule(method)).WhichOneof("pattern"))
    ]


def descriptor_files() -> FileDescriptorSet:
    """The contracts with all that they import."""
    return _load()


def transcoder_descriptors() -> bytes:
    """The contracts as a serialized `FileDescriptorSet`, with the error details that REST answers carry as JSON."""
    files = _load()
    present = {file.name for file in files.file}
    for module in (any_pb2, error_details_pb2, status_pb2):
        if module.DESCRIPTOR.name not in present:
            files.file.append(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    return files.SerializeToString(deterministic=True)


def _public(files: FileDescriptorSet) -> Sequence[tuple[str, MethodDescriptorProto]]:
    """The public methods, each with its service's full name."""
    return [
        (f"{file.package}.{service.name}", method)
        for file in files.file
        for service in file.service
        if f"{file.package}.{service.name}" in PUBLIC_SERVICES
        for method in service.method
    ]


def _rule(method: MethodDescriptorProto) -> HttpRule:
    rule: HttpRule = method.options.Extensions[annotations_pb2.http]
    return rule


def _load() -> FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(_FILE.read_bytes())


def _method(service: str, method: MethodDescriptorProto) -> Method:
    return Method(
        service=service,
        name=method.name,
        idempotent=method.options.idempotency_level in _IDEMPOTENT,
        streaming=method.client_streaming or method.server_streaming,
    )
