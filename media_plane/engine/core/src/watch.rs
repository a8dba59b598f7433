//! Judges by its turns whether a shard's thread hangs, and when a shard that has failed is tried again.
//!
//! A thread that waits its turn for a core does not hang, however long it takes: a machine may be busy with anything, and a
//! shard that is replaced on suspicion costs its calls. So a thread that could run is judged by the time that it has run,
//! and one that sleeps by the time that has passed, of which a gap between two looks (the process was stopped, the machine
//! suspended) counts for no more than a look.

use std::time::{Duration, Instant};

use crate::net::ThreadUsage;

/// Time without a turn after which a thread hangs. A shard's longest turn takes some ten milliseconds, its longest wait
/// [`crate::worker::LONGEST_WAIT`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Time without a turn after which it is looked at more closely: longer than the longest wait.
const SUSPICIOUS: Duration = Duration::from_millis(300);
/// CPU time that a turn may take beyond that.
const WORK: Duration = Duration::from_millis(700);
/// Between two looks at a thread.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The most that counts as passed between two looks.
const LONGEST_INTERVAL: Duration = Duration::from_millis(200);

/// What is known of a thread's turns.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    turns: u64,
    looked: Option<Instant>,
    silent: Duration,
    cpu_when_suspicious: Option<Duration>,
}

impl Watch {
    /// Looks at the thread; true: it hangs. `usage` is asked for only when no turn has come for a while.
    pub(crate) fn look(&mut self, now: Instant, turns: u64, usage: impl FnOnce() -> Option<ThreadUsage>) -> bool {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.saturating_duration_since(looked));
        if turns != self.turns || self.looked.is_none() {
            *self = Self { turns, looked: Some(now), ..Self::default() };
            return false;
        }
        self.looked = Some(now);
        self.silent += since.min(LONGEST_INTERVAL);
        if self.silent < SUSPICIOUS {
            return false;
        }
        match usage() {
            Some(ThreadUsage { runnable: true, cpu }) => {
                let before = *self.cpu_when_suspicious.get_or_insert(cpu);
                cpu.saturating_sub(before) >= WORK
            }
            _ => self.silent >= PATIENCE,
        }
    }
}

/// Who has served so long is healthy: the next failure is a first one.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// How long a shard waits for its next start: nothing at first, then ever longer, for ever.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    failures: u32,
    started: Option<Instant>,
}

impl Restarts {
    /// The shard serves from now on.
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// The shard has failed; returns the time until its next start.
    pub(crate) fn delay(&mut self, now: Instant) -> Duration {
        let healthy =
            self.started.take().is_some_and(|started| now.saturating_duration_since(started) >= HEALTHY_AFTER);
        self.failures = if healthy { 1 } else { self.failures.saturating_add(1) };
        match self.failures {
            1 => Duration::ZERO,
            failures => FIRST_DELAY.saturating_mul(1 << (failures - 2).min(16)).min(LONGEST_DELAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEPING: ThreadUsage = ThreadUsage { runnable: false, cpu: Duration::ZERO };

    /// Looks each 100 ms for so many milliseconds while the thread makes no turn; returns when it was found to hang.
    fn found_after(limit_ms: u64, usage: impl Fn(u64) -> Option<ThreadUsage>) -> Option<u64> {
        let start = Instant::now();
        let mut watch = Watch::default();
        (0..=limit_ms)
            .step_by(100)
            .find(|passed| watch.look(start + Duration::from_millis(*passed), 7, || usage(*passed)))
    }

    #[test]
    fn a_thread_that_sleeps_for_a_second_hangs() {
        assert_eq!(found_after(5_000, |_| Some(SLEEPING)), Some(1_000));
        assert_eq!(found_after(5_000, |_| None), Some(1_000), "nothing is known of it but the silence");
    }

    #[test]
    fn a_thread_that_spins_hangs_once_it_has_run_for_a_second() {
        let on_a_core = |share: u64| {
            move |passed: u64| Some(ThreadUsage { runnable: true, cpu: Duration::from_millis(passed * share / 100) })
        };
        assert_eq!(found_after(5_000, on_a_core(100)), Some(1_000));
        assert_eq!(found_after(5_000, on_a_core(50)), Some(1_700), "with half a core it takes longer");
    }

    #[test]
    fn a_thread_that_gets_no_core_does_not_hang() {
        let starved = |_| Some(ThreadUsage { runnable: true, cpu: Duration::ZERO });
        assert_eq!(found_after(60_000, starved), None);
    }

    #[test]
    fn a_turn_makes_up_for_all_silence() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for passed in (0..20_000).step_by(100) {
            let turns = passed / 900;
            assert!(!watch.look(start + Duration::from_millis(passed), turns, || Some(SLEEPING)));
        }
    }

    #[test]
    fn a_process_that_was_stopped_has_not_missed_turns() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for hour in 0..4 {
            assert!(!watch.look(start + Duration::from_secs(3_600 * hour), 1, || Some(SLEEPING)), "{hour}");
        }
    }

    #[test]
    fn restarts_come_at_once_then_ever_later_and_a_healthy_shard_begins_anew() {
        let start = Instant::now();
        let mut restarts = Restarts::default();
        let mut fails = |at: u64| {
            restarts.started(start + Duration::from_secs(at));
            restarts.delay(start + Duration::from_secs(at + 1)).as_millis()
        };
        assert_eq!([0, 2, 4, 6].map(&mut fails), [0, 250, 500, 1_000]);
        assert_eq!((8..200).step_by(2).map(&mut fails).last(), Some(10_000));
        restarts.started(start + Duration::from_secs(300));
        assert_eq!(restarts.delay(start + Duration::from_secs(311)), Duration::ZERO);
    }
}
