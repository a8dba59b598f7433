"""SignalingService: reactions."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.kernel.errors import invalid_argument
from control_plane.kernel.text import is_emoji
from control_plane.platform.grpc.caller import calling_participant
from control_plane.reactions.service import Reactions
from parley.signaling.v1 import signaling_service_pb2

_Context = aio.ServicerContext[Any, Any]


class ReactionServicer:
    """Serves participants."""

    def __init__(self, reactions: Reactions) -> None:
        self._reactions = reactions

    async def SendReaction(
        self, request: signaling_service_pb2.SendReactionRequest, context: _Context
    ) -> signaling_service_pb2.SendReactionResponse:
        """Shows an emoji."""
        who = calling_participant(request.name)
        if not is_emoji(request.emoji):
            raise invalid_argument("emoji", "is not one emoji.")
        await self._reactions.react(who, request.emoji, request.request_id.lower())
        return signaling_service_pb2.SendReactionResponse()
