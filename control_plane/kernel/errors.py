"""The errors of the control plane: one small hierarchy, pure, each with a reason that programs can rely on.

The reasons are the names of the contracts' `ErrorReason` values. `platform/grpc/errors.py` maps `kind` to a gRPC
status; nothing else in the control plane knows status codes. A message is for people; it never holds a secret or an
exception's text.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class ErrorKind(enum.Enum):
    """What went wrong, in the terms of google.rpc.Code."""

    INVALID_ARGUMENT = "invalid_argument"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    UNAUTHENTICATED = "unauthenticated"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that breaks its rule: its path (`meeting.settings.topic`) and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A limit that was reached: whose (`meetings/123`) and what it is."""

    subject: str
    description: str


@dataclass(eq=False)
class DomainError(Exception):
    """A call that can't be answered as asked.

    Attributes:
        kind: What went wrong.
        reason: Name of a contract's ErrorReason without its prefix.
        message: For people: what happened and what to do.
        metadata: Facts for programs, as the reason's documentation lists them.
        field_violations: Fields that break their rules.
        retry_after: Seconds after which a retry may succeed; None: a retry will not help by itself.
        quota: The limit that was reached.
    """

    kind: ErrorKind
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    field_violations: Sequence[FieldViolation] = ()
    retry_after: float | None = None
    quota: QuotaViolation | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def invalid_argument(
    path: str, description: str, *, reason: str = "INVALID_ARGUMENT", metadata: Mapping[str, str] | None = None
) -> DomainError:
    """A field breaks a rule that the contract can't say."""
    return DomainError(
        ErrorKind.INVALID_ARGUMENT,
        reason,
        f"{path}: {description}",
        metadata=metadata or {},
        field_violations=(FieldViolation(path, description),),
    )


def permission_denied(message: str = "You may not do this.") -> DomainError:
    """The caller is known and may not do this."""
    return DomainError(ErrorKind.PERMISSION_DENIED, "PERMISSION_DENIED", message)


def unauthenticated(reason: str, message: str) -> DomainError:
    """The caller is not known."""
    return DomainError(ErrorKind.UNAUTHENTICATED, reason, message)


def rate_limited(message: str, retry_after: float, *, reason: str = "RATE_LIMITED") -> DomainError:
    """The caller does this too often."""
    return DomainError(ErrorKind.RESOURCE_EXHAUSTED, reason, message, retry_after=retry_after)


def store_unavailable(store: str, retry_after: float = 1.0) -> DomainError:
    """A store ("database", "live state") does not answer."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "STORE_UNAVAILABLE",
        "A part of the service is not reachable at the moment. Try again shortly.",
        metadata={"store": store},
        retry_after=retry_after,
    )


class RequestIdReusedError(DomainError):
    """The request id was used for something else."""

    def __init__(self) -> None:
        super().__init__(
            ErrorKind.ABORTED, "REQUEST_ID_REUSED", "This request_id was used before for a different request."
        )
