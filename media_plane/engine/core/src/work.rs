//! Steps of work: a call into a shard takes a bounded number of them whatever it is given, or a loop does not end.
//!
//! Steps rather than time, which says little on a busy machine. They are counted in debug builds, tests and fuzzers only: there a
//! call that takes more than its limit fails at once, where it would otherwise go on for ever.

#[cfg(debug_assertions)]
use std::cell::Cell;

#[cfg(debug_assertions)]
thread_local! {
    /// Steps left of the call that this thread is in.
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Begins a call of at most so many steps.
#[inline]
pub(crate) fn begin(limit: u64) {
    #[cfg(debug_assertions)]
    LEFT.set(limit);
    let _ = limit;
}

/// Ends it.
#[inline]
pub(crate) fn end() {
    #[cfg(debug_assertions)]
    LEFT.set(u64::MAX);
}

/// One turn of a loop whose length somebody else decides.
#[inline]
pub(crate) fn step() {
    #[cfg(debug_assertions)]
    {
        assert!(LEFT.get() > 0, "a call takes no more steps than its limit");
        LEFT.set(LEFT.get() - 1);
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no more steps than its limit")]
    fn a_loop_without_end_is_found_out() {
        begin(1_000);
        loop {
            step();
        }
    }

    #[test]
    fn outside_a_call_and_within_its_limit_steps_are_free() {
        step();
        begin(3);
        (0..3).for_each(|_| step());
        end();
        (0..10).for_each(|_| step());
    }
}
