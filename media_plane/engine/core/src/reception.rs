//! What a receiver of RTP keeps a source: extended sequence numbers, loss and jitter (RFC 3550 appendix A).

use crate::clock::{Micros, SECOND};

/// A jump further than this is a new stream (RFC 3550 appendix A.1, `MAX_DROPOUT`).
pub(crate) const MAX_JUMP: u16 = 3_000;
/// Repairs may be so many packets ahead of the newest that came of its own: as many as are asked for at once.
const MAX_REPAIRED_AHEAD: u64 = 256;
const LAP: u64 = 1 << 16;

/// What a sequence number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The packet is the newest; `gap` numbers before it are missing.
    Newest { sequence: u64, gap: u64 },
    /// The packet is late, or sent again.
    Late { sequence: u64 },
    /// The sender has begun to count anew.
    Restarted { sequence: u64 },
    /// A lone packet from far away: dropped, because it is more likely stray than the start of a new stream.
    Stray,
}

/// The figures of a report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LossReport {
    /// Packets expected since the previous report.
    pub expected: u32,
    /// What of these was lost, in 256ths.
    pub fraction_lost: u8,
    pub cumulative_lost: i32,
    pub extended_highest: u32,
    pub jitter: u32,
}

/// Reception of one source.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    started: bool,
    highest: u64,
    /// The highest that was not a repair.
    original: u64,
    base: u64,
    received: u64,
    received_at_report: u64,
    expected_at_report: u64,
    /// Sixteenths of a timestamp unit.
    jitter: u64,
    transit: Option<u32>,
    /// The number after a stray packet; a second packet in sequence proves a restart.
    restart_at: Option<u16>,
    /// The next packet is the first of another source.
    renewed: bool,
}

impl Reception {
    /// Takes note of a packet.
    pub(crate) fn receive(&mut self, number: u16) -> Arrival {
        if !self.started || self.renewed {
            return self.restart(number, self.started);
        }
        let ahead = number.wrapping_sub(self.highest as u16);
        if ahead == 0 || ahead > u16::MAX - MAX_JUMP {
            let Some(sequence) = self.highest.checked_sub(u64::from(ahead.wrapping_neg())) else {
                return Arrival::Stray;
            };
            self.received += 1;
            self.original = self.original.max(sequence);
            return Arrival::Late { sequence };
        }
        if ahead < MAX_JUMP {
            self.restart_at = None;
            self.received += 1;
            self.highest += u64::from(ahead);
            self.original = self.highest;
            return Arrival::Newest { sequence: self.highest, gap: u64::from(ahead) - 1 };
        }
        if self.restart_at == Some(number) {
            return self.restart(number, true);
        }
        self.restart_at = Some(number.wrapping_add(1));
        Arrival::Stray
    }

    fn restart(&mut self, number: u16, again: bool) -> Arrival {
        // Two laps are added so that numbers before the first packet, which may come late, are none that have been.
        let lap = (self.highest | 0xffff) + 1 + LAP;
        self.highest = lap + u64::from(number);
        let sequence = self.highest;
        *self = Self {
            started: true,
            highest: sequence,
            original: sequence,
            base: sequence,
            received: 1,
            ..Self::default()
        };
        if again { Arrival::Restarted { sequence } } else { Arrival::Newest { sequence, gap: 0 } }
    }

    /// Takes note of a repair that has come before anything else from its number on; returns how many numbers before it are missing.
    /// None: it is too far ahead to be one, and all packets after it would seem late.
    pub(crate) fn receive_repair(&mut self, sequence: u64) -> Option<u64> {
        if !self.started || sequence <= self.highest || sequence > self.original + MAX_REPAIRED_AHEAD {
            return None;
        }
        let gap = sequence - self.highest - 1;
        self.received += 1;
        self.highest = sequence;
        Some(gap)
    }

    /// Another source takes the place of this one: whatever number it begins with counts.
    pub(crate) fn renew(&mut self) {
        self.renewed = true;
    }

    /// The full sequence number of a packet near the newest, without taking note of it.
    pub(crate) fn extend(&self, number: u16) -> Option<u64> {
        if !self.started {
            return None;
        }
        let ahead = i64::from(number.wrapping_sub(self.highest as u16).cast_signed());
        self.highest.checked_add_signed(ahead)
    }

    /// The newest number.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether the sender has come to this number.
    pub(crate) fn has_passed(&self, sequence: u64) -> bool {
        self.started && sequence <= self.highest
    }

    /// Takes note of a packet's timing (appendix A.8).
    pub(crate) fn time(&mut self, timestamp: u32, now: Micros, clock_rate: u32) {
        let transit = transit(timestamp, now, clock_rate);
        let Some(previous) = self.transit.replace(transit) else { return };
        let difference = u64::from(transit.wrapping_sub(previous).cast_signed().unsigned_abs());
        // More is a pause or a switch of the source's camera: no jitter of the network.
        if difference < u64::from(clock_rate) {
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
        }
    }

    /// How much longer a repaired packet took than the newest of its stream, whose way it should have gone.
    pub(crate) fn lateness(&self, timestamp: u32, now: Micros, clock_rate: u32) -> Option<Micros> {
        let late = transit(timestamp, now, clock_rate).wrapping_sub(self.transit?).cast_signed();
        Some(u64::from(late.max(0).unsigned_abs()) * SECOND / u64::from(clock_rate))
    }

    /// The figures since the previous report (appendix A.3); None before the first packet.
    pub(crate) fn report(&mut self) -> Option<LossReport> {
        if !self.started {
            return None;
        }
        let expected = self.highest - self.base + 1;
        let expected_since = expected - self.expected_at_report;
        let received_since = self.received - self.received_at_report;
        self.expected_at_report = expected;
        self.received_at_report = self.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction_lost = (lost_since << 8).checked_div(expected_since).unwrap_or(0).min(255) as u8;
        Some(LossReport {
            expected: expected_since.min(u64::from(u32::MAX)) as u32,
            fraction_lost,
            cumulative_lost: self.cumulative_lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            extended_highest: self.highest as u32,
            jitter: (self.jitter >> 4) as u32,
        })
    }

    fn cumulative_lost(&self) -> i64 {
        (self.highest - self.base + 1).cast_signed() - self.received.cast_signed()
    }

    /// Packets lost since the start, never below zero.
    pub(crate) fn lost(&self) -> u64 {
        if self.started { self.cumulative_lost().max(0).cast_unsigned() } else { 0 }
    }

    /// Interarrival jitter in timestamp units.
    pub(crate) fn jitter(&self) -> u32 {
        (self.jitter >> 4) as u32
    }
}

/// Arrival less timestamp, in timestamp units (appendix A.8).
fn transit(timestamp: u32, now: Micros, clock_rate: u32) -> u32 {
    let arrival = (now.wrapping_mul(u64::from(clock_rate)) / SECOND) as u32;
    arrival.wrapping_sub(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_extended_across_the_wrap() {
        let mut reception = Reception::default();
        let Arrival::Newest { sequence: first, .. } = reception.receive(65_534) else { panic!() };
        assert_eq!(reception.receive(65_535), Arrival::Newest { sequence: first + 1, gap: 0 });
        assert_eq!(reception.receive(1), Arrival::Newest { sequence: first + 3, gap: 1 });
        assert_eq!(reception.receive(0), Arrival::Late { sequence: first + 2 });
        assert_eq!(reception.extend(65_533), Some(first - 1));
        assert_eq!(reception.extend(5), Some(first + 7));
    }

    #[test]
    fn a_far_jump_needs_a_second_packet() {
        let mut reception = Reception::default();
        reception.receive(100);
        assert_eq!(reception.receive(30_000), Arrival::Stray);
        assert_eq!(reception.receive(101), Arrival::Newest { sequence: (2 << 16) + 101, gap: 0 });
        assert_eq!(reception.receive(30_000), Arrival::Stray);
        assert!(matches!(reception.receive(30_001), Arrival::Restarted { sequence } if sequence > 1 << 17));
    }

    #[test]
    fn repairs_lead_a_source_no_further_than_they_can_be_asked_for() {
        let mut reception = Reception::default();
        reception.receive(100);
        let first = reception.highest();
        assert_eq!(reception.receive_repair(first), None);
        assert_eq!(reception.receive_repair(first + 3), Some(2));
        assert_eq!(reception.receive(101), Arrival::Late { sequence: first + 1 });
        assert_eq!(reception.receive_repair(first + 1 + MAX_REPAIRED_AHEAD), Some(MAX_REPAIRED_AHEAD - 3));
        assert_eq!(reception.receive_repair(first + 2 + MAX_REPAIRED_AHEAD), None);
        assert_eq!(reception.receive(102), Arrival::Late { sequence: first + 2 });
        assert!(reception.receive_repair(first + 2 + MAX_REPAIRED_AHEAD).is_some());
    }

    #[test]
    fn the_first_packet_of_another_source_counts_wherever_it_begins() {
        for begins in [0, 99, 100, 101, 400, 30_000, 65_535] {
            let mut reception = Reception::default();
            reception.receive(100);
            let before = reception.highest();
            reception.renew();
            let Arrival::Restarted { sequence } = reception.receive(begins) else { panic!("{begins}") };
            assert_eq!(sequence as u16, begins);
            let earliest = reception.extend(begins.wrapping_sub(1 << 15)).unwrap();
            assert!(earliest > before, "what comes late is none of the source before");
            let next = Arrival::Newest { sequence: sequence + 1, gap: 0 };
            assert_eq!(reception.receive(begins.wrapping_add(1)), next, "once");
        }
    }

    #[test]
    fn loss_is_reported_as_the_rfc_says() {
        let mut reception = Reception::default();
        assert_eq!(reception.report(), None);
        for number in (0..100_u16).filter(|number| number % 4 != 1) {
            reception.receive(number);
        }
        let report = reception.report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (64, 25));
        reception.receive(100);
        let report = reception.report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 25));
    }

    #[test]
    fn steady_packets_have_no_jitter_and_unsteady_ones_have() {
        let (mut steady, mut unsteady) = (Reception::default(), Reception::default());
        for n in 0..200_u32 {
            steady.time(n * 960, u64::from(n) * 20_000, 48_000);
            unsteady.time(n * 960, u64::from(n) * 20_000 + u64::from(n % 2) * 10_000, 48_000);
        }
        assert_eq!(steady.jitter(), 0);
        assert!((400..=480).contains(&unsteady.jitter()), "{}", unsteady.jitter());
    }

    #[test]
    fn a_pause_is_no_jitter() {
        let mut reception = Reception::default();
        reception.time(0, 0, 48_000);
        reception.time(960, 3 * SECOND, 48_000);
        assert_eq!(reception.jitter(), 0);
    }

    #[test]
    fn a_repair_is_as_late_as_its_timestamp_says() {
        let mut reception = Reception::default();
        let timestamp = |n: u32| (u32::MAX - 4_000).wrapping_add(n * 4_500);
        assert_eq!(reception.lateness(timestamp(0), 0, 90_000), None, "nothing has come on time");
        for n in [0, 1, 4] {
            reception.time(timestamp(n), u64::from(n) * 50_000, 90_000);
        }
        assert_eq!(reception.lateness(timestamp(2), 230_000, 90_000), Some(130_000));
        assert_eq!(reception.lateness(timestamp(3), 230_000, 90_000), Some(80_000));
        assert_eq!(reception.lateness(timestamp(5), 230_000, 90_000), Some(0), "before the rest of its stream");
    }
}
