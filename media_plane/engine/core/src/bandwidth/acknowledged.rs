//! The bitrate that arrives, by the receiver's clock (section 5.5 `R_hat`; `AcknowledgedBitrateEstimator`).

use crate::clock::MILLISECOND;

/// Arrivals are summed up in steps of this length, in microseconds.
const STEP: i64 = 20 * MILLISECOND.cast_signed();
/// Steps kept: 640 ms.
const STEPS: i64 = 32;
/// How far back the steady figure looks: fifteen pictures of a camera, so that one more or less changes little.
pub(super) const STEADY: i64 = 500 * MILLISECOND.cast_signed();
/// How far back the quick figure looks, which is asked for while a queue grows: then arrivals are evenly spaced.
pub(super) const QUICK: i64 = 200 * MILLISECOND.cast_signed();

/// Bytes that arrived, by steps of time.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    bytes: [u32; STEPS as usize],
    /// The first step ever (or after a pause) and the newest.
    span: Option<(i64, i64)>,
}

impl Acknowledged {
    /// Adds a packet.
    pub(super) fn add(&mut self, arrival: i64, size: u16) {
        let step = arrival.div_euclid(STEP);
        let (first, newest) = match self.span {
            Some((first, newest)) if step - newest < STEPS && newest - step < STEPS => (first, newest),
            // After a longer pause the past tells nothing.
            _ => {
                self.bytes = [0; STEPS as usize];
                (step, step)
            }
        };
        for passed in newest + 1..=step {
            self.bytes[place(passed)] = 0;
        }
        self.bytes[place(step)] += u32::from(size);
        self.span = Some((first.min(step), newest.max(step)));
    }

    /// Bits a second over this much time before the newest step, which is not complete; None before so much has passed.
    pub(super) fn rate(&self, window: i64) -> Option<f64> {
        let (first, newest) = self.span?;
        let steps = window / STEP;
        if newest - first < steps {
            return None;
        }
        let bytes: u32 = (newest - steps..newest).map(|step| self.bytes[place(step)]).sum();
        Some(f64::from(bytes) * 8.0 * 1e6 / window as f64)
    }
}

fn place(step: i64) -> usize {
    step.rem_euclid(STEPS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate() {
        let mut acknowledged = Acknowledged::default();
        for n in 0..200 {
            acknowledged.add(n * 5_000, 1_000);
            assert_eq!(acknowledged.rate(STEADY).is_some(), n * 5_000 >= STEADY, "{n}");
        }
        assert_eq!(acknowledged.rate(STEADY), Some(1_600_000.0));
        assert_eq!(acknowledged.rate(QUICK), Some(1_600_000.0));
    }

    #[test]
    fn the_quick_figure_knows_a_change_sooner() {
        let mut acknowledged = Acknowledged::default();
        (0..200).for_each(|n| acknowledged.add(n * 5_000, 1_000));
        (0..12).for_each(|n| acknowledged.add(1_000_000 + n * 20_000, 1_000));
        assert_eq!(acknowledged.rate(QUICK), Some(400_000.0));
        assert!(acknowledged.rate(STEADY).unwrap() > 800_000.0);
    }

    #[test]
    fn a_pause_begins_anew_and_late_packets_count_where_they_belong() {
        let mut acknowledged = Acknowledged::default();
        (0..200).for_each(|n| acknowledged.add(n * 5_000, 1_000));
        acknowledged.add(970_000, 1_000);
        assert!(acknowledged.rate(QUICK).unwrap() > 1_600_000.0);
        acknowledged.add(9_000_000, 1_000);
        assert_eq!(acknowledged.rate(QUICK), None);
    }
}
