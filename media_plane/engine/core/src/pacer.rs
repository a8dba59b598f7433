//! Holding back video that the way to a receiver cannot take at once: a token bucket that is filled step by step, and a
//! queue of references into the rings of the sources.
//!
//! Without it a key frame would arrive at a narrow link in one piece and push everything else, sound included, out of the
//! link's queue. While the way takes everything there is no bucket and no queue.

use std::collections::VecDeque;

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::slab::Key;

/// Packets that wait at most: a second at 5 Mbit/s.
const CAPACITY: usize = 512;
/// A packet that has waited for so long is dropped with the rest of its picture stream: the next key frame, of a smaller
/// encoding where there is one, shows the present sooner than the queue would.
const MAX_WAIT: Micros = 300 * MILLISECOND;
/// Repairs that wait at most.
const REPAIRS: usize = 128;
/// What could not wait is paid for by what can, up to so much time.
const MAX_DEBT: Micros = 100 * MILLISECOND;
/// The bucket holds what passes in so long: one step, so that packets leave evenly, and a step that comes late.
const BURST: Micros = 10 * MILLISECOND;

/// A packet that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub slot: u16,
    pub track: Key,
    pub sequence: u64,
    pub since: Micros,
}

/// A packet that was asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repair {
    pub slot: u16,
    pub sequence: u16,
    pub since: Micros,
}

/// The bucket and the queues of one session.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// Bits a second; None: everything passes.
    rate: Option<u64>,
    /// Empty and without memory until the first packet has to wait.
    queue: VecDeque<Waiting>,
    /// Comes before what is new: it completes pictures that have been paid for already.
    repairs: VecDeque<Repair>,
    /// Bits that may be sent; below zero after what could not wait.
    tokens: i64,
    filled: Micros,
}

impl Pacer {
    /// Whether video has to wait for its turn.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.rate.is_some()
    }

    /// Sets the rate; None lets everything pass, once what waits has left.
    pub(crate) fn set_rate(&mut self, now: Micros, rate: Option<u64>) {
        if self.rate.is_none() && rate.is_some() {
            (self.tokens, self.filled) = (0, now);
        }
        let waits = !self.queue.is_empty() || !self.repairs.is_empty();
        self.rate = rate.or(self.rate.filter(|_| waits).map(|_| u64::from(u32::MAX)));
    }

    /// Adds a packet; false when there is no room for it.
    pub(crate) fn push(&mut self, waiting: Waiting) -> bool {
        if self.queue.capacity() < CAPACITY {
            self.queue.reserve_exact(CAPACITY);
        }
        let fits = self.queue.len() < CAPACITY;
        if fits {
            self.queue.push_back(waiting);
        }
        fits
    }

    /// Adds a packet that was asked for again, unless there is no room.
    pub(crate) fn push_repair(&mut self, repair: Repair) {
        if self.repairs.capacity() < REPAIRS {
            self.repairs.reserve_exact(REPAIRS);
        }
        if self.repairs.len() < REPAIRS {
            self.repairs.push_back(repair);
        }
    }

    /// The repair whose turn it is.
    pub(crate) fn pop_repair(&mut self, now: Micros) -> Option<Repair> {
        while self.tokens > 0 || !self.is_active() {
            let repair = self.repairs.pop_front()?;
            if now.saturating_sub(repair.since) <= MAX_WAIT {
                return Some(repair);
            }
        }
        None
    }

    /// Forgets the repairs of a slot that goes on with a key frame.
    pub(crate) fn drop_repairs(&mut self, slot: u16) {
        self.repairs.retain(|repair| repair.slot != slot);
    }

    /// Fills the bucket.
    pub(crate) fn fill(&mut self, now: Micros) {
        let Some(rate) = self.rate else { return };
        let bits = |time: Micros| (rate * time / SECOND).cast_signed();
        let elapsed = now.saturating_sub(self.filled).min(SECOND);
        self.tokens = (self.tokens.max(-bits(MAX_DEBT)) + bits(elapsed)).min(bits(BURST));
        self.filled = now;
    }

    /// The packet whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        if self.tokens <= 0 && self.is_active() {
            return None;
        }
        self.queue.pop_front()
    }

    /// Takes what has been sent out of the bucket.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.tokens -= (bytes * 8).cast_signed() as i64;
    }

    /// The slot whose oldest packet has waited too long.
    pub(crate) fn overdue(&self, now: Micros) -> Option<Waiting> {
        self.queue.front().filter(|waiting| now.saturating_sub(waiting.since) > MAX_WAIT).copied()
    }

    /// Drops what waits for a slot, all of it or what comes from one track.
    pub(crate) fn drop_slot(&mut self, slot: u16, track: Option<Key>) {
        self.queue.retain(|waiting| waiting.slot != slot || track.is_some_and(|track| waiting.track != track));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key { index: 0, generation: 0 };
    const B: Key = Key { index: 1, generation: 0 };

    fn waiting(slot: u16, track: Key, sequence: u64, since: Micros) -> Waiting {
        Waiting { slot, track, sequence, since }
    }

    /// Sequence numbers that may leave now, each of a thousand bytes.
    fn leave(pacer: &mut Pacer, now: Micros) -> Vec<u64> {
        pacer.fill(now);
        let next = |pacer: &mut Pacer| pacer.pop().inspect(|_| pacer.spend(1_000)).map(|waiting| waiting.sequence);
        std::iter::from_fn(|| next(pacer)).collect()
    }

    #[test]
    fn packets_leave_at_the_rate() {
        let mut pacer = Pacer::default();
        pacer.set_rate(0, Some(1_600_000));
        (0..100).for_each(|n| assert!(pacer.push(waiting(0, A, n, 0))));
        let mut left = Vec::new();
        for step in 0..40 {
            let now = leave(&mut pacer, step * 5 * MILLISECOND);
            assert!(now.len() <= 2, "{now:?}");
            left.extend(now);
        }
        assert_eq!(left, (0..39).collect::<Vec<_>>(), "8,000 bits each 5 ms");
        assert_eq!(leave(&mut pacer, SECOND).len(), 2, "the bucket is small");
    }

    #[test]
    fn what_cannot_wait_is_paid_for_by_what_can() {
        let mut pacer = Pacer::default();
        pacer.set_rate(0, Some(800_000));
        pacer.push(waiting(0, A, 1, 0));
        pacer.spend(1_000);
        assert_eq!(leave(&mut pacer, 5 * MILLISECOND), [0; 0]);
        assert_eq!(leave(&mut pacer, 10 * MILLISECOND), [0; 0]);
        assert_eq!(leave(&mut pacer, 15 * MILLISECOND), [1]);
    }

    #[test]
    fn without_a_limit_what_waits_leaves_and_nothing_waits_any_more() {
        let mut pacer = Pacer::default();
        assert!(!pacer.is_active());
        pacer.set_rate(0, Some(100_000));
        (0..5).for_each(|n| assert!(pacer.push(waiting(0, A, n, 0))));
        pacer.set_rate(0, None);
        assert!(pacer.is_active(), "the order must stay");
        assert_eq!(leave(&mut pacer, 5 * MILLISECOND).len(), 5);
        pacer.set_rate(0, None);
        assert!(!pacer.is_active());
    }

    #[test]
    fn what_is_too_old_or_of_a_source_that_is_left_is_dropped() {
        let mut pacer = Pacer::default();
        pacer.set_rate(0, Some(1));
        for (slot, track) in [(0, A), (1, A), (0, B), (0, A)] {
            pacer.push(waiting(slot, track, 0, 0));
        }
        assert_eq!(pacer.overdue(MAX_WAIT), None);
        assert_eq!(pacer.overdue(MAX_WAIT + 1).map(|waiting| waiting.slot), Some(0));
        pacer.drop_slot(0, Some(A));
        assert_eq!(
            pacer.queue.iter().map(|waiting| (waiting.slot, waiting.track)).collect::<Vec<_>>(),
            [(1, A), (0, B)]
        );
        pacer.drop_slot(0, None);
        (0..CAPACITY as u64).for_each(|n| _ = pacer.push(waiting(1, A, n, 0)));
        assert!(!pacer.push(waiting(1, A, 0, 0)));
    }

    #[test]
    fn repairs_come_first_while_they_are_of_use() {
        let mut pacer = Pacer::default();
        pacer.set_rate(0, Some(1_600_000));
        pacer.push(waiting(0, A, 7, 0));
        for (slot, sequence) in [(0, 1), (1, 2), (0, 3)] {
            pacer.push_repair(Repair { slot, sequence, since: 0 });
        }
        pacer.fill(5 * MILLISECOND);
        assert_eq!(pacer.pop_repair(5 * MILLISECOND).map(|repair| repair.sequence), Some(1));
        pacer.spend(1_000);
        assert_eq!((pacer.pop_repair(5 * MILLISECOND), pacer.pop()), (None, None));
        pacer.drop_repairs(1);
        pacer.fill(10 * MILLISECOND);
        assert_eq!(pacer.pop_repair(MAX_WAIT + 1), None, "too old");
        assert_eq!(pacer.pop().map(|waiting| waiting.sequence), Some(7));
    }

    #[test]
    fn a_debt_is_forgiven_in_time() {
        let mut pacer = Pacer::default();
        pacer.set_rate(0, Some(800_000));
        pacer.push(waiting(0, A, 1, 0));
        pacer.spend(1_000_000);
        assert_eq!(leave(&mut pacer, MILLISECOND), [0; 0]);
        assert_eq!(leave(&mut pacer, MAX_DEBT + 2 * MILLISECOND), [1]);
    }
}
