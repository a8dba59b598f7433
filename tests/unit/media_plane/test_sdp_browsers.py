"""What the node agrees on with each browser; `offers/README.md` says what their offers are put together from."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from media_plane.node.engine_port import session_parameters
from media_plane.node.sdp import agree, read_offer, write_answer
from media_plane.node.sdp.answer import NodeTransport

_OFFERS: Final = Path(__file__).parent / "offers"
_TRANSPORT: Final = NodeTransport(
    ice_ufrag="node", ice_pwd="p" * 32, fingerprint=":".join(["AB"] * 32), port=5000, tcp_port=None, addresses=["::1"]
)
_RED_AND_OPUS: Final = "63 red, 111 opus"
_OPUS: Final = "111 opus"
_FIRST_NUMBERS: Final = {
    "audio_level": 1,
    "abs_send_time": 2,
    "transport_cc": 3,
    "mid": 4,
    "rid": 5,
    "repaired_rid": 6,
    "playout_delay": 12,
    "video_orientation": 13,
}
"""Header extensions as libwebrtc numbered them until 2021."""
_NUMBERS: Final = _FIRST_NUMBERS | {"rid": 10, "repaired_rid": 11, "playout_delay": 5}


@dataclass(frozen=True, slots=True)
class Browser:
    """What an answer to a browser holds.

    Attributes:
        name: Of its offer's file.
        sound: Payload types and codecs in the answer's order, the one that is sent first.
        video: The same; after a stroke the payload type of the retransmissions.
        extensions: Number of each agreed header extension.
        simulcast: Whether it offers three encodings of its camera.
    """

    name: str
    sound: str
    video: str
    extensions: dict[str, int]
    simulcast: bool = True

    def __str__(self) -> str:
        return self.name


BROWSERS: Final = [
    Browser("chromium-81", _OPUS, "96/97 VP8, 98/99 VP9, 125/107 H264", _FIRST_NUMBERS),
    Browser("chromium-96", _OPUS, "96/97 VP8, 98/99 VP9, 125/107 H264", _FIRST_NUMBERS),
    Browser("chromium-110", _RED_AND_OPUS, "96/97 VP8, 98/99 VP9, 125/107 H264, 45/46 AV1", _NUMBERS),
    Browser(
        "chromium-120",
        _RED_AND_OPUS,
        "96/97 VP8, 98/99 VP9, 106/107 H264, 45/46 AV1",
        _NUMBERS | {"dependency_descriptor": 12, "layers_allocation": 9},
    ),
    Browser("edge-107", _RED_AND_OPUS, "96/97 VP8, 98/99 VP9, 125/107 H264", _NUMBERS),
    Browser("safari-14", _OPUS, "100/101 VP8, 98/99 H264", _FIRST_NUMBERS, simulcast=False),
    Browser(
        "safari-16",
        _OPUS,
        "104/124 VP8, 106/107 VP9, 98/99 H264",
        {
            "abs_send_time": 2,
            "video_orientation": 3,
            "transport_cc": 4,
            "playout_delay": 5,
            "mid": 9,
            "rid": 10,
            "repaired_rid": 11,
            "audio_level": 14,
        },
    ),
    Browser("safari-18", _RED_AND_OPUS, "106/107 VP8, 108/109 VP9, 98/99 H264", _NUMBERS),
]


@pytest.mark.parametrize("browser", BROWSERS, ids=str)
def test_each_browser_gets_its_codecs_extensions_and_encodings(browser: Browser) -> None:
    offer = (_OFFERS / f"{browser.name}.sdp").read_bytes().decode()
    read = read_offer(offer)
    agreed = agree(read, {media.mid: False for media in read.accepted if media.direction != "recvonly"})
    assert agreed.extensions == browser.extensions
    session_parameters(agreed, "someone")

    session, *answered = _parts(write_answer(agreed, _TRANSPORT))
    assert "a=group:BUNDLE 0 1 2 3 4\r\n" in session
    offered = _parts(offer)[1:]
    assert [_opening(each) for each in answered] == [_opening(each) for each in offered]
    for asked, answer in zip(offered, answered, strict=True):
        if asked.startswith("m=application"):
            assert "a=sctp-port:5000\r\n" in answer
            continue
        sends = "a=sendonly\r\n" in asked
        assert ("a=recvonly\r\n" if sends else "a=sendonly\r\n") in answer
        assert _codecs(answer) == (browser.sound if asked.startswith("m=audio") else browser.video)
        assert _extmaps(answer) == _known(asked, browser)
        simulcast = browser.simulcast and sends and asked.startswith("m=video")
        assert re.findall(r"a=rid:(\S+) recv\r", answer) == (["q", "h", "f"] if simulcast else [])
        assert ("a=simulcast:recv q;h;f\r\n" in answer) == simulcast
        # A slot says what it will carry; with retransmissions there is a second SSRC, in a pair with the first.
        assert len(set(re.findall(r"a=ssrc:(\d+) ", answer))) == (0 if sends else 1 + ("video" in asked[:7]))
        assert ("a=ssrc-group:FID " in answer) == (not sends and asked.startswith("m=video"))


@pytest.mark.parametrize("browser", BROWSERS, ids=str)
def test_h264_is_the_profile_that_all_have(browser: Browser) -> None:
    """Constrained baseline, packetization mode 1 (RFC 7742), wherever in its list a browser has it."""
    read = read_offer((_OFFERS / f"{browser.name}.sdp").read_bytes().decode())
    agreed = agree(read, {media.mid: False for media in read.accepted if media.direction != "recvonly"})
    (h264,) = (each for each in agreed.formats if each.name == "H264")
    assert "packetization-mode=1" in h264.fmtp
    assert "profile-level-id=42e01f" in h264.fmtp
    assert h264.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


@pytest.mark.parametrize(
    ("name", "video", "sound"), [("firefox", {"VP8", "VP9", "H264"}, ["opus"]), ("str0m", {"VP8"}, ["opus"])]
)
def test_clients_of_another_make_are_answered(name: str, video: set[str], sound: list[str]) -> None:
    read = read_offer((_OFFERS / f"{name}.sdp").read_bytes().decode())
    agreed = agree(read, {media.mid: False for media in read.accepted if media.direction != "recvonly"})
    assert {each.name for each in agreed.formats if each.clock_rate == 90_000} == video
    assert [each.name for each in agreed.formats if each.clock_rate == 48_000] == sound
    assert agreed.extensions["mid"]
    answer = write_answer(agreed, _TRANSPORT)
    assert not re.search(r"(?m)^m=[a-z]+ 0 ", answer)
    assert ("a=simulcast:recv q;h;f" in answer) == (name == "firefox")
    session_parameters(agreed, "someone")


def _parts(sdp: str) -> list[str]:
    return re.split(r"(?m)^(?=m=)", sdp)


def _opening(section: str) -> str:
    """Kind, port and protocol: nothing is rejected, nothing changes places."""
    return " ".join(section.split()[:3])


def _codecs(section: str) -> str:
    """Payload types and codecs in the order of the m-line, each with the payload type that repairs it."""
    names = dict(re.findall(r"a=rtpmap:(\d+) ([^/]+)/", section))
    repairs = {codec: rtx for rtx, codec in re.findall(r"a=fmtp:(\d+) apt=(\d+)\r", section)}
    numbers = section.split("\r\n", 1)[0].split()[3:]
    assert set(numbers) == set(names)
    codecs = [each for each in numbers if names[each] != "rtx"]
    return ", ".join(f"{'/'.join(filter(None, (each, repairs.get(each))))} {names[each]}" for each in codecs)


def _extmaps(section: str) -> set[tuple[int, str]]:
    return {(int(number), uri) for number, uri in re.findall(r"a=extmap:(\d+) (\S+)\r", section)}


def _known(offered: str, browser: Browser) -> set[tuple[int, str]]:
    """What is offered on an m-line under the numbers that are agreed on; RTP stream ids are for pictures only."""
    numbers = set(browser.extensions.values())
    return {
        (number, uri)
        for number, uri in _extmaps(offered)
        if number in numbers and not (offered.startswith("m=audio") and "rtp-stream-id" in uri)
    }
