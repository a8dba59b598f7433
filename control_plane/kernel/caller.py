"""Who calls: what a token says, once it was verified."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from control_plane.kernel.roles import ParticipantRole


class CallerKind(enum.Enum):
    """What kind of caller somebody is, by the token they show."""

    NOBODY = "nobody"
    """No token."""
    ACCOUNT = "account"
    """The access token of a user with an account."""
    GUEST = "guest"
    """The access token of a guest user, who may host instant meetings."""
    MEETING_GUEST = "meeting_guest"
    """The access token of somebody who may join one meeting."""
    PARTICIPANT = "participant"
    """The participant token of somebody in a meeting."""
    OPERATOR = "operator"
    """The deployment's operator token."""
    NODE = "node"
    """The deployment's node token."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        kind: What kind of caller it is.
        subject: Names the caller in logs and limits: `users/...`, `guests/...`, `meetings/.../participants/...`.
        address: Where the call came from.
        user_id: The user (ACCOUNT, GUEST).
        session_id: The user's session (ACCOUNT, GUEST).
        meeting_id: The only meeting that the token is good for (MEETING_GUEST, PARTICIPANT).
        participant_id: Who they are in it (PARTICIPANT).
        role: What they may do in it (PARTICIPANT).
        token_life: When the token was made and when it expires; None: it does not.
    """

    kind: CallerKind
    subject: str = ""
    address: str = ""
    user_id: str = ""
    session_id: str = ""
    meeting_id: str = ""
    participant_id: str = ""
    role: ParticipantRole | None = None
    token_life: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class CallingParticipant:
    """The calling participant, by their token.

    Attributes:
        meeting_id: The meeting.
        participant_id: Who they are in it.
        token_life: When their token was made and when it expires; None: unknown.
    """

    meeting_id: str
    participant_id: str
    token_life: tuple[datetime, datetime] | None = None
