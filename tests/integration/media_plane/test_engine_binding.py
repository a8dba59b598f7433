"""The compiled engine as Python sees it: refusals, events, counters."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from media_plane import _engine
from media_plane._engine import (
    Codec,
    Engine,
    EngineError,
    HeaderExtensions,
    SendTrack,
    SessionParameters,
    Slot,
    SlotRequest,
)

_FINGERPRINT = ":".join(["AB"] * 32)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(bind_address="127.0.0.1", ports=[0, 0])
    engine.start()
    yield engine
    engine.stop()


def parameters(**changes: object) -> SessionParameters:
    values: dict[str, object] = {
        "ice_ufrag": "abcd",
        "ice_pwd": "p" * 22,
        "fingerprints": [("sha-256", _FINGERPRINT)],
        "codecs": [Codec(name="VP8", payload_type=96, clock_rate=90_000, rtx_payload_type=97)],
        "extensions": HeaderExtensions(mid=1),
        "send_tracks": [SendTrack(mid="0", kind="video", payload_types=[96])],
        "slots": [Slot(mid="1", kind="video", ssrc=7, rtx_ssrc=8)],
        "cname": "node",
    }
    return SessionParameters(**{**values, **changes})  # type: ignore[arg-type]


def reason(error: pytest.ExceptionInfo[EngineError]) -> str:
    return error.value.reason


def test_ports_and_fingerprint_are_known_before_the_start() -> None:
    engine = Engine(bind_address="127.0.0.1", ports=[0, 0])
    assert len(set(engine.ports)) == 2
    assert len(engine.fingerprint.split(":")) == 32
    assert set(_engine.build_info()) == {"version", "rustc", "target", "gso", "gro"}


def test_a_taken_port_is_an_os_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            Engine(bind_address="127.0.0.1", ports=[taken.getsockname()[1]])


def test_refusals_carry_their_reason(engine: Engine) -> None:
    engine.open_room("room")
    engine.open_session("room", "a", parameters())
    refused: dict[str, Callable[[], object]] = {
        "room_exists": lambda: engine.open_room("room"),
        "unknown_room": lambda: engine.open_session("other", "b", parameters()),
        "session_exists": lambda: engine.open_session("room", "a", parameters()),
        "unknown_session": lambda: engine.set_track_muted("b", "0", muted=True),
        "unknown_track": lambda: engine.set_track_muted("a", "9", muted=True),
        "invalid": lambda: engine.open_session("room", "b", parameters(fingerprints=[])),
    }
    for expected, command in refused.items():
        with pytest.raises(EngineError) as error:
            command()
        assert reason(error) == expected
    engine.stop()
    with pytest.raises(EngineError) as error:
        engine.open_room("late")
    assert reason(error) == "stopped"


def test_arguments_that_make_no_sense_are_value_errors() -> None:
    with pytest.raises(ValueError, match="kind"):
        Slot(mid="1", kind="smell", ssrc=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="source"):
        SlotRequest(mid="1", source_session_id="a")
    with pytest.raises(ValueError, match="address"):
        Engine(bind_address="nowhere", ports=[0])


def test_events_make_the_descriptor_readable(engine: Engine) -> None:
    engine.open_room("room")
    local = engine.open_session("room", "a", parameters())
    assert local.port in engine.ports
    assert len(local.ice_pwd) >= 22
    readable, _, _ = select.select([engine.fileno()], [], [], 10)
    assert readable
    [event] = engine.drain_events()
    assert isinstance(event, _engine.SessionStateChanged)
    assert (event.room_id, event.session_id, event.state, event.reason) == ("room", "a", "connecting", None)
    assert engine.drain_events() == []
    stats = engine.session_stats("a")
    assert (stats["state"], stats["remote_address"]) == ("connecting", None)


def test_strangers_are_counted(engine: Engine) -> None:
    engine.open_room("room")
    engine.open_session("room", "a", parameters())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in (b"\x80" * 40, b"\xff" * 40, b"\x00\x01" + bytes(30)):
            for port in engine.ports:
                stranger.sendto(datagram, ("127.0.0.1", port))
        # Figures of a session come from its shard's thread, which has read its datagrams by the time it answers twice.
        for _ in range(100):
            engine.session_stats("a")
            counters = engine.counters()
            if counters["packets_received"] == 6:
                break
    assert counters["dropped_unknown_source"] == 2
    assert counters["dropped_noise"] == 2
    assert counters["dropped_stun"] == 2


@pytest.mark.parametrize(("fault", "cause"), [("panic", "panicked"), ("sleep", "stalled"), ("spin", "stalled")])
def test_a_shard_that_fails_is_an_event_and_serves_again(fault: Literal["panic", "sleep", "spin"], cause: str) -> None:
    """FLT-5."""
    engine = Engine(bind_address="127.0.0.1", ports=[0])
    engine.allow_faults()
    engine.start()
    engine.open_room("room")
    engine.open_session("room", "a", parameters())
    engine.inject_fault(0, fault, seconds=3.0)

    events: list[_engine.Event] = []
    while not any(isinstance(event, _engine.ShardFailed) for event in events):
        assert select.select([engine.fileno()], [], [], 30)[0]
        events += engine.drain_events()

    failed = next(event for event in events if isinstance(event, _engine.ShardFailed))
    assert (failed.shard, failed.cause, failed.activity) == (0, cause, "fault")
    assert (failed.room_ids, failed.session_count) == (["room"], 1)
    ended = events[-1]
    assert isinstance(ended, _engine.SessionStateChanged)
    assert (ended.session_id, ended.state, ended.reason) == ("a", "closed", "shard_failed")
    while engine.serving_shards == 0:
        time.sleep(0.01)
    engine.open_room("room")
    assert engine.open_session("room", "a", parameters()).port == engine.ports[0]
    counters = engine.counters()
    assert counters["shard_panics"] + counters["shard_stalls"] == 1
    engine.stop()


def test_faults_are_refused_where_they_are_not_allowed(engine: Engine) -> None:
    with pytest.raises(EngineError) as error:
        engine.inject_fault(0, "panic")
    assert reason(error) == "invalid"
    assert engine.serving_shards == 2
