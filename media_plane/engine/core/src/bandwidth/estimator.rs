//! The estimate of one receiver's way, and everything that it is made of.

use super::acknowledged::{Acknowledged, QUICK, STEADY};
use super::aimd::{ABOVE_ARRIVING, Aimd, Phase};
use super::arrival::ArrivalGroups;
use super::feedback::FeedbackReader;
use super::history::SentHistory;
use super::loss::LossController;
use super::overuse::{OveruseDetector, Usage};
use super::probe::Prober;
use super::queueing::QueueingDelay;
use super::trendline::Trendline;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::twcc::TransportFeedback;

/// The rate at the start (`kDefaultStartBitrateBps`): a small picture and sound.
const START: f64 = 300e3;
/// Bounds of the rate, bits a second: sound must pass, and nobody receives more than the second.
const LEAST: f64 = 30e3;
const MOST: f64 = 100e6;
/// Before so much feedback the estimate is a guess and limits nothing: what is forwarded meanwhile shows more. The second figure
/// is for those who want more than has been shown to pass, and nothing has shown a limit.
const LEARNING: Micros = 500 * MILLISECOND;
const LONGEST_LEARNING: Micros = 3 * SECOND;
/// Until more than this waits on the way, what arrives may be taken for what passes.
const CALM: Micros = 40 * MILLISECOND;
/// How much more is known to pass than what flows without a queue: streams vary by so much from one second to the next, and a
/// limit that follows them exactly would cut them.
const ABOVE_FLOWING: f64 = 1.1;
/// So much more than what is wanted has to pass: streams vary, and a better layer is only taken with a margin.
const HEADROOM: f64 = 1.1;
/// A slope of the delay is believed once even the least delayed packet of a report waits for so long.
const SOME_QUEUE: Micros = 10 * MILLISECOND;
/// And for so many bits at the present rate, two large packets: on a narrow way everything waits for one that leaves.
const SOME_PACKETS: f64 = 2.0 * 1_200.0 * 8.0;
/// A queue that is longer after a decrease is emptied by sending less than passes, for so long at most: the way may simply have
/// become longer. GCC leaves this to the next decreases, which takes seconds.
const LONG_QUEUE: Micros = 80 * MILLISECOND;
const DRAIN: f64 = 0.7;
const DRAIN_TIME: Micros = 2 * SECOND;
/// A standing delay that is no shorter than this share (in percent) so long after a decrease, beyond the round trip, is no queue,
/// or it would have emptied itself: the way has become longer.
const STILL_THERE: Micros = 80;
const PROOF: Micros = 500 * MILLISECOND;
/// After a decrease nothing is probed for so long: the queue has to be empty, or the burst would measure it.
const REST: Micros = SECOND;
/// Silence of a receiver that is sent something (beyond the round trip) that stands for a way that is blocked, the time
/// between two reductions for it, and what is left each time (`kFeedbackTimeoutIntervals`).
const SILENCE: Micros = SECOND;
const SILENCE_STEP: Micros = 500 * MILLISECOND;
const SILENCE_FACTOR: f64 = 0.8;
/// How much faster than the estimate video leaves where it is paced (libwebrtc: 2.5): a picture takes two thirds of its time, a
/// key frame does not fill the queue of a narrow link.
const PACING: f64 = 1.5;
/// The longest time between two reports of a browser.
const FEEDBACK_INTERVAL: Micros = 100 * MILLISECOND;
/// A share of losses from which on no probe is sent: it would only add to them.
const LOSSY: f64 = 0.3;

/// What the estimate does (`parley.meeting.v1.BandwidthState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BandwidthState {
    /// The receiver gives no feedback.
    #[default]
    Unknown,
    /// More than everything wanted is there.
    Sufficient,
    /// It rises: no delay and no loss were seen.
    Increasing,
    /// It holds still until queues on the way are empty.
    Holding,
    /// It was lowered because packets waited longer and longer.
    Delayed,
    /// It was lowered because packets were lost.
    Lossy,
    /// More is sent for a moment to find out whether it passes.
    Probing,
}

/// What is known of the way to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// What may be sent, in bits a second, everything included; meaningless while the state is unknown.
    pub bits_per_second: u64,
    /// What the estimate does and why.
    pub state: BandwidthState,
    /// Time that packets wait on the way.
    pub queueing_delay: Micros,
    /// Share of the packets of the last second that were lost.
    pub fraction_lost: f64,
    /// What arrives, in bits a second; 0: not known.
    pub acknowledged: u64,
}

/// Estimates what the way to one receiver carries.
#[derive(Debug)]
pub(crate) struct Estimator {
    history: SentHistory,
    reader: FeedbackReader,
    groups: ArrivalGroups,
    trendline: Trendline,
    detector: OveruseDetector,
    acknowledged: Acknowledged,
    queueing: QueueingDelay,
    aimd: Aimd,
    loss: LossController,
    prober: Prober,
    wanted: f64,
    round_trip: Micros,
    /// The receiver's own estimate (REMB), which counts while there is no feedback.
    told: Option<f64>,
    first_feedback: Option<Micros>,
    /// When the first packet after the latest feedback was sent.
    unanswered_since: Option<Micros>,
    silence_punished: Micros,
    /// What waited when the rate was lowered, nearly: less than that says that the queue empties itself.
    longest_queue: Micros,
    /// A standing delay that may not be a queue.
    doubted: Option<Doubted>,
    arriving: Arriving,
}

/// A standing delay that the rate was lowered for.
#[derive(Debug, Clone, Copy)]
struct Doubted {
    /// Since when it has not grown.
    since: Micros,
    delay: Micros,
    /// What the rate was before.
    rate: f64,
}

impl Doubted {
    /// More than this is a queue that grows.
    fn tolerated(&self) -> Micros {
        self.delay + SOME_QUEUE
    }
}

/// What arrived lately, and until when a lost report makes that look less than it is.
#[derive(Debug, Default)]
struct Arriving {
    rate: f64,
    hidden_until: Micros,
}

impl Arriving {
    /// What arrives now; while a lost report hides some of it, no less than before.
    fn note(&mut self, now: Micros, measured: f64, has_gap: bool) -> f64 {
        if has_gap {
            self.hidden_until = now + QUICK.cast_unsigned() + FEEDBACK_INTERVAL;
        }
        if now < self.hidden_until {
            return measured.max(self.rate);
        }
        self.rate = measured;
        measured
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self {
            history: SentHistory::default(),
            reader: FeedbackReader::default(),
            groups: ArrivalGroups::default(),
            trendline: Trendline::default(),
            detector: OveruseDetector::default(),
            acknowledged: Acknowledged::default(),
            queueing: QueueingDelay::default(),
            aimd: Aimd::new(START, (LEAST, MOST)),
            loss: LossController::default(),
            prober: Prober::default(),
            wanted: 0.0,
            round_trip: 100 * MILLISECOND,
            told: None,
            first_feedback: None,
            unanswered_since: None,
            silence_punished: 0,
            longest_queue: 0,
            doubted: None,
            arriving: Arriving::default(),
        }
    }
}

impl Estimator {
    /// Takes note of a packet that leaves with this transport-wide sequence number.
    #[inline]
    pub(crate) fn on_sent(&mut self, now: Micros, sequence: u16, size: usize) {
        let size = size.min(usize::from(u16::MAX)) as u16;
        let probe = self.prober.on_sent(size);
        self.history.record(now, sequence, size, probe);
        self.unanswered_since.get_or_insert(now);
    }

    /// Takes a receiver's feedback.
    pub(crate) fn on_feedback(&mut self, now: Micros, report: &TransportFeedback<'_>) {
        let (tolerated, empties) = (self.tolerated(now), self.recently_lowered(now));
        let (packets, has_gap) = self.reader.read(now, &mut self.history, report);
        if packets.is_empty() {
            return;
        }
        self.first_feedback.get_or_insert(now);
        self.unanswered_since = None;
        let mut usage = None;
        for packet in packets {
            self.prober.on_result(packet);
            let Some(arrival) = packet.arrival else { continue };
            self.acknowledged.add(arrival, packet.size);
            if let Some(delta) = self.groups.add(packet.sent, arrival) {
                self.trendline.add(delta);
                let found = self.detector.detect(now, self.trendline.trend(), delta.sent);
                // One group that shows overuse is enough for the report.
                usage = usage.filter(|usage| *usage == Usage::Over).or(Some(found));
            }
        }
        self.queueing.update(now, packets);
        let (quick, steady) = (self.acknowledged.rate(QUICK), self.acknowledged.rate(STEADY));
        let quick = quick.map(|quick| self.arriving.note(now, quick, has_gap));
        if self.queueing.surges() {
            // Seen before the slope, which many groups have to agree on.
            usage = Some(Usage::Over);
        }
        let before = self.aimd.rate();
        match usage {
            // Jitter, or the packets of a picture behind each other: nothing waits for long. Or a burst, whose queue is its
            // own and is measured by it.
            Some(Usage::Over) if self.queueing.standing() < tolerated && !self.queueing.surges() => {}
            // The slope lags behind: the queue is emptying itself already, and what arrives is only what is sent.
            Some(Usage::Over)
                if self.queueing.falls() || (empties && self.queueing.standing() < self.longest_queue) => {}
            // It has been lowered for this delay, and whether that is a queue is not known yet.
            Some(Usage::Over)
                if self.doubted.is_some_and(|doubted| self.queueing.standing() <= doubted.tolerated()) => {}
            Some(Usage::Over) => {
                self.longest_queue = self.queueing.standing() * 9 / 10;
                self.aimd.update(now, Usage::Over, quick, self.round_trip);
            }
            // A queue that stands still is no reason to lower the rate, and none to raise it.
            Some(Usage::Normal) if self.queueing.standing() >= CALM => {
                self.aimd.update(now, Usage::Under, steady, self.round_trip);
            }
            Some(usage) => self.aimd.update(now, usage, steady, self.round_trip),
            None => {}
        }
        self.loss.update(packets, self.aimd.rate(), quick);
        self.doubt(now, before);
        self.learn(now, steady);
    }

    /// Finds out whether what the rate has been lowered for was a queue; `before` is what the rate was.
    fn doubt(&mut self, now: Micros, before: f64) {
        let standing = self.queueing.standing();
        if self.aimd.rate() < before && standing >= CALM {
            self.doubted.get_or_insert(Doubted { since: now, delay: standing, rate: before });
        }
        let Some(doubted) = &mut self.doubted else { return };
        if standing > doubted.tolerated() {
            (doubted.since, doubted.delay) = (now, standing);
        } else if standing * 100 < doubted.delay * STILL_THERE {
            self.doubted = None;
        } else if now.saturating_sub(doubted.since) >= PROOF + self.round_trip {
            self.queueing.rebase();
            self.aimd.raise(doubted.rate);
            self.doubted = None;
        }
    }

    /// What arrives without a queue, or has passed in a burst, is known to pass.
    fn learn(&mut self, now: Micros, steady: Option<f64>) {
        let calm = self.detector.usage() == Usage::Normal && self.queueing.standing() < CALM;
        if let Some(arriving) = steady.filter(|_| calm && !self.recently_lowered(now)) {
            // Before anything has shown a limit, what is sent is no sign of one.
            let margin = if self.aimd.lowered().is_none() { ABOVE_ARRIVING } else { ABOVE_FLOWING };
            self.aimd.raise(margin * arriving);
        }
        let shown = self.prober.conclude(now, self.round_trip);
        if let Some(shown) = shown.filter(|_| self.detector.usage() != Usage::Over) {
            self.aimd.raise(shown.rate);
            self.loss.raise(shown.rate);
        }
    }

    /// What a report may speak of: see [`TransportFeedback::packets_among`].
    pub(crate) fn reportable(&self) -> (u16, usize) {
        self.history.span()
    }

    /// Takes a receiver's own estimate (REMB).
    pub(crate) fn on_remb(&mut self, bits_per_second: u64) {
        self.told = Some(bits_per_second as f64);
    }

    /// Takes a measured round trip time.
    pub(crate) fn on_round_trip(&mut self, round_trip: Micros) {
        self.round_trip = round_trip;
    }

    /// What everything that the receiver could use would take, in bits a second: more than the estimate is probed for.
    pub(crate) fn set_wanted(&mut self, bits_per_second: u64) {
        self.wanted = HEADROOM * bits_per_second as f64;
    }

    /// Does what time asks for; to be called every 20 ms or so.
    pub(crate) fn tick(&mut self, now: Micros) {
        if self.first_feedback.is_none() {
            return;
        }
        self.punish_silence(now);
        if let Some(shown) = self.prober.conclude(now, self.round_trip) {
            self.aimd.raise(shown.rate);
            self.loss.raise(shown.rate);
        }
        let calm = self.detector.usage() != Usage::Over && self.queueing.standing() < LONG_QUEUE;
        if calm && !self.recently_lowered(now) && self.loss.fraction_lost() < LOSSY && !self.is_silent(now) {
            self.prober.consider(now, self.rate(), self.wanted);
        } else {
            self.prober.wait_until(now + REST / 2);
        }
    }

    /// Whether a burst is being sent, so that [`Estimator::padding_due`] wants to be asked every 5 ms.
    pub(crate) fn is_probing(&self) -> bool {
        self.prober.is_sending()
    }

    /// Bytes of padding to send now.
    pub(crate) fn padding_due(&mut self, now: Micros) -> usize {
        self.prober.padding_due(now)
    }

    /// What is known now.
    pub(crate) fn estimate(&self, now: Micros) -> Estimate {
        let known = self.is_known(now);
        let rate = if self.drains(now) { DRAIN * self.rate() } else { self.rate() };
        Estimate {
            bits_per_second: if known { rate as u64 } else { 0 },
            state: if known { self.state(now) } else { BandwidthState::Unknown },
            queueing_delay: self.queueing.mean(),
            fraction_lost: self.loss.fraction_lost(),
            acknowledged: self.acknowledged.rate(STEADY).unwrap_or_default() as u64,
        }
    }

    /// How fast video may leave, in bits a second; None: as it comes.
    pub(crate) fn pacing_rate(&self, now: Micros) -> Option<u64> {
        let estimate = self.estimate(now);
        let passes = matches!(estimate.state, BandwidthState::Unknown | BandwidthState::Sufficient);
        let pacing = if self.drains(now) { 1.0 } else { PACING };
        let rate = pacing * estimate.bits_per_second as f64;
        (!passes).then_some(rate.max(self.prober.rate().unwrap_or_default()) as u64)
    }

    /// What limits the receiver, in bits a second; None: nothing does, as far as is known.
    pub(crate) fn budget(&self, now: Micros) -> Option<u64> {
        let estimate = self.estimate(now);
        (estimate.state != BandwidthState::Unknown).then_some(estimate.bits_per_second)
    }

    fn is_known(&self, now: Micros) -> bool {
        match self.first_feedback {
            Some(first) => {
                let elapsed = now.saturating_sub(first);
                let enough = elapsed >= LEARNING && self.rate() >= self.wanted;
                enough || elapsed >= LONGEST_LEARNING || self.aimd.lowered().is_some() || self.loss.limit().is_some()
            }
            None => self.told.is_some(),
        }
    }

    /// What passes, as far as is known.
    fn rate(&self) -> f64 {
        if self.first_feedback.is_none() {
            return self.told.unwrap_or(START).clamp(LEAST, MOST);
        }
        self.loss.limit().map_or(self.aimd.rate(), |limit| limit.min(self.aimd.rate()).max(LEAST))
    }

    fn state(&self, now: Micros) -> BandwidthState {
        let by_loss = self.loss.limit().is_some_and(|limit| limit < self.aimd.rate());
        if self.prober.is_sending() {
            BandwidthState::Probing
        } else if by_loss || self.is_silent(now) {
            BandwidthState::Lossy
        } else if self.recently_lowered(now) || self.drains(now) {
            BandwidthState::Delayed
        } else if self.rate() >= self.wanted {
            BandwidthState::Sufficient
        } else if self.aimd.phase() == Phase::Hold {
            BandwidthState::Holding
        } else {
            BandwidthState::Increasing
        }
    }

    /// How long packets may wait without the rate being to blame.
    fn tolerated(&self, now: Micros) -> Micros {
        if self.prober.disturbs(now, self.round_trip) {
            return CALM;
        }
        let packets = SOME_PACKETS * SECOND as f64 / self.aimd.rate();
        SOME_QUEUE.max(packets as Micros).min(CALM)
    }

    fn recently_lowered(&self, now: Micros) -> bool {
        self.aimd.lowered().is_some_and(|at| now.saturating_sub(at) < REST)
    }

    /// Whether less than passes is sent, so that a queue empties itself.
    fn drains(&self, now: Micros) -> bool {
        let lowered = self.aimd.lowered().is_some_and(|at| now.saturating_sub(at) < DRAIN_TIME);
        lowered && self.queueing.standing() > LONG_QUEUE
    }

    fn is_silent(&self, now: Micros) -> bool {
        self.unanswered_since.is_some_and(|since| now.saturating_sub(since) > SILENCE + self.round_trip)
    }

    fn punish_silence(&mut self, now: Micros) {
        if self.is_silent(now) && now.saturating_sub(self.silence_punished) >= SILENCE_STEP {
            self.silence_punished = now;
            self.aimd.lower(now, SILENCE_FACTOR * self.aimd.rate());
        }
    }
}
