//! Reports, feedback and arrival times: what the engine writes str0m reads in the same sense.

use std::time::{Duration, Instant, UNIX_EPOCH};

use parley_engine_core::srtp::OutboundControl;
use parley_engine_core::twcc::FeedbackRecorder;
use parley_engine_core::wire::rtcp::{NtpTime, ReportBlock, RtcpPacket, RtcpWriter, SenderInfo, packets};
use str0m::rtp::rtcp::{ReceptionReport, Rtcp, SdesType};

use crate::SEEDS;
use crate::reference::{PROFILES, Reference, SSRC};
use crate::sim::Random;

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
    let (outbound, mut reference) = Reference::keyed(PROFILES[0].0, PROFILES[0].1);
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
    let (outbound, mut reference) = Reference::keyed(PROFILES[1].0, PROFILES[1].1);
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
    let (outbound, mut reference) = Reference::keyed(PROFILES[0].0, PROFILES[0].1);
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
