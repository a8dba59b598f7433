//! The same bytes to the engine and to str0m: what one writes, the other reads in the same sense.

use std::net::SocketAddr;
use std::time::{Duration, Instant, UNIX_EPOCH};

use parley_engine_core::srtp::{
    DtlsRole, InboundContext, InboundStream, MAX_OVERHEAD, OutboundContext, OutboundControl, OutboundStream, SrtpError,
    SrtpProfile, contexts_from_dtls,
};
use parley_engine_core::twcc::FeedbackRecorder;
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtcp::{NtpTime, ReportBlock, RtcpPacket, RtcpWriter, SenderInfo, packets};
use parley_engine_core::wire::rtp::{OutgoingHeader, RtpHeader, write_header};
use parley_engine_core::wire::stun::{self, BindingRequest, IntegrityKey, Message};
use str0m::_internal_test_exports::TestSrtp;
use str0m::crypto::dtls::{KeyingMaterial, SrtpProfile as TheirProfile};
use str0m::ice::{StunMessage, TransId};
use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::rtcp::{ReceptionReport, Rtcp, SdesType};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues as TheirValues, RawPacket, RtpHeader as TheirHeader};
use str0m::{Event, Input, Output, Rtc};

use crate::SEEDS;
use crate::sim::Random;

const SSRC: u32 = 0xcafe_0001;
const VIDEO_TYPE: u8 = 96;
const PROFILES: [(SrtpProfile, TheirProfile); 3] = [
    (SrtpProfile::AeadAes256Gcm, TheirProfile::AEAD_AES_256_GCM),
    (SrtpProfile::AeadAes128Gcm, TheirProfile::AEAD_AES_128_GCM),
    (SrtpProfile::Aes128CmSha1_80, TheirProfile::AES128_CM_SHA1_80),
];
/// The extensions that both know, with str0m's own numbers.
const EXTENSIONS: [(ExtensionKind, u8); 7] = [
    (ExtensionKind::AudioLevel, 1),
    (ExtensionKind::AbsSendTime, 2),
    (ExtensionKind::TransportCc, 3),
    (ExtensionKind::Mid, 4),
    (ExtensionKind::Rid, 10),
    (ExtensionKind::RepairedRid, 11),
    (ExtensionKind::VideoOrientation, 13),
];

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

fn keys(profile: SrtpProfile, theirs: TheirProfile) -> (InboundContext, OutboundContext, KeyingMaterial, TestSrtp) {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|index| (index as u8).wrapping_mul(7)).collect();
    // We open what a client seals, and seal as a client.
    let (inbound, _) = contexts_from_dtls(profile, &material, DtlsRole::Server).unwrap();
    let (_, outbound) = contexts_from_dtls(profile, &material, DtlsRole::Client).unwrap();
    let material = KeyingMaterial::new(&material);
    let srtp = TestSrtp::new(&str0m::crypto::from_feature_flags(), theirs, &material);
    (inbound, outbound, material, srtp)
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

/// A str0m session with given keys that tells everything it reads.
struct Reference {
    rtc: Rtc,
    now: Instant,
    ids: ExtensionIds,
}

impl Reference {
    fn new(material: KeyingMaterial, profile: TheirProfile) -> Self {
        let now = Instant::now();
        let builder = Rtc::builder().clear_codecs().enable_vp8(true).set_rtp_mode(true).enable_raw_packets(true);
        let mut rtc = builder.build(now);
        let mut direct = rtc.direct_api();
        direct.declare_media("vid".into(), MediaKind::Video);
        direct.expect_stream_rx(SSRC.into(), None, "vid".into(), None);
        rtc._set_srtp_keys(material, profile, false);
        let mut ids = ExtensionIds::default();
        for (kind, id) in EXTENSIONS {
            ids.set(kind, id).unwrap();
        }
        Self { rtc, now, ids }
    }

    /// Feeds a protected packet; returns what was read of it.
    fn read(&mut self, packet: &[u8]) -> Vec<RawPacket> {
        let address: SocketAddr = "10.0.0.9:9".parse().unwrap();
        let receive = Receive::new(Protocol::Udp, address, address, packet).unwrap();
        self.now += Duration::from_millis(1);
        self.rtc.handle_input(Input::Receive(self.now, receive)).unwrap();
        let mut read = Vec::new();
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Event(Event::RawPacket(raw)) => read.push(*raw),
                Output::Timeout(_) => return read,
                _ => {}
            }
        }
    }

    fn read_control(&mut self, outbound: &OutboundContext, control: &mut OutboundControl, packet: &[u8]) -> Vec<Rtcp> {
        let mut buffer = [packet, &[0; MAX_OVERHEAD]].concat();
        let len = outbound.protect_rtcp(control, &mut buffer, packet.len()).unwrap();
        let read = self.read(&buffer[..len]).into_iter();
        read.filter_map(|raw| if let RawPacket::RtcpRx(rtcp) = raw { Some(rtcp) } else { None }).collect()
    }
}

#[test]
fn str0m_opens_what_we_seal() {
    for (seed, (profile, theirs)) in (0..SEEDS).flat_map(|seed| PROFILES.map(|pair| (seed, pair))) {
        let random = &mut Random(seed);
        let (_, outbound, material, _) = keys(profile, theirs);
        let mut reference = Reference::new(material, theirs);
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

fn block(random: &mut Random) -> ReportBlock {
    ReportBlock {
        ssrc: random.next() as u32,
        fraction_lost: random.next() as u8,
        cumulative_lost: (random.next() as i32) >> 8,
        highest_sequence_number: random.next() as u32,
        jitter: random.next() as u32,
        last_sender_report: random.next() as u32,
        delay_since_last_sender_report: random.next() as u32,
    }
}

fn as_theirs(block: &ReportBlock) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.ssrc.into(),
        fraction_lost: block.fraction_lost,
        packets_lost: block.cumulative_lost.cast_unsigned() & 0x00ff_ffff,
        max_seq: block.highest_sequence_number,
        jitter: block.jitter,
        last_sr_time: block.last_sender_report,
        last_sr_delay: block.delay_since_last_sender_report,
    }
}

fn write(write: impl FnOnce(&mut RtcpWriter<'_>) -> Option<()>) -> Vec<u8> {
    let mut buffer = [0; 1_400];
    let mut writer = RtcpWriter::new(&mut buffer);
    write(&mut writer).unwrap();
    writer.written().to_vec()
}

#[test]
fn str0m_reads_the_reports_that_we_write() {
    let (_, outbound, material, _) = keys(PROFILES[0].0, PROFILES[0].1);
    let mut reference = Reference::new(material, PROFILES[0].1);
    let mut control = OutboundControl::default();
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let blocks: Vec<_> = (0..random.below(8)).map(|_| block(random)).collect();
        // str0m does not know the era of NTP that begins in 2036.
        let since_epoch = Duration::from_millis(1_700_000_000_000 + random.below(385_000_000_000));
        let info = SenderInfo {
            ntp_time: NtpTime::from_unix(since_epoch),
            rtp_timestamp: random.next() as u32,
            packet_count: random.next() as u32,
            octet_count: random.next() as u32,
        };
        let ssrcs: Vec<_> = (0..=random.below(5)).map(|_| random.next() as u32).collect();
        let compound = write(|writer| {
            writer.sender_report(SSRC, &info, &blocks)?;
            writer.receiver_report(7, &blocks)?;
            writer.canonical_name(SSRC, "somebody")?;
            writer.bye(&ssrcs)
        });
        let read = reference.read_control(&outbound, &mut control, &compound);
        let [
            Rtcp::SenderReport(sent),
            Rtcp::ReceiverReport(received),
            Rtcp::SourceDescription(named),
            Rtcp::Goodbye(bye),
        ] = read.as_slice()
        else {
            panic!("{read:?}")
        };
        let expected: Vec<_> = blocks.iter().map(as_theirs).collect();
        assert_eq!(sent.reports.iter().copied().collect::<Vec<_>>(), expected);
        assert_eq!(received.reports.iter().copied().collect::<Vec<_>>(), expected);
        assert_eq!((*sent.sender_info.ssrc, *received.sender_ssrc), (SSRC, 7));
        assert_eq!(sent.sender_info.rtp_time.numer() as u32, info.rtp_timestamp);
        assert_eq!(
            (sent.sender_info.sender_packet_count, sent.sender_info.sender_octet_count),
            (info.packet_count, info.octet_count)
        );
        let heard = sent.sender_info.ntp_time.duration_since(UNIX_EPOCH).unwrap();
        assert!(heard.abs_diff(since_epoch) < Duration::from_micros(1), "{heard:?} {since_epoch:?}");
        let sdes = named.reports.get(0).unwrap();
        assert_eq!((*sdes.ssrc, sdes.values.get(0)), (SSRC, Some(&(SdesType::CNAME, "somebody".to_owned()))));
        assert!(bye.reports.iter().map(|ssrc| **ssrc).eq(ssrcs));
    }
}

#[test]
fn str0m_reads_the_feedback_that_we_write() {
    let (_, outbound, material, _) = keys(PROFILES[1].0, PROFILES[1].1);
    let mut reference = Reference::new(material, PROFILES[1].1);
    let mut control = OutboundControl::default();
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let mut lost: Vec<u16> = Vec::new();
        let mut next = random.next() as u16;
        for _ in 0..=random.below(40) {
            lost.push(next);
            let most = if random.permille(300) { 900 } else { 6 };
            next = next.wrapping_add(1 + random.below(most) as u16);
        }
        let bitrate = random.next() >> (20 + random.below(30));
        let fir = (random.next() as u32, random.next() as u8);
        let compound = write(|writer| {
            writer.receiver_report(1, &[])?;
            writer.nack(1, SSRC, lost.iter().copied())?;
            writer.picture_loss_indication(1, SSRC)?;
            writer.full_intra_request(1, &[fir])?;
            writer.receiver_estimated_max_bitrate(1, bitrate, &[SSRC, 9])
        });
        let read = reference.read_control(&outbound, &mut control, &compound);
        let [_, Rtcp::Nack(nack), Rtcp::Pli(pli), Rtcp::Fir(intra), Rtcp::Remb(remb)] = read.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!((*nack.ssrc, *pli.ssrc), (SSRC, SSRC));
        let asked = nack.reports.iter().flat_map(|entry| {
            let rest = (0..16).filter(|bit| entry.blp >> bit & 1 == 1).map(|bit| entry.pid.wrapping_add(bit + 1));
            [entry.pid].into_iter().chain(rest).collect::<Vec<_>>()
        });
        assert_eq!(asked.collect::<Vec<_>>(), lost);
        assert!(intra.reports.iter().map(|entry| (*entry.ssrc, entry.seq_no)).eq([fir]));
        assert_eq!(remb.ssrcs, [SSRC, 9]);
        // The mantissa has 18 bits, and str0m keeps the rate in 24.
        let heard = remb.bitrate as u64;
        assert!(heard.abs_diff(bitrate) <= bitrate / 100_000, "{heard} for {bitrate}");
    }
}

#[test]
fn str0m_reads_the_arrivals_that_we_report() {
    let (_, outbound, material, _) = keys(PROFILES[0].0, PROFILES[0].1);
    let mut reference = Reference::new(material, PROFILES[0].1);
    let mut control = OutboundControl::default();
    let zero = reference.now;
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let mut recorder = FeedbackRecorder::new();
        // The reference time has 24 bits of 64 ms: every second run passes its turn.
        let mut arrival_us =
            if seed % 2 == 0 { (1 << 24) * 64_000 - random.below(300_000) } else { random.below(1 << 40) };
        let mut number = 65_400 + random.below(200);
        for _ in 0..random.below(300) {
            number += 1 + if random.permille(100) { random.below(40) } else { 0 };
            arrival_us += if random.permille(20) { random.below(2_000_000) } else { random.below(6_000) };
            let late = if random.permille(50) { random.below(3) } else { 0 };
            recorder.record((number - late) as u16, arrival_us);
        }
        loop {
            let mut buffer = [0; 1_200];
            let mut writer = RtcpWriter::new(&mut buffer);
            if recorder.write_report(&mut writer, 1, SSRC, arrival_us).is_none() {
                break;
            }
            let written = writer.written().to_vec();
            compare_arrivals(&written, reference.read_control(&outbound, &mut control, &written), zero);
        }
    }
}

/// The reference time has 24 bits of 64 ms.
const REFERENCE_TURN_US: i64 = (1 << 24) * 64_000;

/// Compares what both read of the same transport-cc feedback, down to the quarter of a millisecond.
fn compare_arrivals(written: &[u8], theirs: Vec<Rtcp>, zero: Instant) {
    let Some(Ok(RtcpPacket::TransportFeedback(ours))) = packets(written).next() else { panic!("{written:02x?}") };
    let Ok([Rtcp::Twcc(theirs)]) = <[Rtcp; 1]>::try_from(theirs) else { panic!("{written:02x?}") };
    let base = u64::from(theirs.base_seq);
    let theirs: Vec<_> = theirs.into_iter(zero, base.into()).map(|(number, _, at)| (*number as u16, at)).collect();
    let ours: Vec<_> = ours.packets().collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, (number, at)) in ours.iter().zip(theirs) {
        assert_eq!(ours.sequence_number, number);
        // The reference time is signed, str0m takes it as unsigned; all that counts is time that passes between arrivals.
        let at = at.map(|at| (at.duration_since(zero).as_micros() as i64).rem_euclid(REFERENCE_TURN_US));
        assert_eq!(ours.arrival_us.map(|at| at.rem_euclid(REFERENCE_TURN_US)), at, "{number}");
    }
}

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    str0m::crypto::from_feature_flags().sha1_hmac_provider.sha1_hmac(key, parts)
}

#[test]
fn each_reads_the_checks_of_the_other() {
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let controlling = random.permille(500);
        let (priority, tie_breaker) = (random.next() as u32, random.next());
        let request = BindingRequest {
            transaction_id: *b"abcdefghijkl",
            username: "node:client",
            priority,
            use_candidate: random.permille(500),
            controlling,
            tie_breaker,
        };
        let mut buffer = [0; 640];
        let len = stun::write_binding_request(&mut buffer, &request, &IntegrityKey::new(PASSWORD)).unwrap();
        let theirs = StunMessage::parse(&buffer[..len]).unwrap();
        assert!(theirs.is_binding_request() && theirs.verify(PASSWORD.as_bytes(), hmac));
        assert!(!theirs.verify(b"another", hmac));
        assert_eq!((theirs.username(), theirs.prio()), (Some("node:client"), Some(priority)));
        assert_eq!(theirs.use_candidate(), request.use_candidate);
        let role = if controlling { theirs.ice_controlling() } else { theirs.ice_controlled() };
        assert_eq!(role, Some(tie_breaker));

        let answer = answered(&buffer[..len], random);
        let response = StunMessage::parse(&answer.0).unwrap();
        assert!(response.is_successful_binding_response() && response.verify(PASSWORD.as_bytes(), hmac));
        assert_eq!(response.mapped_address(), Some(answer.1));
    }
}

/// Our answer to a check, from a random address of either family.
fn answered(request: &[u8], random: &mut Random) -> (Vec<u8>, SocketAddr) {
    let ours = Message::parse(request).unwrap();
    let address: SocketAddr = if random.permille(500) {
        ((random.next() as u32).to_be_bytes(), random.next() as u16).into()
    } else {
        (((u128::from(random.next()) << 64) | u128::from(random.next())).to_be_bytes(), random.next() as u16).into()
    };
    let mut buffer = [0; 640];
    let key = IntegrityKey::new(PASSWORD);
    let len = stun::write_binding_success(&mut buffer, &ours.transaction_id, address, &key).unwrap();
    (buffer[..len].to_vec(), address)
}

#[test]
fn we_read_the_checks_that_str0m_writes() {
    let key = IntegrityKey::new(PASSWORD);
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let (controlling, use_candidate) = (random.permille(500), random.permille(500));
        let (priority, tie_breaker) = (random.next() as u32, random.next());
        let request = StunMessage::binding_request(
            "node:client",
            TransId::new(),
            controlling,
            tie_breaker,
            priority,
            use_candidate,
        );
        let mut buffer = [0; 640];
        let len = request.to_bytes(Some(PASSWORD.as_bytes()), &mut buffer, hmac).unwrap();
        let ours = Message::parse(&buffer[..len]).unwrap();
        assert!(ours.is_binding_request() && ours.verify(&key) && ours.has_fingerprint);
        assert_eq!((ours.username, ours.priority), (Some(&b"node:client"[..]), Some(priority)));
        assert_eq!(ours.use_candidate, use_candidate);
        assert_eq!(if controlling { ours.ice_controlling } else { ours.ice_controlled }, Some(tie_breaker));

        let address: SocketAddr = ((random.next() as u32).to_be_bytes(), random.next() as u16).into();
        let reply = StunMessage::binding_reply(request.trans_id(), address);
        let len = reply.to_bytes(Some(PASSWORD.as_bytes()), &mut buffer, hmac).unwrap();
        let ours = Message::parse(&buffer[..len]).unwrap();
        assert!(ours.verify(&key) && ours.mapped_address == Some(address));
    }
}
