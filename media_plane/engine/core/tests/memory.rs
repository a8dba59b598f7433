//! What a session takes of memory, and that it gives it back.
#![allow(unsafe_code)]

mod sim;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use parley_engine_core::clock::SECOND;
use sim::{Conditions, IN_SHARD, Meeting};

/// What a participant who neither sends nor receives may take: ten thousand of them fit into 640 MB.
const IDLE_SESSION_LIMIT: usize = 64 << 10;
const IDLE_SESSIONS: usize = 48;
/// Joining and leaving so many times, so many at once; `PARLEY_TEST_SESSIONS=1000` is what a node of the product holds.
const ROUNDS: usize = 20;
const SESSIONS: usize = 25;
/// Tables that grow by doubling may do so once more after the first rounds.
const SLACK: usize = 64 << 10;

/// Bytes that the shard has allocated and not given back.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a byte before each piece of memory that tells whether the shard asked for it.
struct Tagging;

const TAG: usize = 16;

fn padded(layout: Layout) -> (Layout, usize) {
    let before = layout.align().max(TAG);
    // SAFETY: the alignment is that of a layout, or a power of two; no layout of a test comes near the limit of sizes.
    (unsafe { Layout::from_size_align_unchecked(layout.size() + before, before) }, before)
}

// SAFETY: what is handed out lies `before` bytes, a multiple of the alignment, inside a larger piece of the system's; the
// word in between belongs to nobody else.
unsafe impl GlobalAlloc for Tagging {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (whole, before) = padded(layout);
        let mine = IN_SHARD.try_with(std::cell::Cell::get).unwrap_or(false);
        // SAFETY: the layout has a size, since `before` is not zero; the byte before the result is inside the piece.
        unsafe {
            let piece = System.alloc(whole);
            if piece.is_null() {
                return piece;
            }
            let place = piece.add(before);
            place.sub(TAG).write(u8::from(mine));
            HELD.fetch_add(if mine { layout.size() } else { 0 }, Ordering::Relaxed);
            place
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let (whole, before) = padded(layout);
        // SAFETY: `place` came from `alloc` with this layout.
        unsafe {
            let mine = place.sub(TAG).read() != 0;
            HELD.fetch_sub(if mine { layout.size() } else { 0 }, Ordering::Relaxed);
            System.dealloc(place.sub(before), whole);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Tagging = Tagging;

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

fn join(meeting: &mut Meeting, count: usize, sends: bool) {
    for _ in 0..count {
        let number = meeting.join();
        meeting.clients[number].sender.sends_audio = sends;
        meeting.clients[number].sender.sends_video = sends && number < 2;
    }
    meeting.connect();
}

/// The same with an association and a channel open.
fn join_with_channels(meeting: &mut Meeting, count: usize) {
    for _ in 0..count {
        let number = meeting.join_with_channels();
        meeting.clients[number].sender.sends_audio = false;
        meeting.clients[number].sender.sends_video = false;
        meeting.clients[number].channels.as_mut().unwrap().open("pointer");
    }
    meeting.connect();
}

/// All parts in one test: what is counted is the process's.
#[test]
fn a_session_takes_little_and_gives_it_back() {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    join(&mut meeting, 2, false);
    let before = held();
    join(&mut meeting, IDLE_SESSIONS, false);
    meeting.run(5 * SECOND);
    meeting.events.clear();
    let each = (held() - before) / IDLE_SESSIONS;
    println!("{each} bytes an idle session");
    assert!(each > 1_000, "{each} bytes: what the shard holds is counted");
    assert!(each <= IDLE_SESSION_LIMIT, "{each} bytes");

    let before = held();
    join_with_channels(&mut meeting, IDLE_SESSIONS);
    meeting.run(5 * SECOND);
    meeting.events.clear();
    let each = (held() - before) / IDLE_SESSIONS;
    println!("{each} bytes an idle session with data channels");
    assert!(each <= IDLE_SESSION_LIMIT, "{each} bytes");

    let sessions = std::env::var("PARLEY_TEST_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
    let mut meeting = Meeting::new(2, Conditions::IDEAL);
    let mut after = Vec::new();
    for _ in 0..ROUNDS {
        join(&mut meeting, sessions, true);
        meeting.run(SECOND);
        (0..sessions).for_each(|number| meeting.leave(number));
        meeting.run(SECOND);
        meeting.shard.take_released();
        meeting.clients.clear();
        meeting.events.clear();
        after.push(held());
    }
    println!("{} bytes after the first round, {} after the last", after[0], after[ROUNDS - 1]);
    assert!(after[ROUNDS - 1] <= after[1] + SLACK, "{after:?}");
}
