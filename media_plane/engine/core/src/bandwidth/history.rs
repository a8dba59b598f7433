//! What has been sent to a receiver and has not been reported on.

use super::probe::ProbeId;
use crate::clock::Micros;

/// Packets remembered at most: two seconds at 1,000 packets a second (about 10 Mbit/s), more than a round trip and the interval of
/// feedback. A power of two, like those before it.
pub(super) const CAPACITY: usize = 2_048;
/// And at first: when a camera begins in a large room, hundreds of histories begin at once.
const FIRST_CAPACITY: usize = 128;
/// Each time that it turns out to be too small it grows by this factor.
const GROWTH: usize = 4;

/// What is known of a packet's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// No packet, or one whose arrival has been reported.
    #[default]
    Settled,
    InFlight,
    ReportedLost,
}

/// Twelve bytes, so that the memory of a session stays small.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// The lower half of the time.
    at: u32,
    size: u16,
    sequence: u16,
    probe: u8,
    fate: Fate,
}

/// A packet that a report is the first to tell about, or to tell something new about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub sent: Micros,
    pub size: u16,
    pub probe: Option<ProbeId>,
    /// An earlier report counted it as lost.
    pub was_lost: bool,
}

/// Sent packets by transport-wide sequence number.
#[derive(Debug, Default)]
pub(super) struct SentHistory {
    /// Empty until the first packet: most sessions of a large meeting never receive.
    packets: Vec<Sent>,
    newest: u16,
}

impl SentHistory {
    /// Remembers a packet.
    #[inline]
    pub(super) fn record(&mut self, now: Micros, sequence: u16, size: u16, probe: Option<ProbeId>) {
        self.newest = sequence;
        let place = match self.packets.len() {
            0 => self.grow(sequence),
            len => usize::from(sequence) % len,
        };
        let unsettled = self.packets[place].fate != Fate::Settled && self.packets.len() < CAPACITY;
        let place = if unsettled { self.grow(sequence) } else { place };
        let probe = probe.map_or(0, |ProbeId(id)| id);
        self.packets[place] = Sent { at: now as u32, size, sequence, probe, fate: Fate::InFlight };
    }

    /// Makes room, because nothing has been reported yet of the packet in the place of this one; returns that place.
    #[cold]
    fn grow(&mut self, sequence: u16) -> usize {
        let len = (GROWTH * self.packets.len()).max(FIRST_CAPACITY);
        let packets = std::mem::replace(&mut self.packets, vec![Sent::default(); len]);
        for packet in packets.into_iter().filter(|packet| packet.fate != Fate::Settled) {
            self.packets[usize::from(packet.sequence) % len] = packet;
        }
        usize::from(sequence) % len
    }

    /// The newest packet, and how many up to it are remembered at most.
    pub(super) fn span(&self) -> (u16, usize) {
        (self.newest, self.packets.len())
    }

    /// Takes a report's word about a packet; None when it says nothing new or nothing about a packet that was sent.
    pub(super) fn resolve(&mut self, now: Micros, sequence: u16, arrived: bool) -> Option<Resolved> {
        let place = usize::from(sequence) % self.packets.len().max(1);
        let packet = self.packets.get_mut(place)?;
        if packet.sequence != sequence {
            return None;
        }
        let was_lost = packet.fate == Fate::ReportedLost;
        packet.fate = match (packet.fate, arrived) {
            (Fate::Settled, _) | (Fate::ReportedLost, false) => return None,
            (_, true) => Fate::Settled,
            (Fate::InFlight, false) => Fate::ReportedLost,
        };
        let age = (now as u32).wrapping_sub(packet.at);
        let probe = (packet.probe > 0).then_some(ProbeId(packet.probe));
        Some(Resolved { sent: now.saturating_sub(age.into()), size: packet.size, probe, was_lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_resolved_once() {
        let mut history = SentHistory::default();
        let now = u64::from(u32::MAX) - 5_000;
        history.record(now, 65_535, 1_200, Some(ProbeId(3)));
        let later = now + 20_000;
        let expected = Resolved { sent: now, size: 1_200, probe: Some(ProbeId(3)), was_lost: false };
        assert_eq!(history.resolve(later, 65_535, true), Some(expected), "although the lower half of the time wrapped");
        assert_eq!(history.resolve(later, 65_535, true), None);
        assert_eq!(history.resolve(later, 3, true), None, "never sent");
    }

    #[test]
    fn a_packet_reported_lost_may_still_come() {
        let mut history = SentHistory::default();
        history.record(10, 7, 100, None);
        assert!(history.resolve(20, 7, false).is_some_and(|packet| !packet.was_lost));
        assert_eq!(history.resolve(30, 7, false), None);
        assert!(history.resolve(40, 7, true).is_some_and(|packet| packet.was_lost));
        assert_eq!(history.resolve(50, 7, true), None);
    }

    #[test]
    fn it_grows_while_packets_wait_for_their_report() {
        let mut history = SentHistory::default();
        (0..CAPACITY as u16).for_each(|sequence| history.record(1, sequence, 100, None));
        assert!((0..CAPACITY as u16).all(|sequence| history.resolve(2, sequence, true).is_some()));
        let mut history = SentHistory::default();
        for sequence in 0..u16::MAX {
            history.record(1, sequence, 100, None);
            assert!(history.resolve(2, sequence, true).is_some());
        }
        assert_eq!(history.packets.len(), FIRST_CAPACITY, "what has been reported makes room");
    }

    #[test]
    fn the_oldest_is_forgotten_for_the_newest() {
        let mut history = SentHistory::default();
        (0..=CAPACITY as u16).for_each(|sequence| history.record(1, 5 + sequence, 100, None));
        assert_eq!(history.resolve(3, 5, true), None);
        assert!(history.resolve(3, 5 + CAPACITY as u16, true).is_some());
    }
}
