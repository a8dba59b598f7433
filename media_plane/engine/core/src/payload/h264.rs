//! H.264 payloads (RFC 6184): finding the parameter sets and IDR slices with which a decoder can begin.

use crate::wire::bytes::{u8_at, u16_at};

const TYPE_MASK: u8 = 0x1f;
const TYPE_IDR: u8 = 5;
const TYPE_SPS: u8 = 7;
const TYPE_STAP_A: u8 = 24;
const TYPE_FU_A: u8 = 28;
const FU_START_FLAG: u8 = 0x80;

/// The types of the NAL units that begin in one payload.
#[derive(Debug, Clone)]
pub struct NalTypes<'a> {
    rest: &'a [u8],
    aggregated: bool,
}

/// Lists the NAL units that begin in a payload: one, those of a STAP-A, or that whose first fragment a FU-A is.
#[must_use]
pub fn nal_types(payload: &[u8]) -> NalTypes<'_> {
    match payload.first().map(|byte| byte & TYPE_MASK) {
        Some(TYPE_STAP_A) => NalTypes { rest: payload.get(1..).unwrap_or_default(), aggregated: true },
        Some(TYPE_FU_A) => {
            // The second byte of a first fragment holds the type where a NAL unit's header has it.
            let first = u8_at(payload, 1).is_some_and(|byte| byte & FU_START_FLAG != 0);
            NalTypes { rest: payload.get(1..2).filter(|_| first).unwrap_or_default(), aggregated: false }
        }
        Some(1..TYPE_STAP_A) => NalTypes { rest: payload.get(..1).unwrap_or_default(), aggregated: false },
        _ => NalTypes { rest: &[], aggregated: false },
    }
}

impl Iterator for NalTypes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.aggregated {
            return std::mem::take(&mut self.rest).first().map(|byte| byte & TYPE_MASK);
        }
        let len = usize::from(u16_at(self.rest, 0)?);
        let unit = self.rest.get(2..2 + len)?;
        self.rest = self.rest.get(2 + len..)?;
        unit.first().map(|byte| byte & TYPE_MASK)
    }
}

/// Whether a decoder can begin with this payload: it holds a sequence parameter set or begins an IDR slice.
///
/// Parameter sets precede the IDR slice, often in a packet of their own, so the first payload for which this is true is the
/// right one to begin with.
#[must_use]
pub fn starts_key_frame(payload: &[u8]) -> bool {
    nal_types(payload).any(|nal_type| matches!(nal_type, TYPE_SPS | TYPE_IDR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_units() {
        assert_eq!(nal_types(&[0x67, 0x42]).collect::<Vec<_>>(), [7]);
        assert!(starts_key_frame(&[0x67, 0x42]), "sequence parameter set");
        assert!(starts_key_frame(&[0x65, 0x88]), "IDR slice");
        assert!(!starts_key_frame(&[0x68, 0xce]), "picture parameter set alone");
        assert!(!starts_key_frame(&[0x41, 0x9a]), "other slice");
        assert!(!starts_key_frame(&[]));
        assert_eq!(nal_types(&[0x1e]).count(), 0, "type 30 is undefined");
    }

    #[test]
    fn aggregated_units() {
        let payload = [0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68, 0, 3, 0x65, 0x88, 0x84];
        assert_eq!(nal_types(&payload).collect::<Vec<_>>(), [7, 8, 5]);
        assert!(starts_key_frame(&payload));
        assert!(!starts_key_frame(&[0x78, 0, 2, 0x41, 0x9a, 0, 1, 0x06]));
        assert_eq!(nal_types(&[0x78, 0, 1, 0x06, 0, 9, 0x67]).collect::<Vec<_>>(), [6], "overrun");
        assert_eq!(nal_types(&[0x78, 0, 0, 0, 1, 0x67]).count(), 0, "an empty unit ends the list");
    }

    #[test]
    fn only_the_first_fragment_counts() {
        assert_eq!(nal_types(&[0x7c, 0x85, 1]).collect::<Vec<_>>(), [5]);
        assert!(starts_key_frame(&[0x7c, 0x85, 1]));
        assert!(!starts_key_frame(&[0x7c, 0x05, 1]), "middle");
        assert!(!starts_key_frame(&[0x7c, 0x45, 1]), "end");
        assert!(!starts_key_frame(&[0x7c, 0x81, 1]), "other slice");
        assert!(!starts_key_frame(&[0x7c]));
    }
}
