//! How long packets wait on the way: the one-way delay above its floor. Only differences of it are known, which is enough.

use super::delay_floor::DelayFloor;
use super::feedback::PacketResult;
use crate::clock::Micros;

/// A standing delay above this that has risen from report to report so often is a queue that overflows soon. In microseconds.
/// Jitter is not mistaken for it, because even the least delayed packet of each report has to wait.
const SURGE: i64 = 50_000;
const SURGE_REPORTS: u32 = 2;

/// The floor, and the delay above it.
#[derive(Debug, Default)]
pub(super) struct QueueingDelay {
    /// In microseconds between two clocks.
    floor: DelayFloor,
    least: i64,
    mean: i64,
    falls: bool,
    /// Reports in a row in which the least delay rose.
    rises: u32,
}

impl QueueingDelay {
    /// Takes the packets of a report.
    pub(super) fn update(&mut self, now: Micros, packets: &[PacketResult]) {
        let (mut least, mut sum, mut count) = (i64::MAX, 0_i64, 0);
        for packet in packets {
            let Some(arrival) = packet.arrival else { continue };
            let delay = arrival - packet.sent.cast_signed();
            least = least.min(delay);
            sum = sum.saturating_add(delay);
            count += 1;
        }
        if count == 0 {
            return;
        }
        let standing = self.floor.excess(now, least);
        self.rises = if standing > self.least { self.rises.saturating_add(1) } else { 0 };
        self.falls = standing < self.least;
        self.least = standing;
        self.mean = sum / count - (least - standing);
    }

    /// What waits now is no queue: the way is longer.
    pub(super) fn rebase(&mut self) {
        self.floor.raise(self.least);
        self.mean -= self.least;
        self.least = 0;
        self.rises = 0;
    }

    /// Whether a queue grows so fast that waiting for its slope would be too late.
    pub(super) fn surges(&self) -> bool {
        self.least > SURGE && self.rises >= SURGE_REPORTS
    }

    /// Whether less waits than at the report before.
    pub(super) fn falls(&self) -> bool {
        self.falls
    }

    /// Mean of the latest report.
    pub(super) fn mean(&self) -> Micros {
        self.mean.max(0).cast_unsigned()
    }

    /// Least of the latest report: what waits there always, and not only behind the packets of one picture.
    pub(super) fn standing(&self) -> Micros {
        self.least.max(0).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn packet(sent: Micros, delay: i64) -> PacketResult {
        PacketResult { sent, arrival: Some(sent.cast_signed() + delay), size: 0, probe: None, was_lost: false }
    }

    #[test]
    fn the_delay_is_counted_from_its_floor() {
        let mut queueing = QueueingDelay::default();
        queueing.update(0, &[packet(0, -5_000_000), packet(10, -4_990_000)]);
        assert_eq!((queueing.standing(), queueing.mean()), (0, 5_000));
        queueing.update(SECOND, &[packet(0, -4_900_000), packet(0, -4_880_000)]);
        assert_eq!((queueing.standing(), queueing.mean()), (100_000, 110_000));
    }

    #[test]
    fn a_surge_is_a_delay_that_rises_twice() {
        let mut queueing = QueueingDelay::default();
        let surges: Vec<_> = [0, 30_000, 60_000, 90_000, 80_000, 85_000]
            .iter()
            .map(|delay| {
                queueing.update(0, &[packet(0, *delay)]);
                queueing.surges()
            })
            .collect();
        assert_eq!(surges, [false, false, true, true, false, false]);
    }

    #[test]
    fn a_way_that_is_known_to_be_longer_is_the_new_floor_at_once() {
        let mut queueing = QueueingDelay::default();
        queueing.update(0, &[packet(0, 5_000)]);
        queueing.update(SECOND, &[packet(0, 85_000), packet(0, 95_000)]);
        queueing.rebase();
        assert_eq!((queueing.standing(), queueing.mean()), (0, 5_000));
        queueing.update(2 * SECOND, &[packet(0, 90_000)]);
        assert_eq!(queueing.standing(), 5_000);
        queueing.update(3 * SECOND, &[packet(0, 5_000)]);
        queueing.update(4 * SECOND, &[packet(0, 6_000)]);
        assert_eq!(queueing.standing(), 1_000, "it became shorter again");
    }

    #[test]
    fn a_longer_way_is_the_new_floor_in_time() {
        let mut queueing = QueueingDelay::default();
        for second in 0..50 {
            let delay = if second < 20 { 0 } else { 80_000 };
            queueing.update(second * SECOND, &[packet(0, delay)]);
            let expected = if (20..30).contains(&second) { 80_000 } else { 0 };
            assert_eq!(queueing.standing(), expected, "{second}");
        }
    }
}
