use super::*;

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 64,
    cumulative_lost: -5,
    highest_sequence_number: 0x0001_ffff,
    jitter: 90,
    last_sender_report: 0xaabb_ccdd,
    delay_since_last_sender_report: 65_536,
};
const INFO: SenderInfo =
    SenderInfo { ntp_time: NtpTime(0x0102_0304_0506_0708), rtp_timestamp: 9, packet_count: 10, octet_count: 11 };

fn written(write: impl FnOnce(&mut RtcpWriter<'_>) -> Option<()>) -> Vec<u8> {
    let mut buffer = [0xff; 1500];
    let mut writer = RtcpWriter::new(&mut buffer);
    write(&mut writer).unwrap();
    writer.written().to_vec()
}

fn only(compound: &[u8]) -> RtcpPacket<'_> {
    let mut all = packets(compound);
    let packet = all.next().unwrap().unwrap();
    assert!(all.next().is_none());
    packet
}

#[test]
fn reports_are_written_and_read_back() {
    let compound = written(|writer| {
        writer.sender_report(1, &INFO, &[BLOCK, BLOCK])?;
        writer.receiver_report(2, &[BLOCK])?;
        writer.receiver_report(3, &[])
    });
    let mut all = packets(&compound);
    let Some(Ok(RtcpPacket::SenderReport { sender_ssrc: 1, info, reports })) = all.next() else { panic!() };
    assert_eq!(info, INFO);
    assert_eq!(reports.collect::<Vec<_>>(), [BLOCK, BLOCK]);
    let Some(Ok(RtcpPacket::ReceiverReport { sender_ssrc: 2, reports })) = all.next() else { panic!() };
    assert_eq!(reports.collect::<Vec<_>>(), [BLOCK]);
    let Some(Ok(RtcpPacket::ReceiverReport { sender_ssrc: 3, reports })) = all.next() else { panic!() };
    assert_eq!(reports.count(), 0);
    assert!(all.next().is_none());
}

#[test]
fn cumulative_loss_is_clamped_to_24_bits() {
    for (lost, read) in [(i32::MAX, 0x007f_ffff), (i32::MIN, -0x0080_0000), (-1, -1), (7, 7)] {
        let compound = written(|writer| writer.receiver_report(1, &[ReportBlock { cumulative_lost: lost, ..BLOCK }]));
        let RtcpPacket::ReceiverReport { mut reports, .. } = only(&compound) else { panic!() };
        assert_eq!(reports.next().unwrap().cumulative_lost, read);
    }
}

#[test]
fn canonical_names_of_any_length_end_at_a_word() {
    for len in 0..=255 {
        let name = "x".repeat(len);
        let compound = written(|writer| writer.canonical_name(77, &name));
        assert_eq!(compound.len() % 4, 0);
        let RtcpPacket::SourceDescription(chunks) = only(&compound) else { panic!() };
        assert_eq!(chunks.collect::<Vec<_>>(), [(77, Some(name.as_bytes()))]);
    }
    assert_eq!(RtcpWriter::new(&mut [0; 1500]).canonical_name(1, &"x".repeat(256)), None);
}

#[test]
fn source_description_skips_other_items_and_chunks_without_a_name() {
    let compound = b"\x82\xca\x00\x05\x00\x00\x00\x01\x02\x01A\x01\x02me\x00\x00\x00\x00\x02\x00\x00\x00\x00";
    let RtcpPacket::SourceDescription(chunks) = only(compound) else { panic!() };
    assert_eq!(chunks.collect::<Vec<_>>(), [(1, Some(&b"me"[..])), (2, None)]);
}

#[test]
fn bye_lists_streams_and_may_give_a_reason() {
    let compound = written(|writer| writer.bye(&[1, 2, 3]));
    let RtcpPacket::Bye(ssrcs) = only(&compound) else { panic!() };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [1, 2, 3]);
    let RtcpPacket::Bye(ssrcs) = only(b"\x81\xcb\x00\x02\x00\x00\x00\x07\x03bye") else { panic!() };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [7]);
}

#[test]
fn nack_groups_runs_and_wraps() {
    let lost = [65_530, 65_531, 65_535, 10, 11, 200];
    let compound = written(|writer| writer.nack(1, 2, lost));
    // 65_530 reaches to 10 in its mask (16 after it); 11 starts the next entry.
    assert_eq!(compound.len(), 12 + 3 * 4);
    let RtcpPacket::Nack { sender_ssrc: 1, media_ssrc: 2, lost: read } = only(&compound) else { panic!() };
    assert_eq!(read.collect::<Vec<_>>(), lost);
}

#[test]
fn nack_mask_reaches_sixteen_further() {
    let compound = b"\x81\xcd\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x64\xff\xff";
    let RtcpPacket::Nack { lost, .. } = only(compound) else { panic!() };
    assert_eq!(lost.collect::<Vec<_>>(), (100..=116).collect::<Vec<_>>());
    let compound = b"\x81\xcd\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\xff\xff\x80\x01";
    let RtcpPacket::Nack { lost, .. } = only(compound) else { panic!() };
    assert_eq!(lost.collect::<Vec<_>>(), [65_535, 0, 15]);
}

#[test]
fn key_frame_requests_are_written_and_read_back() {
    let compound = written(|writer| {
        writer.picture_loss_indication(1, 2)?;
        writer.full_intra_request(3, &[(4, 5), (6, 255)])
    });
    let mut all = packets(&compound);
    assert!(matches!(all.next(), Some(Ok(RtcpPacket::PictureLossIndication { sender_ssrc: 1, media_ssrc: 2 }))));
    let Some(Ok(RtcpPacket::FullIntraRequest { sender_ssrc: 3, requests })) = all.next() else { panic!() };
    assert_eq!(requests.collect::<Vec<_>>(), [(4, 5), (6, 255)]);
}

#[test]
fn remb_keeps_eighteen_bits() {
    for (bitrate, read) in
        [(0, 0), (262_143, 262_143), (262_145, 262_144), (2_500_000, 2_500_000), (u64::MAX, 0x3_ffff << 46)]
    {
        let compound = written(|writer| writer.receiver_estimated_max_bitrate(1, bitrate, &[8, 9]));
        let RtcpPacket::ReceiverEstimatedMaxBitrate { sender_ssrc: 1, bitrate, ssrcs } = only(&compound) else {
            panic!()
        };
        assert_eq!(bitrate, read);
        assert_eq!(ssrcs.collect::<Vec<_>>(), [8, 9]);
    }
    let overflowing = b"\x8f\xce\x00\x04\x00\x00\x00\x01\x00\x00\x00\x00REMB\x00\xff\xff\xff";
    assert!(matches!(only(overflowing), RtcpPacket::ReceiverEstimatedMaxBitrate { bitrate: u64::MAX, .. }));
}

#[test]
fn unknown_types_are_passed_over() {
    let compound =
        b"\x80\xcc\x00\x01NAME\x83\xce\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02\x80\xc9\x00\x01\x00\x00\x00\x05";
    let kinds: Vec<_> = packets(compound).map(Result::unwrap).collect();
    assert!(matches!(
        kinds[..],
        [
            RtcpPacket::Other { packet_type: 204 },
            RtcpPacket::Other { packet_type: 206 },
            RtcpPacket::ReceiverReport { sender_ssrc: 5, .. }
        ]
    ));
}

#[test]
fn padding_is_removed_wherever_it_stands() {
    let padded = b"\xa0\xc9\x00\x02\x00\x00\x00\x05\x00\x00\x00\x04";
    assert!(matches!(only(padded), RtcpPacket::ReceiverReport { sender_ssrc: 5, .. }));
    for padding in [0, 9, 255] {
        let mut wrong = *padded;
        wrong[11] = padding;
        assert_eq!(packets(&wrong).next().unwrap().unwrap_err(), MalformedRtcp);
    }
    // As str0m sent it: transport-cc feedback with three bytes of padding in the middle of a compound packet.
    let compound = b"\xaf\xcd\x00\x06\x3b\xa3\x85\xf2\x3c\x41\x8b\x97\x9e\x37\x00\x03\x00\x00\x0a\x0e\x20\x03\x59\x49\x52\x00\x00\x03\
        \x80\xc9\x00\x01\x00\x00\x00\x05";
    let mut all = packets(compound);
    let Some(Ok(RtcpPacket::TransportFeedback(feedback))) = all.next() else { panic!() };
    assert_eq!(feedback.packets().filter(|packet| packet.arrival_us.is_some()).count(), 3);
    assert!(matches!(all.next(), Some(Ok(RtcpPacket::ReceiverReport { sender_ssrc: 5, .. }))));
}

#[test]
fn truncations_end_in_an_error() {
    let compound = written(|writer| {
        writer.sender_report(1, &INFO, &[BLOCK])?;
        writer.canonical_name(1, "name")?;
        writer.nack(1, 2, [5])
    });
    let ends: Vec<usize> = vec![0, 52, 52 + 16, compound.len()];
    for len in 0..compound.len() {
        let all: Vec<_> = packets(&compound[..len]).collect();
        assert_eq!(all.iter().all(Result::is_ok), ends.contains(&len), "{len}");
        assert!(all.iter().rev().skip(1).all(Result::is_ok));
    }
}

#[test]
fn counts_beyond_the_body_are_malformed() {
    for packet in [
        &b"\x81\xc9\x00\x01\x00\x00\x00\x05"[..],
        b"\x81\xc8\x00\x06\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x82\xcb\x00\x01\x00\x00\x00\x05",
        b"\x81\xca\x00\x01\x00\x00\x00\x05",
        b"\x81\xca\x00\x02\x00\x00\x00\x05\x01\x09ab",
        b"\x81\xcd\x00\x01\x00\x00\x00\x05",
        b"\x84\xce\x00\x03\x00\x00\x00\x05\x00\x00\x00\x05\x00\x00\x00\x05",
        b"\x8f\xce\x00\x04\x00\x00\x00\x01\x00\x00\x00\x00REMB\x01\x00\x00\x01",
        b"\x40\xc9\x00\x01\x00\x00\x00\x05",
    ] {
        assert_eq!(packets(packet).next().unwrap().unwrap_err(), MalformedRtcp, "{packet:02x?}");
    }
}

#[test]
fn what_does_not_fit_leaves_the_compound_as_it_was() {
    let mut buffer = [0; 20];
    let mut writer = RtcpWriter::new(&mut buffer);
    writer.receiver_report(1, &[]).unwrap();
    assert_eq!(writer.sender_report(1, &INFO, &[]), None);
    assert_eq!(writer.nack(1, 2, [1]), None);
    assert_eq!(writer.len(), 8);
    writer.picture_loss_indication(1, 2).unwrap();
    assert_eq!(packets(writer.written()).flatten().count(), 2);
    assert_eq!(RtcpWriter::new(&mut [0; 1500]).receiver_report(1, &[BLOCK; 32]), None);
}

#[test]
fn round_trip_time_subtracts_the_receivers_delay() {
    // The example of RFC 3550 section 6.4.1: 46864.500 - 46853.125 - 5.250 = 6.125 s.
    let block = ReportBlock { last_sender_report: 0xb705_2000, delay_since_last_sender_report: 0x0005_4000, ..BLOCK };
    let arrival = NtpTime(0xb44d_b705_2000_0000 + (0x000b_6000_u64 << 16));
    assert_eq!(arrival.middle(), 0xb710_8000);
    assert_eq!(block.round_trip_time(arrival), Some(Duration::from_millis(6125)));
    assert_eq!(ReportBlock { last_sender_report: 0, ..block }.round_trip_time(arrival), None);
    let early = NtpTime(u64::from(0xb705_2000_u32 + 0x0005_3fff) << 16);
    assert_eq!(block.round_trip_time(early), Some(Duration::ZERO));
}

#[test]
fn ntp_time_counts_from_1900() {
    let time = NtpTime::from_unix(Duration::from_millis(1500));
    assert_eq!(time.0, 2_208_988_801 << 32 | 0x8000_0000);
    assert_eq!(time.middle(), (2_208_988_801_u64 % 0x1_0000 * 0x1_0000 + 0x8000) as u32);
}
