//! The rate that losses allow (section 6; the likelihood is that of `LossBasedBweV2`).
//!
//! Losses that do not depend on the rate, as of radio, must not lower it; those that a full queue or a policer makes must.
//! So of several possible capacities the one is taken that makes the losses of the last seconds most likely, given that
//! every packet beyond the capacity is lost and the others by chance.

use super::feedback::PacketResult;
use crate::clock::{MILLISECOND, Micros};

/// Observations looked at, and the time of each (`ObservationWindowSize`, `ObservationDurationLowerBound`): five seconds.
const OBSERVATIONS: usize = 20;
const DURATION: Micros = 250 * MILLISECOND;
/// An observation of so many packets of which half is lost is not waited out: a queue overflows.
const URGENT_PACKETS: u32 = 10;
/// Weight of an observation against the next newer one (`TemporalWeightFactor`).
const AGING: f64 = 0.9;
/// Least and greatest share that is lost by chance. More than the greatest is congestion: the classic controller of section 6
/// draws the line at 0.1, which costs a receiver with bad radio its picture; at 0.2 FEC and retransmissions still help.
const LEAST_CHANCE: f64 = 0.001;
const MOST_CHANCE: f64 = 0.2;
/// Steps by which the capacity is tried (`CandidateFactors`), and the share of what arrives (`BwBackoffLowerBoundFactor`).
const STEPS: [f64; 3] = [1.04, 1.0, 0.95];
const OF_ARRIVING: f64 = 0.9;
/// What a kbit/s is worth in log-likelihood a packet (`HigherBandwidthBiasFactor`): of two capacities that explain the losses
/// equally well the larger is taken, and a small doubt is not enough to lower it.
const WORTH: f64 = 2e-6;
/// By how much more likely (natural logarithm) a lower capacity must make the losses before it is believed: a lost packet or
/// two prove nothing.
const DOUBT: f64 = 5.0;

#[derive(Debug, Clone, Copy, Default)]
struct Observation {
    packets: f64,
    lost: f64,
    /// Bits a second sent.
    rate: f64,
}

/// What is collected for the next observation.
#[derive(Debug, Clone, Copy, Default)]
struct Collected {
    first_sent: Option<Micros>,
    last_sent: Micros,
    packets: u32,
    lost: u32,
    /// Missing in the latest report: lost, unless the next one has them, as where packets overtake each other.
    missing: u32,
    bytes: u64,
}

/// The controller.
#[derive(Debug, Default)]
pub(super) struct LossController {
    observations: [Observation; OBSERVATIONS],
    /// Observations ever made.
    count: usize,
    collected: Collected,
    limit: Option<f64>,
}

impl LossController {
    /// Takes the packets of a report; `allowed` is the rate that the delay allows, `arriving` the acknowledged bitrate.
    pub(super) fn update(&mut self, packets: &[PacketResult], allowed: f64, arriving: Option<f64>) {
        let late = packets.iter().filter(|packet| packet.was_lost).count() as u32;
        self.collected.lost += std::mem::take(&mut self.collected.missing).saturating_sub(late);
        self.observe(allowed, arriving);
        for packet in packets.iter().filter(|packet| !packet.was_lost) {
            self.collected.add(packet);
        }
    }

    /// Makes an observation of what has been collected, if that is enough.
    fn observe(&mut self, allowed: f64, arriving: Option<f64>) {
        let collected = &self.collected;
        let Some(first) = collected.first_sent else { return };
        let elapsed = collected.last_sent.saturating_sub(first);
        let urgent = collected.packets >= URGENT_PACKETS && collected.lost * 2 > collected.packets;
        if elapsed < DURATION && (!urgent || elapsed == 0) {
            return;
        }
        let rate = collected.bytes as f64 * 8.0 * 1e6 / elapsed as f64;
        let (packets, lost) = (f64::from(collected.packets), f64::from(collected.lost));
        self.observations[self.count % OBSERVATIONS] = Observation { packets, lost, rate };
        self.count += 1;
        self.collected = Collected::default();
        self.estimate(allowed, arriving);
    }

    /// What losses allow; None: they limit nothing.
    pub(super) fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Share of the packets of the last second that were lost.
    pub(super) fn fraction_lost(&self) -> f64 {
        let (packets, lost) = self
            .newest()
            .take(4)
            .fold((0.0, 0.0), |(packets, lost), (_, seen)| (packets + seen.packets, lost + seen.lost));
        if packets > 0.0 { lost / packets } else { 0.0 }
    }

    /// More has been shown to pass: what was lost when less was sent was lost by chance, or on what was another way.
    pub(super) fn raise(&mut self, rate: f64) {
        self.limit = self.limit.map(|limit| limit.max(rate));
        for seen in self.observations.iter_mut().filter(|seen| seen.rate <= rate) {
            seen.rate = 0.0;
        }
    }

    /// Observations from the newest on, with their weights.
    fn newest(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let known = self.count.min(OBSERVATIONS);
        (0..known).scan(1.0, move |weight, back| {
            let seen = (*weight, &self.observations[(self.count - 1 - back) % OBSERVATIONS]);
            *weight *= AGING;
            Some(seen)
        })
    }

    fn estimate(&mut self, allowed: f64, arriving: Option<f64>) {
        if self.newest().all(|(_, seen)| seen.lost == 0.0) {
            self.limit = None;
            return;
        }
        let current = self.limit.unwrap_or(allowed).min(allowed);
        let steps = STEPS.iter().map(|step| step * current);
        let candidates = steps.chain(arriving.map(|arriving| OF_ARRIVING * arriving)).chain([allowed]);
        let best = candidates
            .map(|rate| rate.min(allowed))
            .map(|rate| (rate, self.likelihood(rate) - if rate < current { DOUBT } else { 0.0 }))
            .max_by(|one, other| one.1.total_cmp(&other.1));
        self.limit = best.map(|(rate, _)| rate).filter(|rate| *rate < allowed);
    }

    /// Log-likelihood of the losses if the capacity were this, with the worth of a higher one.
    fn likelihood(&self, capacity: f64) -> f64 {
        let chance = self.chance(capacity);
        let seen = self.newest().map(|(weight, seen)| {
            let lost = (chance + (1.0 - chance) * seen.beyond(capacity)).clamp(1e-4, 1.0 - 1e-4);
            let likely = seen.lost * lost.ln() + (seen.packets - seen.lost) * (1.0 - lost).ln();
            weight * (likely + seen.packets * WORTH * capacity / 1e3)
        });
        seen.sum()
    }

    /// The share lost by chance, if the capacity were this: what the capacity does not explain.
    fn chance(&self, capacity: f64) -> f64 {
        let (lost, passed) = self.newest().fold((0.0, 0.0), |(lost, passed), (weight, seen)| {
            let beyond = seen.beyond(capacity);
            (lost + weight * (seen.lost - beyond * seen.packets), passed + weight * seen.packets * (1.0 - beyond))
        });
        let chance = if passed > 0.0 { lost / passed } else { 0.0 };
        chance.clamp(LEAST_CHANCE, MOST_CHANCE)
    }
}

impl Collected {
    fn add(&mut self, packet: &PacketResult) {
        self.first_sent = Some(self.first_sent.map_or(packet.sent, |first| first.min(packet.sent)));
        self.last_sent = self.last_sent.max(packet.sent);
        self.packets += 1;
        self.missing += u32::from(packet.arrival.is_none());
        self.bytes += u64::from(packet.size);
    }
}

impl Observation {
    /// The share of what was sent that a capacity does not carry.
    fn beyond(&self, capacity: f64) -> f64 {
        if self.rate > capacity { 1.0 - capacity / self.rate } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at a rate for a while and loses packets evenly.
    fn run(control: &mut LossController, from: Micros, rate: u64, lost: f64, reports: u64) -> Option<f64> {
        let size = 1_200;
        let gap = u64::from(size) * 8 * 1_000_000 / rate;
        let arriving = rate as f64 * (1.0 - lost);
        let mut debt = 0.0;
        for report in 0..reports {
            let packets: Vec<_> = (0..100 * MILLISECOND / gap)
                .map(|n| {
                    debt += lost;
                    let gone = debt >= 1.0;
                    debt -= f64::from(u8::from(gone));
                    let sent = from + report * 100 * MILLISECOND + n * gap;
                    PacketResult {
                        sent,
                        arrival: (!gone).then_some(sent.cast_signed()),
                        size,
                        probe: None,
                        was_lost: false,
                    }
                })
                .collect();
            control.update(&packets, 3e6, Some(arriving));
        }
        control.limit()
    }

    #[test]
    fn losses_by_chance_limit_nothing() {
        for lost in [0.0, 0.02, 0.1, 0.18] {
            let mut control = LossController::default();
            assert_eq!(run(&mut control, 0, 2_000_000, lost, 100), None, "{lost}");
            assert!((control.fraction_lost() - lost).abs() < 0.02, "{lost}");
        }
    }

    #[test]
    fn a_policer_is_found_by_what_arrives() {
        let mut control = LossController::default();
        let limit = run(&mut control, 0, 2_500_000, 0.8, 3).expect("it limits at once");
        assert!((400e3..550e3).contains(&limit), "{limit}");
        // Below the capacity nothing is lost, and the limit grows again, slowly.
        let limit = run(&mut control, 300_000, 450_000, 0.0, 20).expect("it is not forgotten yet");
        assert!(limit < 700e3, "{limit}");
        assert_eq!(run(&mut control, 3_000_000, 450_000, 0.0, 60), None);
    }

    #[test]
    fn what_a_narrow_way_lost_says_nothing_of_a_wide_one() {
        let mut control = LossController::default();
        run(&mut control, 0, 2_500_000, 0.8, 4).expect("it limits");
        control.raise(2_600_000.0);
        let limit = run(&mut control, 400_000, 2_500_000, 0.0, 4);
        assert!(limit.is_none_or(|limit| limit >= 2_600_000.0), "{limit:?}");
    }

    #[test]
    fn a_late_packet_was_not_lost() {
        let mut control = LossController::default();
        let report = |sent, arrives: bool, was_lost| {
            let arrival = arrives.then_some(9);
            [PacketResult { sent, arrival, size: 100, probe: None, was_lost }; 5]
        };
        // Four of five in a report are missing, and the next one has them.
        for n in 0..50 {
            let sent = n * 100 * MILLISECOND;
            control.update(&report(sent, n % 5 == 0, false), 1e6, Some(4e4));
            control.update(&report(sent, true, n % 5 != 0), 1e6, Some(4e4));
            assert_eq!((control.limit(), control.fraction_lost()), (None, 0.0), "report {n}");
        }
    }
}
