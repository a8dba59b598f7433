//! The rate that the delay allows: additive increase, multiplicative decrease (section 5.5; `AimdRateControl`).

use super::overuse::Usage;
use crate::clock::{MILLISECOND, Micros, SECOND};

/// What is left of the arriving rate after overuse (section 5.5 beta).
const DECREASE: f64 = 0.85;
/// Growth a second, far from the known capacity (section 5.5 eta).
const GROWTH: f64 = 1.08;
/// The rate does not grow further above what arrives than this, since nothing proves that more would pass (section 5.5 says
/// 1.5; an SFU's streams are steps, and a probe tells before a step what would pass).
pub(super) const ABOVE_ARRIVING: f64 = 1.25;
const ABOVE_ARRIVING_BPS: f64 = 10_000.0;
/// Bits of the packet that is added a response time near the known capacity (section 5.5).
const PACKET_BITS: f64 = 1_200.0 * 8.0;
/// Processing time that is added to the round trip for the response time (section 5.5, 100 ms).
const RESPONSE: Micros = 100 * MILLISECOND;
/// The least additive growth, bits a second (`kMinIncreaseRateBpsPerSecond`), and the most, as a share of the rate: on short and
/// narrow ways a packet a response time would fill the queue before it is seen to grow.
const LEAST_GROWTH: f64 = 4_000.0;
const MOST_GROWTH: f64 = 0.05;
/// A rate is lowered again after a round trip within these bounds (`TimeToReduceFurther`).
const LEAST_INTERVAL: Micros = 10 * MILLISECOND;
const MOST_INTERVAL: Micros = 200 * MILLISECOND;
/// Weight of a new measurement of the capacity, and the bounds of its variance as a share of the rate in kbit/s
/// (`LinkCapacityEstimator`).
const CAPACITY_WEIGHT: f64 = 0.05;
const LEAST_DEVIATION: f64 = 0.4;
const MOST_DEVIATION: f64 = 2.5;
/// The longest time between two updates that growth is counted for: after silence it goes on slowly.
const MOST_STEP: Micros = SECOND;

/// What the link carried when it was overused, in kbit/s, with the variance relative to it.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    mean: f64,
    deviation: f64,
}

impl Capacity {
    fn spread(self) -> f64 {
        3.0 * (self.deviation * self.mean).sqrt()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Hold,
    Increase,
}

/// The controller; rates in bits a second.
#[derive(Debug)]
pub(super) struct Aimd {
    rate: f64,
    phase: Phase,
    updated: Option<Micros>,
    lowered: Option<Micros>,
    capacity: Option<Capacity>,
    bounds: (f64, f64),
}

impl Aimd {
    /// Starts with a rate and stays within bounds.
    pub(super) fn new(rate: f64, bounds: (f64, f64)) -> Self {
        Self { rate, phase: Phase::Hold, updated: None, lowered: None, capacity: None, bounds }
    }

    /// The rate.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// What it does.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the rate was last lowered.
    pub(super) fn lowered(&self) -> Option<Micros> {
        self.lowered
    }

    /// Follows what the delay says; `arriving` is the acknowledged bitrate.
    pub(super) fn update(&mut self, now: Micros, usage: Usage, arriving: Option<f64>, round_trip: Micros) {
        match usage {
            Usage::Over => self.decrease(now, arriving, round_trip),
            // The queue empties itself: what it held would be counted as capacity.
            Usage::Under => self.phase = Phase::Hold,
            Usage::Normal if self.phase == Phase::Hold => self.phase = Phase::Increase,
            Usage::Normal => self.increase(now, arriving, round_trip),
        }
        self.updated = Some(now);
    }

    /// More passes than was known.
    pub(super) fn raise(&mut self, rate: f64) {
        self.set(self.rate.max(rate));
    }

    /// Less passes for a reason that the delay does not show.
    pub(super) fn lower(&mut self, now: Micros, rate: f64) {
        self.set(self.rate.min(rate));
        self.lowered = Some(now);
        self.phase = Phase::Hold;
    }

    fn set(&mut self, rate: f64) {
        self.rate = rate.clamp(self.bounds.0, self.bounds.1);
    }

    fn decrease(&mut self, now: Micros, arriving: Option<f64>, round_trip: Micros) {
        let interval = round_trip.clamp(LEAST_INTERVAL, MOST_INTERVAL);
        let settled = self.lowered.is_none_or(|at| now.saturating_sub(at) >= interval);
        let far_off = arriving.is_some_and(|arriving| arriving < self.rate / 2.0);
        if !settled && !far_off {
            return;
        }
        // Without it there is nothing to go by.
        let Some(arriving) = arriving else { return };
        self.note_capacity(arriving / 1e3);
        self.lower(now, DECREASE * arriving);
    }

    fn increase(&mut self, now: Micros, arriving: Option<f64>, round_trip: Micros) {
        let Some(arriving) = arriving else { return };
        let elapsed = now.saturating_sub(self.updated.unwrap_or(now)).min(MOST_STEP) as f64 / SECOND as f64;
        if self.capacity.is_some_and(|known| arriving / 1e3 > known.mean + known.spread()) {
            // More passes than ever before since the last decrease: the capacity has changed.
            self.capacity = None;
        }
        let grown = if self.capacity.is_some() {
            let response = (round_trip + RESPONSE) as f64 / SECOND as f64;
            self.rate + (PACKET_BITS / response).min(MOST_GROWTH * self.rate).max(LEAST_GROWTH) * elapsed
        } else {
            self.rate * GROWTH.powf(elapsed)
        };
        let limit = ABOVE_ARRIVING * arriving + ABOVE_ARRIVING_BPS;
        self.raise(grown.min(limit));
    }

    fn note_capacity(&mut self, arriving: f64) {
        self.capacity = Some(match self.capacity {
            Some(known) if (arriving - known.mean).abs() <= known.spread() => {
                let mean = known.mean + CAPACITY_WEIGHT * (arriving - known.mean);
                let error = (mean - arriving).powi(2) / mean.max(1.0);
                let deviation = known.deviation + CAPACITY_WEIGHT * (error - known.deviation);
                Capacity { mean, deviation: deviation.clamp(LEAST_DEVIATION, MOST_DEVIATION) }
            }
            _ => Capacity { mean: arriving, deviation: LEAST_DEVIATION },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Micros = 50 * MILLISECOND;

    fn aimd(rate: f64) -> Aimd {
        Aimd::new(rate, (10e3, 100e6))
    }

    fn run(aimd: &mut Aimd, from: Micros, steps: u64, usage: Usage, arriving: f64) {
        for step in 0..steps {
            aimd.update(from + step * 100 * MILLISECOND, usage, Some(arriving), ROUND_TRIP);
        }
    }

    #[test]
    fn it_grows_by_eight_percent_a_second_but_not_far_above_what_arrives() {
        let mut aimd = aimd(1e6);
        run(&mut aimd, 0, 12, Usage::Normal, 1e6);
        assert!((1.07e6..1.09e6).contains(&aimd.rate()), "{}", aimd.rate());
        run(&mut aimd, 2 * SECOND, 200, Usage::Normal, 1e6);
        assert!((aimd.rate() - 1.26e6).abs() < 1.0, "{}", aimd.rate());
    }

    #[test]
    fn overuse_takes_it_below_what_arrives_once_a_round_trip() {
        let mut aimd = aimd(1e6);
        aimd.update(SECOND, Usage::Over, Some(8e5), ROUND_TRIP);
        assert!((aimd.rate() - 6.8e5).abs() < 1.0);
        aimd.update(SECOND + 20 * MILLISECOND, Usage::Over, Some(7e5), ROUND_TRIP);
        assert!((aimd.rate() - 6.8e5).abs() < 1.0, "too early");
        aimd.update(SECOND + 60 * MILLISECOND, Usage::Over, Some(7e5), ROUND_TRIP);
        assert!((aimd.rate() - 5.95e5).abs() < 1.0);
        aimd.update(SECOND + 70 * MILLISECOND, Usage::Over, Some(1e5), ROUND_TRIP);
        assert!((aimd.rate() - 0.85e5).abs() < 1.0, "far too much does not wait");
    }

    #[test]
    fn near_the_known_capacity_it_grows_by_a_packet_a_response_time() {
        let mut aimd = aimd(1e6);
        aimd.update(SECOND, Usage::Over, Some(1e6), ROUND_TRIP);
        run(&mut aimd, 2 * SECOND, 12, Usage::Normal, 8.5e5);
        let grown = aimd.rate() - 8.5e5;
        assert!((42e3..55e3).contains(&grown), "{grown}: 9,600 bits each 150 ms are more than 5 % a second");
        run(&mut aimd, 4 * SECOND, 2, Usage::Normal, 1.5e6);
        assert_eq!(aimd.capacity.map(|known| known.mean), None, "the link has become faster");
    }

    #[test]
    fn an_emptying_queue_holds_it() {
        let mut aimd = aimd(1e6);
        run(&mut aimd, 0, 50, Usage::Under, 2e6);
        assert!((aimd.rate() - 1e6).abs() < 1.0);
        assert_eq!(aimd.phase(), Phase::Hold);
    }
}
