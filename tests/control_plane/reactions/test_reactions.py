"""Reactions, on a real Redis."""

from __future__ import annotations

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.reactions.events import reaction_sent
from tests.support.live import (
    Replica,
    Watching,
    attendee,
    eventually,
)

MEETING = "12345678901"


async def test_five_reactions_a_second_and_a_retry_is_shown_once(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    for number in range(5):
        await replica.part.reactions.react(attendee(ana), "x", f"r{number}")
    await replica.part.reactions.react(attendee(ana), "x", "r4")

    with pytest.raises(DomainError) as refused:
        await replica.part.reactions.react(attendee(ana), "x", "r5")

    assert refused.value.reason == "RATE_LIMITED"
    assert refused.value.retry_after == pytest.approx(0.2)
    replica.clock.move(0.2)
    await replica.part.reactions.react(attendee(ana), "x", "r5")
    await eventually(lambda: len(watching.events) >= 6)
    assert watching.events == [reaction_sent(MEETING, ana.participant.id, "x")] * 6
    await watching.stop()
