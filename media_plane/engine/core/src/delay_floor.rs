//! The least one-way delay of late: what exceeds it is time in queues. The two ends' clocks differ by something unknown, which is in
//! the floor as well.

use crate::clock::Micros;

/// The floor of delays in any unit: the least of this and the previous stretch of time.
#[derive(Debug)]
pub(crate) struct DelayFloor {
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
    ///
    /// `stretch` should be long enough to see the way empty, and short enough for ways that change; the same at each call.
    pub(crate) fn excess(&mut self, now: Micros, delay: i64, stretch: Micros) -> i64 {
        if now.saturating_sub(self.began) >= stretch {
            self.began = now;
            self.stretches = [self.stretches[1], i64::MAX];
        }
        self.stretches[1] = self.stretches[1].min(delay);
        delay - self.stretches[0].min(self.stretches[1])
    }

    /// From now on the floor is higher by so much: the way has become longer.
    pub(crate) fn raise(&mut self, by: i64) {
        let higher = self.stretches[0].min(self.stretches[1]).saturating_add(by);
        self.stretches = [higher; 2];
    }
}
