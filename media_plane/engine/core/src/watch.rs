//! Judges by its turns whether a shard's thread hangs, and when a shard that has failed is tried again.
//!
//! A thread that waits its turn for a core does not hang, however long it takes: a machine may be busy with anything, and a
//! shard that is replaced on suspicion costs its calls. So the time since the last turn is divided into what the thread has run, what it
//! has waited for a core, and what it has slept: too much of the first is a turn that does not end, too much of the last is a wait that
//! none of a shard's is, and the second counts for nothing. A gap between two looks (the process was stopped, the machine
//! suspended) counts for no more than two looks.

use std::time::{Duration, Instant};

use crate::net::{ThreadState, ThreadUsage};

/// CPU time without a turn after which a thread hangs. A shard's longest turn takes some ten milliseconds.
const WORK: Duration = Duration::from_millis(300);
/// Sleep without a turn after which a thread hangs. A shard's longest wait is [`crate::worker::LONGEST_WAIT`]; its others are for locks,
/// whose holders may wait for a core.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same where the kernel does not tell sleep from waiting for a core.
const LONG_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at a thread.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The most that counts of what has passed between two looks.
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);

/// What is known of a thread since its last turn.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    turns: u64,
    looked: Option<Instant>,
    usage: Option<ThreadUsage>,
    ran: Duration,
    slept: Duration,
}

impl Watch {
    /// Looks at the thread; true: it hangs. `usage` is asked for only when no turn has come since the last look.
    pub(crate) fn look(&mut self, now: Instant, turns: u64, usage: impl FnOnce() -> Option<ThreadUsage>) -> bool {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.saturating_duration_since(looked));
        if turns != self.turns || self.looked.is_none() {
            *self = Self { turns, looked: Some(now), ..Self::default() };
            return false;
        }
        self.looked = Some(now);
        let Some(usage) = usage() else { return self.has_slept(since, LONG_PATIENCE) };
        // What it did before the first look without a turn may have been part of a turn.
        let Some(before) = self.usage.replace(usage) else { return false };
        let ran = usage.cpu.saturating_sub(before.cpu);
        self.ran += ran.min(LONGEST_INTERVAL);
        if self.ran >= WORK {
            return true;
        }
        // A wait for a core is told only when it is over, and one for memory to be read in is not the thread's doing.
        if usage.state != ThreadState::Sleeping {
            return false;
        }
        match (usage.delayed, before.delayed) {
            (Some(now), Some(before)) => {
                self.has_slept(since.saturating_sub(ran).saturating_sub(now.saturating_sub(before)), PATIENCE)
            }
            _ => self.has_slept(since.saturating_sub(ran), LONG_PATIENCE),
        }
    }

    fn has_slept(&mut self, more: Duration, patience: Duration) -> bool {
        self.slept += more.min(LONGEST_INTERVAL);
        self.slept >= patience
    }
}

/// Who has served so long is healthy: the next failure is a first one.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Failures in a row of which each is followed by a start at once: the second may be that of somebody else, and only more of them look like
/// a shard that fails whenever it serves.
const AT_ONCE: u32 = 2;

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
        match self.failures.checked_sub(AT_ONCE + 1) {
            None => Duration::ZERO,
            Some(more) => FIRST_DELAY.saturating_mul(1 << more.min(16)).min(LONGEST_DELAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of a thread after so many milliseconds, of which it has run and waited for a core for these.
    fn used(state: ThreadState, ran: u64, delayed: u64) -> ThreadUsage {
        let [cpu, delayed] = [ran, delayed].map(Duration::from_millis);
        ThreadUsage { state, cpu, delayed: Some(delayed) }
    }

    /// Looks each 50 ms for so many milliseconds while the thread makes no turn; returns when it was found to hang.
    fn found_after(limit_ms: u64, usage: impl Fn(u64) -> Option<ThreadUsage>) -> Option<u64> {
        let start = Instant::now();
        let mut watch = Watch::default();
        (0..=limit_ms)
            .step_by(50)
            .find(|passed| watch.look(start + Duration::from_millis(*passed), 7, || usage(*passed)))
    }

    #[test]
    fn a_thread_that_sleeps_or_is_stopped_for_half_a_second_hangs() {
        assert_eq!(found_after(5_000, |_| Some(used(ThreadState::Sleeping, 0, 0))), Some(550));
    }

    #[test]
    fn where_the_kernel_says_less_it_takes_a_second() {
        assert_eq!(found_after(5_000, |_| None), Some(1_000));
        let sleeping = |_| Some(ThreadUsage { delayed: None, ..used(ThreadState::Sleeping, 0, 0) });
        assert_eq!(found_after(5_000, sleeping), Some(1_050));
    }

    #[test]
    fn a_thread_that_spins_hangs_by_what_it_has_run() {
        let on_a_core = |percent: u64| {
            let ran = move |passed: u64| passed * percent / 100;
            move |passed: u64| Some(used(ThreadState::Runnable, ran(passed), passed - ran(passed)))
        };
        assert_eq!(found_after(5_000, on_a_core(100)), Some(350));
        assert_eq!(found_after(5_000, on_a_core(50)), Some(650), "with half a core it takes longer");
        assert_eq!(found_after(5_000, on_a_core(20)), Some(1_550));
    }

    #[test]
    fn a_thread_that_runs_and_sleeps_without_a_turn_hangs() {
        let by_turns = |passed: u64| {
            let state = if passed.is_multiple_of(100) { ThreadState::Sleeping } else { ThreadState::Runnable };
            Some(used(state, passed / 4, 0))
        };
        assert!(found_after(5_000, by_turns).is_some_and(|after| after <= 1_500));
    }

    #[test]
    fn a_thread_that_gets_no_core_or_whose_memory_is_not_there_does_not_hang() {
        assert_eq!(found_after(60_000, |_| Some(used(ThreadState::Runnable, 0, 0))), None);
        assert_eq!(found_after(60_000, |_| Some(used(ThreadState::Blocked, 0, 0))), None);
    }

    #[test]
    fn a_thread_that_waited_for_a_core_before_it_slept_has_not_slept_all_the_time() {
        let starved = |passed: u64| {
            let delayed = passed.min(3_000);
            let state = if passed < 3_000 && passed.is_multiple_of(100) {
                ThreadState::Runnable
            } else {
                ThreadState::Sleeping
            };
            Some(used(state, 0, delayed))
        };
        assert_eq!(found_after(60_000, starved), Some(3_500));
    }

    #[test]
    fn a_turn_makes_up_for_all_silence() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for passed in (0..20_000).step_by(50) {
            let turns = passed / 450;
            let usage = used(ThreadState::Sleeping, passed / 2, 0);
            assert!(!watch.look(start + Duration::from_millis(passed), turns, || Some(usage)), "{passed}");
        }
    }

    #[test]
    fn a_process_that_was_stopped_has_not_missed_turns() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for hour in 0..3 {
            // The CPU time is that of a guest whose host stopped it: it looks like the thread's own.
            let usage = used(ThreadState::Sleeping, 3_600_000 * hour, 0);
            assert!(!watch.look(start + Duration::from_secs(3_600 * hour), 1, || Some(usage)), "{hour}");
        }
    }

    #[test]
    fn two_restarts_come_at_once_then_ever_later_ones_and_a_healthy_shard_begins_anew() {
        let start = Instant::now();
        let mut restarts = Restarts::default();
        let mut fails = |at: u64| {
            restarts.started(start + Duration::from_secs(at));
            restarts.delay(start + Duration::from_secs(at + 1)).as_millis()
        };
        assert_eq!([0, 2, 4, 6, 8].map(&mut fails), [0, 0, 250, 500, 1_000]);
        assert_eq!((10..200).step_by(2).map(&mut fails).last(), Some(10_000));
        restarts.started(start + Duration::from_secs(300));
        assert_eq!(restarts.delay(start + Duration::from_secs(311)), Duration::ZERO);
    }
}
