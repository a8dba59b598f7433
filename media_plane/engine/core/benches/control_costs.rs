//! What a shard's control path costs: forged feedback, and large rooms whose pictures have several encodings.
//!
//! `cargo bench -p parley-engine-core --bench control_costs`. Times are those of the thread's processor, not of the clock on the wall.
#![allow(unsafe_code, reason = "the processor's time of a thread is to be had from the kernel alone")]

#[path = "../tests/sim/mod.rs"]
mod sim;

use std::time::Duration;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::command::{Command, SlotRequest};
use parley_engine_core::outbox::{Path, Transmit};
use parley_engine_core::params::{MediaKind, SlotSpec};
use sim::{CAMERA, Conditions, Meeting, NODE};

/// Video slots of everyone, and as many cameras that all look at.
const SLOTS: usize = 9;

/// A network that swallows everything.
struct Sink;

impl Transmit for Sink {
    fn transmit(&mut self, _: &Path, _: usize, bytes: &[u8]) -> bool {
        std::hint::black_box(bytes);
        true
    }
}

/// What the thread has used of its processor, in nanoseconds.
fn used() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a value that is borrowed for the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).cast_unsigned()
}

fn main() {
    feedback(1);
    feedback(40);
    for people in [50, 100, 200, 400, 800] {
        for simulcast in [false, true] {
            room(people, simulcast);
        }
    }
}

/// A report of transport-wide feedback about 65,528 packets, none of which came: eight runs of 8,191.
fn report(count: u8) -> Vec<u8> {
    let mut report = vec![0x80 | 15, 205, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xff, 0xf8, 0, 0, 0, count];
    for _ in 0..8 {
        report.extend(0x1fff_u16.to_be_bytes());
    }
    report
}

fn feedback(reports: u8) {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    meeting.join();
    meeting.join();
    meeting.connect();
    meeting.run(SECOND);
    let path = Path::udp(meeting.clients[0].address, NODE.ip());
    meeting.clients[0].outgoing.clear();
    let mut datagrams = Vec::new();
    for _ in 0..200 {
        let compound: Vec<u8> = (0..reports).flat_map(report).collect();
        meeting.clients[0].send_control_packet(&compound);
        datagrams.append(&mut meeting.clients[0].outgoing);
    }
    let len = datagrams[0].len();
    let before = meeting.shard.counters().transport_feedback_received;
    let start = used();
    for datagram in &mut datagrams {
        meeting.shard.handle_datagram(meeting.now, &path, datagram, &mut Sink);
    }
    let each = Duration::from_nanos((used() - start) / 200);
    let taken = meeting.shard.counters().transport_feedback_received - before;
    assert!(taken > 0);
    let rate = 1.0 / each.as_secs_f64();
    println!(
        "feedback: {reports:>2} reports in {len} bytes, {taken} of {} taken: {each:?} a datagram; a core is full at {rate:.0} datagrams or \
         {:.2} Mbit a second",
        200 * u64::from(reports),
        rate * f64::from(len as u32) * 8.0 / 1e6
    );
}

/// A room in which all look at nine of the same ten, of which each sends its camera in one encoding or three.
fn room(people: usize, simulcast: bool) {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    for number in 0..people {
        meeting.join_with(|open| {
            if simulcast {
                let camera = open.parameters.send_tracks.iter_mut().find(|track| &*track.mid == CAMERA).unwrap();
                camera.rids = ["q", "h", "f"].map(str::to_owned).to_vec();
            }
            open.parameters.slots.retain(|slot| slot.kind == MediaKind::Audio);
            open.parameters.slots.extend((0..SLOTS).map(|place| SlotSpec {
                mid: (20 + place).to_string().as_str().into(),
                kind: MediaKind::Video,
                ssrc: 5_000_000 + 100 * number as u32 + place as u32,
                rtx_ssrc: Some(5_000_050 + 100 * number as u32 + place as u32),
            }));
        });
        let sender = &mut meeting.clients[number].sender;
        if simulcast {
            sender.simulcast();
        }
        (sender.sends_audio, sender.sends_video) = (false, false);
    }
    meeting.connect();
    for viewer in 0..people {
        let sources = (0..=SLOTS).filter(|source| *source != viewer).take(SLOTS).enumerate();
        let requests = sources.map(|(place, source)| SlotRequest {
            mid: (20 + place).to_string().as_str().into(),
            source: Some((Meeting::key(source), CAMERA.into())),
            max_height: 360,
            priority: 0,
        });
        let command = Command::UpdateSlots(Meeting::key(viewer), requests.collect());
        meeting.shard.handle_command(meeting.now, command, &mut Sink);
    }
    let mut beginning = 0;
    for number in 0..=SLOTS {
        let sender = &mut meeting.clients[number].sender;
        (sender.sends_video, sender.packets_per_frame) = (true, 1);
        beginning = beginning.max(run(&mut meeting, 200 * MILLISECOND).longest_flush);
    }
    run(&mut meeting, 2 * SECOND);
    let Spent { timers, others, .. } = run(&mut meeting, 3 * SECOND);
    let sent = meeting.shard.counters().packets_sent;
    println!(
        "room of {people:>3}, {} encodings: timers {:>6.1} ms, all else {:>6.1} ms a second of time ({sent} packets); \
         longest flush when one camera begins {:>6.1} ms",
        if simulcast { 3 } else { 1 },
        milliseconds(timers) / 3.0,
        milliseconds(others) / 3.0,
        milliseconds(beginning)
    );
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

/// What the shard used for what is due and for all else, and for one flush at the most.
#[derive(Default)]
struct Spent {
    timers: u64,
    others: u64,
    longest_flush: u64,
}

/// Lets time pass with the ten sending.
fn run(meeting: &mut Meeting, duration: Micros) -> Spent {
    let mut spent = Spent::default();
    let end = meeting.now + duration;
    while meeting.now < end {
        meeting.now += MILLISECOND;
        let now = meeting.now;
        for number in 0..=SLOTS {
            let client = &mut meeting.clients[number];
            let path = Path::udp(client.address, NODE.ip());
            client.tick(now);
            for mut datagram in client.outgoing.drain(..) {
                let start = used();
                meeting.shard.handle_datagram(now, &path, &mut datagram, &mut Sink);
                spent.others += used() - start;
            }
        }
        loop {
            let start = used();
            meeting.shard.flush(now, &mut Sink);
            let flush = used() - start;
            spent.longest_flush = spent.longest_flush.max(flush);
            spent.others += flush;
            if !meeting.shard.has_media() {
                break;
            }
        }
        let start = used();
        if meeting.shard.poll_timeout().is_some_and(|at| at <= now) {
            meeting.shard.handle_timeout(now, &mut Sink);
        }
        spent.timers += used() - start;
        meeting.shard.take_events();
    }
    spent
}
