//! A shard that has warmed up allocates nothing for a packet, neither for media nor for repairs and reports.
#![allow(unsafe_code)]

mod sim;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use parley_engine_core::clock::{MILLISECOND, SECOND};
use sim::{Conditions, IN_SHARD, Meeting, VIDEO_SLOTS};

/// Allocations made inside the shard.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
struct Counting;

fn count() {
    // While a thread is being torn down its locals are gone; nothing is measured then.
    if IN_SHARD.try_with(std::cell::Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_shard_allocates_nothing() {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    (0..4).for_each(|_| _ = meeting.join());
    for viewer in 0..4 {
        for (slot, other) in VIDEO_SLOTS.iter().zip(1..) {
            meeting.show(viewer, slot, Some((viewer + other) % 4));
        }
    }
    meeting.connect();
    // Losses make NACKs, retransmissions and key-frame requests part of what is measured; so many that every way is known to lose.
    meeting.network.conditions = Conditions { loss: 60, delay: 10 * MILLISECOND, jitter: 5 * MILLISECOND };
    meeting.run(6 * SECOND);
    assert!(ALLOCATIONS.swap(0, Ordering::Relaxed) > 0, "joining allocates, so the count works");
    let before = *meeting.shard.counters();
    meeting.run(4 * SECOND);
    let after = *meeting.shard.counters();
    let forwarded = after.packets_sent - before.packets_sent;
    assert!(forwarded > 5_000, "{forwarded} packets");
    assert!(after.retransmissions_sent > before.retransmissions_sent && after.nacks_sent > before.nacks_sent);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 0, "in {forwarded} packets");
}
