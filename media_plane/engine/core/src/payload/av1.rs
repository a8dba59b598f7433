//! AV1 aggregation headers and dependency descriptors (the AV1 RTP payload specification, sections 4.4 and Appendix A).

use crate::wire::bytes::{u8_at, u16_at};

const CONTINUES_FLAG: u8 = 0x80;
const CONTINUED_FLAG: u8 = 0x40;
const NEW_SEQUENCE_FLAG: u8 = 0x08;
const OBU_SEQUENCE_HEADER: u8 = 1;
/// The longest LEB128 number that AV1 allows.
const MAX_LEB128_LEN: usize = 8;

/// The byte that every payload starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first element continues one of the previous packet.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub is_continued: bool,
    /// W: how many elements there are, if one to three; 0: every element has its length before it.
    pub element_count: u8,
    /// N: this packet starts a new coded video sequence.
    pub new_sequence: bool,
}

impl AggregationHeader {
    /// Parses a payload's first byte; None when there is none, or when it contradicts itself.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let byte = u8_at(payload, 0)?;
        let header = Self {
            continues: byte & CONTINUES_FLAG != 0,
            is_continued: byte & CONTINUED_FLAG != 0,
            element_count: byte >> 4 & 3,
            new_sequence: byte & NEW_SEQUENCE_FLAG != 0,
        };
        // A new sequence cannot begin inside an element.
        (!(header.continues && header.new_sequence)).then_some(header)
    }
}

/// Whether a payload is the first packet of a coded video sequence and begins with its sequence header.
#[must_use]
pub fn starts_key_frame(payload: &[u8]) -> bool {
    AggregationHeader::parse(payload).is_some_and(|header| header.new_sequence && has_sequence_header(header, payload))
}

fn has_sequence_header(header: AggregationHeader, payload: &[u8]) -> bool {
    let mut rest = payload.get(1..).unwrap_or_default();
    let mut index = 1;
    while let Some((element, after)) = split_element(rest, index == header.element_count) {
        if element.first().is_some_and(|byte| byte >> 3 & 0x0f == OBU_SEQUENCE_HEADER) {
            return true;
        }
        rest = after;
        index = index.saturating_add(1);
    }
    false
}

/// Splits off an OBU element; the last of a counted list has no length before it.
fn split_element(data: &[u8], last_of_count: bool) -> Option<(&[u8], &[u8])> {
    if data.is_empty() {
        return None;
    }
    if last_of_count {
        return Some((data, &[]));
    }
    let (len, len_len) = leb128(data)?;
    data.get(len_len..)?.split_at_checked(len)
}

fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (index, byte) in data.iter().take(MAX_LEB128_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (index * 7);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, index + 1));
        }
    }
    None
}

/// The part of a dependency descriptor that every packet has. It is readable when payloads are end-to-end encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// First packet of a frame.
    pub start_of_frame: bool,
    /// Last packet of a frame.
    pub end_of_frame: bool,
    /// The template that says what the frame depends on.
    pub template_id: u8,
    /// Counts frames; wraps.
    pub frame_number: u16,
    /// Whether the descriptor brings a new set of templates.
    pub structure_present: bool,
}

impl DependencyDescriptor {
    /// Parses the value of the header extension; None when it is cut off.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let first = u8_at(value, 0)?;
        Some(Self {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3f,
            frame_number: u16_at(value, 1)?,
            structure_present: u8_at(value, 3).is_some_and(|byte| byte & 0x80 != 0),
        })
    }

    /// Whether this is the first packet of a key frame: only there a sender may change the templates.
    #[must_use]
    pub fn starts_key_frame(&self) -> bool {
        self.start_of_frame && self.structure_present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregation_header() {
        let header = AggregationHeader::parse(&[0x68]).unwrap();
        assert!(!header.continues && header.is_continued && header.new_sequence);
        assert_eq!(header.element_count, 2);
        assert_eq!(AggregationHeader::parse(&[0x88]), None, "new sequence inside an element");
        assert_eq!(AggregationHeader::parse(&[]), None);
    }

    #[test]
    fn key_frame_needs_flag_and_sequence_header() {
        assert!(starts_key_frame(&[0x08, 2, 0x0a, 0xff, 1, 0x32]), "counted by lengths");
        assert!(starts_key_frame(&[0x28, 1, 0x12, 0x0a, 0xff]), "second of two, after a temporal delimiter");
        assert!(starts_key_frame(&[0x18, 0x0a]), "the only one");
        assert!(!starts_key_frame(&[0x18, 0x32, 1, 2]), "frame without sequence header");
        assert!(!starts_key_frame(&[0x10, 0x0a]), "not flagged");
        assert!(!starts_key_frame(&[0x08, 9, 0x0a]), "element beyond the end");
        assert!(!starts_key_frame(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a]), "length too long");
        assert!(!starts_key_frame(&[0x08]));
    }

    #[test]
    fn dependency_descriptor() {
        let descriptor = DependencyDescriptor::parse(&[0x85, 0x12, 0x34, 0x80, 1]).unwrap();
        assert!(descriptor.start_of_frame && !descriptor.end_of_frame && descriptor.structure_present);
        assert_eq!((descriptor.template_id, descriptor.frame_number), (5, 0x1234));
        assert!(descriptor.starts_key_frame());
        let delta = DependencyDescriptor::parse(&[0xc6, 0, 1]).unwrap();
        assert!(delta.start_of_frame && delta.end_of_frame && !delta.starts_key_frame());
        assert_eq!(DependencyDescriptor::parse(&[0x80, 0]), None);
    }
}
