//! What somebody may make the engine do: a token bucket that is full at the beginning.

use crate::clock::{Micros, SECOND};

/// A token bucket. It holds what was not used for so long at most; tokens are counted in millionths.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    rate: u64,
    capacity: u64,
    level: u64,
    filled: Micros,
}

impl Bucket {
    /// A bucket for `rate` tokens a second, of which what `saved` earns may be saved up.
    pub(crate) fn new(now: Micros, rate: u64, saved: Micros) -> Self {
        let capacity = rate * saved;
        Self { rate, capacity, level: capacity, filled: now }
    }

    /// Whether there are so many tokens.
    pub(crate) fn has(&mut self, now: Micros, tokens: u64) -> bool {
        let gained = now.saturating_sub(self.filled).saturating_mul(self.rate);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.filled = self.filled.max(now);
        self.level >= tokens * SECOND
    }

    /// Takes so many tokens; false when there are fewer, and then none are taken.
    pub(crate) fn take(&mut self, now: Micros, tokens: u64) -> bool {
        let enough = self.has(now, tokens);
        if enough {
            self.level -= tokens * SECOND;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::new(0, 100, 2 * SECOND);
        let mut taken = |now| (0..10_000).take_while(|_| bucket.take(now, 1)).count();
        assert_eq!(taken(0), 200);
        assert_eq!(taken(SECOND / 2), 50);
        assert_eq!(taken(3_600 * SECOND), 200, "no more is saved up");
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let mut bucket = Bucket::new(0, 10, SECOND);
        assert!(!bucket.take(0, 11) && bucket.take(0, 10) && !bucket.has(0, 1));
        assert!(bucket.has(SECOND / 10, 1), "time that passes is earned");
    }
}
