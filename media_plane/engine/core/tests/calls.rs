//! How often forwarding calls the kernel: once for each receiver of a frame, whatever number of packets the frame has.

mod sim;

use parley_engine_core::clock::MILLISECOND;
use parley_engine_core::outbox::{Path, Transmit};
use sim::{Conditions, Meeting, NODE, VIDEO_SLOTS};

const VIEWERS: usize = 20;
const PACKETS_PER_FRAME: usize = 6;
const FRAMES: u64 = 90;

/// A network that counts calls and what they carry.
#[derive(Default)]
struct Calls {
    calls: u64,
    datagrams: u64,
}

impl Transmit for Calls {
    fn transmit(&mut self, _: &Path, segment: usize, bytes: &[u8]) -> bool {
        self.calls += 1;
        self.datagrams += bytes.len().div_ceil(segment) as u64;
        true
    }
}

#[test]
fn a_frame_takes_one_call_a_receiver() {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    for number in 0..=VIEWERS {
        meeting.join();
        meeting.clients[number].sender.sends_audio = false;
        meeting.clients[number].sender.sends_video = number == 0;
        if number > 0 {
            meeting.show(number, VIDEO_SLOTS[0], Some(0));
        }
    }
    meeting.clients[0].sender.packets_per_frame = PACKETS_PER_FRAME as u16;
    meeting.connect();
    meeting.run(500 * MILLISECOND);
    let mut calls = Calls::default();
    for _ in 0..FRAMES {
        meeting.now += 33 * MILLISECOND;
        meeting.clients[0].tick(meeting.now);
        let path = Path::udp(meeting.clients[0].address, NODE.ip());
        for mut datagram in std::mem::take(&mut meeting.clients[0].outgoing) {
            meeting.shard.handle_datagram(meeting.now, &path, &mut datagram, &mut calls);
        }
        meeting.shard.flush(meeting.now, &mut calls);
    }
    let media = FRAMES * (VIEWERS * PACKETS_PER_FRAME) as u64;
    assert!(calls.datagrams >= media, "{} of {media} packets", calls.datagrams);
    // Answers to the publisher's own checks leave one by one, a few in three seconds.
    let allowed = FRAMES * VIEWERS as u64 + FRAMES / 10;
    assert!(calls.calls <= allowed, "{} calls for {} datagrams", calls.calls, calls.datagrams);
}
