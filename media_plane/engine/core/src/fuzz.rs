//! One entry function a parser, for the fuzz targets in `../fuzz` and for `tests/fuzz_smoke.rs`.
//!
//! Each takes any bytes, must not panic by itself, and asserts what must hold when the bytes turn out to be valid: what was
//! parsed can be written and is then read back the same. A failed assertion is a bug in the parser or in its writer.
#![allow(clippy::missing_panics_doc, reason = "panicking is how a fuzz target tells of a bug")]

mod sequences;
mod stream;

use std::net::SocketAddr;
use std::sync::LazyLock;

pub use sequences::{dependency_descriptor, srtp_order};
pub use stream::tcp;

use crate::payload::{VideoFormat, av1, h264, red, vp8, vp9};
use crate::srtp::{
    DtlsRole, InboundContext, InboundControl, InboundStream, MAX_OVERHEAD, OutboundContext, OutboundControl,
    OutboundStream, SrtpProfile, contexts_from_dtls,
};
use crate::twcc::{ALL, FeedbackRecorder};
use crate::wire::demux::{DatagramKind, classify};
use crate::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues, KINDS};
use crate::wire::framing::{self, Frames};
use crate::wire::layers_allocation::LayersAllocation;
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

/// STUN: parsing, integrity, and responses to whatever request it is; also with a header that is right, so that mutated
/// attributes are looked at.
pub fn stun(data: &[u8]) {
    stun_message(data);
    let mut framed = data[..data.len() & !3].to_vec();
    if let Some(header) = framed.first_chunk_mut::<8>().filter(|_| data.len() >= stun::HEADER_LEN) {
        header[0] &= 0x3f;
        header[2..4].copy_from_slice(&((data.len() & !3) - stun::HEADER_LEN).to_be_bytes()[6..]);
        header[4..].copy_from_slice(&stun::MAGIC_COOKIE.to_be_bytes());
        stun_message(&framed);
    }
}

fn stun_message(data: &[u8]) {
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

/// Header extensions: what one session's numbering reads, another's writes, in either form.
///
/// The first byte tells the form, the next nine the sender's identifiers, the next nine the receiver's; the block follows.
pub fn extensions(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    let Some((theirs, rest)) = rest.split_at_checked(KINDS.len()) else { return };
    let Some((ours, block)) = rest.split_at_checked(KINDS.len()) else { return };
    let (theirs, ours) = (numbering(theirs), numbering(ours));
    let block = &block[..block.len() & !3];
    let profile: u16 = if form & 1 == 0 { 0xbede } else { 0x1000 | u16::from(form >> 4) };
    let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend(profile.to_be_bytes());
    packet.extend(((block.len() / 4) as u16).to_be_bytes());
    packet.extend(block);
    let header = RtpHeader::parse(&packet);
    let Some(header) = header else { panic!("a whole packet: {packet:02x?}") };
    let mut values = ExtensionValues::read(&header, &packet, &theirs);
    if let Some(told) = values.layers_allocation.and_then(LayersAllocation::parse) {
        assert!(told.includes(told.place.into()), "{told:?}");
    }
    // What the receiver has not agreed on is left out.
    let fields = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    let mut out = [0xff; 4096];
    let len = write_header(&mut out, &fields, &ours, &values).unwrap_or_default();
    let written = RtpHeader::parse(&out[..len]);
    let Some(written) = written else { panic!("not readable: {values:?} {:02x?}", &out[..len]) };
    leave_out_unknown(&mut values, &ours);
    assert_eq!(ExtensionValues::read(&written, &out[..len], &ours), values);
    assert_eq!(written.len, len);
}

/// A session's identifiers; those that are not valid or taken are not agreed on.
fn numbering(bytes: &[u8]) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (kind, id) in KINDS.into_iter().zip(bytes) {
        let _ = ids.set(kind, id & 15);
    }
    ids
}

fn leave_out_unknown(values: &mut ExtensionValues<'_>, ids: &ExtensionIds) {
    for kind in KINDS.into_iter().filter(|kind| ids.id(*kind).is_none()) {
        match kind {
            ExtensionKind::Mid => values.mid = None,
            ExtensionKind::Rid => values.rid = None,
            ExtensionKind::RepairedRid => values.repaired_rid = None,
            ExtensionKind::AudioLevel => values.audio_level = None,
            ExtensionKind::TransportCc => values.transport_sequence_number = None,
            ExtensionKind::AbsSendTime => values.abs_send_time = None,
            ExtensionKind::DependencyDescriptor => values.dependency_descriptor = None,
            ExtensionKind::VideoOrientation => values.video_orientation = None,
            ExtensionKind::PlayoutDelay => values.playout_delay = None,
            ExtensionKind::LayersAllocation => values.layers_allocation = None,
        }
    }
}

/// RTCP: walking a compound packet and everything in it; also with headers that are right, so that mutated bodies are
/// looked at.
pub fn rtcp(data: &[u8]) {
    rtcp_compound(data);
    rtcp_compound(&framed_rtcp(data));
}

/// Packets whose version and length are right: of each, the first byte tells the count, the second the type, the third the
/// length in words.
#[must_use]
pub fn framed_rtcp(mut data: &[u8]) -> Vec<u8> {
    let mut compound = Vec::new();
    while let &[count, packet_type, words, ref rest @ ..] = data {
        let (body, after) = rest.split_at(rest.len().min(4 * usize::from(words)));
        let body = &body[..body.len() & !3];
        compound.extend([0x80 | count & 0x3f, 200 + packet_type % 8, 0, (body.len() / 4) as u8]);
        compound.extend(body);
        data = after;
    }
    compound
}

fn rtcp_compound(data: &[u8]) {
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
        RtcpPacket::Bye(ssrcs) => {
            let ssrcs: Vec<_> = ssrcs.collect();
            assert_eq!(writer.bye(&ssrcs), Some(()));
        }
        RtcpPacket::Nack { sender_ssrc, media_ssrc, lost } => {
            let lost: Vec<_> = lost.collect();
            assert!(lost.len() <= limit / 4 * 17);
            nack_again(sender_ssrc, media_ssrc, lost);
        }
        RtcpPacket::FullIntraRequest { sender_ssrc, requests } => {
            let requests: Vec<_> = requests.collect();
            assert!(requests.len() <= limit / 8);
            assert_eq!(writer.full_intra_request(sender_ssrc, &requests), Some(()));
        }
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

/// What was asked for is asked for again with the same numbers.
fn nack_again(sender_ssrc: u32, media_ssrc: u32, mut lost: Vec<u16>) {
    lost.sort_unstable();
    lost.dedup();
    let mut out = vec![0; 64 + 4 * lost.len()];
    let mut writer = RtcpWriter::new(&mut out);
    assert_eq!(writer.nack(sender_ssrc, media_ssrc, lost.iter().copied()), Some(()));
    let written = rtcp::packets(writer.written()).next();
    let Some(Ok(RtcpPacket::Nack { lost: again, .. })) = written else { panic!("no NACK: {written:?}") };
    assert!(again.eq(lost));
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

/// AV1 aggregation headers, and the part of dependency descriptors that every packet has.
pub fn av1(data: &[u8]) {
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
    recorder.tell(data.first().map_or(ALL, |byte| 2 * u16::from(*byte)));
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

/// SCTP packets and messages on data channels, as they come out of DTLS.
pub fn sctp(data: &[u8]) {
    crate::sctp::fuzz::run(data);
}

/// Redundant audio: renumbering changes nothing but payload types, and what is repeated can be repeated again.
pub fn redundant_audio(data: &[u8]) {
    let offset = red::primary_offset(data);
    if let (Some(offset), Some((age, frame))) = (offset, red::last_repeated(data)) {
        let mut frames = red::Frames::new(&data[offset..]);
        let mut written = [0; 2_048];
        if frames.repeat(age, frame)
            && let Some(len) = frames.write(&mut written, 96)
        {
            assert_eq!(red::last_repeated(&written[..len]), Some((age, frame)));
        }
    }
    assert!(offset.is_none_or(|offset| offset < data.len()));
    let mut changed = data.to_vec();
    red::renumber(&mut changed, 96);
    assert_eq!(red::primary_offset(&changed), offset);
    assert_eq!(changed.get(offset.unwrap_or_default()..), data.get(offset.unwrap_or_default()..));
}
