//! Which packets a receiver's transport-wide sequence numbers stood for, so that what its feedback reports lost can be sent again
//! without being asked for.
//!
//! Requests are lost like anything else, and libwebrtc's receivers ask only once for a picture that the next one does not need
//! (`FrameContinuous` clears their lists). Kept for receivers whose way loses; the others' requests come.

use crate::clock::{MILLISECOND, Micros};

/// Packets remembered: a second and a half of a small picture in three layers, half a second at 8 Mbit/s. A power of two.
const CAPACITY: usize = 512;

/// A packet of a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    number: u16,
    slot: u16,
    sequence: u16,
    /// In milliseconds, the lower part; what is sent later comes too late. Zero: no packet.
    until: u32,
}

/// The latest packets.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Empty until a way is first known to lose.
    packets: Vec<Entry>,
}

impl Carried {
    /// Takes note of what went with this number, and until when it is of use.
    pub(crate) fn note(&mut self, number: u16, slot: u16, sequence: u16, until: Micros) {
        if self.packets.is_empty() {
            self.packets = vec![Entry::default(); CAPACITY];
        }
        let until = millis(until).max(1);
        self.packets[usize::from(number) % CAPACITY] = Entry { number, slot, sequence, until };
    }

    /// The slot and the sequence number of a lost packet that is still of use; only once.
    pub(crate) fn take_lost(&mut self, now: Micros, number: u16) -> Option<(u16, u16)> {
        let entry = self.packets.get_mut(usize::from(number) % CAPACITY).filter(|entry| entry.number == number)?;
        let until = std::mem::take(&mut entry.until);
        let in_time = until > 0 && millis(now).wrapping_sub(until).cast_signed() <= 0;
        in_time.then_some((entry.slot, entry.sequence))
    }
}

fn millis(time: Micros) -> u32 {
    (time / MILLISECOND) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_packet_is_told_once_and_in_time() {
        let mut carried = Carried::default();
        assert_eq!(carried.take_lost(0, 0), None);
        carried.note(65_535, 3, 700, 200 * MILLISECOND);
        carried.note(0, 4, 900, 200 * MILLISECOND);
        assert_eq!(carried.take_lost(200 * MILLISECOND, 65_535), Some((3, 700)));
        assert_eq!(carried.take_lost(200 * MILLISECOND, 65_535), None, "once");
        assert_eq!(carried.take_lost(201 * MILLISECOND, 0), None, "too late");
        carried.note(5, 4, 901, 200 * MILLISECOND);
        assert_eq!(carried.take_lost(0, 5 + CAPACITY as u16), None, "another packet");
        carried.note(5 + CAPACITY as u16, 4, 902, 200 * MILLISECOND);
        assert_eq!(carried.take_lost(0, 5), None, "forgotten for a newer one");
    }
}
