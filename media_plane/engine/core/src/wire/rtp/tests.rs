use super::super::extension::{AudioLevel, ExtensionKind};
use super::*;

const PACKET: &[u8] = b"\xb2\xe0\x12\x34\x01\x02\x03\x04\xaa\xbb\xcc\xdd\
    \x00\x00\x00\x01\x00\x00\x00\x02\
    \xbe\xde\x00\x01\x10\x07\x00\x00\
    payload\x00\x00\x03";

const OUTGOING: OutgoingHeader =
    OutgoingHeader { marker: true, payload_type: 100, sequence_number: 7, timestamp: 9, ssrc: 11 };

#[test]
fn every_field_is_read() {
    let header = RtpHeader::parse(PACKET).unwrap();
    assert!(header.marker && header.has_padding);
    assert_eq!(header.payload_type, 96);
    assert_eq!(header.sequence_number, 0x1234);
    assert_eq!(header.timestamp, 0x0102_0304);
    assert_eq!(header.ssrc, 0xaabb_ccdd);
    assert_eq!(header.csrcs(PACKET).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(header.extension, Some(ExtensionBlock { profile: 0xbede, at: 24, len: 4 }));
    assert_eq!(header.extensions(PACKET).collect::<Vec<_>>(), [(1, &[7][..])]);
    assert_eq!(header.len, 28);
    assert_eq!(header.payload(PACKET), Some(&b"payload"[..]));
}

#[test]
fn every_truncation_of_the_header_is_refused() {
    for len in 0..28 {
        assert_eq!(RtpHeader::parse(&PACKET[..len]), None, "{len}");
    }
    assert!(RtpHeader::parse(&PACKET[..28]).is_some());
}

#[test]
fn other_versions_are_refused() {
    for version in [0, 1, 3] {
        let mut packet = PACKET.to_vec();
        packet[0] = packet[0] & 0x3f | version << 6;
        assert_eq!(RtpHeader::parse(&packet), None);
    }
}

#[test]
fn padding_must_fit_the_payload() {
    let mut packet = PACKET.to_vec();
    let header = RtpHeader::parse(&packet).unwrap();
    for (padding, payload) in [(0, None), (1, Some(9)), (10, Some(0)), (11, None), (255, None)] {
        *packet.last_mut().unwrap() = padding;
        assert_eq!(header.payload(&packet).map(<[u8]>::len), payload, "{padding}");
    }
}

#[test]
fn fields_are_changed_in_place() {
    let mut packet = PACKET.to_vec();
    let mut header = RtpHeaderMut::new(&mut packet).unwrap();
    header.set_marker(false);
    header.set_payload_type(45);
    header.set_sequence_number(1);
    header.set_timestamp(2);
    header.set_ssrc(3);
    let changed = RtpHeader::parse(&packet).unwrap();
    let before = RtpHeader::parse(PACKET).unwrap();
    let expected = RtpHeader { marker: false, payload_type: 45, sequence_number: 1, timestamp: 2, ssrc: 3, ..before };
    assert_eq!(changed, expected);
    assert_eq!(packet[12..], PACKET[12..]);

    RtpHeaderMut::new(&mut packet).unwrap().set_marker(true);
    let marked = RtpHeader::parse(&packet).unwrap();
    assert!(marked.marker && marked.payload_type == 45);
    assert!(RtpHeaderMut::new(&mut [0; 11]).is_none());
}

#[test]
fn written_header_without_extensions_has_no_block() {
    let mut out = [0xff; 64];
    let values = ExtensionValues { mid: Some(b"0"), ..ExtensionValues::default() };
    let len = write_header(&mut out, &OUTGOING, &ExtensionIds::default(), &values).unwrap();
    assert_eq!(len, FIXED_HEADER_LEN);
    let header = RtpHeader::parse(&out).unwrap();
    assert_eq!((header.extension, header.csrc_count, header.has_padding), (None, 0, false));
    assert_eq!((header.marker, header.payload_type, header.sequence_number), (true, 100, 7));
    assert_eq!((header.timestamp, header.ssrc), (9, 11));
}

#[test]
fn written_header_is_read_back_in_the_receivers_numbering() {
    let mut ids = ExtensionIds::default();
    ids.set(ExtensionKind::Mid, 4).unwrap();
    ids.set(ExtensionKind::AudioLevel, 14).unwrap();
    let values = ExtensionValues {
        mid: Some(b"mid"),
        audio_level: Some(AudioLevel { voice: true, level: 30 }),
        ..ExtensionValues::default()
    };
    let mut out = [0xff; 64];
    let len = write_header(&mut out, &OUTGOING, &ids, &values).unwrap();
    assert_eq!(len, 12 + 4 + 8);
    let packet = &out[..len];
    let header = RtpHeader::parse(packet).unwrap();
    assert_eq!(header.len, len);
    assert_eq!(ExtensionValues::read(&header, packet, &ids), values);
    for short in 0..len {
        assert_eq!(write_header(&mut out[..short], &OUTGOING, &ids, &values), None);
    }
}

#[test]
fn order_follows_the_shorter_way_around() {
    assert!(is_newer_timestamp(0, u32::MAX) && !is_newer_timestamp(u32::MAX, 0) && !is_newer_timestamp(1, 1));
    assert_eq!(extend_sequence_number(65_530, 3), 65_530);
    assert_eq!(extend_sequence_number(0, 131_071), 131_072);
    assert_eq!(extend_sequence_number(10, 65_546), 65_546);
}
