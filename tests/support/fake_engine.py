"""An engine that forwards nothing and remembers what it was told, for tests of the agent's decisions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from media_plane._engine import CloseReason, EngineError, Event, LocalTransport, SessionParameters, SlotRequest

if TYPE_CHECKING:
    from media_plane._engine import SessionExplanation
    from media_plane.node.engine_port import EnginePort


@dataclass
class _Transport:
    ice_ufrag: str = "node"
    ice_pwd: str = "p" * 24
    port: int = 5000
    tcp_port: int | None = None


@dataclass
class FakeEngine:
    """Keeps commands in order; `refuse` makes the next command fail with that reason, `refuse_named` that of a name."""

    commands: list[tuple[Any, ...]] = field(default_factory=list)
    refuse: str = ""
    refuse_named: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ":".join(["AB"] * 32)

    serving_shards: int = 1
    abandoned_threads: int = 0
    ports: list[int] = field(default_factory=lambda: [5000])

    def fileno(self) -> int:
        return -1

    def drain_events(self, max_events: int = 1024) -> list[Event]:
        del max_events
        return []

    def open_room(self, room_id: str) -> None:
        self._take("open_room", room_id)

    def close_room(self, room_id: str) -> None:
        self._take("close_room", room_id)

    def open_session(self, room_id: str, session_id: str, parameters: SessionParameters) -> LocalTransport:
        del parameters
        self._take("open_session", room_id, session_id)
        return cast("LocalTransport", _Transport())

    def restart_ice(self, session_id: str, ice_ufrag: str, ice_pwd: str) -> LocalTransport:
        self._take("restart_ice", session_id, ice_ufrag, ice_pwd)
        return cast("LocalTransport", _Transport(ice_ufrag=f"node{len(self.named('restart_ice'))}"))

    def change_media(self, session_id: str, parameters: SessionParameters) -> None:
        del parameters
        self._take("change_media", session_id)

    def close_session(self, session_id: str, reason: CloseReason = "requested") -> None:
        self._take("close_session", session_id, reason)

    def set_track_muted(self, session_id: str, mid: str, muted: bool) -> None:  # noqa: FBT001 - the engine's signature
        self._take("set_track_muted", session_id, mid, muted)

    def update_slots(self, session_id: str, requests: Sequence[SlotRequest]) -> None:
        self._take("update_slots", session_id, len(requests))

    def request_key_frame(self, session_id: str, mid: str) -> None:
        self._take("request_key_frame", session_id, mid)

    def counters(self) -> Mapping[str, int]:
        names = ("packets_received", "bytes_received", "packets_sent", "bytes_sent", "packets_lost")
        opened = sum(command[0] == "open_session" for command in self.commands)
        closed = sum(command[0] == "close_session" for command in self.commands)
        return dict.fromkeys(names, 7) | {
            "dropped_stun": 1,
            "dropped_noise": 2,
            "shard_panics": 1,
            "shard_stalls": 2,
            "sessions_opened": opened,
            "sessions_closed": closed,
        }

    def session_stats(self, session_id: str) -> Mapping[str, object]:
        del session_id
        return {"srtp_profile": None, "round_trip_time_ms": None, "tracks": [], "slots": []}

    def explain(self, session_id: str) -> SessionExplanation:
        del session_id
        return {
            "transport": None,
            "estimated_bits_per_second": 0,
            "bandwidth_state": None,
            "queueing_delay_ms": 0.0,
            "fraction_lost": 0.0,
            "sent_bits_per_second": 0,
            "wanted_bits_per_second": 0,
            "round_trip_time_ms": None,
            "sound_repeated": False,
            "slots": [],
            "tracks": [],
        }

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of each command of a name."""
        return [command[1:] for command in self.commands if command[0] == name]

    def _take(self, *command: object) -> None:
        reason = self.refuse or self.refuse_named.pop(str(command[0]), "")
        if reason:
            self.refuse = ""
            error = EngineError(f"refused: {reason}")
            error.reason = reason  # type: ignore[assignment]  # a test may make up reasons
            raise error
        self.commands.append(command)


def port(engine: FakeEngine) -> EnginePort:
    """The fake as the agent takes it (this also lets the type checker compare the two)."""
    return engine
