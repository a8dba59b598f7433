//! What a session may say on its channels.

use crate::clock::{Micros, SECOND};

/// The longest message that is taken; the answer says so (`a=max-message-size`, RFC 8841 section 6). A minute of drawing at
/// 30 points a second and 8 bytes a point.
pub(crate) const MAX_MESSAGE: usize = 16 << 10;
/// Messages a session may send a second, on all channels: a pointer at 30, strokes at 30, captions, and as many again.
const MESSAGES: u64 = 100;
/// Bytes it may send a second: each goes to everyone else in the room.
const BYTES: u64 = 64 << 10;
/// Seconds for which what was not used may be saved up: a client that stalled, or four messages of the largest size.
const BURST_SECONDS: u64 = 2;

/// A token bucket that is full at the beginning; tokens are counted in millionths.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    level: u64,
    filled: Micros,
}

impl Bucket {
    fn new(now: Micros, rate: u64) -> Self {
        Self { rate, level: rate * BURST_SECONDS * SECOND, filled: now }
    }

    fn fill(&mut self, now: Micros) {
        let gained = now.saturating_sub(self.filled).saturating_mul(self.rate);
        self.level = self.level.saturating_add(gained).min(self.rate * BURST_SECONDS * SECOND);
        self.filled = now;
    }
}

/// What a session may still send.
#[derive(Debug)]
pub(crate) struct Allowance {
    messages: Bucket,
    bytes: Bucket,
}

impl Allowance {
    pub(crate) fn new(now: Micros) -> Self {
        Self { messages: Bucket::new(now, MESSAGES), bytes: Bucket::new(now, BYTES) }
    }

    /// Whether a message of this length may be passed on; one that may not costs nothing.
    pub(crate) fn take(&mut self, now: Micros, len: usize) -> bool {
        let cost = [(&mut self.messages, SECOND), (&mut self.bytes, len as u64 * SECOND)];
        let mut allowed = true;
        for (bucket, price) in cost {
            bucket.fill(now);
            allowed &= bucket.level >= price;
        }
        if allowed {
            self.messages.level -= SECOND;
            self.bytes.level -= len as u64 * SECOND;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(allowance: &mut Allowance, now: Micros, len: usize) -> usize {
        (0..10_000).take_while(|_| allowance.take(now, len)).count()
    }

    #[test]
    fn small_messages_are_limited_by_number() {
        let mut allowance = Allowance::new(0);
        assert_eq!(taken(&mut allowance, 0, 20), 200);
        assert_eq!(taken(&mut allowance, SECOND / 2, 20), 50);
        assert_eq!(taken(&mut allowance, 3_600 * SECOND, 20), 200, "no more is saved up");
    }

    #[test]
    fn large_messages_are_limited_by_bytes() {
        let mut allowance = Allowance::new(0);
        assert_eq!(taken(&mut allowance, 0, MAX_MESSAGE), 8);
        assert_eq!(taken(&mut allowance, SECOND, MAX_MESSAGE), 4);
        assert!(!allowance.take(SECOND, MAX_MESSAGE));
        assert!(!allowance.take(SECOND, 1), "the bytes are used up");
        assert!(allowance.take(SECOND + SECOND / 1_000, 1), "what was refused has cost nothing");
    }
}
