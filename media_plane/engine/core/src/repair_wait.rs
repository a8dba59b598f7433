//! How long pictures of a sender with losses wait for their repair, so that a repair is a delay and not a jerk.
//!
//! A receiver knows only its own way. What the sender lost on the way to the node comes late, by the round trip of that way, and a
//! receiver that shows pictures as they come then stands still at every loss. The node tells it to wait that long (playout-delay).

use crate::clock::{MILLISECOND, Micros};
use crate::wire::extension::PlayoutDelay;

/// Weight of what is known of the losses against the latest report, which comes each second.
const LOSS_WEIGHT: f32 = 0.75;
/// A share of losses from which on pictures wait, and below which they no longer do: what is lost so seldom is not worth it.
const BEGIN: f32 = 0.03;
const END: f32 = 0.01;
/// One picture in so many may come later than it is waited for.
const LATE_SHARE: f32 = 0.005;
/// More requests than are ever worth waiting for.
const MOST_REQUESTS: u64 = 8;
/// Until a loss is noticed: the time between two packets of a slow stream, and reordering.
const NOTICE: Micros = 50 * MILLISECOND;
/// What a request and its answer take beyond the round trip, in percent, and at least.
const REPAIR_PERCENT: Micros = 125;
const LEAST_REPAIR: Micros = 25 * MILLISECOND;
/// The longest wait: people who talk to each other bear no more.
const MOST: Micros = 500 * MILLISECOND;

/// What is known of a sender's losses, and what follows from it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RepairWait {
    loss: f32,
    delay: Micros,
}

impl RepairWait {
    /// Takes the losses since the last report (of 256), on a way of this round trip.
    pub(crate) fn note(&mut self, fraction_lost: u8, round_trip: Micros) {
        self.loss = self.loss * LOSS_WEIGHT + f32::from(fraction_lost) / 256.0 * (1.0 - LOSS_WEIGHT);
        let waits = self.delay > 0;
        if self.loss < if waits { END } else { BEGIN } {
            self.delay = 0;
            return;
        }
        // So many requests in a row fail seldom enough.
        let mut requests = 1;
        let mut failing = self.loss;
        while failing > LATE_SHARE && requests < MOST_REQUESTS {
            failing *= self.loss;
            requests += 1;
        }
        let repair = (round_trip * REPAIR_PERCENT / 100).max(LEAST_REPAIR);
        self.delay = (NOTICE + requests * repair).min(MOST);
    }

    /// What receivers are told; 0: nothing to wait for.
    pub(crate) fn delay(self) -> PlayoutDelay {
        PlayoutDelay((self.delay / (PlayoutDelay::STEP_MS * MILLISECOND)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: usize, percent: u32, round_trip: Micros) -> u16 {
        let mut wait = RepairWait::default();
        (0..reports).for_each(|_| wait.note((percent * 256 / 100) as u8, round_trip));
        wait.delay().0
    }

    #[test]
    fn pictures_wait_for_as_many_repairs_as_may_be_needed() {
        assert_eq!(after(20, 0, 20 * MILLISECOND), 0);
        assert_eq!(after(20, 2, 20 * MILLISECOND), 0, "seldom enough");
        assert_eq!(after(20, 5, 20 * MILLISECOND), 10, "two requests of 25 ms");
        assert_eq!(after(20, 20, 20 * MILLISECOND), 15, "four");
        assert_eq!(after(20, 5, 150 * MILLISECOND), 42, "two of 187 ms");
        assert_eq!(after(20, 20, 150 * MILLISECOND), 50, "the longest");
    }

    #[test]
    fn one_bad_second_is_no_reason_and_the_wait_ends() {
        assert_eq!(after(1, 10, 20 * MILLISECOND), 0);
        let mut wait = RepairWait::default();
        (0..20).for_each(|_| wait.note(26, 20 * MILLISECOND));
        assert!(wait.delay().0 > 0);
        (0..8).for_each(|_| wait.note(0, 20 * MILLISECOND));
        assert!(wait.delay().0 > 0 || wait.loss < END);
        (0..8).for_each(|_| wait.note(0, 20 * MILLISECOND));
        assert_eq!(wait.delay().0, 0);
    }
}
