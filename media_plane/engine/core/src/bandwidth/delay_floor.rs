//! The least one-way delay of late: what exceeds it is time in queues. The two ends' clocks differ by something unknown, which is in
//! the floor as well.

use crate::clock::{Micros, SECOND};

/// Long enough to see the way empty, short enough for clocks that drift (50 ppm: 0.5 ms) and ways that change.
const STRETCH: Micros = 10 * SECOND;

/// The floor of delays in any unit: the least of this and the previous stretch of time.
#[derive(Debug)]
pub(super) struct DelayFloor {
    /// Least delay of the previous stretch and of this one.
    stretches: [i64; 2],
    began: Micros,
}

impl Default for DelayFloor {
    fn default() -> Self {
        Self { stretches: [i64::MAX; 2], began: 0 }
    }
}

impl DelayFloor {
    /// Takes note of a delay and returns by how much it exceeds the floor.
    pub(super) fn excess(&mut self, now: Micros, delay: i64) -> i64 {
        if now.saturating_sub(self.began) >= STRETCH {
            self.began = now;
            self.stretches = [self.stretches[1], i64::MAX];
        }
        self.stretches[1] = self.stretches[1].min(delay);
        delay - self.stretches[0].min(self.stretches[1])
    }

    /// From now on the floor is higher by so much: the way has become longer.
    pub(super) fn raise(&mut self, by: i64) {
        let higher = self.stretches[0].min(self.stretches[1]).saturating_add(by);
        self.stretches = [higher; 2];
    }
}
