"""Offers of real clients are read, agreed on and answered."""

import re

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from media_plane.node.engine_port import session_parameters
from media_plane.node.sdp import (
    agree,
    read_offer,
    write_answer,
)
from media_plane.node.sdp.channels import OfferedChannels
from tests.support.offers import (
    CHANNELS,
    CHROMIUM,
    SIMULCAST,
    SMALL,
    TRANSPORT,
    agreement,
    drop,
    sections,
    swap,
)


def test_chromiums_offer_becomes_tracks_and_slots() -> None:
    agreed = agreement()
    assert list(agreed.tracks) == ["0", "1", "2"]
    assert list(agreed.slots) == ["3", "4", "5", "6"]
    assert [track.muted for track in agreed.tracks.values()] == [False, False, True]
    names = [(each.name, each.identity) for each in agreed.formats]
    assert names == [
        ("red", "opus"),
        ("opus", ""),
        ("VP8", ""),
        ("VP9", "profile-id=0"),
        ("H264", "packetization-mode=1;profile=constrained-baseline"),
        ("AV1", "profile=0"),
    ]
    assert agreed.extensions == {
        "mid": 4,
        "audio_level": 1,
        "abs_send_time": 2,
        "transport_cc": 3,
        "video_orientation": 13,
        "rid": 10,
        "repaired_rid": 11,
        "dependency_descriptor": 12,
        "playout_delay": 5,
        "layers_allocation": 9,
    }
    ssrcs = [ssrc for slot in agreed.slots.values() for ssrc in (slot.ssrc, slot.rtx_ssrc)]
    known = [ssrc for ssrc in ssrcs if ssrc is not None]
    assert len(known) == len(set(known)) == 6  # audio has no rtx


def test_the_engine_takes_what_was_agreed() -> None:
    session_parameters(agreement(), "someone")


def test_an_answer_mirrors_the_offer() -> None:
    answer = write_answer(agreement(), TRANSPORT)
    offered, answered = sections(CHROMIUM), sections(answer)
    assert [part.split()[0] for part in answered] == [part.split()[0] for part in offered]
    assert re.findall(r"a=mid:(\S+)", answer) == re.findall(r"a=mid:(\S+)", CHROMIUM)
    assert re.findall(r"^a=(recvonly|sendonly)", answer, re.MULTILINE) == ["recvonly"] * 3 + ["sendonly"] * 4
    assert answer.count("a=setup:passive") == answer.count("a=rtcp-mux") == len(answered)
    assert "a=ice-lite\r\n" in answer
    assert "a=group:BUNDLE 0 1 2 3 4 5 6\r\n" in answer
    assert "1 udp 2130706431 192.0.2.7 5000 typ host\r\n" in answered[0]
    assert "1 udp 2130706175 ::1 5000 typ host\r\n" in answered[0]
    assert "a=candidate:3 1 tcp 1520435199 192.0.2.7 5001 typ host tcptype passive\r\n" in answered[0]
    assert "a=candidate:4 1 tcp 1520434943 ::1 5001 typ host tcptype passive\r\na=end-of-candidates\r\n" in answered[0]
    assert re.match(r"m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 108 109 45 46\r\n", answered[1])
    assert {"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"} == set(
        re.findall(r"a=rtcp-fb:96 (.*)\r", answered[1])
    )


def test_a_slot_states_its_ssrcs_and_a_track_states_none() -> None:
    agreed = agreement()
    answered = dict(zip([*agreed.tracks, *agreed.slots], sections(write_answer(agreed, TRANSPORT)), strict=True))
    slot = agreed.slots["5"]
    assert f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}\r\n" in answered["5"]
    assert f"a=ssrc:{slot.ssrc} cname:{agreed.cname}\r\n" in answered["5"]
    assert "a=msid:slot-5 slot-5\r\n" in answered["5"]
    assert "a=ssrc" not in answered["1"]


def test_simulcast_is_received_in_the_order_of_the_offer() -> None:
    agreed = agreement(SIMULCAST, {"0": False})
    assert agreed.tracks["0"].media.rids == ("q", "h", "f")
    answer = write_answer(agreed, TRANSPORT)
    lines = [line for line in answer.splitlines() if line.startswith(("a=rid", "a=simulcast"))]
    assert lines == ["a=rid:q recv", "a=rid:h recv", "a=rid:f recv", "a=simulcast:recv q;h;f"]
    session_parameters(agreed, "someone")


def test_only_encodings_that_can_be_told_apart_are_agreed_on() -> None:
    for change in (drop("a=extmap"), swap("send q;~h;f", "send q"), swap("simulcast:send", "simulcast:recv")):
        agreed = agreement(change(SIMULCAST), {"0": False})
        assert agreed.tracks["0"].media.rids == ()
        assert "simulcast" not in write_answer(agreed, TRANSPORT)
    alternatives = agreement(SIMULCAST.replace("q;~h;f", "q,h;f"), {"0": False})
    assert alternatives.tracks["0"].media.rids == ("q", "f")


@pytest.mark.parametrize(
    ("old", "new", "rids"),
    [
        ("rid:q send", "rid:q sends", ("h", "f")),
        ("rid:q send", "rid:" + "q" * 17 + " send", ("h", "f")),
        ("rid:q send", "rid:q recv", ("h", "f")),
        ("send q;", "send q;q;", ("q", "h", "f")),
        ("send q;", "both q;", ()),
        ("send q;~h;f", "send q;h send f", ()),
        ("send q;~h;f", "send rid=q;h", ()),
        ("q", "a-_1", ("a-_1", "h", "f")),
    ],
)
def test_encodings_that_are_not_well_declared_are_left_out_of_the_answer(
    old: str, new: str, rids: tuple[str, ...]
) -> None:
    agreed = agreement(
        re.sub(r"(?m)^a=(rid|simulcast).*$", lambda line: line[0].replace(old, new), SIMULCAST), {"0": False}
    )
    assert agreed.tracks["0"].media.rids == rids
    answer = write_answer(agreed, TRANSPORT)
    assert tuple(re.findall(r"a=rid:(\S+) recv", answer)) == rids
    assert ("a=simulcast:recv " + ";".join(rids) in answer) == bool(rids)


def test_declared_ssrcs_and_feedback_for_all_formats_are_read() -> None:
    offer = read_offer(SMALL)
    video = offer.accepted[0]
    assert (video.ssrc, video.rtx_ssrc) == (11, 12)
    assert video.formats[0].rtx_payload_type == 97
    assert video.formats[0].feedback == ("nack pli",)
    assert offer.transport.fingerprints == (("sha-256", ":".join(["0A"] * 32)),)


def test_sound_is_repeated_by_the_client_alone() -> None:
    offer = SMALL.replace("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack")
    received = sections(write_answer(agreement(offer, {"0": False}), TRANSPORT))
    assert not any("rtcp-fb:111 nack" in section for section in received)
    agreed = agreement(offer.replace("a=recvonly", "a=sendonly"), {"0": False, "1": False})
    (section,) = (each for each in sections(write_answer(agreed, TRANSPORT)) if each.startswith("m=audio"))
    assert "a=rtcp-fb:111 nack\r\n" in section


@pytest.mark.parametrize(("offered", "answered"), [("stereo=1", True), ("sprop-stereo=1", True), ("stereo=0", False)])
def test_opus_is_stereo_where_the_client_speaks_of_it(offered: str, answered: bool) -> None:  # noqa: FBT001
    offer = SMALL.replace("opus/48000/2", f"opus/48000/2\r\na=fmtp:111 {offered}")
    answer = write_answer(agreement(offer, {"0": False}), TRANSPORT)
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in answer
    assert ("stereo=1" in answer) == answered


def test_only_who_sends_pictures_is_told_the_least_rate() -> None:
    agreed = agreement()
    for section in sections(write_answer(agreed, TRANSPORT)):
        sends_pictures = section.startswith("m=video") and re.findall(r"a=mid:(\S+)", section)[0] in agreed.tracks
        told = len(re.findall(r"x-google-min-bitrate=120\b", section))
        assert (told > 0) == sends_pictures, section
        assert told == (len(re.findall("a=rtpmap:(?!.* rtx)", section)) if sends_pictures else 0)


@pytest.mark.parametrize(
    ("fmtp", "known"), [("111/111", True), ("111/111/111", True), ("111/0", False), ("112/112", False), ("", False)]
)
def test_redundant_audio_comes_first_when_it_repeats_opus(fmtp: str, known: bool) -> None:  # noqa: FBT001
    red = f"a=rtpmap:63 red/48000/2\r\na=fmtp:63 {fmtp}\r\n"
    offer = SMALL.replace("SAVPF 111", "SAVPF 111 63 0") + red + "a=rtpmap:0 PCMU/8000\r\n"
    answer = write_answer(agreement(offer, {"0": False}), TRANSPORT)
    assert ("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n" in answer) == known
    assert (red in answer) == known
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in answer


def test_data_channels_are_answered_with_the_transport_of_the_group() -> None:
    agreed = agreement(CHANNELS, {"0": False})
    assert agreed.offer.channels == OfferedChannels("d", 262_144)
    answer = write_answer(agreed, TRANSPORT)
    assert "a=group:BUNDLE 0 1 d\r\n" in answer
    section = sections(answer)[2]
    assert section.startswith("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
    for line in ("a=mid:d", "a=sctp-port:5000", "a=max-message-size:16384", "a=setup:passive", "a=ice-ufrag:node"):
        assert f"{line}\r\n" in section
    assert "a=rtcp-mux" not in section
    session_parameters(agreed, "someone")


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("a=max-message-size:0\r\n", 0),
        ("", 65_536),
        ("a=max-message-size:9999999999999\r\n", 0xFFFF_FFFF),
    ],
)
def test_the_longest_message_of_a_client_is_what_it_says(said: str, size: int) -> None:
    offer = read_offer(CHANNELS.replace("a=max-message-size:262144\r\n", said))
    assert offer.channels is not None
    assert offer.channels.max_message_size == size
    session_parameters(agree(offer, {"0": False}), "someone")


def test_an_ice_restart_keeps_data_channels() -> None:
    restarted = CHANNELS.replace("ufrag:abcd", "ufrag:efgh").replace("pwd:x", "pwd:y")
    assert read_offer(restarted).restarts_ice_of(read_offer(CHANNELS))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BUNDLE 0 1 d", "BUNDLE 0 1"),
        ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP"),
        ("webrtc-datachannel", "something-else"),
        ("a=sctp-port:5000\r\n", "a=sctpmap:5000 webrtc-datachannel 1024\r\n"),
        ("m=application 9", "m=application 0"),
    ],
)
def test_an_m_line_that_is_not_for_data_channels_of_today_is_rejected(old: str, new: str) -> None:
    agreed = agreement(CHANNELS.replace(old, new), {"0": False})
    assert agreed.offer.channels is None
    assert "m=application 0 " in write_answer(agreed, TRANSPORT)


def test_other_and_switched_off_m_lines_are_rejected_in_their_place() -> None:
    offer = SMALL + "m=application 9 UDP/BFCP *\r\na=mid:d\r\n"
    offer += "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:off\r\n"
    answer = write_answer(agreement(offer, {"0": False}), TRANSPORT)
    assert "m=application 0 UDP/BFCP *\r\n" in answer
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n" in answer
    assert "a=group:BUNDLE 0 1\r\n" in answer


async def test_aiortc_takes_the_answer_to_its_own_offer() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    peer.createDataChannel("pointer", ordered=False, maxRetransmits=0)
    peer.addTransceiver("audio", direction="sendonly")
    peer.addTransceiver("video", direction="sendonly")
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    answer = write_answer(agreement(peer.localDescription.sdp, {"0": False, "1": False}), TRANSPORT)
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    assert [transceiver.currentDirection for transceiver in peer.getTransceivers()] == [
        "sendonly",
        "sendonly",
        "recvonly",
    ]
    await peer.close()
