"""Writes the node's answer: ICE-lite, DTLS server, every slot with its SSRCs (RFC 8829, RFC 8839, RFC 9143)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from media_plane.node.sdp.channels import OfferedChannels, channel_lines, m_line
from media_plane.node.sdp.formats import Format, MediaKind, parse_fmtp
from media_plane.node.sdp.negotiation import Agreement
from media_plane.node.sdp.offer import Direction, OfferedMedia, RejectedMedia
from media_plane.node.sdp.simulcast import simulcast_lines

_ANSWER_DIRECTION: Final[dict[Direction, Direction]] = {
    "sendonly": "recvonly",
    "sendrecv": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
"""An m-line that sends and receives is answered as one that sends, unless it has a slot already: browsers put a track
that is added on an m-line that only received before."""
_HOST_TYPE_PREFERENCE: Final = 126
_TCP_TYPE_PREFERENCE: Final = 90
"""Below that of UDP's host candidates (RFC 6544 section 4.2): what TCP loses it repeats, and all behind it waits."""
_PASSIVE_DIRECTION: Final = 4 << 13
"""Direction preference of a passive candidate, the upper bits of its local preference (RFC 6544 section 4.2)."""
_SENDERS_LEAST: Final = "x-google-min-bitrate=120"
"""What Chromium sends at least, in kbit/s, whatever it thinks of its way: sound with its redundancy, the smallest
picture and repairs of both. At 20 % of losses it would go down to 30 kbit/s of video, and as it sends no more repairs
than that, the picture would stand still. Clients that do not know the parameter pass over it."""
_OPUS_PARAMETERS: Final = ("minptime=10", "useinbandfec=1")


@dataclass(frozen=True, slots=True)
class NodeTransport:
    """The node's half of the transport.

    Attributes:
        ice_ufrag: Of this session.
        ice_pwd: Of this session.
        fingerprint: SHA-256 of the engine's certificate.
        port: UDP port of the shard.
        tcp_port: TCP port of the shard; None: it has none.
        addresses: IP addresses at which clients reach the node, the best first.
    """

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    port: int
    tcp_port: int | None
    addresses: Sequence[str]


def write_answer(agreement: Agreement, transport: NodeTransport) -> str:
    """Return the answer to an offer.

    An answer that follows another of the same session has its number and the next version (RFC 3264 section 8).
    """
    accepted = [media.mid for media in agreement.media if not isinstance(media, RejectedMedia)]
    lines = [
        "v=0",
        f"o=- {agreement.session_number} {agreement.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(accepted)}",
        *(("a=extmap-allow-mixed",) if agreement.offer.mixed_extensions else ()),
        "a=msid-semantic: WMS *",
    ]
    for media in agreement.media:
        if isinstance(media, RejectedMedia):
            lines.extend(_rejected(media))
        elif isinstance(media, OfferedChannels):
            lines.extend(_channels(transport, media))
        else:
            lines.extend(_section(agreement, transport, media))
    return "\r\n".join(lines) + "\r\n"


def _rejected(media: RejectedMedia) -> Iterator[str]:
    yield f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=inactive"
    if media.mid is not None:
        yield f"a=mid:{media.mid}"


def _section(agreement: Agreement, transport: NodeTransport, media: OfferedMedia) -> Iterator[str]:
    numbers = [number for each in media.formats for number in (each.payload_type, each.rtx_payload_type)]
    yield f"m={media.kind} 9 {media.protocol} {' '.join(str(number) for number in numbers if number is not None)}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    yield from _transport(transport)
    yield f"a=mid:{media.mid}"
    if media.mixed_extensions and not agreement.offer.mixed_extensions:
        yield "a=extmap-allow-mixed"
    for extension in media.extensions:
        direction = {"sendonly": "/recvonly", "recvonly": "/sendonly"}.get(extension.direction or "", "")
        yield f"a=extmap:{extension.identifier}{direction} {extension.uri}"
    receives = media.mid in agreement.slots and media.direction == "sendrecv"
    yield f"a={'sendrecv' if receives else _ANSWER_DIRECTION[media.direction]}"
    yield from _stream(agreement, media)
    yield "a=rtcp-mux"
    if media.reduced_size_rtcp:
        yield "a=rtcp-rsize"
    for each in media.formats:
        yield from _format(each, media.kind, sends=media.mid in agreement.tracks)
    if media.mid in agreement.tracks:
        yield from simulcast_lines(media.rids)
    yield from _ssrcs(agreement, media)


def _channels(transport: NodeTransport, media: OfferedChannels) -> Iterator[str]:
    yield m_line()
    yield "c=IN IP4 0.0.0.0"
    yield from _transport(transport)
    yield f"a=mid:{media.mid}"
    yield from channel_lines()


def _transport(transport: NodeTransport) -> Iterator[str]:
    # RFC 9143 asks for candidates on one m-line of the group only; aiortc with max-bundle reads those of the last.
    yield from _candidates(transport)
    yield f"a=ice-ufrag:{transport.ice_ufrag}"
    yield f"a=ice-pwd:{transport.ice_pwd}"
    yield f"a=fingerprint:sha-256 {transport.fingerprint}"
    yield "a=setup:passive"


def _candidates(transport: NodeTransport) -> Iterator[str]:
    """Host candidates; an address's place in the list is its local preference (RFC 8445 section 5.1.2)."""
    for index, address in enumerate(transport.addresses):
        priority = (_HOST_TYPE_PREFERENCE << 24) + ((65_535 - index) << 8) + 255
        text = ipaddress.ip_address(address).compressed
        yield f"a=candidate:{index + 1} 1 udp {priority} {text} {transport.port} typ host"
    for index, address in enumerate(transport.addresses if transport.tcp_port is not None else ()):
        preference = _PASSIVE_DIRECTION + (8_191 - index)
        priority = (_TCP_TYPE_PREFERENCE << 24) + (preference << 8) + 255
        text = ipaddress.ip_address(address).compressed
        foundation = len(transport.addresses) + index + 1
        yield f"a=candidate:{foundation} 1 tcp {priority} {text} {transport.tcp_port} typ host tcptype passive"
    yield "a=end-of-candidates"


def _stream(agreement: Agreement, media: OfferedMedia) -> Iterator[str]:
    """Each slot is a stream of its own, so that players do not wait for each other to be in sync."""
    if media.mid in agreement.slots:
        yield f"a=msid:slot-{media.mid} slot-{media.mid}"


def _format(each: Format, kind: MediaKind, *, sends: bool) -> Iterator[str]:
    channels = f"/{each.channels}" if kind == "audio" else ""
    yield f"a=rtpmap:{each.payload_type} {each.name}/{each.clock_rate}{channels}"
    # The node asks for lost sound, but is not asked: it repeats each frame in the packets after it.
    unknown = () if kind == "video" or sends else ("nack",)
    for feedback in (known for known in each.feedback if known not in unknown):
        yield f"a=rtcp-fb:{each.payload_type} {feedback}"
    fmtp = _opus_fmtp(each) if each.name.upper() == "OPUS" else each.fmtp
    if kind == "video" and sends:
        fmtp = ";".join(part for part in (fmtp, _SENDERS_LEAST) if part)
    if fmtp:
        yield f"a=fmtp:{each.payload_type} {fmtp}"
    if each.rtx_payload_type is not None:
        yield f"a=rtpmap:{each.rtx_payload_type} rtx/{each.clock_rate}"
        yield f"a=fmtp:{each.rtx_payload_type} apt={each.payload_type}"


def _opus_fmtp(each: Format) -> str:
    """In-band FEC always: not all lost audio comes again in time. Stereo where the client speaks of it (RFC 7587)."""
    offered = parse_fmtp(each.fmtp)
    stereo = "1" in {offered.get("stereo"), offered.get("sprop-stereo")}
    return ";".join((*_OPUS_PARAMETERS, *(("stereo=1",) if stereo else ())))


def _ssrcs(agreement: Agreement, media: OfferedMedia) -> Iterator[str]:
    slot = agreement.slots.get(media.mid)
    if slot is None:
        return
    if slot.rtx_ssrc is not None:
        yield f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}"
    for ssrc in (slot.ssrc, slot.rtx_ssrc):
        if ssrc is not None:
            yield f"a=ssrc:{ssrc} cname:{agreement.cname}"
            yield f"a=ssrc:{ssrc} msid:slot-{media.mid} slot-{media.mid}"
