"""Offers that tests change, and what a node agrees on from them."""

import re
from collections.abc import Callable
from pathlib import Path

from media_plane.node.sdp import (
    Agreement,
    agree,
    read_offer,
)
from media_plane.node.sdp.answer import NodeTransport

CHROMIUM = (Path(__file__).parents[1] / "unit" / "media_plane" / "offers" / "chromium.sdp").read_bytes().decode()
TRACKS = {"0": False, "1": False, "2": True}
TRANSPORT = NodeTransport(
    ice_ufrag="node",
    ice_pwd="p" * 32,
    fingerprint=":".join(["AB"] * 32),
    port=5000,
    tcp_port=5001,
    addresses=["192.0.2.7", "::1"],
)

SMALL = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=fingerprint:sha-256 " + ":".join(["0a"] * 32),
        "a=setup:actpass",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "x" * 22,
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:* nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=ssrc-group:FID 11 12",
        "a=ssrc:11 cname:c",
        "a=ssrc:12 cname:c",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "",
    ]
)


def agreement(offer: str = CHROMIUM, muted: dict[str, bool] | None = None) -> Agreement:
    return agree(read_offer(offer), TRACKS if muted is None else muted)


def sections(sdp: str) -> list[str]:
    return re.split(r"(?m)^(?=m=)", sdp)[1:]


CHANNELS = (
    SMALL.replace("BUNDLE 0 1", "BUNDLE 0 1 d")
    + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n"
    + "a=sctp-port:5000\r\na=max-message-size:262144\r\n"
)

SIMULCAST = SMALL.replace(
    "a=sendonly",
    "a=sendonly\r\na=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    "a=rid:q send\r\na=rid:h send max-width=640\r\na=rid:f send\r\na=simulcast:send q;~h;f",
)


def drop(pattern: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(rf"(?m)^{pattern}.*\n", "", sdp)


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda sdp: sdp.replace(old, new)
