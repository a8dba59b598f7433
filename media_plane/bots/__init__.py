"""Endpoints that decode: programs that take part in a meeting as a browser does."""

from media_plane.bots.client import BotClient, BotError, BotOptions, JoinTimes
from media_plane.bots.peer import BotPeer, PeerOptions, SlotReport

__all__ = ["BotClient", "BotError", "BotOptions", "BotPeer", "JoinTimes", "PeerOptions", "SlotReport"]
