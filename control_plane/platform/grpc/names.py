"""Resource names."""

from __future__ import annotations


def participant_name(meeting_id: str, participant_id: str) -> str:
    """Returns a participant's resource name; empty for nobody."""
    return f"meetings/{meeting_id}/participants/{participant_id}" if participant_id else ""


def meeting_id_of(name: str) -> str:
    """Returns the number in `meetings/{meeting}` or in a name below it."""
    return name.split("/")[1]
