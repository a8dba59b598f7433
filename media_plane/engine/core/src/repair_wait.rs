//! How long pictures wait for the repair of what a lossy way takes from them, so that a repair is a delay and not a jerk.
//!
//! A receiver knows only its own way, and learns slowly what repairs on it take. What the sender lost on the way to the node comes
//! late besides, by the round trip of that way. A receiver that shows pictures as they come then stands still at every
//! loss: the node, which knows both ways, tells it to wait that long (playout-delay).

use crate::clock::{MILLISECOND, Micros};
use crate::wire::extension::PlayoutDelay;

/// Weight of what is known of the losses against the latest report, which comes each second: more when that tells of fewer, because a
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
/// The longest wait for one way, and for the sender's and the receiver's together: people who talk to each other bear no more.
const MOST: Micros = 600 * MILLISECOND;
const MOST_BOTH: Micros = 800 * MILLISECOND;

/// What is known of the losses of a way, and how long repairs on it take.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RepairWait {
    loss: f32,
    /// 0: nothing to wait for.
    delay: Micros,
}

impl RepairWait {
    /// Takes the losses since the last report (of 256), on a way of this round trip.
    pub(crate) fn note(&mut self, fraction_lost: u8, round_trip: Micros) {
        let lost = f32::from(fraction_lost) / 256.0;
        let weight = if lost < self.loss { FEWER_LOSSES_WEIGHT } else { LOSS_WEIGHT };
        self.loss = self.loss * weight + lost * (1.0 - weight);
        let repair = (round_trip * REPAIR_PERCENT / 100).max(LEAST_REPAIR);
        let begin = if repair >= LONG_REPAIR { BEGIN_LONG } else { BEGIN };
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
        self.delay = (NOTICE + requests * repair).min(MOST);
    }

    /// Whether so much is lost that something is done about it.
    pub(crate) fn is_lossy(self) -> bool {
        self.delay > 0
    }

    /// What a receiver is told whose own way loses too; 0: nothing to wait for.
    pub(crate) fn delay_with(self, receiver: Self) -> PlayoutDelay {
        let delay = (self.delay + receiver.delay).min(MOST_BOTH);
        PlayoutDelay((delay / (PlayoutDelay::STEP_MS * MILLISECOND)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: usize, percent: u32, round_trip: Micros) -> u16 {
        let mut wait = RepairWait::default();
        (0..reports).for_each(|_| wait.note((percent * 256 / 100) as u8, round_trip));
        wait.delay_with(RepairWait::default()).0
    }

    #[test]
    fn pictures_wait_for_as_many_repairs_as_may_be_needed() {
        assert_eq!(after(20, 0, 20 * MILLISECOND), 0);
        assert_eq!(after(20, 2, 20 * MILLISECOND), 0, "seldom enough");
        assert_eq!(after(20, 5, 20 * MILLISECOND), 12, "three requests of 25 ms");
        assert_eq!(after(20, 20, 20 * MILLISECOND), 15, "four");
        assert_eq!(after(20, 1, 90 * MILLISECOND), 0, "seldom enough");
        assert_eq!(after(20, 5, 100 * MILLISECOND), 42, "three of 125 ms");
        assert_eq!(after(20, 20, 150 * MILLISECOND), 60, "the longest");
        assert_eq!(after(20, 2, 150 * MILLISECOND), 42, "two of 187 ms: seldom, but each one would be seen");
    }

    #[test]
    fn where_both_ways_lose_pictures_wait_for_both() {
        let [mut sender, mut receiver] = [RepairWait::default(); 2];
        (0..20).for_each(|_| sender.note(13, 20 * MILLISECOND));
        assert_eq!(sender.delay_with(receiver).0, 12);
        (0..20).for_each(|_| receiver.note(13, 20 * MILLISECOND));
        assert_eq!(sender.delay_with(receiver).0, 25);
        assert_eq!(RepairWait::default().delay_with(receiver).0, 12, "the receiver's own way alone");
        for way in [&mut sender, &mut receiver] {
            (0..20).for_each(|_| way.note(51, 150 * MILLISECOND));
        }
        assert_eq!(sender.delay_with(receiver).0, 80, "the longest");
    }

    #[test]
    fn one_bad_second_is_no_reason_and_the_wait_ends() {
        assert_eq!(after(1, 10, 20 * MILLISECOND), 0);
        let mut wait = RepairWait::default();
        (0..20).for_each(|_| wait.note(26, 20 * MILLISECOND));
        assert!(wait.delay_with(RepairWait::default()).0 > 0);
        (0..20).for_each(|_| wait.note(0, 20 * MILLISECOND));
        assert!(wait.delay_with(RepairWait::default()).0 > 0, "not at once");
        (0..20).for_each(|_| wait.note(0, 20 * MILLISECOND));
        assert_eq!(wait.delay_with(RepairWait::default()).0, 0);
    }
}
