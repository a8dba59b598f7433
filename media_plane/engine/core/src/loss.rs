//! Packets that have not come: which to ask the sender for again, when, and when to give up.

use crate::clock::{MILLISECOND, Micros};

/// The most packets waited for; more are beyond repair and a key frame is cheaper.
const MAX_MISSING: usize = 256;
/// Requests for one packet.
const MAX_TRIES: u8 = 10;
/// Least time between two requests for one packet; a longer round trip takes its place.
const RETRY: Micros = 40 * MILLISECOND;

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    tries: u8,
    asked: Micros,
}

/// The missing packets of one encoding.
#[derive(Debug)]
pub(crate) struct LossTracker {
    missing: Vec<Missing>,
}

impl LossTracker {
    pub(crate) fn new() -> Self {
        Self { missing: Vec::new() }
    }

    /// Takes the memory it can ever need, so that none is allocated when packets are lost.
    pub(crate) fn reserve(&mut self) {
        self.missing.reserve_exact(MAX_MISSING.saturating_sub(self.missing.len()));
    }

    /// Notes that `gap` packets before `sequence` have not come. False when too many are missing to be asked for.
    pub(crate) fn note_gap(&mut self, sequence: u64, gap: u64) -> bool {
        if self.missing.len() as u64 + gap > MAX_MISSING as u64 {
            self.missing.clear();
            return false;
        }
        let missing = (sequence - gap..sequence).map(|sequence| Missing { sequence, tries: 0, asked: 0 });
        self.missing.extend(missing);
        true
    }

    /// Notes that a missing packet has come; true when it had been asked for.
    pub(crate) fn recovered(&mut self, sequence: u64) -> bool {
        let found = self.missing.iter().position(|missing| missing.sequence == sequence);
        found.is_some_and(|index| self.missing.remove(index).tries > 0)
    }

    /// Whether there is nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Forgets what is missing: the stream has begun anew.
    pub(crate) fn clear(&mut self) {
        self.missing.clear();
    }

    /// Calls `ask` with each packet that is due, in order, and returns how many have been given up.
    pub(crate) fn poll(&mut self, now: Micros, round_trip: Micros, mut ask: impl FnMut(u64)) -> u64 {
        let before = self.missing.len();
        let interval = RETRY.max(round_trip);
        let due = |missing: &Missing| missing.tries == 0 || now.saturating_sub(missing.asked) >= interval;
        self.missing.retain(|missing| !(due(missing) && missing.tries >= MAX_TRIES));
        for missing in self.missing.iter_mut().filter(|missing| due(missing)) {
            missing.tries += 1;
            missing.asked = now;
            ask(missing.sequence);
        }
        (before - self.missing.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(tracker: &mut LossTracker, now: Micros, round_trip: Micros) -> (Vec<u64>, u64) {
        let mut asked = Vec::new();
        let lost = tracker.poll(now, round_trip, |sequence| asked.push(sequence));
        (asked, lost)
    }

    #[test]
    fn a_gap_is_asked_for_at_once_and_again_after_the_interval() {
        let mut tracker = LossTracker::new();
        assert!(tracker.note_gap(103, 3));
        assert_eq!(poll(&mut tracker, 0, 0), (vec![100, 101, 102], 0));
        assert_eq!(poll(&mut tracker, 39_000, 0), (vec![], 0));
        assert!(tracker.recovered(101));
        assert!(!tracker.recovered(101));
        assert_eq!(poll(&mut tracker, 40_000, 0), (vec![100, 102], 0));
        assert_eq!(poll(&mut tracker, 120_000, 100_000), (vec![], 0), "the round trip is longer");
        assert_eq!(poll(&mut tracker, 140_000, 100_000), (vec![100, 102], 0));
    }

    #[test]
    fn ten_tries_and_then_it_is_lost() {
        let mut tracker = LossTracker::new();
        tracker.note_gap(2, 1);
        let mut asked = 0;
        let mut lost = 0;
        for step in 0..100 {
            let (sequences, given_up) = poll(&mut tracker, step * RETRY, 0);
            asked += sequences.len();
            lost += given_up;
        }
        assert_eq!((asked, lost), (10, 1));
        assert!(tracker.is_empty());
    }

    #[test]
    fn a_packet_that_was_only_late_is_no_recovery() {
        let mut tracker = LossTracker::new();
        tracker.note_gap(2, 1);
        assert!(!tracker.recovered(1));
    }

    #[test]
    fn too_many_are_not_asked_for() {
        let mut tracker = LossTracker::new();
        assert!(tracker.note_gap(300, 200));
        assert!(!tracker.note_gap(600, 200));
        assert!(tracker.is_empty());
    }
}
