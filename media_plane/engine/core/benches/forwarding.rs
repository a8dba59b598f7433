//! What forwarding costs a shard without its socket: one camera, many viewers, frames of six packets.
//!
//! `cargo bench -p parley-engine-core --bench forwarding`. `PARLEY_BENCH_ITERATIONS` sets the number of frames; under
//! callgrind the same program counts instructions.

#[path = "../tests/sim/mod.rs"]
mod sim;

use std::time::{Duration, Instant};

use parley_engine_core::clock::MILLISECOND;
use parley_engine_core::outbox::{Path, Transmit};
use sim::{Conditions, Meeting, NODE};

const SLOT: &str = "5";
const VIEWERS: [usize; 3] = [1, 20, 200];
const DEFAULT_FRAMES: usize = 300;

/// A network that swallows everything.
struct Sink;

impl Transmit for Sink {
    fn transmit(&mut self, _: &Path, _: usize, bytes: &[u8]) -> bool {
        std::hint::black_box(bytes);
        true
    }
}

fn main() {
    let frames =
        std::env::var("PARLEY_BENCH_ITERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_FRAMES);
    println!("{:<44} {:>11} {:>14}", "forwarding, without system calls", "ns a packet", "packets a call");
    for viewers in VIEWERS {
        measure(viewers, frames);
    }
}

fn measure(viewers: usize, frames: usize) {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    for number in 0..=viewers {
        meeting.join();
        if number > 0 {
            meeting.show(number, SLOT, Some(0));
        }
        meeting.clients[number].sender.sends_audio = false;
        meeting.clients[number].sender.sends_video = number == 0;
    }
    meeting.clients[0].sender.packets_per_frame = 6;
    meeting.connect();
    meeting.run(500 * MILLISECOND);
    let before = *meeting.shard.counters();
    let mut elapsed = Duration::ZERO;
    for _ in 0..frames {
        meeting.now += 33 * MILLISECOND;
        meeting.clients[0].tick(meeting.now);
        let path = Path::udp(meeting.clients[0].address, NODE.ip());
        let mut datagrams = std::mem::take(&mut meeting.clients[0].outgoing);
        let start = Instant::now();
        for datagram in &mut datagrams {
            meeting.shard.handle_datagram(meeting.now, &path, datagram, &mut Sink);
        }
        meeting.shard.flush(meeting.now, &mut Sink);
        elapsed += start.elapsed();
    }
    let after = *meeting.shard.counters();
    let packets = after.packets_sent - before.packets_sent;
    let calls = after.send_calls - before.send_calls;
    let each = elapsed.as_nanos() / u128::from(packets);
    println!("{:<44} {each:>11} {:>14}", format!("{viewers} viewers"), packets / calls);
}
