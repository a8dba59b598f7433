//! Finding out whether more would pass: short bursts in which padding fills what is sent up to a higher rate, and whose
//! arrival is measured (`ProbeController`, `ProbeBitrateEstimator`).

use super::feedback::PacketResult;
use crate::clock::{MILLISECOND, Micros, SECOND};

/// The first probe's rate against the start (`first_exponential_probe_scale`), and each later one's against what is known
/// (`further_exponential_probe_scale`).
const FIRST_SCALE: f64 = 3.0;
const NEXT_SCALE: f64 = 2.0;
/// No more than this above what is wanted: so much has to pass for all of it to fit.
const ABOVE_WANTED: f64 = 1.2;
/// A burst lasts at least so long and so many packets (`min_probe_duration` is 15 ms, which jitter of 10 ms makes worthless;
/// `min_probe_packets_sent`), and never longer than the third figure: with large packets it would be no burst.
const LEAST_DURATION: Micros = 25 * MILLISECOND;
/// Below so many bits a second it lasts longer, since it has fewer packets to measure by.
const SLOW: f64 = 2e6;
const SLOW_DURATION: Micros = 40 * MILLISECOND;
const LEAST_PACKETS: u32 = 5;
const MOST_DURATION: Micros = 100 * MILLISECOND;
/// The steps in which a burst is sent; its beginning counts as one.
const STEP: Micros = 5 * MILLISECOND;
/// Share of a burst that must arrive for it to tell anything: lower than libwebrtc's 0.8, for ways that lose.
const LEAST_ARRIVED: f64 = 0.6;
/// Arrival that takes longer than sending by this factor has found the capacity (`kMinRatioForUnsaturatedLink` 0.9), of which
/// this much is used (`kTargetUtilizationFraction`).
const UNSATURATED: f64 = 1.1;
const UTILIZATION: f64 = 0.95;
/// Arrival that is faster by more than this was held up and then let through at once: worthless (`kMaxValidRatio` 2).
const LEAST_SLOPE: f64 = 0.5;
/// A probe that shows this share of its rate is followed by the next (`further_probe_threshold`), if it has shown so much more
/// than was known.
const PASSED: f64 = 0.7;
const PROGRESS: f64 = 1.1;
/// The wait after a probe that did not pass, which doubles up to the second figure. The longest keeps a receiver whose way
/// has become better from waiting longer than that; its cost is a burst of a few kilobytes each time.
const FIRST_WAIT: Micros = SECOND;
const LONGEST_WAIT: Micros = 4 * SECOND;
/// Reports on a burst are waited for so long beyond the round trip.
const PATIENCE: Micros = 500 * MILLISECOND;

/// The queue of a burst is empty and reported on after so long beyond the round trip.
const DISTURBANCE: Micros = 150 * MILLISECOND;

/// Names a burst among those of a receiver; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeId(pub u8);

/// What a burst has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shown {
    /// Bits a second that pass.
    pub rate: f64,
    /// All that was tried passed.
    pub passed: bool,
}

/// What of a burst has arrived: its sending rate, and by how much its arrival was stretched.
///
/// The stretch is the slope of the arrival over the time of sending (least squares): unlike the time from the first arrival to
/// the last, jitter does not lengthen it.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    /// Of the packet that arrived first, from which times are counted.
    origin: (i64, i64),
    first_sent: i64,
    last_sent: i64,
    bytes: u64,
    /// Of the packets sent at the last moment: the time that they stand for is yet to come.
    last_bytes: u64,
    count: f64,
    /// Sums over all packets, in microseconds since the first: sent, arrived, sent squared, sent times arrived.
    sums: [f64; 4],
}

impl Stretch {
    fn add(&mut self, sent: i64, arrival: i64, size: u64) {
        if self.count == 0.0 {
            *self = Self { origin: (sent, arrival), first_sent: sent, last_sent: sent, ..Self::default() };
        }
        if sent > self.last_sent {
            (self.last_sent, self.last_bytes) = (sent, 0);
        }
        if sent == self.last_sent {
            self.last_bytes += size;
        }
        self.first_sent = self.first_sent.min(sent);
        self.bytes += size;
        self.count += 1.0;
        let (sent, arrived) = ((sent - self.origin.0) as f64, (arrival - self.origin.1) as f64);
        for (sum, value) in self.sums.iter_mut().zip([sent, arrived, sent * sent, sent * arrived]) {
            *sum += value;
        }
    }

    /// Bits a second sent.
    fn rate(&self) -> Option<f64> {
        let elapsed = self.last_sent - self.first_sent;
        (elapsed > 0).then(|| (self.bytes - self.last_bytes) as f64 * 8.0 * SECOND as f64 / elapsed as f64)
    }

    /// How much longer the arrival took than the sending.
    fn slope(&self) -> Option<f64> {
        let [sent, arrived, squared, product] = self.sums;
        let run = self.count * squared - sent * sent;
        (run > 0.0).then(|| (self.count * product - sent * arrived) / run)
    }
}

/// A burst.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    id: ProbeId,
    rate: f64,
    /// What was known before.
    known: f64,
    began: Micros,
    ended: Option<Micros>,
    sent_bytes: u64,
    sent: u32,
    arrived: u32,
    lost: u32,
    stretch: Stretch,
}

impl Cluster {
    fn new(id: ProbeId, rate: f64, known: f64, began: Micros) -> Self {
        Self {
            id,
            rate,
            known,
            began,
            ended: None,
            sent_bytes: 0,
            sent: 0,
            arrived: 0,
            lost: 0,
            stretch: Stretch::default(),
        }
    }

    fn take(&mut self, packet: &PacketResult) {
        if packet.was_lost {
            // Too late to be measured.
            return;
        }
        let Some(arrival) = packet.arrival else {
            self.lost += 1;
            return;
        };
        self.stretch.add(packet.sent.cast_signed(), arrival, packet.size.into());
        self.arrived += 1;
    }

    fn shown(&self) -> Option<Shown> {
        let enough = f64::from(self.arrived) >= LEAST_ARRIVED * f64::from(self.sent.max(LEAST_PACKETS));
        let (sent, slope) = (self.stretch.rate()?, self.stretch.slope()?);
        if !enough || slope < LEAST_SLOPE {
            return None;
        }
        let rate = if slope > UNSATURATED { UTILIZATION * sent / slope } else { sent };
        Some(Shown { rate, passed: rate >= PASSED * self.rate.min(sent) })
    }
}

/// Decides when to probe, and measures.
#[derive(Debug, Default)]
pub(super) struct Prober {
    cluster: Option<Cluster>,
    last_id: u8,
    probed: bool,
    /// When the latest burst was complete.
    ended: Micros,
    next: Micros,
    wait: Micros,
}

impl Prober {
    /// Begins a burst if it is time for one and more is wanted than the known rate.
    pub(super) fn consider(&mut self, now: Micros, known: f64, wanted: f64) {
        if self.cluster.is_some() || now < self.next || wanted <= known {
            return;
        }
        let scale = if self.probed { NEXT_SCALE } else { FIRST_SCALE };
        self.probed = true;
        // 0 stands for no probe.
        self.last_id = self.last_id % u8::MAX + 1;
        let rate = (scale * known).min(ABOVE_WANTED * wanted);
        self.cluster = Some(Cluster::new(ProbeId(self.last_id), rate, known, now));
    }

    /// Puts the next burst off.
    pub(super) fn wait_until(&mut self, at: Micros) {
        self.next = self.next.max(at);
    }

    /// Whether a burst is being sent.
    pub(super) fn is_sending(&self) -> bool {
        self.cluster.is_some_and(|cluster| cluster.ended.is_none())
    }

    /// Whether what arrives now may have waited behind a burst.
    pub(super) fn disturbs(&self, now: Micros, round_trip: Micros) -> bool {
        self.cluster.is_some() || now < self.ended + round_trip + DISTURBANCE
    }

    /// The rate of the burst that is being sent.
    pub(super) fn rate(&self) -> Option<f64> {
        self.cluster.filter(|cluster| cluster.ended.is_none()).map(|cluster| cluster.rate)
    }

    /// Bytes that are to be sent now besides what is sent anyway; ends a burst that is complete.
    pub(super) fn padding_due(&mut self, now: Micros) -> usize {
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.ended.is_none()) else { return 0 };
        let elapsed = now.saturating_sub(cluster.began);
        let least = if cluster.rate < SLOW { SLOW_DURATION } else { LEAST_DURATION };
        if (elapsed >= least && cluster.sent >= LEAST_PACKETS) || elapsed >= MOST_DURATION {
            cluster.ended = Some(now);
            self.ended = now;
            return 0;
        }
        let due = cluster.rate / 8.0 * (elapsed + STEP) as f64 / SECOND as f64;
        (due as u64).saturating_sub(cluster.sent_bytes) as usize
    }

    /// Counts a packet, and marks it as part of the burst.
    #[inline]
    pub(super) fn on_sent(&mut self, size: u16) -> Option<ProbeId> {
        let cluster = self.cluster.as_mut().filter(|cluster| cluster.ended.is_none())?;
        cluster.sent_bytes += u64::from(size);
        cluster.sent += 1;
        Some(cluster.id)
    }

    /// Takes what a report says of a packet.
    pub(super) fn on_result(&mut self, packet: &PacketResult) {
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| Some(cluster.id) == packet.probe) {
            cluster.take(packet);
        }
    }

    /// What the burst has shown, once everything about it is known or has been waited for.
    pub(super) fn conclude(&mut self, now: Micros, round_trip: Micros) -> Option<Shown> {
        let cluster = self.cluster?;
        let ended = cluster.ended?;
        let complete = cluster.arrived + cluster.lost >= cluster.sent;
        if !complete && now < ended + round_trip + PATIENCE {
            return None;
        }
        self.cluster = None;
        let shown = cluster.shown();
        self.wait = match shown.filter(|shown| shown.rate > PROGRESS * cluster.known) {
            Some(shown) if shown.passed => 0,
            // It is worth trying again soon.
            Some(_) => FIRST_WAIT,
            None => (2 * self.wait).clamp(FIRST_WAIT, LONGEST_WAIT),
        };
        self.next = now + self.wait;
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u16 = 1_000;

    /// Sends a burst in steps of 5 ms over a link of this capacity (bits a second) and of no delay.
    fn burst(prober: &mut Prober, from: Micros, capacity: i64, lost: impl Fn(u32) -> bool) -> Option<Shown> {
        let (mut now, mut free, mut number, mut results) = (from, 0, 0, Vec::new());
        while prober.is_sending() {
            while prober.padding_due(now) > 0 {
                let probe = prober.on_sent(SIZE);
                free = free.max(now.cast_signed()) + i64::from(SIZE) * 8_000_000 / capacity;
                number += 1;
                let arrival = (!lost(number)).then_some(free);
                results.push(PacketResult { sent: now, arrival, size: SIZE, probe, was_lost: false });
            }
            now += STEP;
        }
        for packet in &results {
            prober.on_result(packet);
        }
        prober.conclude(now, 0)
    }

    fn begun(known: f64, wanted: f64) -> Prober {
        let mut prober = Prober { probed: true, ..Prober::default() };
        prober.consider(0, known, wanted);
        prober
    }

    #[test]
    fn a_burst_that_passes_shows_its_rate() {
        let shown = burst(&mut begun(2e6, 9e6), 0, 100_000_000, |_| false).unwrap();
        assert!(shown.passed && (3.4e6..4.7e6).contains(&shown.rate), "{shown:?}");
    }

    #[test]
    fn a_burst_that_does_not_shows_the_capacity() {
        let mut prober = begun(1.5e6, 9e6);
        let shown = burst(&mut prober, 0, 1_000_000, |_| false).unwrap();
        assert!(!shown.passed && (0.94e6..0.96e6).contains(&shown.rate), "{shown:?}");
        prober.consider(FIRST_WAIT / 2, 1e6, 9e6);
        assert!(!prober.is_sending(), "the next one waits");
        prober.consider(2 * FIRST_WAIT, 1e6, 9e6);
        assert!(prober.is_sending());
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut prober = begun(1.5e6, 9e6);
        let mut now = 0;
        for expected in [FIRST_WAIT, 2 * FIRST_WAIT, LONGEST_WAIT, LONGEST_WAIT] {
            burst(&mut prober, now, 1_000_000, |_| false);
            assert_eq!(prober.wait, expected);
            now = prober.next;
            prober.consider(now, 1.5e6, 9e6);
        }
    }

    #[test]
    fn a_burst_that_is_lost_shows_nothing() {
        assert_eq!(burst(&mut begun(1e6, 9e6), 0, 9_000_000, |number| number % 3 != 0), None);
        assert!(burst(&mut begun(1e6, 9e6), 0, 9_000_000, |number| number % 5 == 0).is_some());
        let mut prober = begun(1e6, 9e6);
        prober.on_sent(SIZE);
        while prober.is_sending() {
            prober.padding_due(MOST_DURATION);
        }
        assert_eq!(prober.conclude(MOST_DURATION + 1, 0), None);
        assert!(prober.cluster.is_some(), "a report may still come");
        assert_eq!(prober.conclude(MOST_DURATION + PATIENCE, 0), None);
        assert!(prober.cluster.is_none());
    }

    #[test]
    fn it_asks_for_no_more_than_is_wanted() {
        let shown = burst(&mut begun(2e6, 2.1e6), 0, 100_000_000, |_| false).unwrap();
        assert!(shown.rate < 3.4e6, "{shown:?}");
        assert!(!begun(2e6, 1.9e6).is_sending());
    }
}
