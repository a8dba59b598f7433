"""What the contracts say about the public services: methods, idempotency, and descriptors for the JSON transcoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    return [
        _method(f"{file.package}.{service.name}", method)
        for file in _load().file
        for service in file.service
        if f"{file.package}.{service.name}" in PUBLIC_SERVICES
        for method in service.method
    ]


def transcoder_descriptors() -> bytes:
    """The contracts as a serialized `FileDescriptorSet`, with the error details that REST answers carry as JSON."""
    files = _load()
    present = {file.name for file in files.file}
    for module in (any_pb2, error_details_pb2, status_pb2):
        if module.DESCRIPTOR.name not in present:
            files.file.append(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    return files.SerializeToString(deterministic=True)


def _load() -> FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(_FILE.read_bytes())


def _method(service: str, method: MethodDescriptorProto) -> Method:
    return Method(
        service=service,
        name=method.name,
        idempotent=method.options.idempotency_level in _IDEMPOTENT,
        streaming=method.client_streaming or method.server_streaming,
    )
