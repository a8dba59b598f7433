//! Redundant audio (RFC 2198): each packet carries its frame and, before it, earlier ones again, so that a lost packet costs
//! nothing when the next one arrives.

use crate::wire::bytes::{u8_at, u16_at};

/// Another block header follows, and this one has a timestamp offset and a length.
const FOLLOWED_FLAG: u8 = 0x80;
const LENGTH_MASK: u16 = 0x3ff;
/// Length of a block header that another one follows.
const LONG_HEADER_LEN: usize = 4;

/// Where the newest frame begins: behind all block headers and the frames that are repeated.
///
/// None for a malformed payload, and for one whose newest frame is empty.
#[must_use]
pub fn primary_offset(payload: &[u8]) -> Option<usize> {
    let (mut at, mut repeated) = (0, 0);
    while u8_at(payload, at)? & FOLLOWED_FLAG != 0 {
        repeated += usize::from(u16_at(payload, at + 2)? & LENGTH_MASK);
        at += LONG_HEADER_LEN;
    }
    let offset = at + 1 + repeated;
    (offset < payload.len()).then_some(offset)
}

/// Gives all blocks this payload type: that of their format in another session. A malformed payload stays as it is.
pub fn renumber(payload: &mut [u8], payload_type: u8) {
    if primary_offset(payload).is_none() {
        return;
    }
    let mut at = 0;
    while let Some(header) = payload.get_mut(at) {
        let followed = *header & FOLLOWED_FLAG;
        *header = followed | payload_type;
        if followed == 0 {
            return;
        }
        at += LONG_HEADER_LEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: u8 = 111;
    const REPEATED: u8 = FOLLOWED_FLAG | OPUS;
    /// One repeated frame of two bytes, then the newest of three.
    const PAYLOAD: [u8; 10] = [REPEATED, 0x0f, 0x00, 0x02, OPUS, 1, 2, 7, 8, 9];

    #[test]
    fn the_newest_frame_is_found_behind_the_repeated_one() {
        assert_eq!(primary_offset(&PAYLOAD), Some(7));
        assert_eq!(primary_offset(&[OPUS, 5]), Some(1), "nothing repeated");
    }

    #[test]
    fn all_blocks_are_renumbered_and_nothing_else_changes() {
        let mut payload = PAYLOAD;
        let other = 96;
        renumber(&mut payload, other);
        assert_eq!(payload, [FOLLOWED_FLAG | other, 0x0f, 0x00, 0x02, other, 1, 2, 7, 8, 9]);
    }

    #[test]
    fn malformed_payloads_have_no_frame_and_stay_as_they_are() {
        let cases: [&[u8]; 5] = [&[], &[REPEATED], &[REPEATED, 0, 0, 9, OPUS, 1], &PAYLOAD[..7], &[0xff; 12]];
        for case in cases {
            assert_eq!(primary_offset(case), None, "{case:?}");
            let mut changed = case.to_vec();
            renumber(&mut changed, 96);
            assert_eq!(changed, case);
        }
    }
}
