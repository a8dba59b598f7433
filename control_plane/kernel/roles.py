"""What somebody may do in a meeting."""

from __future__ import annotations

import enum


class ParticipantRole(enum.Enum):
    """What a participant may do, from most to least."""

    HOST = "host"
    CO_HOST = "co_host"
    PANELIST = "panelist"
    PARTICIPANT = "participant"
    ATTENDEE = "attendee"
    UNKNOWN = "unknown"
    """One of a newer version; it may do least, since this version can't know what it may."""

    @property
    def may_publish(self) -> bool:
        """Whether this role sends media."""
        return self not in {ParticipantRole.ATTENDEE, ParticipantRole.UNKNOWN}
