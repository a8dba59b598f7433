"""What the engine is to close. Whoever was told that it is closed must not go on hearing, so no refusal is final."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from media_plane._engine import CloseReason, EngineError
from media_plane.node.engine_port import EnginePort

log = structlog.get_logger(__name__)

_GONE: Final = frozenset({"unknown_session", "unknown_room", "stopped"})
"""Refusals that say that there is nothing to close."""


class Closings:
    """Closes sessions and rooms in the engine, and keeps those that it refuses until it does not."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._refused: dict[tuple[str, str], Callable[[], None]] = {}

    def session(self, session_id: str, reason: CloseReason) -> None:
        """Close a session."""
        self._close(("session", session_id), partial(self._engine.close_session, session_id, reason))

    def room(self, room_id: str) -> None:
        """Close a room with its sessions."""
        self._close(("room", room_id), partial(self._engine.close_room, room_id))

    def retry(self) -> None:
        """Close what was refused before."""
        for key, close in list(self._refused.items()):
            self._close(key, close)

    def _close(self, key: tuple[str, str], close: Callable[[], None]) -> None:
        kind, name = key
        try:
            close()
        except EngineError as error:
            if error.reason not in _GONE:
                log.warning("close.refused", kind=kind, id=name, reason=error.reason)
                self._refused[key] = close
                return
            log.info("close.needless", kind=kind, id=name, reason=error.reason)
        self._refused.pop(key, None)
