use std::time::Duration;

use super::super::rtp::{OutgoingHeader, write_header};
use super::*;

fn elements(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
    ExtensionElements::new(profile, block).map(|(id, value)| (id, value.to_vec())).collect()
}

fn all_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (index, kind) in KINDS.into_iter().enumerate() {
        ids.set(kind, index as u8 + 3).unwrap();
    }
    ids
}

fn all_values(descriptor: &[u8]) -> ExtensionValues<'_> {
    ExtensionValues {
        mid: Some(b"12"),
        rid: Some(b"h"),
        repaired_rid: Some(b"q"),
        audio_level: Some(AudioLevel { voice: false, level: 127 }),
        transport_sequence_number: Some(0xfffe),
        abs_send_time: Some(0x00ab_cdef),
        dependency_descriptor: Some(descriptor),
        video_orientation: Some(3),
        frame_number: None,
        playout_delay: Some(PlayoutDelay(25)),
        layers_allocation: Some(&[0x11, 0x50, 9, 9]),
    }
}

#[test]
fn one_byte_form() {
    // RFC 8285 section 4.2: values of one, three and two bytes with padding between.
    let block = [0x10, 0xaa, 0x00, 0x22, 1, 2, 3, 0x00, 0x31, 4, 5, 0];
    assert_eq!(elements(0xbede, &block), [(1, vec![0xaa]), (2, vec![1, 2, 3]), (3, vec![4, 5])]);
}

#[test]
fn one_byte_form_ends_at_reserved_identifiers() {
    assert_eq!(elements(0xbede, &[0x10, 1, 0xf0, 2, 0x20, 3]), [(1, vec![1])]);
    assert_eq!(elements(0xbede, &[0x10, 1, 0x01, 2, 0x20, 3]), [(1, vec![1])]);
}

#[test]
fn two_byte_form() {
    let block = [1, 0, 2, 1, 7, 0, 0, 200, 2, 8, 9, 0];
    assert_eq!(elements(0x1000, &block), [(1, vec![]), (2, vec![7]), (200, vec![8, 9])]);
    assert_eq!(elements(0x100f, &block).len(), 3);
}

#[test]
fn overrunning_elements_end_the_block() {
    assert_eq!(elements(0xbede, &[0x10, 1, 0x23, 1, 2, 3]), [(1, vec![1])]);
    assert_eq!(elements(0x1000, &[1, 1, 9, 2, 9, 0]), [(1, vec![9])]);
    assert_eq!(elements(0x1000, &[1, 1, 9, 2]), [(1, vec![9])]);
    assert_eq!(elements(0xabcd, &[0x10, 1]), []);
}

#[test]
fn identifiers_are_unique_and_in_range() {
    let mut ids = ExtensionIds::default();
    assert_eq!(ids.set(ExtensionKind::Mid, 0), None);
    assert_eq!(ids.set(ExtensionKind::Mid, 15), None);
    assert_eq!(ids.set(ExtensionKind::Mid, 3), Some(()));
    assert_eq!(ids.set(ExtensionKind::Rid, 3), None);
    assert_eq!(ids.set(ExtensionKind::Mid, 4), Some(()));
    assert_eq!(ids.set(ExtensionKind::Rid, 3), Some(()));
    assert_eq!((ids.id(ExtensionKind::Mid), ids.id(ExtensionKind::AudioLevel)), (Some(4), None));
    assert_eq!((ids.kind(3), ids.kind(4)), (Some(ExtensionKind::Rid), Some(ExtensionKind::Mid)));
    assert_eq!((ids.kind(5), ids.kind(255)), (None, None));
}

#[test]
fn all_values_are_written_and_read_back_in_both_forms() {
    let ids = all_ids();
    let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    for (descriptor, profile) in [(vec![1; 16], 0xbede), (vec![2; 17], 0x1000), (vec![3; 80], 0x1000), (vec![], 0x1000)]
    {
        let values = all_values(&descriptor);
        let mut out = [0xff; 256];
        let len = write_header(&mut out, &header, &ids, &values).unwrap();
        let parsed = RtpHeader::parse(&out[..len]).unwrap();
        assert_eq!(parsed.len, len);
        assert_eq!(parsed.extension.unwrap().profile, profile);
        assert_eq!(ExtensionValues::read(&parsed, &out[..len], &ids), values);
    }
}

#[test]
fn descriptor_longer_than_the_format_allows_is_refused() {
    let descriptor = [0; 256];
    let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    assert_eq!(write_header(&mut [0; 512], &header, &all_ids(), &all_values(&descriptor)), None);
}

#[test]
fn abs_send_time_wraps_every_64_seconds() {
    assert_eq!(abs_send_time(Duration::from_millis(500)), 1 << 17);
    assert_eq!(abs_send_time(Duration::from_secs(63)), 63 << 18);
    assert_eq!(abs_send_time(Duration::from_millis(64_500)), 1 << 17);
    assert!(abs_send_time(Duration::new(63, 999_999_999)) < 1 << 24);
}

#[test]
fn values_the_receiver_did_not_agree_on_do_not_change_the_form() {
    let mut ids = ExtensionIds::default();
    ids.set(ExtensionKind::VideoOrientation, 1).unwrap();
    let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    let mut out = [0xff; 256];
    let len = write_header(&mut out, &header, &ids, &all_values(&[0; 80])).unwrap();
    assert_eq!(RtpHeader::parse(&out[..len]).unwrap().extension.unwrap().profile, 0xbede);
}

#[test]
fn a_frame_number_is_written_over_the_descriptors() {
    for descriptor in [&[0xc1, 0, 7, 9][..], &[0x81; 20]] {
        let mut buffer = [0; 200];
        let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
        let values = ExtensionValues { frame_number: Some(0xabcd), ..all_values(descriptor) };
        let len = write_header(&mut buffer, &header, &all_ids(), &values).unwrap();
        let read = RtpHeader::parse(&buffer[..len]).unwrap();
        let read = ExtensionValues::read(&read, &buffer[..len], &all_ids());
        let mut expected = descriptor.to_vec();
        expected[1..3].copy_from_slice(&[0xab, 0xcd]);
        assert_eq!(read, all_values(&expected));
    }
}
