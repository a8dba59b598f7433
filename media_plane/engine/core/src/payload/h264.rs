//! H.264 payloads (RFC 6184): finding the parameter sets and IDR slices with which a decoder can begin.

use super::bits::BitReader;
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

/// The payload of the first sequence parameter set that begins in a payload, without its header byte.
fn sequence_parameter_set(payload: &[u8]) -> Option<&[u8]> {
    match u8_at(payload, 0)? & TYPE_MASK {
        TYPE_SPS => payload.get(1..),
        TYPE_STAP_A => {
            let mut rest = payload.get(1..)?;
            loop {
                let len = usize::from(u16_at(rest, 0)?);
                let unit = rest.get(2..2 + len)?;
                if unit.first()? & TYPE_MASK == TYPE_SPS {
                    return unit.get(1..);
                }
                rest = rest.get(2 + len..)?;
            }
        }
        _ => None,
    }
}

/// Width and height in pixels that the sequence parameter set of a payload states (ITU-T H.264 section 7.3.2.1.1). Only the
/// baseline, main and extended profiles are understood; the others are not agreed on.
#[must_use]
pub fn key_frame_size(payload: &[u8]) -> Option<(u16, u16)> {
    let mut bits = BitReader::new(sequence_parameter_set(payload)?);
    let profile = bits.read(8)?;
    bits.read(16)?;
    if !matches!(profile, 66 | 77 | 88) {
        return None;
    }
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    match bits.exp_golomb()? {
        0 => _ = bits.exp_golomb()?,
        1 => {
            bits.read(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            for _ in 0..bits.exp_golomb()?.min(255) {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?;
    bits.read(1)?;
    let width = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.exp_golomb()?.checked_add(1)?;
    let frames_only = bits.read(1)?;
    if frames_only == 0 {
        bits.read(1)?;
    }
    let height = map_units.checked_mul(16 * (2 - frames_only))?;
    bits.read(1)?;
    let mut crop = [0; 4];
    if bits.read(1)? == 1 {
        for side in &mut crop {
            *side = bits.exp_golomb()?;
        }
    }
    // With 4:2:0 sampling, which these profiles imply, cropping counts in pairs of pixels.
    let cut =
        |size: u32, sides: &[u32], unit: u32| size.checked_sub(sides[0].checked_add(sides[1])?.checked_mul(unit)?);
    let width = cut(width, &crop[..2], 2)?;
    let height = cut(height, &crop[2..], 2 * (2 - frames_only))?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
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
    fn sizes_are_read_from_the_parameter_set() {
        // Of Chromium's (OpenH264) streams: 640x480, and 1280x720 in a STAP-A, which is 45 macroblocks high and not cropped.
        let small = [0x67, 0x42, 0xc0, 0x1e, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a];
        assert_eq!(key_frame_size(&small), Some((640, 480)));
        let large = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
        let mut packet = vec![0x78, 0, large.len() as u8];
        packet.extend(large);
        assert_eq!(key_frame_size(&packet), Some((1_280, 720)));
        assert_eq!(key_frame_size(&[0x67, 0x64, 0, 0x1f, 0xac]), None, "high profile");
        for len in 0..10 {
            assert_eq!(key_frame_size(&small[..len]), None, "cut off at {len}");
        }
        assert_eq!(key_frame_size(&[0x67, 66, 0, 0, 0, 0, 0, 0, 0, 0]), None, "no number ends");
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
