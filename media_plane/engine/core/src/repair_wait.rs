//! How long pictures wait for the repair of what a lossy way takes from them, so that a repair is a delay and not a jerk.
//!
//! A receiver knows only its own way, and learns slowly what repairs on it take. What the sender lost on the way to the node comes
//! late besides, by the round trip of that way. A receiver that shows pictures as they come then stands still at every
//! loss: the node, which knows both ways, tells it to wait that long (playout-delay). How long that is, the losses and the round
//! trip tell at first, and then the repairs themselves: what is lost in bursts is noticed late, and its repairs fall into the same burst.

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::wire::extension::PlayoutDelay;

/// Weight of what is known of the losses against those of the last second: more when that tells of fewer, because a
/// wait that comes and goes is worse than either.
const LOSS_WEIGHT: f32 = 0.75;
const FEWER_LOSSES_WEIGHT: f32 = 0.9;
/// A share of losses from which on pictures wait: what is lost more seldom is not worth it.
const BEGIN: f32 = 0.03;
/// The same where a repair takes so long that each one is seen.
const BEGIN_LONG: f32 = 0.01;
const LONG_REPAIR: Micros = 100 * MILLISECOND;
/// They no longer wait below this part of it.
const END_PART: f32 = 1.0 / 3.0;
/// One picture in so many may come later than it is waited for.
const LATE_SHARE: f32 = 0.005;
/// How often a repair is lost at least: losses come together.
const REPAIR_LOSS: f32 = 0.2;
/// More requests than are ever worth waiting for.
const MOST_REQUESTS: u64 = 8;
/// Until a loss is noticed: the time between two packets of a slow stream, and reordering.
const NOTICE: Micros = 50 * MILLISECOND;
/// What a request and its answer take beyond the round trip, in percent, and at least.
const REPAIR_PERCENT: Micros = 125;
const LEAST_REPAIR: Micros = 25 * MILLISECOND;
/// What a repair needs beyond its lateness to be in time: it is decoded and shown in the turn that it missed.
const SLACK: Micros = 25 * MILLISECOND;
/// The latest repair counts for less with each one that comes, and with each second: about one in so many is later than is waited for.
const FORGET: u64 = 256;
const FORGET_IN_TIME: u64 = 128;
/// The longest wait for one way, and for the sender's and the receiver's together: people who talk to each other bear no more.
const MOST: Micros = 600 * MILLISECOND;
const MOST_BOTH: Micros = 800 * MILLISECOND;

/// The losses of a way are looked at so often, and over at least so many packets.
const PERIOD: Micros = SECOND;
const FEWEST: u64 = 20;
/// Parts of a 256th, so that few losses are not rounded away.
const FINE: u64 = 128;
/// How fast a wait grows and shrinks, in percent of the time that passes. Pictures slow down and speed up by that much: a wait that came
/// at once would be the jerk that it is there to avoid. libwebrtc itself shrinks its delay no faster.
const GROWTH_PERCENT: Micros = 25;
const SHRINKING_PERCENT: Micros = 10;
/// A stream that begins, or goes on after so long, goes on with the wait that it had: its first picture is shown at once.
const PAUSE: Micros = SECOND;

/// What is known of the losses of a way, and how long repairs on it take.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RepairWait {
    /// Packets of all streams since the losses were last looked at.
    expected: u64,
    lost: u64,
    looked_at: Micros,
    loss: f32,
    /// How late the latest repairs were of late.
    late: Micros,
    /// 0: nothing to wait for.
    delay: Micros,
}

impl RepairWait {
    /// Takes what a report says of one stream since its last one: so many packets expected, and of these lost in 256ths.
    pub(crate) fn note(&mut self, now: Micros, expected: u32, fraction_lost: u8, round_trip: Micros) {
        self.expected += u64::from(expected);
        self.lost += u64::from(expected) * u64::from(fraction_lost);
        if self.expected >= FEWEST && now >= self.looked_at + PERIOD {
            let lost = f32::from((self.lost * FINE / self.expected) as u16) / f32::from(FINE as u16) / 256.0;
            (self.expected, self.lost, self.looked_at) = (0, 0, now);
            self.decide(lost, round_trip);
        }
    }

    /// Takes note of the repair of a picture that came so much later than the picture should have.
    pub(crate) fn note_repair(&mut self, late: Micros) {
        self.late = (self.late - self.late / FORGET).max(late.min(MOST));
    }

    fn decide(&mut self, lost: f32, round_trip: Micros) {
        let weight = if lost < self.loss { FEWER_LOSSES_WEIGHT } else { LOSS_WEIGHT };
        self.loss = self.loss * weight + lost * (1.0 - weight);
        let repair = (round_trip * REPAIR_PERCENT / 100).max(LEAST_REPAIR);
        self.late -= self.late / FORGET_IN_TIME;
        let begin = if repair.max(self.late) >= LONG_REPAIR { BEGIN_LONG } else { BEGIN };
        let waits = self.delay > 0;
        if self.loss < if waits { begin * END_PART } else { begin } {
            self.delay = 0;
            return;
        }
        // So many requests in a row fail seldom enough.
        let mut requests = 1;
        let mut failing = self.loss;
        while failing > LATE_SHARE && requests < MOST_REQUESTS {
            failing *= self.loss.max(REPAIR_LOSS);
            requests += 1;
        }
        self.delay = (NOTICE + requests * repair).max(self.late + SLACK).min(MOST);
    }

    /// Whether so much is lost that something is done about it.
    pub(crate) fn is_lossy(self) -> bool {
        self.delay > 0
    }

    /// How long to wait where the receiver's own way loses too; 0: nothing to wait for.
    pub(crate) fn with(self, receiver: Self) -> Micros {
        (self.delay + receiver.delay).min(MOST_BOTH)
    }
}

/// What a receiver is told to wait: it follows what is needed by and by.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ToldWait {
    delay: Micros,
    at: Micros,
    /// It has been told to wait, and must be told when that ends.
    begun: bool,
}

impl ToldWait {
    pub(crate) fn delay(self) -> Micros {
        self.delay
    }

    /// What to tell it now; None: nothing yet.
    pub(crate) fn follow(&mut self, now: Micros, needed: Micros) -> Option<PlayoutDelay> {
        let since = now.saturating_sub(self.at);
        let passed = if since < PAUSE { since } else { 0 };
        self.at = now;
        let most = self.delay + passed * GROWTH_PERCENT / 100;
        let least = self.delay.saturating_sub(passed * SHRINKING_PERCENT / 100);
        self.delay = needed.clamp(least, most);
        self.begun |= self.delay > 0;
        self.begun.then_some(PlayoutDelay((self.delay / (PlayoutDelay::STEP_MS * MILLISECOND)) as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u32 = 60;

    /// After so many seconds of these losses.
    fn lossy(seconds: u64, percent: u32, round_trip: Micros) -> RepairWait {
        let mut wait = RepairWait::default();
        lose(&mut wait, 0, seconds, percent, round_trip);
        wait
    }

    fn lose(wait: &mut RepairWait, from: u64, seconds: u64, percent: u32, round_trip: Micros) {
        (from + 1..=from + seconds)
            .for_each(|at| wait.note(at * SECOND, PACKETS, (percent * 256 / 100) as u8, round_trip));
    }

    /// The wait in milliseconds.
    fn after(seconds: u64, percent: u32, round_trip: Micros) -> Micros {
        lossy(seconds, percent, round_trip).with(RepairWait::default()) / MILLISECOND
    }

    #[test]
    fn pictures_wait_for_as_many_repairs_as_may_be_needed() {
        assert_eq!(after(20, 0, 20 * MILLISECOND), 0);
        assert_eq!(after(20, 2, 20 * MILLISECOND), 0, "seldom enough");
        assert_eq!(after(20, 5, 20 * MILLISECOND), 125, "three requests of 25 ms");
        assert_eq!(after(20, 20, 20 * MILLISECOND), 150, "four");
        assert_eq!(after(20, 1, 90 * MILLISECOND), 0, "seldom enough");
        assert_eq!(after(20, 5, 100 * MILLISECOND), 425, "three of 125 ms");
        assert_eq!(after(20, 20, 150 * MILLISECOND), 600, "the longest");
        assert_eq!(after(20, 2, 150 * MILLISECOND), 425, "two of 187 ms: seldom, but each one would be seen");
    }

    #[test]
    fn what_repairs_take_counts_for_more_than_what_they_should() {
        let round_trip = 20 * MILLISECOND;
        let mut wait = lossy(20, 5, round_trip);
        let told = |wait: RepairWait| wait.with(RepairWait::default()) / MILLISECOND;
        wait.note_repair(60 * MILLISECOND);
        lose(&mut wait, 20, 1, 5, round_trip);
        assert_eq!(told(wait), 125, "as expected");
        wait.note_repair(256 * MILLISECOND);
        lose(&mut wait, 21, 1, 5, round_trip);
        assert_eq!(told(wait), 279);
        (0..100).for_each(|_| wait.note_repair(60 * MILLISECOND));
        lose(&mut wait, 22, 1, 5, round_trip);
        assert!((190..210).contains(&told(wait)), "{}", told(wait));
        (0..500).for_each(|_| wait.note_repair(60 * MILLISECOND));
        lose(&mut wait, 23, 1, 5, round_trip);
        assert_eq!(told(wait), 125);
        wait.note_repair(3 * SECOND);
        lose(&mut wait, 24, 1, 5, round_trip);
        assert_eq!(told(wait), 600, "the longest");
        lose(&mut wait, 25, 300, 0, round_trip);
        lose(&mut wait, 325, 20, 5, round_trip);
        assert_eq!(told(wait), 125, "other times");
    }

    #[test]
    fn where_repairs_come_late_few_losses_are_reason_enough() {
        let round_trip = 20 * MILLISECOND;
        let mut wait = lossy(20, 2, round_trip);
        assert!(!wait.is_lossy());
        wait.note_repair(150 * MILLISECOND);
        lose(&mut wait, 20, 1, 2, round_trip);
        assert!(wait.is_lossy());
    }

    #[test]
    fn where_both_ways_lose_pictures_wait_for_both() {
        let good = RepairWait::default();
        let bad = lossy(20, 5, 20 * MILLISECOND);
        assert_eq!(bad.with(good), 125 * MILLISECOND);
        assert_eq!(good.with(bad), 125 * MILLISECOND, "the receiver's own way alone");
        assert_eq!(bad.with(bad), 250 * MILLISECOND);
        let worst = lossy(20, 20, 150 * MILLISECOND);
        assert_eq!(worst.with(worst), 800 * MILLISECOND, "the longest");
    }

    #[test]
    fn one_bad_second_is_no_reason_and_the_wait_ends() {
        let good = RepairWait::default();
        let round_trip = 20 * MILLISECOND;
        assert_eq!(after(1, 10, round_trip), 0);
        let mut wait = lossy(20, 10, round_trip);
        assert!(wait.with(good) > 0);
        lose(&mut wait, 20, 20, 0, round_trip);
        assert!(wait.with(good) > 0, "not at once");
        lose(&mut wait, 40, 20, 0, round_trip);
        assert_eq!(wait.with(good), 0);
    }

    #[test]
    fn streams_count_by_their_packets() {
        let mut wait = RepairWait::default();
        for at in 1..=20 {
            // Half of the four packets of a voice that pauses are not half of what is lost.
            wait.note(at * SECOND, 4, 128, 20 * MILLISECOND);
            wait.note(at * SECOND, 196, 0, 20 * MILLISECOND);
        }
        assert!(!wait.is_lossy());
        for at in 21..=40 {
            wait.note(at * SECOND, 4, 128, 20 * MILLISECOND);
            wait.note(at * SECOND, 196, 8, 20 * MILLISECOND);
        }
        assert!(wait.is_lossy());
    }

    #[test]
    fn what_begins_is_shown_at_once() {
        let mut told = ToldWait::default();
        let mut follow = |at| told.follow(at * MILLISECOND, 400 * MILLISECOND).map(|delay| delay.0);
        assert_eq!(follow(60_000), None);
        assert_eq!(follow(60_200), Some(5));
        assert_eq!(follow(90_000), Some(5), "after a pause");
        assert_eq!(follow(90_200), Some(10));
    }

    #[test]
    fn a_receiver_is_slowed_down_and_not_stopped() {
        let mut told = ToldWait::default();
        let frame = 50 * MILLISECOND;
        let mut follow = |frames: std::ops::Range<u64>, needed| {
            frames.map(|at| told.follow(at * frame, needed)).last().flatten().map(|delay| delay.0)
        };
        assert_eq!(follow(0..20, 0), None, "nobody has told it to wait");
        assert_eq!(follow(20..40, 400 * MILLISECOND), Some(25), "a quarter of a second in a second");
        assert_eq!(follow(40..60, 400 * MILLISECOND), Some(40));
        assert_eq!(follow(60..80, 0), Some(30));
        assert_eq!(follow(80..200, 0), Some(0), "it is told that the wait has ended");
    }
}
