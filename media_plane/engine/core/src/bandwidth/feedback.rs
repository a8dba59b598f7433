//! Joining a receiver's report with what was sent.

use super::history::SentHistory;
use super::probe::ProbeId;
use crate::clock::Micros;
use crate::twcc::TransportFeedback;

/// Packets of one report that are looked at, of those that are remembered: more than two seconds of feedback at 250 packets a
/// second, and a bound on what a forged report costs. The rest keeps its place in the history until another report names it.
pub(crate) const MAX_REPORTED: usize = 512;
/// Half of the range of a report's reference time (24 bits), and the unit of that time.
const REFERENCE_RANGE: i32 = 1 << 24;
const REFERENCE_US: i64 = 64_000;
/// How far a receiver's clock may be wound, in microseconds: 36,000 years, or a million wraps that somebody makes up. Times and what lies
/// between them stay within an `i64`.
const MAX_LAP: i64 = 1 << 60;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketResult {
    pub sent: Micros,
    /// Microseconds of the receiver's clock; None: it did not arrive.
    pub arrival: Option<i64>,
    pub size: u16,
    pub probe: Option<ProbeId>,
    /// An earlier report counted it as lost.
    pub was_lost: bool,
}

/// Joins reports with the history, and undoes the wrap of the receiver's clock.
#[derive(Debug, Default)]
pub(super) struct FeedbackReader {
    results: Vec<PacketResult>,
    /// Reference time of the previous report and the laps of the clock before it, in microseconds.
    previous: Option<(i32, i64)>,
    /// Number of the previous report.
    count: Option<u8>,
}

impl FeedbackReader {
    /// The packets that the report says something new about, in the order of their arrival, the lost ones first; and whether a
    /// report before this one has not come.
    pub(super) fn read(
        &mut self,
        now: Micros,
        history: &mut SentHistory,
        report: &TransportFeedback<'_>,
    ) -> (&[PacketResult], bool) {
        self.results.clear();
        if self.results.capacity() < MAX_REPORTED {
            self.results.reserve_exact(MAX_REPORTED);
        }
        let count = self.count.replace(report.feedback_count);
        let has_gap = count.is_some_and(|count| count.wrapping_add(1) != report.feedback_count);
        let lap = self.lap(report.reference_time);
        let (newest, remembered) = history.span();
        for packet in report.packets_among(newest, remembered).take(MAX_REPORTED) {
            let Some(known) = history.resolve(now, packet.sequence_number, packet.arrival_us.is_some()) else {
                continue;
            };
            self.results.push(PacketResult {
                sent: known.sent,
                arrival: packet.arrival_us.map(|arrival| arrival + lap),
                size: known.size,
                probe: known.probe,
                was_lost: known.was_lost,
            });
        }
        self.results.sort_unstable_by_key(|packet| (packet.arrival, packet.sent));
        (&self.results, has_gap)
    }

    /// Microseconds to add to the times of a report with this reference time.
    fn lap(&mut self, reference: i32) -> i64 {
        let lap = self.previous.map_or(0, |(previous, lap)| {
            let step = i64::from(REFERENCE_RANGE) * REFERENCE_US;
            match reference - previous {
                ahead if ahead < -REFERENCE_RANGE / 2 => lap + step,
                ahead if ahead > REFERENCE_RANGE / 2 => lap - step,
                _ => lap,
            }
        });
        let lap = lap.clamp(-MAX_LAP, MAX_LAP);
        self.previous = Some((reference, lap));
        lap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twcc::FeedbackRecorder;
    use crate::wire::rtcp::{RtcpPacket, RtcpWriter, packets};

    fn read(arrivals: &[(u16, u64)], history: &mut SentHistory, reader: &mut FeedbackReader) -> Vec<PacketResult> {
        let mut recorder = FeedbackRecorder::new();
        for (sequence, at) in arrivals {
            recorder.record(*sequence, *at);
        }
        let mut buffer = [0; 1_200];
        let mut writer = RtcpWriter::new(&mut buffer);
        recorder.write_report(&mut writer, 1, 2, 0).unwrap();
        let Some(Ok(RtcpPacket::TransportFeedback(report))) = packets(writer.written()).next() else { panic!() };
        reader.read(1_000_000, history, &report).0.to_vec()
    }

    #[test]
    fn lost_packets_come_first_and_the_others_in_the_order_of_arrival() {
        let (mut history, mut reader) = (SentHistory::default(), FeedbackReader::default());
        (0..4).for_each(|n| history.record(500_000 + u64::from(n), n, 100 + n, None));
        let results = read(&[(0, 30_000), (1, 10_000), (3, 20_000), (9, 20_000)], &mut history, &mut reader);
        let found: Vec<_> = results.iter().map(|packet| (packet.size, packet.arrival)).collect();
        assert_eq!(found, [(102, None), (101, Some(10_000)), (103, Some(20_000)), (100, Some(30_000))]);
    }

    #[test]
    fn a_clock_that_is_wound_for_ever_stays_within_what_is_counted_with() {
        let mut reader = FeedbackReader::default();
        for sign in [1, -1] {
            reader.previous = Some((0, sign * (MAX_LAP - 1)));
            for _ in 0..1_000 {
                for reference in [6_000_000, -6_000_000, 0].map(|reference| reference * sign as i32) {
                    assert!(reader.lap(reference).abs() <= MAX_LAP);
                }
            }
            assert_eq!(reader.lap(0), sign * MAX_LAP);
        }
    }

    #[test]
    fn the_receivers_clock_wraps_without_a_step() {
        let (mut history, mut reader) = (SentHistory::default(), FeedbackReader::default());
        history.record(0, 0, 100, None);
        history.record(0, 1, 100, None);
        // The reference time is signed on the wire: it turns negative at the middle of its range.
        let middle = (1_u64 << 23) * 64_000;
        let before = read(&[(0, middle - 1_000)], &mut history, &mut reader)[0].arrival.unwrap();
        let after = read(&[(1, middle + 1_000)], &mut history, &mut reader)[0].arrival.unwrap();
        assert_eq!(after - before, 2_000);
    }
}
