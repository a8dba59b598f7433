//! Headers, their extensions and SRTP: what the engine writes str0m reads in the same sense, and the other way round.

use parley_engine_core::srtp::{InboundStream, MAX_OVERHEAD, OutboundStream, SrtpError};
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtp::{OutgoingHeader, RtpHeader, write_header};
use str0m::media::Mid;
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues as TheirValues, RawPacket, RtpHeader as TheirHeader};

use crate::SEEDS;
use crate::reference::{EXTENSIONS, PROFILES, Reference, SSRC, VIDEO_TYPE, keys};
use crate::sim::Random;

/// Our numbering and theirs, in a random order.
fn numbering(random: &mut Random) -> (ExtensionIds, ExtensionMap) {
    let theirs = [
        Extension::AudioLevel,
        Extension::AbsoluteSendTime,
        Extension::TransportSequenceNumber,
        Extension::RtpMid,
        Extension::RtpStreamId,
        Extension::RepairedRtpStreamId,
        Extension::VideoOrientation,
    ];
    let (mut ids, mut map) = (ExtensionIds::default(), ExtensionMap::empty());
    let shift = random.below(14) as u8;
    for ((kind, id), extension) in EXTENSIONS.into_iter().zip(theirs) {
        let id = (id + shift) % 14 + 1;
        ids.set(kind, id).unwrap();
        map.set(id, extension);
    }
    (ids, map)
}

fn some<T>(random: &mut Random, value: T) -> Option<T> {
    random.permille(600).then_some(value)
}

fn bytes(random: &mut Random, len: u64) -> Vec<u8> {
    (0..random.below(len)).map(|_| random.next() as u8).collect()
}

/// Both agree on a header.
fn assert_same(ours: &RtpHeader, values: &ExtensionValues<'_>, theirs: &TheirHeader) {
    assert_eq!(
        (ours.marker, ours.payload_type, ours.sequence_number, ours.timestamp, ours.ssrc, ours.len),
        (
            theirs.marker,
            *theirs.payload_type,
            theirs.sequence_number,
            theirs.timestamp,
            *theirs.ssrc,
            theirs.header_len
        )
    );
    assert_eq!((usize::from(ours.csrc_count), ours.has_padding), (theirs.csrc_count, theirs.has_padding));
    let text = |value: Option<&[u8]>| value.map(|value| String::from_utf8(value.to_vec()).unwrap());
    let seen = &theirs.ext_vals;
    assert_eq!(text(values.mid), seen.mid.map(|mid| mid.to_string()));
    assert_eq!(text(values.rid), seen.rid.map(|rid| rid.to_string()));
    assert_eq!(text(values.repaired_rid), seen.rid_repair.map(|rid| rid.to_string()));
    assert_eq!(values.transport_sequence_number, seen.transport_cc);
    assert_eq!(values.audio_level.map(|level| -level.level.cast_signed()), seen.audio_level);
    assert_eq!(values.audio_level.map(|level| level.voice), seen.voice_activity);
    assert_eq!(values.abs_send_time.is_some(), seen.abs_send_time.is_some());
    assert_eq!(values.video_orientation.is_some(), seen.video_orientation.is_some());
}

#[test]
fn str0m_reads_the_headers_that_we_write() {
    for seed in 0..SEEDS * 50 {
        let random = &mut Random(seed);
        let (mut ids, map) = numbering(random);
        let descriptor = bytes(random, 60);
        // Longer than 16 bytes it takes the two-byte form, which then is that of all.
        let free = (1..15).find(|id| ids.kind(*id).is_none()).unwrap();
        ids.set(ExtensionKind::DependencyDescriptor, free).unwrap();
        let level = AudioLevel { voice: random.permille(500), level: random.below(128) as u8 };
        let values = ExtensionValues {
            mid: some(random, b"video1"),
            rid: some(random, b"h"),
            repaired_rid: some(random, b"q"),
            audio_level: some(random, level),
            transport_sequence_number: Some(random.next() as u16).filter(|number| number % 3 > 0),
            abs_send_time: some(random, 0x00ab_cdef),
            dependency_descriptor: some(random, descriptor.as_slice()),
            video_orientation: some(random, 1),
            ..ExtensionValues::default()
        };
        let fields = OutgoingHeader {
            marker: random.permille(500),
            payload_type: random.below(128) as u8,
            sequence_number: random.next() as u16,
            timestamp: random.next() as u32,
            ssrc: random.next() as u32,
        };
        let mut packet = vec![0; 200];
        let len = write_header(&mut packet, &fields, &ids, &values).unwrap();
        let ours = RtpHeader::parse(&packet).unwrap();
        assert_eq!(ours.len, len);
        let theirs = TheirHeader::_parse(&packet, &map).unwrap();
        assert_same(&ours, &values, &theirs);
    }
}

/// A header of str0m's with random content.
fn their_header(random: &mut Random, sequence_number: u16) -> TheirHeader {
    let csrc_count = random.below(4) as usize;
    let mut header = TheirHeader {
        has_extension: true,
        marker: random.permille(500),
        ssrc: SSRC.into(),
        payload_type: VIDEO_TYPE.into(),
        sequence_number,
        timestamp: random.next() as u32,
        csrc_count,
        ext_vals: TheirValues {
            mid: some(random, Mid::from("vid")),
            rid: some(random, "h".into()),
            rid_repair: some(random, "f".into()),
            transport_cc: Some(random.next() as u16).filter(|number| number % 3 > 0),
            audio_level: Some(-(random.below(128) as u8).cast_signed()),
            voice_activity: Some(random.permille(500)),
            ..TheirValues::default()
        },
        ..TheirHeader::default()
    };
    for source in &mut header.csrc[..csrc_count] {
        *source = random.next() as u32;
    }
    header
}

/// Packet indices as they come: over three turns of the sequence number, with losses, reordering and repetitions.
fn arrivals(random: &mut Random) -> Vec<u64> {
    let mut indices = Vec::new();
    let mut index = 65_000 + random.below(500);
    while index < 3 * 65_536 + 500 {
        indices.push(index);
        index += 1 + if random.permille(20) { random.below(20_000) } else { random.below(300) };
    }
    // Some come a few places late, but not so late that the replay window has passed them.
    for place in 1..indices.len() {
        if indices[place] - indices[place - 1] < 60 && random.permille(200) {
            indices.swap(place, place - 1);
        }
    }
    indices
}

#[test]
fn we_open_what_str0m_seals() {
    for (seed, (profile, theirs)) in (0..SEEDS).flat_map(|seed| PROFILES.map(|pair| (seed, pair))) {
        let random = &mut Random(seed);
        let (inbound, _, _, mut srtp) = keys(profile, theirs);
        let (ids, map) = numbering(random);
        let mut stream = InboundStream::default();
        for index in arrivals(random) {
            let header = their_header(random, index as u16);
            let payload = bytes(random, 1_100);
            let mut packet = srtp.protect(header.clone(), index, &payload, &map);
            let mut forged = packet.clone();
            let at = random.below(forged.len() as u64) as usize;
            forged[at] ^= 1 << random.below(8);
            let before = stream;
            assert!(inbound.unprotect_rtp(&mut { before }, &mut forged).is_err());
            let again = packet.clone();
            let len = inbound.unprotect_rtp(&mut stream, &mut packet).unwrap();
            let packet = &packet[..len];
            let ours = RtpHeader::parse(packet).unwrap();
            let theirs = TheirHeader { header_len: ours.len, ..header };
            assert_same(&ours, &ExtensionValues::read(&ours, packet, &ids), &theirs);
            assert!(ours.csrcs(packet).eq(theirs.csrc[..theirs.csrc_count].iter().copied()));
            assert_eq!(ours.payload(packet).unwrap(), payload);
            assert_eq!(inbound.unprotect_rtp(&mut stream, &mut { again }), Err(SrtpError::Replay));
        }
    }
}

#[test]
fn str0m_opens_what_we_seal() {
    for (seed, (profile, theirs)) in (0..SEEDS).flat_map(|seed| PROFILES.map(|pair| (seed, pair))) {
        let random = &mut Random(seed);
        let (outbound, mut reference) = Reference::keyed(profile, theirs);
        let mut stream = OutboundStream::default();
        for index in arrivals(random) {
            let fields = OutgoingHeader {
                marker: random.permille(500),
                payload_type: VIDEO_TYPE,
                sequence_number: index as u16,
                timestamp: index as u32 * 90,
                ssrc: SSRC,
            };
            let values = ExtensionValues { transport_sequence_number: Some(index as u16), ..Default::default() };
            let payload = [&[0x10, 0][..], &bytes(random, 1_000)].concat();
            let mut packet = vec![0; 100];
            let header_len = write_header(&mut packet, &fields, &reference.ids, &values).unwrap();
            packet.truncate(header_len);
            packet.extend(&payload);
            let plain = packet.len();
            packet.resize(plain + MAX_OVERHEAD, 0);
            let len = outbound.protect_rtp(&mut stream, &mut packet, plain).unwrap();
            let read = reference.read(&packet[..len]);
            let Some(RawPacket::RtpRx(header, opened)) = read.first() else {
                panic!("{index} of {profile:?}: {read:?}")
            };
            assert_eq!((header.sequence_number, opened.as_slice()), (index as u16, payload.as_slice()));
            assert!(reference.read(&packet[..len]).is_empty(), "a repetition");
        }
    }
}
