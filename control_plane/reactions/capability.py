"""Reactions."""

from __future__ import annotations

from control_plane.log.state import LiveState
from control_plane.platform.capability import Capability, House, Part
from control_plane.reactions.live import LiveReactions
from control_plane.reactions.rpc import ReactionServicer
from control_plane.reactions.service import Reactions


def _build(house: House) -> Part:
    reactions = house.provide(
        Reactions, lambda: Reactions(house.provide(LiveReactions, lambda: LiveReactions(house.need(LiveState))))
    )
    return Part(servicers={"parley.signaling.v1.SignalingService": ReactionServicer(reactions)})


CAPABILITY = Capability("reactions", _build)
