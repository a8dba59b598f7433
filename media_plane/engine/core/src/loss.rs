//! Packets that have not come: which to ask the sender for again, when, and when to give up.

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::params::MediaKind;

/// The most packets waited for; more are beyond repair and a key frame is cheaper.
const MAX_MISSING: usize = 256;
/// How long a packet is asked for, but at least for so many requests; after that a key frame is cheaper.
const HOPE: Hope = Hope { time: SECOND, least: 4, most: u8::MAX };
/// The same of sound: it is played by then, and on a full way its repairs would take the place of what is still of use.
const HOPE_FOR_SOUND: Hope = Hope { time: 300 * MILLISECOND, least: 1, most: 3 };
/// Least time between two requests for one packet; a longer round trip takes its place.
const RETRY: Micros = 20 * MILLISECOND;
/// A request is repeated after so much of the round trip, in percent: the answer may be a little late, and libwebrtc's senders ignore
/// requests that come within a round trip.
const RETRY_PERCENT: Micros = 125;
/// How long a packet may be late before it is asked for: at the start, at least and at most. In between it follows what was
/// seen (the nackSendDelay and reordering statistics of libwebrtc's `NackRequester` serve the same end).
const PATIENCE: Micros = 10 * MILLISECOND;
const LEAST_PATIENCE: Micros = 5 * MILLISECOND;
const MOST_PATIENCE: Micros = 40 * MILLISECOND;
/// A packet's lateness with something on top, in percent, is what the next ones are given.
const LATENESS_PERCENT: Micros = 125;
/// After so long without a late packet the patience is halved.
const FORGET: Micros = 10 * SECOND;
/// Weight of what is known of the time to an answer against a new one.
const ANSWER_WEIGHT: Micros = 7;

/// How long a packet is asked for, and how often at least and at most.
#[derive(Debug, Clone, Copy)]
struct Hope {
    time: Micros,
    least: u8,
    most: u8,
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    since: Micros,
    tries: u8,
    asked: Micros,
}

/// How long packets are waited for.
#[derive(Debug, Clone, Copy)]
struct Waits {
    patience: Micros,
    interval: Micros,
    hope: Hope,
}

impl Missing {
    fn new(now: Micros, sequence: u64) -> Self {
        Self { sequence, since: now, tries: 0, asked: 0 }
    }

    fn due(&self, waits: Waits) -> Micros {
        if self.tries == 0 { self.since + waits.patience } else { self.asked + waits.interval }
    }

    fn is_beyond_hope(&self, now: Micros, waits: Waits) -> bool {
        let hope = waits.hope;
        let in_vain = self.tries >= hope.least && now >= self.since + hope.time;
        now >= self.due(waits) && (in_vain || self.tries >= hope.most)
    }

    /// True when the packet is to be asked for now.
    fn ask(&mut self, now: Micros, waits: Waits) -> bool {
        let due = now >= self.due(waits);
        if due {
            self.tries = self.tries.saturating_add(1);
            self.asked = now;
        }
        due
    }
}

/// The missing packets of one encoding.
#[derive(Debug)]
pub(crate) struct LossTracker {
    missing: Vec<Missing>,
    /// The packet after the newest, when other streams of the sender show that something is missing: of a slow stream its own next
    /// packet would tell only a frame later.
    suspected: Option<Missing>,
    hope: Hope,
    /// When the next of them is due, or earlier.
    due: Micros,
    patience: Micros,
    /// When a packet was last seen to be late, or the patience was halved.
    patient_since: Micros,
    /// Time from a request to its answer, once seen.
    answer: Option<Micros>,
}

impl LossTracker {
    pub(crate) fn new(kind: MediaKind) -> Self {
        Self {
            missing: Vec::new(),
            suspected: None,
            hope: if kind == MediaKind::Audio { HOPE_FOR_SOUND } else { HOPE },
            due: 0,
            patience: PATIENCE,
            patient_since: 0,
            answer: None,
        }
    }

    /// Takes the memory it can ever need, so that none is allocated when packets are lost.
    pub(crate) fn reserve(&mut self) {
        self.missing.reserve_exact(MAX_MISSING.saturating_sub(self.missing.len()));
    }

    /// Notes that `gap` packets before `sequence` have not come. False when too many are missing to be asked for.
    pub(crate) fn note_gap(&mut self, now: Micros, sequence: u64, gap: u64) -> bool {
        if self.missing.len() as u64 + gap > MAX_MISSING as u64 {
            self.missing.clear();
            return false;
        }
        self.due = self.due_with(now + self.patience);
        let suspected = self.suspected.take();
        let missing = (sequence - gap..sequence).map(|sequence| {
            suspected.filter(|suspected| suspected.sequence == sequence).unwrap_or_else(|| Missing::new(now, sequence))
        });
        self.missing.extend(missing);
        true
    }

    /// Notes that this packet, the next one of the stream, may be missing.
    pub(crate) fn suspect(&mut self, now: Micros, sequence: u64) {
        if self.suspected.is_none_or(|suspected| suspected.sequence != sequence) {
            self.due = self.due_with(now + self.patience);
            self.suspected = Some(Missing::new(now, sequence));
        }
    }

    /// Drops a suspicion that has not been acted on.
    pub(crate) fn calm(&mut self) {
        self.suspected = self.suspected.filter(|suspected| suspected.tries > 0);
    }

    /// Notes that the stream went on with this packet.
    #[inline]
    pub(crate) fn went_on(&mut self, sequence: u64) {
        self.suspected = self.suspected.filter(|suspected| suspected.sequence > sequence);
    }

    /// When [`LossTracker::poll`] has something to do, with one more thing to do at `due`.
    fn due_with(&self, due: Micros) -> Micros {
        if self.is_empty() { due } else { self.due.min(due) }
    }

    /// When [`LossTracker::poll`] has something to do, or earlier; None: never.
    pub(crate) fn next_due(&self) -> Option<Micros> {
        (!self.is_empty()).then_some(self.due)
    }

    /// Notes that a missing packet has come of its own; true when it had been asked for. Where repairs come as RTX, it was late
    /// and not lost.
    pub(crate) fn came(&mut self, now: Micros, sequence: u64, repairs_as_rtx: bool) -> bool {
        let Some(missing) = self.take(sequence) else { return false };
        if repairs_as_rtx || missing.tries == 0 {
            let lateness = now.saturating_sub(missing.since) * LATENESS_PERCENT / 100;
            self.patience = self.patience.max(lateness).min(MOST_PATIENCE);
            self.patient_since = now;
        }
        if missing.tries == 1 && !repairs_as_rtx {
            self.note_answer(now, missing.asked);
        }
        missing.tries > 0
    }

    /// Notes that a missing packet has come as RTX; true when it had been asked for.
    pub(crate) fn repaired(&mut self, now: Micros, sequence: u64) -> bool {
        let Some(missing) = self.take(sequence) else { return false };
        if missing.tries == 1 {
            self.note_answer(now, missing.asked);
        }
        missing.tries > 0
    }

    fn note_answer(&mut self, now: Micros, asked: Micros) {
        let answer = now.saturating_sub(asked);
        let known = self.answer.unwrap_or(answer);
        self.answer = Some((ANSWER_WEIGHT * known + answer) / (ANSWER_WEIGHT + 1));
    }

    fn take(&mut self, sequence: u64) -> Option<Missing> {
        let found = self.missing.iter().position(|missing| missing.sequence == sequence)?;
        Some(self.missing.remove(found))
    }

    /// Whether there is nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.suspected.is_none()
    }

    /// Forgets what is missing: the stream has begun anew.
    pub(crate) fn clear(&mut self) {
        self.missing.clear();
        self.suspected = None;
    }

    /// Calls `ask` with each packet that is due, in order, and returns how many have been given up. The round trip is that of
    /// reports, 0 when there were none.
    pub(crate) fn poll(&mut self, now: Micros, round_trip: Micros, mut ask: impl FnMut(u64)) -> u64 {
        self.forget_lateness(now);
        let before = self.missing.len();
        let interval = RETRY.max(round_trip.max(self.answer.unwrap_or_default()) * RETRY_PERCENT / 100);
        let waits = Waits { patience: self.patience, interval, hope: self.hope };
        self.missing.retain(|missing| !missing.is_beyond_hope(now, waits));
        for missing in &mut self.missing {
            if missing.ask(now, waits) {
                ask(missing.sequence);
            }
        }
        let lost = (before - self.missing.len()) as u64;
        self.suspected = self.suspected.filter(|suspected| !suspected.is_beyond_hope(now, waits));
        if let Some(suspected) = &mut self.suspected
            && suspected.ask(now, waits)
        {
            ask(suspected.sequence);
        }
        let waiting = self.missing.iter().chain(&self.suspected);
        self.due = waiting.map(|missing| missing.due(waits)).min().unwrap_or_default();
        lost
    }

    fn forget_lateness(&mut self, now: Micros) {
        if now.saturating_sub(self.patient_since) >= FORGET {
            self.patient_since = now;
            self.patience = (self.patience / 2).max(LEAST_PATIENCE);
        }
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
    fn a_gap_is_asked_for_after_a_moment_and_again_after_the_interval() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        assert!(tracker.note_gap(0, 103, 3));
        assert_eq!(tracker.next_due(), Some(PATIENCE));
        assert_eq!(poll(&mut tracker, PATIENCE - 1, 0), (vec![], 0));
        assert_eq!(poll(&mut tracker, PATIENCE, 0), (vec![100, 101, 102], 0));
        assert_eq!(poll(&mut tracker, PATIENCE + RETRY - 1, 0), (vec![], 0));
        assert!(tracker.came(PATIENCE + 20, 101, false));
        assert!(!tracker.came(PATIENCE + 20, 101, false));
        assert_eq!(poll(&mut tracker, PATIENCE + RETRY, 0), (vec![100, 102], 0));
        let round_trip = 100 * MILLISECOND;
        assert_eq!(poll(&mut tracker, PATIENCE + 2 * RETRY, round_trip), (vec![], 0), "the round trip is longer");
        assert_eq!(poll(&mut tracker, PATIENCE + RETRY + round_trip * 5 / 4, round_trip), (vec![100, 102], 0));
    }

    #[test]
    fn a_second_of_asking_and_then_it_is_lost() {
        for (round_trip, given_up) in [(0, SECOND), (400 * MILLISECOND, PATIENCE + 4 * 500 * MILLISECOND)] {
            let mut tracker = LossTracker::new(MediaKind::Video);
            tracker.note_gap(0, 2, 1);
            let lost = (0..3_000).find(|step| poll(&mut tracker, step * MILLISECOND, round_trip).1 == 1).unwrap();
            assert!((given_up..given_up + 30 * MILLISECOND).contains(&(lost * MILLISECOND)), "{lost} ms");
            assert!(tracker.is_empty());
        }
    }

    #[test]
    fn sound_is_asked_for_while_it_may_still_be_heard() {
        for (round_trip, requests) in [(20 * MILLISECOND, 3), (400 * MILLISECOND, 1)] {
            let mut tracker = LossTracker::new(MediaKind::Audio);
            tracker.note_gap(0, 2, 1);
            let asked: usize = (0..600).map(|step| poll(&mut tracker, step * MILLISECOND, round_trip).0.len()).sum();
            assert_eq!(asked, requests, "round trip {round_trip}");
            assert!(tracker.is_empty());
        }
    }

    #[test]
    fn a_suspicion_is_asked_for_and_counts_when_it_turns_out_true() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        tracker.suspect(0, 8);
        tracker.suspect(5_000, 8);
        assert_eq!(tracker.next_due(), Some(PATIENCE));
        assert_eq!(poll(&mut tracker, PATIENCE, 0), (vec![8], 0));
        assert!(tracker.note_gap(15_000, 9, 2));
        assert_eq!(poll(&mut tracker, 15_000 + PATIENCE, 0), (vec![7], 0), "8 has just been asked for");
        assert_eq!(poll(&mut tracker, PATIENCE + RETRY, 0), (vec![8], 0));
    }

    #[test]
    fn a_suspicion_ends_when_the_stream_goes_on_or_after_a_while() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        tracker.suspect(0, 8);
        tracker.went_on(8);
        assert_eq!((poll(&mut tracker, PATIENCE, 0), tracker.is_empty()), ((vec![], 0), true));
        tracker.suspect(0, 9);
        let asked: usize = (0..2_000).map(|step| poll(&mut tracker, step * MILLISECOND, 0).0.len()).sum();
        assert!((40..60).contains(&asked), "{asked}");
        assert!(tracker.is_empty());
    }

    #[test]
    fn a_packet_that_was_only_late_is_no_recovery_and_makes_patient() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        tracker.note_gap(0, 2, 1);
        poll(&mut tracker, PATIENCE, 0);
        // It was asked for in vain: where repairs come as RTX this is the packet itself.
        assert!(tracker.came(20 * MILLISECOND, 1, true));
        tracker.note_gap(SECOND, 4, 1);
        assert_eq!(poll(&mut tracker, SECOND + 24 * MILLISECOND, 0).0, [0; 0]);
        assert!(!tracker.came(SECOND + 24 * MILLISECOND, 3, true));
        tracker.note_gap(2 * SECOND, 6, 1);
        tracker.came(4 * SECOND, 5, true);
        assert_eq!(tracker.patience, MOST_PATIENCE);
        for now in [20, 40, 60, 80, 100] {
            poll(&mut tracker, now * SECOND, 0);
        }
        assert_eq!(tracker.patience, LEAST_PATIENCE, "it is forgotten in time");
    }

    #[test]
    fn without_reports_the_answers_tell_the_round_trip() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        tracker.note_gap(0, 2, 1);
        poll(&mut tracker, PATIENCE, 0);
        assert!(tracker.repaired(PATIENCE + 200 * MILLISECOND, 1));
        tracker.note_gap(SECOND, 4, 1);
        assert_eq!(poll(&mut tracker, SECOND + PATIENCE, 0).0, [3]);
        assert_eq!(poll(&mut tracker, SECOND + PATIENCE + 249 * MILLISECOND, 0).0, [0; 0]);
        assert_eq!(poll(&mut tracker, SECOND + PATIENCE + 250 * MILLISECOND, 0).0, [3]);
    }

    #[test]
    fn too_many_are_not_asked_for() {
        let mut tracker = LossTracker::new(MediaKind::Video);
        assert!(tracker.note_gap(0, 300, 200));
        assert!(!tracker.note_gap(0, 600, 200));
        assert!(tracker.is_empty());
    }
}
