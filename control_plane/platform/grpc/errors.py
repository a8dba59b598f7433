"""From the domain's errors to those that cross the wire."""

from __future__ import annotations

import grpc

from control_plane.kernel.errors import DomainError, ErrorKind
from grpc_kit.errors import FieldViolation, QuotaViolation, ServiceError

_CODES = {kind: grpc.StatusCode[kind.name] for kind in ErrorKind}


def to_service_error(exception: Exception) -> ServiceError | None:
    """Returns the wire's form of a domain error; None for any other exception, which is a fault of ours."""
    if not isinstance(exception, DomainError):
        return None
    quota = exception.quota
    return ServiceError(
        _CODES[exception.kind],
        exception.reason,
        exception.message,
        metadata=exception.metadata,
        field_violations=[FieldViolation(each.field, each.description) for each in exception.field_violations],
        retry_after=exception.retry_after,
        quota=None if quota is None else QuotaViolation(quota.subject, quota.description),
    )
