//! One entry function a parser, for the fuzz targets in `../fuzz` and for `tests/fuzz_smoke.rs`.
//!
//! Each takes any bytes, must not panic by itself, and asserts what must hold when the bytes turn out to be valid: what was
//! parsed can be written and is then read back the same. A failed assertion is a bug in the parser or in its writer.
#![allow(clippy::missing_panics_doc, reason = "panicking is how a fuzz target tells of a bug")]

use std::net::SocketAddr;
use std::sync::LazyLock;

use crate::payload::structure::Structure;
use crate::payload::{VideoFormat, av1, h264, red, vp8, vp9};
use crate::srtp::{
    DtlsRole, InboundContext, InboundControl, InboundStream, MAX_OVERHEAD, OutboundContext, OutboundControl,
    OutboundStream, SrtpProfile, contexts_from_dtls,
};
use crate::twcc::FeedbackRecorder;
use crate::wire::demux::{DatagramKind, classify};
use crate::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues};
use crate::wire::framing::{self, Frames};
use crate::wire::rtcp::{self, RtcpPacket, RtcpWriter};
use crate::wire::rtp::{OutgoingHeader, RtpHeader, RtpHeaderMut, write_header};
use crate::wire::stun::{self, IntegrityKey};

/// The password of the corpus' STUN messages.
pub const STUN_PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

static STUN_KEY: LazyLock<IntegrityKey> = LazyLock::new(|| IntegrityKey::new(STUN_PASSWORD));

/// The identifiers of the corpus' header extensions, those that str0m and this crate's tests use.
static IDS: LazyLock<ExtensionIds> = LazyLock::new(|| {
    let mut ids = ExtensionIds::default();
    for (kind, id) in [
        (ExtensionKind::AudioLevel, 1),
        (ExtensionKind::AbsSendTime, 2),
        (ExtensionKind::TransportCc, 3),
        (ExtensionKind::Mid, 4),
        (ExtensionKind::DependencyDescriptor, 8),
        (ExtensionKind::Rid, 10),
        (ExtensionKind::RepairedRid, 11),
        (ExtensionKind::VideoOrientation, 13),
    ] {
        ids.set(kind, id);
    }
    ids
});

/// Contexts of a client and a server that share keys, for each profile.
static SRTP: LazyLock<Vec<(InboundContext, OutboundContext)>> = LazyLock::new(|| {
    let pair = |profile: SrtpProfile| {
        let material = vec![7; profile.keying_material_len()];
        let (inbound, _) = contexts_from_dtls(profile, &material, DtlsRole::Server)?;
        let (_, outbound) = contexts_from_dtls(profile, &material, DtlsRole::Client)?;
        Some((inbound, outbound))
    };
    [SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmSha1_80]
        .into_iter()
        .filter_map(pair)
        .collect()
});

/// Datagrams in a stream: read at once or in pieces, the same ones come out, and what is written again is what was read.
pub fn framing(data: &[u8]) {
    let whole = split_stream(data, data.len().max(1));
    let step = 1 + data.first().map_or(0, |first| usize::from(*first) % 64);
    assert_eq!(split_stream(data, step), whole);
    let (frames, rest) = whole;
    let mut stream = Vec::new();
    for frame in frames.iter().filter(|frame| !frame.is_empty()) {
        framing::write_frames(frame.len(), frame, &mut stream);
    }
    if frames.iter().all(|frame| !frame.is_empty()) {
        stream.extend(rest.iter().flatten());
        assert!(data.starts_with(&stream) && (rest.is_none() || stream.len() == data.len()));
    }
}

/// The datagrams of a stream that comes `step` bytes at a time, and its incomplete end; None: it broke the limit.
fn split_stream(data: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    let (mut found, mut kept) = (Vec::new(), Vec::new());
    for piece in data.chunks(step) {
        kept.extend_from_slice(piece);
        let mut frames = Frames::new(&mut kept);
        while let Some(frame) = frames.take_next() {
            assert!(frame.len() <= framing::MAX_FRAME);
            found.push(frame.to_vec());
        }
        let Some(rest) = frames.incomplete().map(<[u8]>::to_vec) else { return (found, None) };
        assert!(rest.len() < framing::PREFIX + framing::MAX_FRAME);
        kept = rest;
    }
    (found, Some(kept))
}

/// STUN: parsing, integrity, and responses to whatever request it is.
pub fn stun(data: &[u8]) {
    let _ = classify(data);
    let Ok(message) = stun::Message::parse(data) else {
        return;
    };
    assert_eq!(classify(data), DatagramKind::Stun);
    let _ = (message.verify(&STUN_KEY), message.receiver_fragment(), message.sender_fragment());
    let mut out = [0; stun::MAX_MESSAGE_LEN];
    let address = SocketAddr::from(([192, 0, 2, 1], 32_853));
    let len = stun::write_binding_success(&mut out, &message.transaction_id, address, &STUN_KEY).unwrap_or_default();
    let response = stun::Message::parse(&out[..len]);
    assert!(response.is_ok_and(|response| response.verify(&STUN_KEY) && response.mapped_address == Some(address)));
}

/// RTP: header, padding, extensions, changing in place, and writing for a receiver.
pub fn rtp(data: &[u8]) {
    let _ = classify(data);
    let Some(header) = RtpHeader::parse(data) else {
        return;
    };
    assert!(header.len <= data.len());
    let _ = (header.payload(data), header.csrcs(data).count(), header.extensions(data).count());
    let mut changed = data.to_vec();
    if let Some(mut fields) = RtpHeaderMut::new(&mut changed) {
        fields.set_marker(!header.marker);
        fields.set_payload_type(header.payload_type);
        fields.set_sequence_number(header.sequence_number.wrapping_add(1));
        fields.set_timestamp(header.timestamp);
        fields.set_ssrc(header.ssrc);
    }
    let expected =
        RtpHeader { marker: !header.marker, sequence_number: header.sequence_number.wrapping_add(1), ..header };
    assert_eq!(RtpHeader::parse(&changed), Some(expected));
    rewrite_header(&header, data);
}

fn rewrite_header(header: &RtpHeader, data: &[u8]) {
    let values = ExtensionValues::read(header, data, &IDS);
    let outgoing = OutgoingHeader {
        marker: header.marker,
        payload_type: header.payload_type,
        sequence_number: header.sequence_number,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    let mut out = [0xff; 2048];
    let len = write_header(&mut out, &outgoing, &IDS, &values).unwrap_or_default();
    let written = RtpHeader::parse(&out[..len]);
    assert!(written.is_some_and(|written| {
        written.len == len
            && written.ssrc == header.ssrc
            && written.timestamp == header.timestamp
            && ExtensionValues::read(&written, &out[..len], &IDS) == values
    }));
}

/// RTCP: walking a compound packet and everything in it.
pub fn rtcp(data: &[u8]) {
    let mut count = 0;
    for packet in rtcp::packets(data) {
        count += 1;
        if let Ok(packet) = packet {
            walk_rtcp(packet, data.len());
        }
    }
    assert!(count <= data.len() / 4 + 1);
}

fn walk_rtcp(packet: RtcpPacket<'_>, limit: usize) {
    let mut out = [0; 4096];
    let mut writer = RtcpWriter::new(&mut out);
    match packet {
        RtcpPacket::SenderReport { sender_ssrc, info, reports } => {
            let blocks: Vec<_> = reports.collect();
            assert_eq!(writer.sender_report(sender_ssrc, &info, &blocks), Some(()));
        }
        RtcpPacket::ReceiverReport { sender_ssrc, reports } => {
            let blocks: Vec<_> = reports.collect();
            assert_eq!(writer.receiver_report(sender_ssrc, &blocks), Some(()));
        }
        RtcpPacket::SourceDescription(chunks) => assert!(chunks.count() <= rtcp::MAX_COUNT),
        RtcpPacket::Bye(ssrcs) => assert!(ssrcs.count() <= rtcp::MAX_COUNT),
        RtcpPacket::Nack { lost, .. } => assert!(lost.count() <= limit / 4 * 17),
        RtcpPacket::FullIntraRequest { requests, .. } => assert!(requests.count() <= limit / 8),
        RtcpPacket::ReceiverEstimatedMaxBitrate { sender_ssrc, bitrate, ssrcs } => {
            let ssrcs: Vec<_> = ssrcs.collect();
            assert_eq!(writer.receiver_estimated_max_bitrate(sender_ssrc, bitrate, &ssrcs), Some(()));
        }
        RtcpPacket::TransportFeedback(feedback) => {
            assert_eq!(feedback.packets().count(), usize::from(feedback.packet_count));
        }
        RtcpPacket::PictureLossIndication { .. } | RtcpPacket::Other { .. } => {}
    }
    assert!(rtcp::packets(writer.written()).all(|packet| packet.is_ok()));
}

/// SRTP and SRTCP: forgeries never pass, and what is protected is unprotected to the same.
pub fn srtp(data: &[u8]) {
    for (inbound, outbound) in SRTP.iter() {
        assert!(inbound.unprotect_rtp(&mut InboundStream::default(), &mut data.to_vec()).is_err());
        assert!(inbound.unprotect_rtcp(&mut InboundControl::default(), &mut data.to_vec()).is_err());
        let mut buffer = [data, &[0; MAX_OVERHEAD]].concat();
        if let Ok(len) = outbound.protect_rtp(&mut OutboundStream::default(), &mut buffer, data.len()) {
            let opened = inbound.unprotect_rtp(&mut InboundStream::default(), &mut buffer[..len]);
            assert_eq!(opened.map(|len| &buffer[..len]), Ok(data));
        }
        let mut buffer = [data, &[0; MAX_OVERHEAD]].concat();
        if let Ok(len) = outbound.protect_rtcp(&mut OutboundControl::default(), &mut buffer, data.len()) {
            let opened = inbound.unprotect_rtcp(&mut InboundControl::default(), &mut buffer[..len]);
            assert_eq!(opened.map(|len| &buffer[..len]), Ok(data));
        }
    }
}

/// VP8 descriptors: parsing, key frames and renumbering.
pub fn vp8(data: &[u8]) {
    let _ = VideoFormat::Vp8.starts_key_frame(data);
    let parsed = vp8::Vp8Descriptor::parse(data);
    let numbers = vp8::Vp8Numbers { picture_id: 0x1234, tl0_picture_index: 0x56, key_index: 7 };
    let mut changed = data.to_vec();
    assert_eq!(vp8::rewrite(&mut changed, &numbers).is_some(), parsed.is_some());
    let Some(before) = parsed else {
        assert_eq!(changed, data);
        return;
    };
    let _ = before.key_frame_size(data);
    let after = vp8::Vp8Descriptor::parse(&changed);
    let picture_id =
        before.picture_id.map(|id| crate::payload::PictureId { value: if id.wide { 0x1234 } else { 0x34 }, ..id });
    let expected = vp8::Vp8Descriptor {
        picture_id,
        tl0_picture_index: before.tl0_picture_index.map(|_| 0x56),
        key_index: before.key_index.map(|_| 7),
        ..before
    };
    assert_eq!(after, Some(expected));
    assert_eq!(changed.get(before.len..), data.get(before.len..));
}

/// VP9 descriptors: parsing, key frames and renumbering.
pub fn vp9(data: &[u8]) {
    let _ = VideoFormat::Vp9.starts_key_frame(data);
    let parsed = vp9::Vp9Descriptor::parse(data);
    let mut changed = data.to_vec();
    assert_eq!(vp9::rewrite(&mut changed, 0x1234, 0x56).is_some(), parsed.is_some());
    if let Some(before) = parsed {
        assert!(before.len <= data.len());
        let after = vp9::Vp9Descriptor::parse(&changed);
        assert!(after.is_some_and(|after| after.len == before.len && after.structure == before.structure));
        assert_eq!(changed.get(before.len..), data.get(before.len..));
    }
}

/// H.264 payloads: listing NAL units.
pub fn h264(data: &[u8]) {
    let _ = VideoFormat::H264.starts_key_frame(data);
    assert!(h264::nal_types(data).count() <= data.len());
}

/// AV1 aggregation headers and dependency descriptors.
pub fn av1(data: &[u8]) {
    if let Some(structure) = Structure::parse(data) {
        let _ = structure.layer(data);
    }
    let _ = VideoFormat::Av1.starts_key_frame(data);
    let _ = av1::AggregationHeader::parse(data);
    let _ = av1::DependencyDescriptor::parse(data).map(|descriptor| descriptor.starts_key_frame());
}

/// Transport-cc: a report as it arrives, and, taking the same bytes as arrivals, reports as they are written.
pub fn twcc(data: &[u8]) {
    if let Some(feedback) = crate::twcc::TransportFeedback::parse(data) {
        assert_eq!(feedback.packets().count(), usize::from(feedback.packet_count));
    }
    let mut recorder = FeedbackRecorder::new();
    let (mut sequence_number, mut arrival_us) = (0_u16, 0_u64);
    for pair in data.chunks_exact(2) {
        // Small steps with rare leaps in both directions.
        let step = if pair[0] >= 0xf8 { u16::from(pair[0]) << 7 } else { u16::from(pair[0] & 7) };
        sequence_number = sequence_number.wrapping_add(step).wrapping_sub(2);
        arrival_us += u64::from(pair[1]) * if pair[1] >= 0xf0 { 100_000 } else { 100 };
        recorder.record(sequence_number, arrival_us);
    }
    let mut out = [0; 1200];
    loop {
        let mut writer = RtcpWriter::new(&mut out);
        if recorder.write_report(&mut writer, 1, 2, arrival_us).is_none() {
            break;
        }
        rtcp(writer.written());
        assert!(rtcp::packets(writer.written()).all(|packet| packet.is_ok()));
    }
    assert_eq!(recorder.due_us(), None, "everything fits reports of 1,200 bytes");
}

/// Redundant audio: renumbering changes nothing but payload types.
pub fn redundant_audio(data: &[u8]) {
    let offset = red::primary_offset(data);
    assert!(offset.is_none_or(|offset| offset < data.len()));
    let mut changed = data.to_vec();
    red::renumber(&mut changed, 96);
    assert_eq!(red::primary_offset(&changed), offset);
    assert_eq!(changed.get(offset.unwrap_or_default()..), data.get(offset.unwrap_or_default()..));
}
