"""Brings the engine's slots to what the clients and the policy want, and tells the watchers."""

from __future__ import annotations

import structlog

from media_plane._engine import EngineError, SlotRequest
from media_plane.node.announcer import Announcer
from media_plane.node.engine_port import EnginePort
from media_plane.node.rooms import Room, Session, SlotState
from media_plane.node.slot_policy import TrackKey

log = structlog.get_logger(__name__)


class SlotDirector:
    """Compares what each slot shall show with what the engine was told, and tells it the difference."""

    def __init__(self, engine: EnginePort, announcer: Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    def direct(self, room: Room, *, newcomer: Session | None = None) -> None:
        """Bring all slots of a room up to date.

        Args:
            room: The room.
            newcomer: A session whose slots are told by the call that opens it, and not by an event before.
        """
        ranking = room.ranking()
        changed = [(session, self._direct_session(room, session, ranking)) for session in list(room.sessions.values())]
        self._announcer.slots(room, [(session, slots) for session, slots in changed if session is not newcomer])

    def _direct_session(self, room: Room, session: Session, ranking: list[TrackKey]) -> list[SlotState]:
        changes: list[tuple[SlotState, tuple[TrackKey, str] | None]] = []
        for mid, key in room.wanted(session, ranking).items():
            slot = session.slots[mid]
            target = (key, room.sessions[key.participant_id].session_id) if key else None
            if _differs(slot, target):
                changes.append((slot, target))
        if not changes or not self._tell_engine(session, changes):
            return []
        for slot, target in changes:
            slot.requested = (*target, slot.choice) if target else None
        return [slot for slot, _ in changes]

    def _tell_engine(self, session: Session, changes: list[tuple[SlotState, tuple[TrackKey, str] | None]]) -> bool:
        requests = [
            SlotRequest(
                mid=slot.mid,
                source_session_id=target[1] if target else None,
                source_mid=target[0].mid if target else None,
                max_height=slot.choice.max_height,
                priority=slot.choice.priority,
            )
            for slot, target in changes
        ]
        try:
            self._engine.update_slots(session.session_id, requests)
        except EngineError as error:
            # Nothing is remembered as told, so the next change of the room tries again.
            log.warning("slots.refused", session_id=session.session_id, reason=error.reason)
            return False
        return True


def _differs(slot: SlotState, target: tuple[TrackKey, str] | None) -> bool:
    if slot.requested is None or target is None:
        return (slot.requested is None) != (target is None)
    return slot.requested != (*target, slot.choice)
