//! The estimator alone, in a loop with a simulated link: a stream whose rate follows the estimate, a queue, feedback.

use std::collections::VecDeque;

use super::{BandwidthState, Estimator};
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::twcc::FeedbackRecorder;
use crate::wire::rtcp::{RtcpPacket, RtcpWriter, packets};

/// A generator whose whole state is a number (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// What the link does.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// Bits a second.
    capacity: u64,
    /// The longest a packet waits; one that would wait longer is lost.
    queue: Micros,
    /// One way.
    delay: Micros,
    jitter: Micros,
    /// Of a thousand.
    loss: u64,
    /// Mean length of a run of losses in packets (Gilbert's model); 1: each for itself.
    burst: u64,
}

const LINK: Link = Link {
    capacity: 3_000_000,
    queue: 300 * MILLISECOND,
    delay: 25 * MILLISECOND,
    jitter: MILLISECOND,
    loss: 0,
    burst: 1,
};

/// What is sent: sound, and pictures whose rate is one of these, or anything up to the last where there is only one.
const LAYERS: &[u64] = &[150_000, 500_000, 1_200_000, 2_500_000];
const ELASTIC: &[u64] = &[10_000_000];
const SOUND: u64 = 40_000;

/// A moment of a run.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    at: Micros,
    estimate: u64,
    state: BandwidthState,
    /// Bits a second sent.
    sent: u64,
    /// What a packet sent now would wait.
    queued: Micros,
}

struct Simulation {
    random: Random,
    link: Link,
    layers: &'static [u64],
    estimator: Estimator,
    recorder: FeedbackRecorder,
    now: Micros,
    sequence: u16,
    /// When the link will have sent what is queued.
    free: Micros,
    /// Sequence numbers on their way, by arrival.
    flying: Vec<(Micros, u16)>,
    reports: VecDeque<(Micros, Vec<u8>)>,
    next_report: Micros,
    video: u64,
    backlog: usize,
    in_burst: bool,
    sent: u64,
    samples: Vec<Sample>,
}

impl Simulation {
    fn new(seed: u64, link: Link, layers: &'static [u64]) -> Self {
        let mut estimator = Estimator::default();
        estimator.on_round_trip(2 * link.delay);
        Self {
            random: Random(seed),
            link,
            layers,
            estimator,
            recorder: FeedbackRecorder::new(),
            now: 0,
            sequence: 65_000,
            free: 0,
            flying: Vec::new(),
            reports: VecDeque::new(),
            next_report: 0,
            video: layers[0].min(300_000),
            backlog: 0,
            in_burst: false,
            sent: 0,
            samples: Vec::new(),
        }
    }

    fn run(&mut self, duration: Micros) -> &[Sample] {
        let (end, first) = (self.now + duration, self.samples.len());
        while self.now < end {
            self.step();
            self.now += MILLISECOND;
        }
        &self.samples[first..]
    }

    fn send(&mut self, size: usize) {
        self.estimator.on_sent(self.now, self.sequence, size);
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.sent += size as u64 * 8;
        let waits = self.free.saturating_sub(self.now);
        if waits > self.link.queue || self.is_lost() {
            return;
        }
        self.free = self.free.max(self.now) + size as u64 * 8 * SECOND / self.link.capacity;
        let jitter = self.random.below(self.link.jitter + 1);
        self.flying.push((self.free + self.link.delay + jitter, sequence));
    }

    fn is_lost(&mut self) -> bool {
        let Link { loss, burst, .. } = self.link;
        if burst > 1 {
            // Bursts end with chance 1/length, and begin so often that the long-run share is `loss`.
            let (leave, enter) = (1_000_000 / burst, 1_000_000 * loss / (burst * (1_000 - loss)));
            let drawn = self.random.below(1_000_000);
            self.in_burst = if self.in_burst { drawn >= leave } else { drawn < enter };
            return self.in_burst;
        }
        self.random.below(1_000) < loss
    }

    fn choose(&mut self) {
        let wanted = *self.layers.last().unwrap();
        self.estimator.set_wanted(wanted + SOUND);
        let Some(budget) = self.estimator.budget(self.now) else { return };
        let budget = budget.saturating_sub(SOUND);
        self.video = match self.layers {
            [_] => budget.min(wanted),
            layers => layers.iter().copied().filter(|rate| *rate <= budget).max().unwrap_or(0),
        };
    }

    fn step(&mut self) {
        let now = self.now;
        if now.is_multiple_of(20 * MILLISECOND) {
            self.estimator.tick(now);
            self.choose();
            self.send(100);
        }
        if now.is_multiple_of(33 * MILLISECOND) {
            let frame = self.video * 33 / 8_000;
            self.backlog += (frame * (700 + self.random.below(601)) / 1_000) as usize;
        }
        if now.is_multiple_of(5 * MILLISECOND) {
            // The pacer: half as fast again as the pictures come.
            let mut allowed = (self.video * 15 / 10 * 5 / 8_000) as usize + 1;
            while self.backlog > 0 && allowed > 0 {
                let size = self.backlog.min(1_200);
                self.backlog -= size;
                allowed = allowed.saturating_sub(size);
                self.send(size.max(60));
            }
            while let due @ 1.. = self.estimator.padding_due(now) {
                self.send(if due >= 800 { 1_200 } else { 300 });
            }
        }
        self.deliver();
        if now.is_multiple_of(100 * MILLISECOND) {
            let estimate = self.estimator.estimate(now);
            self.samples.push(Sample {
                at: now,
                estimate: estimate.bits_per_second,
                state: estimate.state,
                sent: std::mem::take(&mut self.sent) * 10,
                queued: self.free.saturating_sub(now),
            });
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        self.flying.sort_unstable();
        let arrived = self.flying.iter().take_while(|(at, _)| *at <= now).count();
        for (at, sequence) in self.flying.drain(..arrived) {
            self.recorder.record(sequence, at + 7 * SECOND);
        }
        if now >= self.next_report {
            self.next_report = now + 50 * MILLISECOND + self.random.below(50) * MILLISECOND;
            let mut buffer = [0; 1_200];
            let mut writer = RtcpWriter::new(&mut buffer);
            if self.recorder.write_report(&mut writer, 1, 2, now).is_some() {
                self.reports.push_back((now + self.link.delay, writer.written().to_vec()));
            }
        }
        while self.reports.front().is_some_and(|(at, _)| *at <= now) {
            let (_, report) = self.reports.pop_front().unwrap();
            for packet in packets(&report) {
                let Ok(RtcpPacket::TransportFeedback(report)) = packet else { panic!() };
                self.estimator.on_feedback(now, &report);
                self.choose();
            }
        }
    }
}

/// What went wrong, if it did, with the run in readable form.
fn demand(holds: bool, what: &str, seed: u64, samples: &[Sample]) {
    if holds {
        return;
    }
    for sample in samples {
        println!(
            "{:6.1} s estimate {:5} sent {:5} queue {:4} ms {:?}",
            sample.at as f64 / 1e6,
            sample.estimate / 1_000,
            sample.sent / 1_000,
            sample.queued / 1_000,
            sample.state
        );
    }
    panic!("seed {seed}: {what}");
}

fn mean(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> u64 {
    samples.iter().map(of).sum::<u64>() / samples.len() as u64
}

/// How long it takes until a condition holds for the first time.
fn first(samples: &[Sample], holds: impl Fn(&Sample) -> bool) -> Micros {
    samples.iter().find(|sample| holds(sample)).map_or(Micros::MAX, |sample| sample.at - samples[0].at)
}

/// How long it takes until a condition holds for good.
fn until(samples: &[Sample], holds: impl Fn(&Sample) -> bool) -> Micros {
    let last = samples.iter().rposition(|sample| !holds(sample));
    let from = last.map_or(0, |last| last + 1);
    samples.get(from).map_or(Micros::MAX, |sample| sample.at - samples[0].at)
}

/// Links of all sorts, one a seed.
fn links(seeds: u64) -> impl Iterator<Item = (u64, Link)> {
    (0..seeds).map(|seed| {
        let delay = [5, 10, 25, 50, 75][(seed % 5) as usize] * MILLISECOND;
        let jitter = [0, 1, 5, 10][(seed % 4) as usize] * MILLISECOND;
        (seed, Link { delay, jitter, ..LINK })
    })
}

#[test]
fn bursts_find_the_capacity_within_seconds() {
    for (seed, link) in links(200) {
        for layers in [LAYERS, ELASTIC] {
            let mut simulation = Simulation::new(seed, link, layers);
            let samples = simulation.run(10 * SECOND);
            let found = first(samples, |sample| sample.estimate >= link.capacity * 8 / 10);
            demand(found <= 5 * SECOND, "80 % within 5 s", seed, samples);
        }
    }
}

#[test]
fn a_capacity_that_falls_is_followed_and_the_queue_is_emptied() {
    for (seed, link) in links(200) {
        for layers in [LAYERS, ELASTIC] {
            let mut simulation = Simulation::new(seed, link, layers);
            simulation.run(8 * SECOND);
            simulation.link.capacity = 500_000;
            let samples = simulation.run(10 * SECOND);
            let followed = first(samples, |sample| sample.estimate <= 600_000);
            demand(followed <= SECOND, "it follows within a second", seed, samples);
            let emptied = until(&samples[..20], |sample| sample.queued < 100 * MILLISECOND);
            demand(emptied < 2 * SECOND, "the queue is below 100 ms within 2 s", seed, samples);
            let longest = samples[20..].iter().map(|sample| sample.queued).max();
            demand(longest < Some(200 * MILLISECOND), "and does not come back", seed, samples);
            let used = mean(&samples[40..], |sample| sample.estimate);
            demand((300_000..600_000).contains(&used), "it settles at the capacity", seed, samples);
        }
    }
}

#[test]
fn a_capacity_that_rises_is_used() {
    for (seed, link) in links(200) {
        for layers in [LAYERS, ELASTIC] {
            let mut simulation = Simulation::new(seed, Link { capacity: 500_000, ..link }, layers);
            simulation.run(12 * SECOND);
            simulation.link.capacity = 3_000_000;
            let samples = simulation.run(12 * SECOND);
            let found = first(samples, |sample| sample.estimate >= 2_400_000);
            demand(found <= 8 * SECOND, "80 % are found within 8 s", seed, samples);
            let used = mean(&samples[90..], |sample| sample.estimate);
            demand(used >= 2_100_000, "and kept", seed, samples);
        }
    }
}

#[test]
fn it_does_not_swing() {
    for (seed, link) in links(8) {
        let mut simulation = Simulation::new(seed, link, ELASTIC);
        simulation.run(10 * SECOND);
        let samples = simulation.run(30 * SECOND);
        let (sent, queued) = (mean(samples, |sample| sample.sent), mean(samples, |sample| sample.queued));
        demand((2_300_000..3_000_000).contains(&sent), "it uses the link", seed, samples);
        demand(queued < 60 * MILLISECOND, "without a queue", seed, samples);
    }
}

#[test]
fn losses_by_chance_do_not_take_the_capacity() {
    for (loss, least) in [(20, 2_200_000), (100, 1_500_000), (200, 800_000)] {
        for (seed, link) in links(8) {
            let mut simulation = Simulation::new(seed, Link { loss, ..link }, ELASTIC);
            simulation.run(10 * SECOND);
            let samples = simulation.run(20 * SECOND);
            let sent = mean(samples, |sample| sample.sent);
            demand(sent >= least, &format!("{sent} at {loss} of a thousand lost"), seed, samples);
        }
    }
}

#[test]
fn a_policer_without_a_queue_is_found_by_its_losses() {
    for (seed, link) in links(8) {
        let mut simulation =
            Simulation::new(seed, Link { capacity: 1_000_000, queue: 15 * MILLISECOND, ..link }, LAYERS);
        simulation.run(10 * SECOND);
        let samples = simulation.run(20 * SECOND);
        let sent = mean(samples, |sample| sample.sent);
        demand((400_000..1_150_000).contains(&sent), &format!("{sent}"), seed, samples);
    }
}

#[test]
fn a_way_that_is_blocked_is_given_up_step_by_step() {
    let mut simulation = Simulation::new(1, LINK, LAYERS);
    simulation.run(6 * SECOND);
    simulation.link.loss = 1_000;
    let samples = simulation.run(10 * SECOND);
    let last = samples.last().unwrap();
    demand(last.estimate < 300_000 && last.state == BandwidthState::Lossy, "it is lowered", 1, samples);
}

#[test]
fn a_receivers_own_estimate_counts_while_there_is_no_feedback() {
    let mut estimator = Estimator::default();
    assert_eq!(estimator.budget(SECOND), None);
    estimator.on_remb(700_000);
    assert_eq!(estimator.budget(SECOND), Some(700_000));
    estimator.set_wanted(900_000);
    assert_eq!(estimator.estimate(SECOND).state, BandwidthState::Holding);
}

/// What people in a call without much movement send.
const CALL: &[u64] = &[110_000, 250_000];

#[test]
fn a_way_that_becomes_longer_is_soon_known_not_to_be_a_queue() {
    for (seed, link) in links(40) {
        for loss in [0, 50] {
            let wide = Link { capacity: 50_000_000, loss, ..link };
            let mut simulation = Simulation::new(seed, wide, CALL);
            simulation.run(8 * SECOND);
            simulation.link.delay += 65 * MILLISECOND;
            simulation.estimator.on_round_trip(2 * simulation.link.delay);
            let samples = simulation.run(15 * SECOND);
            let back = until(samples, |sample| sample.estimate >= CALL[1] + SOUND);
            demand(back <= 1_500 * MILLISECOND, "it was taken for a queue", seed, samples);
        }
    }
}

#[test]
fn bursts_of_losses_do_not_take_the_pictures() {
    for (seed, link) in links(200) {
        let wide = Link { capacity: 50_000_000, loss: 50, burst: 5, ..link };
        let mut simulation = Simulation::new(seed, wide, CALL);
        simulation.run(8 * SECOND);
        let samples = simulation.run(60 * SECOND);
        let is_low = |sample: &Sample| sample.estimate < CALL[1] + SOUND;
        let longest = samples.split(|sample| !is_low(sample)).map(<[_]>::len).max();
        demand(longest <= Some(15), "it is back within 1.5 s", seed, samples);
        let low = samples.iter().filter(|sample| is_low(sample)).count();
        demand(low <= 30, "it is low for less than 5 % of the time", seed, samples);
    }
}
