"""What the benchmark of several servers reads and says, without any of them."""

import json
from typing import Any

import jwt
import pytest
from livekit.protocol import models

from benchmarks.peers.cases import AUDIO, VIDEO, Rooms
from benchmarks.peers.janus import create_room, is_final, other_feeds, read_version
from benchmarks.peers.livekit import add_track, make_configuration, make_token, udp_candidate
from benchmarks.peers.load import Received
from benchmarks.peers.meter import Cost
from benchmarks.peers.parley import entered, tracks_of
from benchmarks.peers.peer import Entered, Member
from benchmarks.peers.table import incomplete, markdown


def test_an_acknowledgement_of_janus_is_not_its_answer() -> None:
    assert not is_final({"janus": "ack", "transaction": "1"})
    assert not is_final({"janus": "webrtcup"})
    assert is_final({"janus": "event", "transaction": "1"})
    assert is_final({"janus": "error", "transaction": "1"})


def test_a_member_of_janus_subscribes_to_the_others_that_publish() -> None:
    participants = [
        {"id": 1, "display": "me", "publisher": True},
        {"id": 2, "display": "other", "publisher": True},
        {"id": 3, "display": "watcher", "publisher": False},
    ]
    assert other_feeds({"plugindata": {"data": {"participants": participants}}}, "me") == [2]
    assert create_room(5)["room"] == 5


def test_the_version_of_janus_is_the_readable_one() -> None:
    assert read_version("Janus version: 1102 (1.1.2)\nJanus commit: not-a-git-repo") == "1.1.2"
    assert read_version("") == "unknown"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("candidate:1 1 udp 2130706431 10.77.0.1 50001 typ host", True),
        ("candidate:1 1 UDP 2130706431 10.77.0.1 50001 typ host", True),
        ("candidate:2 1 tcp 1671430143 10.77.0.1 7881 typ host tcptype passive", False),
        ("", False),
    ],
)
def test_only_candidates_for_udp_are_taken_from_livekit(line: str, *, kept: bool) -> None:
    assert udp_candidate(json.dumps({"candidate": line, "sdpMid": "0"})) == (line if kept else "")


def test_livekit_is_asked_for_nothing_outside_this_machine() -> None:
    configuration: Any = make_configuration(7880, "10.77.0.1")
    assert configuration["rtc"]["node_ip"] == "10.77.0.1"
    assert configuration["rtc"]["stun_servers"] == ["127.0.0.1:3478"]
    assert configuration["bind_addresses"] == ["127.0.0.1"]


def test_a_token_of_livekit_names_member_and_room() -> None:
    claims = jwt.decode(make_token("somebody", 7), options={"verify_signature": False})
    assert claims["sub"] == "somebody"
    assert claims["video"]["room"] == "7"


def test_tracks_of_livekit_have_the_ids_that_the_offer_names() -> None:
    assert add_track("audio").cid == "microphone"
    video = add_track("video")
    assert (video.cid, video.type, len(video.layers)) == ("camera", models.TrackType.VIDEO, 1)


def test_tracks_of_parley_are_named_by_mid() -> None:
    offer = {"mids": {"send": [{"mid": "0", "kind": "video"}, {"mid": "1", "kind": "audio"}]}}
    assert [(track.mid, track.kind) for track in tracks_of(offer)] == [("0", 2), ("1", 1)]


def test_a_member_of_parley_has_one_load_client() -> None:
    assert entered(Member("a", ("video",), {"video": 3})) == Entered("a", "a")
    assert entered(Member("a", ("video",))) == Entered("a", "")


def test_senders_of_small_rooms_receive_each_other() -> None:
    small = Rooms(50, 4, 0, VIDEO).members(3)
    assert [member.receives for member in small] == [{"video": 3}] * 4
    large = Rooms(1, 1, 2, AUDIO).members(1)
    assert [(member.sends, member.receives) for member in large] == [
        (("audio",), None),
        ((), {"audio": 1}),
        ((), {"audio": 1}),
    ]


def test_figures_of_a_load_client_are_summed_over_its_media() -> None:
    def mid(packets: int, first: int | None) -> dict[str, int | None]:
        return {"packets": packets, "lost": 1, "first_unix_nano": first, "first_key_frame_unix_nano": None}

    client = {
        "state": "connected",
        "mids": {"0": mid(5, 3_000_000_000), "1": mid(7, 2_000_000_000), "2": mid(0, None)},
        "sent": {"3": {"packets": 4}},
        "dropped": 9,
        "srtp_profile": None,
    }
    received = Received.parse(client)
    assert (received.packets, received.lost, received.sent, received.dropped) == (12, 3, 4, 9)
    assert received.first == pytest.approx(2.0)
    assert received.first_key_frame is None


def test_a_change_of_cost_is_counted_in_all_parts() -> None:
    change = Cost(12, 3, 4, 5, 7) - Cost(2, 1, 1, 1, 1)
    assert (change.wall, change.cpu, change.softirq, change.stolen) == (10, 5, 4, 6)


def test_the_table_shows_what_is_known() -> None:
    figures = {"packets_out_per_cpu_second": 123_456, "delivered": 0.9}
    results: dict[str, dict[str, Any]] = {
        "video": {
            "Parley": {"answering, burst": figures, "memory": {"kib_a_session": 51.24}},
            "Janus": {"error": "no"},
        },
        "latency": {"Parley": {"p50": 250, "p99": 1_500}},
    }
    lines = markdown(results, ["Parley", "Janus"]).splitlines()
    assert lines[:2] == ["|  | Parley | Janus |", "|---|---|---|"]
    assert lines[2].endswith("receivers answer | 123,456 (90.0 % delivered) | - |")
    assert any(line.endswith("| 51.2 | - |") for line in lines)
    assert any(line.endswith("p99, ms | 1.50 | - |") for line in lines)


def test_what_was_not_delivered_is_noticed() -> None:
    assert incomplete({"answering, burst": {"delivered": 0.99}, "memory": {"kib_a_session": 1.0}})
    assert not incomplete({"answering, burst": {"delivered": 1.01}})
    assert not incomplete({"error": "it failed"})
