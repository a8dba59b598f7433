use super::*;
use crate::wire::rtcp::{RtcpPacket, RtcpWriter, packets};

/// Drains the recorder: every (sequence number, arrival) it reports, and the lengths of its reports.
fn reported(recorder: &mut FeedbackRecorder, now_us: u64) -> (Vec<(u16, Option<i64>)>, Vec<u16>) {
    let (mut arrivals, mut lengths) = (Vec::new(), Vec::new());
    let mut buffer = [0; 1200];
    loop {
        let mut writer = RtcpWriter::new(&mut buffer);
        if recorder.write_report(&mut writer, 7, 8, now_us).is_none() {
            return (arrivals, lengths);
        }
        let Some(Ok(RtcpPacket::TransportFeedback(feedback))) = packets(writer.written()).next() else { panic!() };
        assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), (7, 8));
        lengths.push(feedback.packet_count);
        arrivals.extend(feedback.packets().map(|packet| (packet.sequence_number, packet.arrival_us)));
    }
}

fn record_all(recorder: &mut FeedbackRecorder, arrivals: &[(u16, u64)]) {
    for &(sequence_number, arrival_us) in arrivals {
        recorder.record(sequence_number, arrival_us);
    }
}

#[test]
fn arrivals_are_reported_to_the_tick() {
    let mut recorder = FeedbackRecorder::new();
    record_all(&mut recorder, &[(10, 1_000_000), (11, 1_000_250), (13, 1_063_999), (14, 1_050_000), (15, 2_000_000)]);
    let (arrivals, lengths) = reported(&mut recorder, 0);
    assert_eq!(lengths, [6]);
    let expected = [
        (10, Some(1_000_000)),
        (11, Some(1_000_250)),
        (12, None),
        (13, Some(1_063_750)),
        (14, Some(1_050_000)),
        (15, Some(2_000_000)),
    ];
    assert_eq!(arrivals, expected);
    assert_eq!(reported(&mut recorder, 0).1, []);
}

#[test]
fn reports_continue_where_the_last_one_ended() {
    let mut recorder = FeedbackRecorder::new();
    recorder.record(65_534, 0);
    assert_eq!(reported(&mut recorder, 0).0, [(65_534, Some(0))]);
    record_all(&mut recorder, &[(1, 5000), (2, 5250)]);
    let expected = [(65_535, None), (0, None), (1, Some(5000)), (2, Some(5250))];
    assert_eq!(reported(&mut recorder, 0).0, expected);
}

#[test]
fn late_packets_are_reported_again_with_what_followed() {
    let mut recorder = FeedbackRecorder::new();
    record_all(&mut recorder, &[(5, 1000), (7, 2000)]);
    assert_eq!(reported(&mut recorder, 0).0, [(5, Some(1000)), (6, None), (7, Some(2000))]);
    recorder.record(6, 3000);
    recorder.record(6, 9000);
    assert_eq!(reported(&mut recorder, 0).0, [(6, Some(3000)), (7, Some(2000))]);
    recorder.record(3, 3000);
    assert_eq!(reported(&mut recorder, 0).0[..2], [(3, Some(3000)), (4, None)]);
}

#[test]
fn long_gaps_in_time_split_the_report() {
    let mut recorder = FeedbackRecorder::new();
    record_all(&mut recorder, &[(1, 0), (2, 60_000_000), (3, 60_000_250)]);
    let (arrivals, lengths) = reported(&mut recorder, 0);
    assert_eq!(arrivals, [(1, Some(0)), (2, Some(60_000_000)), (3, Some(60_000_250))]);
    assert_eq!(lengths, [1, 2]);
}

#[test]
fn many_packets_take_several_reports() {
    let mut recorder = FeedbackRecorder::new();
    for index in 0..1500_u16 {
        recorder.record(index.wrapping_add(65_000), u64::from(index) * 100_000);
    }
    let (arrivals, lengths) = reported(&mut recorder, 0);
    assert_eq!(lengths, [512, 512, 476]);
    assert!(arrivals.iter().enumerate().all(|(index, arrival)| arrival.1 == i64::try_from(index * 100_000).ok()));
}

#[test]
fn jumps_forget_what_is_out_of_reach() {
    let mut recorder = FeedbackRecorder::new();
    recorder.record(0, 0);
    recorder.record(30_000, 1000);
    let (arrivals, _) = reported(&mut recorder, 0);
    assert_eq!(arrivals.len(), 2048);
    assert_eq!(arrivals.last(), Some(&(30_000, Some(1000))));
    assert!(arrivals[..2047].iter().all(|arrival| arrival.1.is_none()));
    recorder.record(100, 2000);
    assert_eq!(recorder.due_us(), None, "too old to be remembered");
}

#[test]
fn random_losses_survive_every_chunk_form() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut recorder = FeedbackRecorder::new();
    let mut now = 0;
    let mut expected = Vec::new();
    for sequence_number in 0..20_000_u32 {
        // Losses come in bursts, large deltas now and then.
        let lost = if sequence_number / 40 % 3 == 0 { random() % 4 == 0 } else { random() % 200 == 0 };
        now += if random() % 30 == 0 { 100_000 } else { random() % 40 * 250 };
        expected.push((sequence_number as u16, (!lost).then_some(now.cast_signed())));
        if !lost {
            recorder.record(sequence_number as u16, now);
        }
        if sequence_number % 300 == 299 {
            let (arrivals, _) = reported(&mut recorder, now);
            assert_eq!(arrivals, expected[..arrivals.len()]);
            expected.drain(..arrivals.len());
        }
    }
}

#[test]
fn losses_that_are_not_told_are_in_no_report() {
    let mut recorder = FeedbackRecorder::new();
    recorder.tell(0);
    record_all(&mut recorder, &[(10, 1_000), (11, 2_000), (13, 3_000), (16, 4_000)]);
    let expected = [(10, Some(1_000)), (11, Some(2_000)), (13, Some(3_000)), (16, Some(4_000))];
    assert_eq!(reported(&mut recorder, 0), (expected.to_vec(), vec![2, 1, 1]));
    record_all(&mut recorder, &[(19, 5_000)]);
    assert_eq!(reported(&mut recorder, 0).0, [(19, Some(5_000))], "nor those at the beginning");
    recorder.record(18, 6_000);
    assert_eq!(reported(&mut recorder, 0).0, [(18, Some(6_000)), (19, Some(5_000))], "it was only late");
}

#[test]
fn a_share_of_the_losses_is_told() {
    for share in [64, 128, 200, ALL] {
        let mut recorder = FeedbackRecorder::new();
        recorder.tell(share);
        let (mut told, mut came) = (0, 0);
        for number in 0..4_000_u16 {
            if number % 5 > 0 {
                recorder.record(number, u64::from(number) * 5_000);
            }
            if number % 40 == 39 {
                let (arrivals, _) = reported(&mut recorder, 0);
                told += arrivals.iter().filter(|arrival| arrival.1.is_none()).count();
                came += arrivals.iter().filter(|arrival| arrival.1.is_some()).count();
            }
        }
        let expected = 800 * usize::from(share) / usize::from(ALL);
        assert!(told.abs_diff(expected) <= 2 && came == 3_200, "{told} of {expected}, {came}");
    }
}

#[test]
fn each_arrival_is_told_in_several_turns_and_each_loss_in_one() {
    let mut recorder = FeedbackRecorder::new();
    recorder.repeat(true);
    let mut told = std::collections::BTreeMap::new();
    let mut turn = |recorder: &mut FeedbackRecorder, arrivals: &[(u16, u64)]| {
        record_all(recorder, arrivals);
        let (arrivals, lengths) = reported(recorder, 0);
        for (number, arrival) in &arrivals {
            *told.entry((*number, *arrival)).or_insert(0) += 1;
        }
        lengths
    };
    assert_eq!(turn(&mut recorder, &[(1, 1_000), (3, 2_000)]), [3]);
    assert_eq!(turn(&mut recorder, &[(4, 3_000)]), [1, 2], "what was lost is left out now");
    assert_eq!(turn(&mut recorder, &[(5, 4_000)]), [1, 3]);
    assert_eq!(turn(&mut recorder, &[(7, 5_000)]), [4], "4 to 7");
    recorder.repeat(false);
    assert_eq!(turn(&mut recorder, &[(8, 6_000)]), [1, 2], "this turn had begun");
    assert_eq!(turn(&mut recorder, &[(9, 7_000)]), [1]);
    let expected = [
        ((1, Some(1_000)), 3),
        ((2, None), 1),
        ((3, Some(2_000)), 3),
        ((4, Some(3_000)), 3),
        ((5, Some(4_000)), 3),
        ((6, None), 1),
        ((7, Some(5_000)), 2),
        ((8, Some(6_000)), 1),
        ((9, Some(7_000)), 1),
    ];
    assert_eq!(told.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn reports_are_due_at_intervals_while_packets_come() {
    let mut recorder = FeedbackRecorder::new();
    assert_eq!(recorder.due_us(), None);
    recorder.record(1, 1_000_000);
    assert!(recorder.due_us().unwrap() <= 1_000_000);
    reported(&mut recorder, 1_000_000);
    assert_eq!(recorder.due_us(), None);
    recorder.record(2, 1_010_000);
    assert_eq!(recorder.due_us(), Some(1_050_000));
}

#[test]
fn a_report_that_does_not_fit_is_kept() {
    let mut recorder = FeedbackRecorder::new();
    recorder.record(1, 250);
    assert_eq!(recorder.write_report(&mut RtcpWriter::new(&mut [0; 16]), 7, 8, 0), None);
    assert_eq!(reported(&mut recorder, 0).0, [(1, Some(250))]);
}

fn parse(chunks_and_deltas: &[u8], packet_count: u16) -> Option<Vec<(u16, Option<i64>)>> {
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2, 0, 100];
    body.extend(packet_count.to_be_bytes());
    body.extend([0xff, 0xff, 0xff, 9]);
    body.extend(chunks_and_deltas);
    let feedback = TransportFeedback::parse(&body)?;
    assert_eq!((feedback.reference_time, feedback.feedback_count), (-1, 9));
    Some(feedback.packets().map(|packet| (packet.sequence_number, packet.arrival_us)).collect())
}

#[test]
fn chunk_examples_of_the_draft() {
    // Section 3.1.3: "packet not received" for 221 packets.
    assert_eq!(parse(&[0x00, 0xdd], 221).unwrap().iter().filter(|packet| packet.1.is_none()).count(), 221);
    // Section 3.1.4: one lost, five received, three lost, three received, two lost as one-bit symbols.
    let vector = parse(&[0x9f, 0x1c, 4, 4, 4, 4, 4, 4, 4, 4], 14).unwrap();
    let received: Vec<_> = vector.iter().map(|packet| packet.1.is_some()).collect();
    let expected = [false, true, true, true, true, true, false, false, false, true, true, true, false, false];
    assert_eq!(received, expected);
    assert_eq!(vector[1].1, Some(-64_000 + 1000));
    // Two-bit symbols: lost, received with a large delta, three received, two lost.
    let vector = parse(&[0xc9, 0x50, 0xff, 0xff, 1, 1, 1], 7);
    assert_eq!(vector.unwrap()[1], (101, Some(-64_000 - 250)));
}

#[test]
fn inconsistent_reports_are_refused() {
    assert_eq!(parse(&[], 1), None, "no chunk");
    assert_eq!(parse(&[0x20, 1], 1), None, "no delta");
    assert_eq!(parse(&[0x40, 1, 0], 1), None, "half a delta");
    assert_eq!(parse(&[0x60, 1, 0, 0], 1), None, "reserved symbol");
    assert_eq!(parse(&[0x20, 1, 0], 2), None, "too few symbols");
    assert_eq!(parse(&[0x00, 0, 0x20, 1, 4], 1), Some(vec![(100, Some(-63_000))]), "an empty run says nothing");
    assert_eq!(parse(&[], 0), Some(vec![]));
}
