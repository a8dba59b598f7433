"""The error that crosses the wire: google.rpc.Status with exactly one ErrorInfo, and what helps the caller on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

ERROR_DOMAIN = "parley.dev"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that breaks its rule: its path in proto names, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A limit that was reached: whose, and what it is."""

    subject: str
    description: str


@dataclass(eq=False)
class ServiceError(Exception):
    """An answer other than OK.

    Attributes:
        code: gRPC status code.
        reason: Name of a contract's ErrorReason without its prefix; programs look at this.
        message: For people: what happened and what to do. Never another exception's text.
        metadata: Facts for programs.
        field_violations: Fields that break their rules (google.rpc.BadRequest).
        retry_after: Seconds after which a retry may succeed (google.rpc.RetryInfo); None: no hint.
        quota: The limit that was reached (google.rpc.QuotaFailure).
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    field_violations: Sequence[FieldViolation] = ()
    retry_after: float | None = None
    quota: QuotaViolation | None = None

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.message}"

    def to_status(self) -> status_pb2.Status:
        """Return the error as google.rpc.Status."""
        code: int = self.code.value[0]
        status = status_pb2.Status(code=code, message=self.message)
        _add(status, error_details_pb2.ErrorInfo(reason=self.reason, domain=ERROR_DOMAIN, metadata=dict(self.metadata)))
        if self.field_violations:
            violations = [
                error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
                for violation in self.field_violations
            ]
            _add(status, error_details_pb2.BadRequest(field_violations=violations))
        if self.retry_after is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(round(self.retry_after * 1000))
            _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
        if self.quota is not None:
            violation = error_details_pb2.QuotaFailure.Violation(
                subject=self.quota.subject, description=self.quota.description
            )
            _add(status, error_details_pb2.QuotaFailure(violations=[violation]))
        return status


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What a client reads from a failed call.

    Attributes:
        code: gRPC status code.
        reason: Name of a contract's ErrorReason; empty when the answer holds none (no server was reached, say).
        message: For people.
        metadata: Facts for programs.
        field_violations: Fields that break their rules.
        retry_after: Seconds after which a retry may succeed; None: no hint.
    """

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    field_violations: tuple[FieldViolation, ...] = ()
    retry_after: float | None = None


def read_error(error: grpc.aio.AioRpcError) -> ErrorDetails:
    """Return what a failed call says about itself."""
    raw = next((value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"), b"")
    status = status_pb2.Status.FromString(raw if isinstance(raw, bytes) else b"")
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, has_retry = error_details_pb2.RetryInfo(), False
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        has_retry = detail.Unpack(retry) or has_retry
    return ErrorDetails(
        code=error.code(),
        reason=info.reason,
        message=error.details() or "",
        metadata=dict(info.metadata),
        field_violations=tuple(FieldViolation(each.field, each.description) for each in bad_request.field_violations),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if has_retry else None,
    )


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
