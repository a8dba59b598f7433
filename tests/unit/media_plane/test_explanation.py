"""What a user reads about a soft picture, and the figures behind it."""

from typing import TYPE_CHECKING

import pytest

from media_plane.node.explanation import explanation, words
from parley.meeting.v1 import explanation_pb2 as pb

if TYPE_CHECKING:
    from media_plane._engine import LayerReason, SessionExplanation, SlotExplanation, VideoLayer


def layer(height: int, frames: float = 30.0, bits: int = 500_000) -> "VideoLayer":
    return {
        "rid": "h",
        "spatial": 0,
        "temporal": 2,
        "width": height * 16 // 9,
        "height": height,
        "frames_per_second": frames,
        "bits_per_second": bits,
    }


def slot(
    reason: "LayerReason | None",
    sent: int = 360,
    *,
    useful: int = 720,
    max_height: int = 0,
    missing: int = 0,
    frames: float = 30.0,
    wait: float = 0.0,
) -> "SlotExplanation":
    return {
        "mid": "5",
        "kind": "video",
        "sent": layer(sent, frames) if sent else None,
        "best": layer(720) if reason else None,
        "useful_height": useful,
        "reason": reason,
        "max_height": max_height,
        "missing_bits_per_second": missing,
        "repair_wait_ms": wait,
    }


@pytest.mark.parametrize(
    ("figures", "estimated", "sentence"),
    [
        (
            slot("bandwidth", missing=500_000),
            900_000,
            "360p instead of 720p: your connection carries 0.9 Mbit/s, the next step needs 1.4 Mbit/s.",
        ),
        (
            slot("bandwidth", 0, missing=60_000),
            30_000,
            "No picture instead of 720p: your connection carries 0.03 Mbit/s, the next step needs 0.09 Mbit/s.",
        ),
        (
            slot("bandwidth", 720, frames=15.0, missing=300_000),
            1_200_000,
            (
                "720p with 15 instead of 30 pictures a second: your connection carries 1.2 Mbit/s, "
                "the next step needs 1.5 Mbit/s."
            ),
        ),
        (slot("bandwidth"), 0, "360p instead of 720p: your connection carries no more."),
        (slot("best", 720), 0, "720p: the best that its sender sends."),
        (
            slot("viewport", useful=360, max_height=300),
            0,
            "360p: it is shown 300 pixels high, 720p would not be seen.",
        ),
        (slot("sender"), 0, "360p instead of 720p: its sender sends no more now."),
        (slot("sender", 0, useful=0), 0, "No picture: its sender sends nothing now."),
        (
            slot("policy"),
            0,
            "360p instead of 720p: more comes once the connection has been steady for some seconds.",
        ),
        (slot("switching"), 0, "360p instead of 720p: more is on its way."),
        (
            slot("codec", 0),
            0,
            (
                "No picture instead of 720p: your browser can't decode what its sender sends; "
                "if all who watch have another codec in common, it is next."
            ),
        ),
        (slot(None, 0), 0, ""),
        (
            slot("best", 720, wait=430.0),
            0,
            (
                "720p: the best that its sender sends. "
                "It is shown 0.4 s late, so that what is lost on the way can be sent again."
            ),
        ),
        (slot("best", 720, wait=60.0), 0, "720p: the best that its sender sends."),
        (slot("sender", 0, useful=0, wait=430.0), 0, "No picture: its sender sends nothing now."),
    ],
)
def test_a_sentence_says_what_and_why(figures: "SlotExplanation", estimated: int, sentence: str) -> None:
    assert words(figures, estimated) == sentence


def test_figures_keep_their_meaning() -> None:
    figures: SessionExplanation = {
        "transport": "udp",
        "estimated_bits_per_second": 900_000,
        "bandwidth_state": "delayed",
        "queueing_delay_ms": 12.5,
        "fraction_lost": 0.25,
        "sent_bits_per_second": 800_000,
        "wanted_bits_per_second": 1_700_000,
        "round_trip_time_ms": None,
        "sound_repeated": True,
        "slots": [slot("bandwidth", missing=500_000, wait=250.0), slot(None, 0)],
        "tracks": [{"mid": "1", "encodings": [layer(180)], "wanted_rids": ["q"], "fraction_lost": 0.5, "codec": "VP8"}],
    }
    told = explanation(figures)
    assert told.transport == pb.MEDIA_TRANSPORT_UDP
    assert told.receiving == pb.ReceivingPath(
        estimated_bits_per_second=900_000,
        sent_bits_per_second=800_000,
        wanted_bits_per_second=1_700_000,
        state=pb.BANDWIDTH_STATE_DELAYED,
        queueing_delay_ms=12.5,
        fraction_lost=0.25,
        sound_repeated=True,
    )
    assert told.slots[0].reason == pb.LAYER_REASON_BANDWIDTH
    assert (told.slots[0].sent.height, told.slots[0].best.height) == (360, 720)
    assert told.slots[0].words.startswith("360p instead of 720p")
    assert told.slots[0].repair_wait_ms == 250.0
    assert not told.slots[1].HasField("sent")
    assert told.slots[1].reason == pb.LAYER_REASON_UNSPECIFIED
    assert told.tracks[0].encodings[0].height == 180
    assert list(told.tracks[0].wanted_rids) == ["q"]


def test_an_estimate_that_means_nothing_is_not_told() -> None:
    figures: SessionExplanation = {
        "transport": None,
        "estimated_bits_per_second": 300_000,
        "bandwidth_state": None,
        "queueing_delay_ms": 0.0,
        "fraction_lost": 0.0,
        "sent_bits_per_second": 0,
        "wanted_bits_per_second": 0,
        "round_trip_time_ms": 20.0,
        "sound_repeated": False,
        "slots": [],
        "tracks": [],
    }
    told = explanation(figures)
    assert told.transport == pb.MEDIA_TRANSPORT_UNSPECIFIED
    assert told.receiving.estimated_bits_per_second == 0
    assert told.receiving.round_trip_time_ms == 20.0
