"""Gauges of running meetings."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Gauge

PARTICIPANTS = Gauge("parley_live_participants", "People in meetings of this replica's share; add up all replicas.")
MEETINGS = Gauge("parley_live_meetings", "Meetings of this replica's share with somebody in them; add up all replicas.")


def show_meetings(counts: Sequence[int]) -> None:
    """Shows how many people are in each meeting."""
    PARTICIPANTS.set(sum(counts))
    MEETINGS.set(sum(1 for count in counts if count))
