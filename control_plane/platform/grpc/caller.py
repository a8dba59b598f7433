"""Who makes the call that is being served."""

from __future__ import annotations

from contextvars import ContextVar

from control_plane.kernel.caller import Caller, CallingParticipant
from control_plane.kernel.errors import permission_denied

CURRENT_CALLER: ContextVar[Caller] = ContextVar("parley_caller")


def current_caller() -> Caller:
    """Returns who makes the call that is being answered."""
    return CURRENT_CALLER.get()


def calling_participant(name: str) -> CallingParticipant:
    """Returns the calling participant.

    Raises:
        DomainError: PERMISSION_DENIED: the token is another participant's.
    """
    caller = current_caller()
    if name != caller.subject:
        message = "This token is another participant's."
        raise permission_denied(message)
    return CallingParticipant(caller.meeting_id, caller.participant_id, caller.token_life)
