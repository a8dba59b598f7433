//! What has been sent to a receiver and has not been reported on.

use super::probe::ProbeId;
use crate::clock::Micros;

/// Packets remembered: two seconds at 1,000 packets a second (about 10 Mbit/s), more than a round trip and the interval of
/// feedback. A power of two.
const CAPACITY: usize = 2_048;

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
}

impl SentHistory {
    /// Remembers a packet.
    #[inline]
    pub(super) fn record(&mut self, now: Micros, sequence: u16, size: u16, probe: Option<ProbeId>) {
        if self.packets.is_empty() {
            self.packets = vec![Sent::default(); CAPACITY];
        }
        let probe = probe.map_or(0, |ProbeId(id)| id);
        self.packets[usize::from(sequence) % CAPACITY] =
            Sent { at: now as u32, size, sequence, probe, fate: Fate::InFlight };
    }

    /// Takes a report's word about a packet; None when it says nothing new or nothing about a packet that was sent.
    pub(super) fn resolve(&mut self, now: Micros, sequence: u16, arrived: bool) -> Option<Resolved> {
        let packet = self.packets.get_mut(usize::from(sequence) % CAPACITY)?;
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
    fn the_oldest_is_forgotten_for_the_newest() {
        let mut history = SentHistory::default();
        history.record(1, 5, 100, None);
        history.record(2, 5 + CAPACITY as u16, 100, None);
        assert_eq!(history.resolve(3, 5, true), None);
        assert!(history.resolve(3, 5 + CAPACITY as u16, true).is_some());
    }
}
