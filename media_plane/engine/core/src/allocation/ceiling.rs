//! Where a slot stays after a step down, so that an estimate that wavers does not make a picture waver.

use super::{Demand, Limit, Step};
use crate::clock::{Micros, SECOND};

/// No step up for so long after a step down for want of bandwidth. mediasoup's `BweDowngradeConservativeMs` is 10 s; a way that
/// becomes wide right after a step down has to be used within 10 s, the step up itself included.
const HOLD: Micros = 8 * SECOND;
/// Or, after the first of these times, until there is this share (in percent) of what there was for pictures at the step down:
/// then the way is another. Before, the estimate may have fallen too far.
const LEAST_HOLD: Micros = 3 * SECOND;
const WIDENED_PERCENT: u64 = 200;

/// The best step that a slot may have for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// A height and a temporal layer.
    rank: (u16, u8),
    since: Micros,
    /// What there was for pictures at the step down, in bits a second.
    budget: u64,
}

impl Ceiling {
    /// What a division that would give the slot `best` at most leaves it with; None: that is no step down for want of bandwidth.
    pub(crate) fn after(now: Micros, demand: &Demand, best: Option<&Step>, budget: Option<u64>) -> Option<Self> {
        let rank = best.map(Step::rank);
        let (true, Some(budget)) = (rank < demand.present && demand.limit == Limit::Bandwidth, budget) else {
            return None;
        };
        let floor = || demand.ladder.steps().first().map(Step::rank).unwrap_or_default();
        Some(Self { rank: rank.unwrap_or_else(floor), since: now, budget })
    }

    /// The best step, with so much for pictures (None: as much as anyone wants); None: any.
    pub(crate) fn rank(&self, now: Micros, budget: Option<u64>) -> Option<(u16, u8)> {
        let elapsed = now.saturating_sub(self.since);
        let widened = budget.is_none_or(|budget| budget >= self.budget * WIDENED_PERCENT / 100);
        (elapsed < LEAST_HOLD || (elapsed < HOLD && !widened)).then_some(self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Ceiling = Ceiling { rank: (180, 2), since: SECOND, budget: 300_000 };

    #[test]
    fn it_holds_for_a_while() {
        assert_eq!(CEILING.rank(SECOND + HOLD - 1, Some(500_000)), Some((180, 2)));
        assert_eq!(CEILING.rank(SECOND + HOLD, Some(500_000)), None);
    }

    #[test]
    fn a_way_that_carries_twice_as_much_lifts_it() {
        let soon = SECOND + LEAST_HOLD;
        assert_eq!(CEILING.rank(soon - 1, Some(900_000)), Some((180, 2)), "that may be an estimate that wavers");
        assert_eq!(CEILING.rank(soon, Some(599_999)), Some((180, 2)));
        assert_eq!(CEILING.rank(soon, Some(600_000)), None);
        assert_eq!(CEILING.rank(soon, None), None, "nothing limits the receiver any more");
    }
}
