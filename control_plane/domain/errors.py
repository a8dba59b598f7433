"""What can go wrong, in words that a caller may hear. Every error that leaves a use case is one of these.

A class stands for one reason of the contracts (the `ErrorReason` enums) and knows the kind of failure it is. An instance adds
what the caller needs to do something about it. Nothing in here may hold a secret or the text of a foreign exception.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


class ErrorKind(enum.Enum):
    """Kinds of failure, named as the canonical status codes."""

    INVALID_ARGUMENT = "invalid_argument"
    OUT_OF_RANGE = "out_of_range"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that breaks its rule.

    Attributes:
        field: Path of the field, as `meeting.settings.max_participants`.
        description: What is wrong with it, for the person who calls.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A limit that was reached.

    Attributes:
        subject: What is limited, as `meetings/12345678901`.
        description: Which limit, with its number.
    """

    subject: str
    description: str


class ParleyError(Exception):
    """A failure that the caller is told about.

    Attributes:
        kind: What kind of failure it is.
        reason: Name of the reason in the contracts, without the `ERROR_REASON_` prefix.
        text: What people are told when nothing better is known.
        metadata: Facts for programs.
        violations: Fields that break their rules.
        retry_after: Seconds after which trying again makes sense; None: not known, or trying again does not help.
        quotas: Limits that were reached.
    """

    kind: ClassVar[ErrorKind]
    reason: ClassVar[str]
    text: ClassVar[str]

    def __init__(
        self,
        message: str = "",
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
        quotas: Sequence[QuotaViolation] = (),
    ) -> None:
        super().__init__(message or self.text)
        self.metadata = dict(metadata)
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.quotas = tuple(quotas)

    @property
    def message(self) -> str:
        """What people are told."""
        return str(self.args[0])


class UnauthenticatedError(ParleyError):
    """The call does not say who makes it, or says it wrongly."""

    kind = ErrorKind.UNAUTHENTICATED


class ForbiddenError(ParleyError):
    """The caller is known and may not do this."""

    kind = ErrorKind.PERMISSION_DENIED


class NotFoundError(ParleyError):
    """What the call names does not exist."""

    kind = ErrorKind.NOT_FOUND


class InvalidError(ParleyError):
    """The request can never succeed as it is."""

    kind = ErrorKind.INVALID_ARGUMENT


class PreconditionError(ParleyError):
    """The state of things does not allow it."""

    kind = ErrorKind.FAILED_PRECONDITION


class AbortedError(ParleyError):
    """Somebody else was faster; read again and decide anew."""

    kind = ErrorKind.ABORTED


class ExhaustedError(ParleyError):
    """A limit was reached."""

    kind = ErrorKind.RESOURCE_EXHAUSTED


class UnavailableError(ParleyError):
    """Not possible now; trying again helps."""

    kind = ErrorKind.UNAVAILABLE


# ------------------------------------------------------------------ about the caller and the call


class TokenMissingError(UnauthenticatedError):
    """The call needs a token and carries none."""

    reason = "TOKEN_MISSING"
    text = "This call needs a token."


class TokenInvalidError(UnauthenticatedError):
    """The token is no token of this deployment."""

    reason = "TOKEN_INVALID"
    text = "The token is not valid here."


class TokenExpiredError(UnauthenticatedError):
    """The token's time is over."""

    reason = "TOKEN_EXPIRED"
    text = "The token has expired."


class SessionRevokedError(UnauthenticatedError):
    """The session behind the token was ended."""

    reason = "SESSION_REVOKED"
    text = "The session has been ended. Sign in again."


class CredentialsInvalidError(UnauthenticatedError):
    """E-mail address or password is wrong."""

    reason = "CREDENTIALS_INVALID"
    text = "E-mail address or password is wrong."


class TokenKindNotAllowedError(ForbiddenError):
    """This kind of token can't be used for this call."""

    reason = "TOKEN_KIND_NOT_ALLOWED"
    text = "This kind of token can't be used for this call."


class PermissionDeniedError(ForbiddenError):
    """The caller may not do this to this resource."""

    reason = "PERMISSION_DENIED"
    text = "You may not do this."


class GuestsNotAllowedError(ForbiddenError):
    """Guests are not allowed here."""

    reason = "GUESTS_NOT_ALLOWED"
    text = "Guests are not allowed here."


class EmailTakenError(ParleyError):
    """There is an account with this e-mail address."""

    kind = ErrorKind.ALREADY_EXISTS
    reason = "EMAIL_TAKEN"
    text = "There is an account with this e-mail address."


class SignUpDisabledError(PreconditionError):
    """This deployment lets nobody sign up by themselves."""

    reason = "SIGN_UP_DISABLED"
    text = "Accounts are made by the operator here."


class InvalidArgumentError(InvalidError):
    """A field breaks its rule."""

    reason = "INVALID_ARGUMENT"
    text = "The request breaks a rule."

    @classmethod
    def of(cls, field: str, description: str) -> InvalidArgumentError:
        """The error for one field.

        Args:
            field: Path of the field.
            description: What is wrong with it.
        """
        return cls(f"{field}: {description}", violations=(FieldViolation(field, description),))


class RateLimitedError(ExhaustedError):
    """Too many calls."""

    reason = "RATE_LIMITED"
    text = "Too many calls. Try again in a moment."


class RequestIdReusedError(AbortedError):
    """This request id was used for another request."""

    reason = "REQUEST_ID_REUSED"
    text = "This request_id was used for a different request."


class StoreUnavailableError(UnavailableError):
    """PostgreSQL or Redis does not answer."""

    reason = "STORE_UNAVAILABLE"
    text = "A store is not reachable. Try again in a moment."


class ShuttingDownError(UnavailableError):
    """This process is about to end."""

    reason = "SHUTTING_DOWN"
    text = "This process is shutting down. Call again."


class SessionNotFoundError(NotFoundError):
    """There is no such user session."""

    reason = "SESSION_NOT_FOUND"
    text = "There is no such session."


# ------------------------------------------------------------------ about meetings


class MeetingNotFoundError(NotFoundError):
    """There is no such meeting, or the caller may not know of it."""

    reason = "MEETING_NOT_FOUND"
    text = "There is no such meeting."


class MeetingEndedError(PreconditionError):
    """The meeting is over."""

    reason = "MEETING_ENDED"
    text = "The meeting is over."


class MeetingNotStartedError(PreconditionError):
    """Nobody may join before the host."""

    reason = "MEETING_NOT_STARTED"
    text = "The meeting has not begun."


class MeetingStateConflictError(PreconditionError):
    """The meeting's state does not allow this change."""

    reason = "MEETING_STATE_CONFLICT"
    text = "The meeting's state does not allow this."


class PasscodeWrongError(ForbiddenError):
    """The passcode is wrong."""

    reason = "PASSCODE_WRONG"
    text = "The passcode is wrong."


class PasscodeAttemptsExceededError(ExhaustedError):
    """Too many wrong passcodes."""

    reason = "PASSCODE_ATTEMPTS_EXCEEDED"
    text = "Too many wrong passcodes. Try again later."


class MeetingFullError(ExhaustedError):
    """As many people are in the meeting as it takes."""

    reason = "MEETING_FULL"
    text = "The meeting is full."


class EtagMismatchError(AbortedError):
    """The meeting was changed since it was read."""

    reason = "ETAG_MISMATCH"
    text = "The meeting was changed meanwhile. Read it again."


class UpdateMaskInvalidError(InvalidError):
    """The update mask names what can't be changed."""

    reason = "UPDATE_MASK_INVALID"
    text = "update_mask names a field that is unknown or can't be changed."


class PageTokenInvalidError(InvalidError):
    """The page token is not one of this list."""

    reason = "PAGE_TOKEN_INVALID"
    text = "The page token does not belong to this list."


class TimeZoneUnknownError(InvalidError):
    """The time zone is not in the IANA database."""

    reason = "TIME_ZONE_UNKNOWN"
    text = "The time zone is not in the IANA database."


class MeetingTypeNotSupportedError(ParleyError):
    """Meetings of this type can't be created yet."""

    kind = ErrorKind.UNIMPLEMENTED
    reason = "MEETING_TYPE_NOT_SUPPORTED"
    text = "Meetings of this type can't be created yet."


# ------------------------------------------------------------------ about being in a meeting


class SdpInvalidError(InvalidError):
    """The SDP offer can't be used."""

    reason = "SDP_INVALID"
    text = "The SDP offer can't be used."


class SdpNotAcceptableError(InvalidError):
    """Offer and node have nothing in common."""

    reason = "SDP_NOT_ACCEPTABLE"
    text = "The SDP offer lacks what a media node needs."


class ParticipantNotFoundError(NotFoundError):
    """The participant is not in the meeting."""

    reason = "PARTICIPANT_NOT_FOUND"
    text = "The participant is not in the meeting. Join again."


class CursorInvalidError(ParleyError):
    """The cursor is none of this meeting's."""

    kind = ErrorKind.OUT_OF_RANGE
    reason = "CURSOR_INVALID"
    text = "The cursor is not one of this meeting's."


class MidUnknownError(InvalidError):
    """The session has no such slot or track."""

    reason = "MID_UNKNOWN"
    text = "The offer has no such slot or track."


class NoMediaNodeError(UnavailableError):
    """No media node can take the room now."""

    reason = "NO_MEDIA_NODE"
    text = "No media node can take the meeting now. Try again in a moment."


class MediaNodeUnavailableError(UnavailableError):
    """The room's media node does not answer."""

    reason = "MEDIA_NODE_UNAVAILABLE"
    text = "The media node does not answer. Try again in a moment."


class TooManyStreamsError(ExhaustedError):
    """Too many event streams of one participant."""

    reason = "TOO_MANY_STREAMS"
    text = "Another stream of the same participant was opened."


class PublishNotAllowedError(ForbiddenError):
    """This role sends no media."""

    reason = "PUBLISH_NOT_ALLOWED"
    text = "Your role sends no media."


# ------------------------------------------------------------------ about placement


class NoNodeAvailableError(UnavailableError):
    """No node is active and has room."""

    reason = "NO_NODE_AVAILABLE"
    text = "No media node has room now. Try again in a moment."


class PlacementNotFoundError(NotFoundError):
    """The room is placed nowhere."""

    reason = "PLACEMENT_NOT_FOUND"
    text = "The room is placed nowhere."


class EpochMismatchError(AbortedError):
    """The epoch given is not the placement's."""

    reason = "EPOCH_MISMATCH"
    text = "The room was placed anew meanwhile."
