//! Redundant audio (RFC 2198): each packet carries its frame and, before it, earlier ones again, so that a lost packet costs
//! nothing when the next one arrives.

use crate::wire::bytes::{Writer, u8_at, u16_at};

/// Its encoding name.
pub const NAME: &str = "red";
/// Another block header follows, and this one has a timestamp offset and a length.
const FOLLOWED_FLAG: u8 = 0x80;
const LENGTH_MASK: u16 = 0x3ff;
/// Length of a block header that another one follows.
const LONG_HEADER_LEN: usize = 4;
/// Bits of the length in such a header; above them stands how much older the frame is, in timestamp units.
const LENGTH_BITS: u32 = 10;
const MAX_AGE: u32 = 0x3fff;
/// The most frames that [`Frames`] repeats: 120 ms of Opus as browsers send it.
pub const MAX_REPEATED: usize = 6;
/// And their bytes: together with the newest they fit a datagram.
const MAX_REPEATED_BYTES: usize = 800;

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

/// The newest frame of a payload; None as for [`primary_offset`].
#[must_use]
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    payload.get(primary_offset(payload)?..)
}

/// The newest of the frames that a payload repeats, and how much older than the packet it is in timestamp units.
#[must_use]
pub fn last_repeated(payload: &[u8]) -> Option<(u32, &[u8])> {
    let newest = primary_offset(payload)?;
    let (mut at, mut last) = (0, None);
    while u8_at(payload, at)? & FOLLOWED_FLAG != 0 {
        last = Some((u32::from(u16_at(payload, at + 1)? >> 2), usize::from(u16_at(payload, at + 2)? & LENGTH_MASK)));
        at += LONG_HEADER_LEN;
    }
    let (age, len) = last?;
    Some((age, payload.get(newest - len..newest)?))
}

/// The frames of a packet that repeats more than its sender did.
#[derive(Debug)]
pub struct Frames<'a> {
    newest: &'a [u8],
    /// Each with how much older it is in timestamp units, the newest of them first.
    repeated: [(u32, &'a [u8]); MAX_REPEATED],
    count: usize,
}

impl<'a> Frames<'a> {
    /// Nothing but the newest frame.
    #[must_use]
    pub fn new(newest: &'a [u8]) -> Self {
        Self { newest, repeated: [(0, &[]); MAX_REPEATED], count: 0 }
    }

    /// Repeats the frame before those that there are already; false when there is no place for it.
    pub fn repeat(&mut self, age: u32, frame: &'a [u8]) -> bool {
        let bytes: usize = self.repeated[..self.count].iter().map(|(_, frame)| frame.len()).sum();
        let fits = frame.len() <= usize::from(LENGTH_MASK) && bytes + frame.len() <= MAX_REPEATED_BYTES;
        let Some(place) = self.repeated.get_mut(self.count).filter(|_| fits && age <= MAX_AGE) else { return false };
        *place = (age, frame);
        self.count += 1;
        true
    }

    /// Writes them with this payload type; returns the length, None when the buffer is too short.
    pub fn write(&self, buffer: &mut [u8], payload_type: u8) -> Option<usize> {
        let mut writer = Writer::new(buffer);
        let repeated = &self.repeated[..self.count];
        for (age, frame) in repeated.iter().rev() {
            let header = u32::from(FOLLOWED_FLAG | payload_type) << 24 | age << LENGTH_BITS | frame.len() as u32;
            writer.put_u32(header)?;
        }
        writer.put_u8(payload_type)?;
        for (_, frame) in repeated.iter().rev() {
            writer.put(frame)?;
        }
        writer.put(self.newest)?;
        Some(writer.len())
    }
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
    fn the_frame_before_the_newest_is_found_where_it_is_repeated() {
        assert_eq!(last_repeated(&PAYLOAD), Some((960, &[1, 2][..])));
        assert_eq!(last_repeated(&[OPUS, 5]), None);
    }

    #[test]
    fn frames_are_written_oldest_first() {
        let mut frames = Frames::new(&[7, 8, 9]);
        assert!(frames.repeat(960, &[1, 2]));
        let mut buffer = [0; 64];
        assert_eq!(frames.write(&mut buffer, OPUS), Some(PAYLOAD.len()));
        assert_eq!(buffer[..PAYLOAD.len()], PAYLOAD);
        assert!(frames.repeat(1_920, &[4]));
        let len = frames.write(&mut buffer, OPUS).unwrap();
        assert_eq!(buffer[..len], [REPEATED, 0x1e, 0x00, 0x01, REPEATED, 0x0f, 0x00, 0x02, OPUS, 4, 1, 2, 7, 8, 9]);
        assert_eq!(frames.write(&mut buffer[..len - 1], OPUS), None);
    }

    #[test]
    fn what_does_not_fit_is_not_repeated() {
        let mut frames = Frames::new(&[7]);
        assert!(!frames.repeat(MAX_AGE + 1, &[1]), "too old to be told");
        assert!(!frames.repeat(960, &[0; MAX_REPEATED_BYTES + 1]));
        assert!(frames.repeat(960, &[0; MAX_REPEATED_BYTES]));
        assert!(!frames.repeat(1_920, &[1]), "no bytes left");
        let mut frames = Frames::new(&[7]);
        assert!((1..=6).all(|number| frames.repeat(960 * number, &[1])));
        assert!(!frames.repeat(960 * 7, &[1]), "no place left");
    }

    #[test]
    fn malformed_payloads_have_no_frame_and_stay_as_they_are() {
        let cases: [&[u8]; 5] = [&[], &[REPEATED], &[REPEATED, 0, 0, 9, OPUS, 1], &PAYLOAD[..7], &[0xff; 12]];
        for case in cases {
            assert_eq!(primary_offset(case), None, "{case:?}");
            assert_eq!(last_repeated(case), None, "{case:?}");
            let mut changed = case.to_vec();
            renumber(&mut changed, 96);
            assert_eq!(changed, case);
        }
    }
}
