"""Who may call what: one row for each RPC of all contracts. A test fails when an RPC has none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from control_plane.application.callers import CallerKind


class TokenUse(enum.Enum):
    """What a method does with the caller's token."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    """Nobody may call it too; but a token that is shown must be good."""
    IGNORED = "ignored"
    """An old token must not keep anybody from signing in."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which callers a method takes.

    Attributes:
        token: What it does with their token.
        kinds: Which kinds of token it takes.
    """

    token: TokenUse
    kinds: frozenset[CallerKind] = frozenset()


def _only(*kinds: CallerKind) -> Access:
    return Access(TokenUse.REQUIRED, frozenset(kinds))


PUBLIC = Access(TokenUse.IGNORED)
_USER = _only(CallerKind.ACCOUNT, CallerKind.GUEST)
_JOINER = _only(CallerKind.ACCOUNT, CallerKind.GUEST, CallerKind.MEETING_GUEST)
_HOST = _only(CallerKind.ACCOUNT, CallerKind.GUEST, CallerKind.PARTICIPANT)
_ANYBODY = Access(
    TokenUse.OPTIONAL,
    frozenset({CallerKind.ACCOUNT, CallerKind.GUEST, CallerKind.MEETING_GUEST, CallerKind.PARTICIPANT}),
)
_PARTICIPANT = _only(CallerKind.PARTICIPANT)
_OPERATOR = _only(CallerKind.OPERATOR)
_NODE = _only(CallerKind.NODE)

_BY_SERVICE = {
    "parley.identity.v1.IdentityService": {
        "SignUp": PUBLIC,
        "SignIn": PUBLIC,
        "RefreshCredentials": PUBLIC,
        "RevokeUserSession": _USER,
        "ListUserSessions": _USER,
        "GetCurrentUser": _USER,
        "CreateGuestSession": PUBLIC,
    },
    "parley.meeting.v1.MeetingService": {
        "CreateMeeting": _USER,
        "GetMeeting": _USER,
        "ListMeetings": _USER,
        "UpdateMeeting": _USER,
        "DeleteMeeting": _USER,
        "StartMeeting": _USER,
        "EndMeeting": _HOST,
        "RegeneratePasscode": _HOST,
        "LookUpMeeting": _ANYBODY,
    },
    "parley.signaling.v1.SignalingService": {
        "JoinMeeting": _JOINER,
        "RenegotiateMedia": _PARTICIPANT,
        "WatchSession": _PARTICIPANT,
        "UpdateSlots": _PARTICIPANT,
        "UpdateTracks": _PARTICIPANT,
        "SendReaction": _PARTICIPANT,
        "LeaveMeeting": _PARTICIPANT,
        "Heartbeat": _PARTICIPANT,
        "ExplainSession": _PARTICIPANT,
    },
    "parley.allocation.v1.RoomAllocationService": {
        "PlaceRoom": _OPERATOR,
        "GetPlacement": _OPERATOR,
        "ReleaseRoom": _OPERATOR,
        "ListNodes": _OPERATOR,
    },
    "parley.operations.v1.QuarantineService": {
        "ListQuarantinedRecords": _OPERATOR,
        "RetryQuarantinedRecord": _OPERATOR,
        "DropQuarantinedRecord": _OPERATOR,
    },
    "parley.node.v1.NodeService": {"Report": _NODE},
    # Served by media nodes, which keep this row themselves; here so that no RPC is forgotten.
    "parley.sfu.v1.SfuControlService": {
        "OpenRoom": _NODE,
        "CloseRoom": _NODE,
        "OpenSession": _NODE,
        "CloseSession": _NODE,
        "UpdateSlots": _NODE,
        "UpdateTracks": _NODE,
        "RequestKeyFrame": _NODE,
        "GetStats": _NODE,
        "ExplainSession": _NODE,
        "WatchEvents": _NODE,
    },
    "grpc.health.v1.Health": {"Check": PUBLIC, "List": PUBLIC, "Watch": PUBLIC},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": PUBLIC},
}

ACCESS = {
    f"/{service}/{method}": access for service, methods in _BY_SERVICE.items() for method, access in methods.items()
}
"""By full method name."""
