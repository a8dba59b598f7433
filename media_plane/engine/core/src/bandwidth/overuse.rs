//! Is the way overused? The delay's slope against a threshold that adapts (sections 5.4 and 5.5).

use crate::clock::{MILLISECOND, Micros};

/// The threshold at the start, and its bounds, in the unit of [`super::trendline::Trendline::trend`] (section 5.4 `del_var_th`
/// and 6..600).
const INITIAL_THRESHOLD: f64 = 12.5;
const MIN_THRESHOLD: f64 = 6.0;
const MAX_THRESHOLD: f64 = 600.0;
/// How fast the threshold follows a slope above (`K_u`) and below it (`K_d`), a millisecond (section 5.4).
const GAIN_UP: f64 = 0.0087;
const GAIN_DOWN: f64 = 0.039;
/// A slope this far above the threshold is a step of the delay and does not move it (section 5.4).
const MAX_ADAPT: f64 = 15.0;
/// The longest time between two groups that counts for the adaption (`kMaxTimeDelta`).
const MAX_STEP: Micros = 100 * MILLISECOND;
/// For how long the slope must be above the threshold (section 5.4 `overuse_time_th`): it must not be a single group.
const OVERUSE_TIME: i64 = 10_000;

/// What the delay says of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Usage {
    #[default]
    Normal,
    /// Queues grow.
    Over,
    /// Queues empty themselves.
    Under,
}

/// The detector.
#[derive(Debug)]
pub(super) struct OveruseDetector {
    threshold: f64,
    updated: Option<Micros>,
    /// For how long the slope has been above the threshold, in microseconds of send time.
    over_for: i64,
    groups_over: u32,
    previous_trend: f64,
    usage: Usage,
}

impl Default for OveruseDetector {
    fn default() -> Self {
        Self {
            threshold: INITIAL_THRESHOLD,
            updated: None,
            over_for: 0,
            groups_over: 0,
            previous_trend: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl OveruseDetector {
    /// Takes the slope after a group that was sent `sent_delta` microseconds after the one before.
    pub(super) fn detect(&mut self, now: Micros, trend: f64, sent_delta: i64) -> Usage {
        if trend > self.threshold {
            // The first group may have risen at any time since the one before: half of it is assumed.
            self.over_for += if self.groups_over == 0 { sent_delta / 2 } else { sent_delta };
            self.groups_over += 1;
            if self.over_for > OVERUSE_TIME && self.groups_over > 1 && trend >= self.previous_trend {
                self.over_for = 0;
                self.groups_over = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = 0;
            self.groups_over = 0;
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.previous_trend = trend;
        self.adapt(now, trend.abs());
        self.usage
    }

    /// What the latest group said.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    fn adapt(&mut self, now: Micros, magnitude: f64) {
        let elapsed = now.saturating_sub(self.updated.replace(now).unwrap_or(now)).min(MAX_STEP);
        if magnitude > self.threshold + MAX_ADAPT {
            return;
        }
        let gain = if magnitude < self.threshold { GAIN_DOWN } else { GAIN_UP };
        let step = gain * (magnitude - self.threshold) * (elapsed as f64 / 1e3);
        self.threshold = (self.threshold + step).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(detector: &mut OveruseDetector, from: Micros, trends: &[f64]) -> Vec<Usage> {
        let steps = trends.iter().zip(1..);
        steps.map(|(trend, step)| detector.detect(from + step * 20 * MILLISECOND, *trend, 20_000)).collect()
    }

    #[test]
    fn overuse_takes_two_groups_that_do_not_fall() {
        let mut detector = OveruseDetector::default();
        assert_eq!(
            run(&mut detector, 0, &[0.0, 40.0, 39.0, 41.0]),
            [Usage::Normal, Usage::Normal, Usage::Normal, Usage::Over]
        );
        assert_eq!(run(&mut detector, 100_000, &[0.0, -50.0]), [Usage::Normal, Usage::Under]);
    }

    #[test]
    fn the_threshold_follows_what_competes_for_the_way() {
        let mut detector = OveruseDetector::default();
        // A steady slope a little above the threshold is somebody else's doing: in time it is the new normal.
        let usages = run(&mut detector, 0, &[20.0; 200]);
        assert!(usages.contains(&Usage::Over));
        let swings: Vec<_> = (0..100).map(|n| if n % 2 == 0 { 18.0 } else { 10.0 }).collect();
        assert!(!run(&mut detector, 10_000_000, &swings).contains(&Usage::Over));
        run(&mut detector, 20_000_000, &[0.0; 500]);
        assert!(detector.threshold < MIN_THRESHOLD + 0.1);
    }
}
