"""Gauges of running meetings."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Gauge

PARTICIPANTS = Gauge("parley_live_participants", "People in meetings, all replicas together.")
MEETINGS = Gauge("parley_live_meetings", "Meetings with somebody in them, all replicas together.")


def show_meetings(counts: Sequence[int]) -> None:
    """Shows how many people are in each meeting."""
    PARTICIPANTS.set(sum(counts))
    MEETINGS.set(sum(1 for count in counts if count))
