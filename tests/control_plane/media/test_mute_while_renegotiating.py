"""What somebody says of their tracks while a new offer of theirs is under way counts, on the node and in the state."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from control_plane.media.model import MediaOffer
from tests.support.live import TRACKS, FakeNode, Replica, attendee, eventually


async def test_a_mute_during_a_renegotiation_is_not_lost(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    who = attendee(ana)
    node.slow = asyncio.Event()
    renegotiation = asyncio.create_task(replica.part.media.renegotiate(who, MediaOffer("again", TRACKS), "r2"))
    await eventually(lambda: len(node.answers) == 2)

    await replica.part.media.update_tracks(who, [replace(TRACKS[0], muted=True)])
    node.slow.set()
    await renegotiation

    view = await replica.view()
    (participant,) = view.participants
    held = node.tracks[participant.session_id]
    assert participant.tracks[0].muted, f"the node forwards {held}, everyone is shown {participant.tracks}"
