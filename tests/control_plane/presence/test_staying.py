"""Staying in a meeting and leaving it, on a real Redis."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control_plane.kernel.caller import CallingParticipant
from tests.support.live import (
    NOON,
    FakeNode,
    Replica,
    attendee,
)

MEETING = "12345678901"


async def test_leaving_twice_is_harmless(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    await replica.part.presence.leave(attendee(ana))
    await replica.settle()

    assert (await replica.view()).participants == ()
    assert not node.sessions[MEETING]


@pytest.mark.parametrize(("age", "renewed"), [(299, False), (301, True)])
async def test_a_token_is_renewed_in_the_second_half_of_its_life(replica: Replica, age: int, renewed: bool) -> None:  # noqa: FBT001
    ana = await replica.join("Ana")
    life = (NOON - timedelta(seconds=age), NOON + timedelta(seconds=600 - age))

    beat = await replica.part.presence.heartbeat(CallingParticipant(MEETING, ana.participant.id, life))

    assert (beat.token is not None) is renewed
