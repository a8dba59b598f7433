//! The slope of the one-way delay (`TrendlineEstimator`, which took the place of the Kalman filter of section 5.3).

use super::arrival::GroupDelta;

/// Groups that the line is fitted to (`kDefaultTrendlineWindowSize`).
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay (`kDefaultTrendlineSmoothingCoeff`).
const SMOOTHING: f64 = 0.9;
/// Groups from which on a slope is believed in full (`kMinNumDeltas`, 60): before, it is scaled down.
const FULL_CONFIDENCE: usize = 60;
/// Scale of the slope that the detector's threshold is made for (`kDefaultTrendlineThresholdGain`).
const GAIN: f64 = 4.0;

#[derive(Debug, Clone, Copy, Default)]
struct Point {
    /// When the group arrived, in milliseconds since the first.
    at: f64,
    /// Smoothed sum of all changes of the delay, in milliseconds.
    delay: f64,
}

/// A line through the delays of the latest groups.
#[derive(Debug, Default)]
pub(super) struct Trendline {
    points: [Point; WINDOW],
    /// Groups ever seen.
    groups: usize,
    arrived: f64,
    accumulated: f64,
    smoothed: f64,
    slope: f64,
}

impl Trendline {
    /// Adds a group.
    pub(super) fn add(&mut self, delta: GroupDelta) {
        self.arrived += delta.arrived as f64 / 1e3;
        self.accumulated += (delta.arrived - delta.sent) as f64 / 1e3;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.points[self.groups % WINDOW] = Point { at: self.arrived, delay: self.smoothed };
        self.groups += 1;
        if self.groups >= WINDOW {
            self.slope = slope(&self.points).unwrap_or(self.slope);
        }
    }

    /// The slope as the detector wants it (`modified_trend`).
    pub(super) fn trend(&self) -> f64 {
        self.groups.min(FULL_CONFIDENCE) as f64 * self.slope * GAIN
    }
}

/// Least squares; None when all points stand at one time.
fn slope(points: &[Point]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_at = points.iter().map(|point| point.at).sum::<f64>() / count;
    let mean_delay = points.iter().map(|point| point.delay).sum::<f64>() / count;
    let rise: f64 = points.iter().map(|point| (point.at - mean_at) * (point.delay - mean_delay)).sum();
    let run: f64 = points.iter().map(|point| (point.at - mean_at).powi(2)).sum();
    (run > 0.0).then(|| rise / run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(groups: usize, sent: i64, arrived: i64) -> f64 {
        let mut trendline = Trendline::default();
        (0..groups).for_each(|_| trendline.add(GroupDelta { sent, arrived }));
        trendline.trend()
    }

    #[test]
    fn a_constant_delay_has_no_slope() {
        assert!(after(100, 20_000, 20_000).abs() < 1e-9);
    }

    #[test]
    fn a_growing_queue_rises_and_an_emptying_one_falls() {
        // Each group arrives a millisecond later (sooner) than the one before: 1/21 (-1/19) of the time.
        let (rising, falling) = (after(200, 20_000, 21_000), after(200, 20_000, 19_000));
        assert!((rising - 60.0 * 4.0 / 21.0).abs() < 0.01, "{rising}");
        assert!((falling + 60.0 * 4.0 / 19.0).abs() < 0.01, "{falling}");
    }

    #[test]
    fn few_groups_tell_nothing() {
        assert!(after(WINDOW - 1, 20_000, 30_000).abs() < 1e-9);
    }
}
