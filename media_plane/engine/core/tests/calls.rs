//! How often forwarding calls the kernel: once for each receiver of a frame, whatever number of packets the frame has; and how
//! long packets wait for other work.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::command::Command;
use parley_engine_core::event::{EventKind, SessionState};
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

/// A network that remembers where datagrams went.
#[derive(Default)]
struct Visits(Vec<std::net::SocketAddr>);

impl Transmit for Visits {
    fn transmit(&mut self, path: &Path, _: usize, _: &[u8]) -> bool {
        self.0.push(path.remote);
        true
    }
}

#[test]
fn the_room_whose_packets_came_first_is_served_first() {
    let mut meeting = Meeting::new(3, Conditions::IDEAL);
    meeting.command(Command::OpenRoom("other".into()));
    (0..2).for_each(|_| _ = meeting.join());
    (0..2).for_each(|_| _ = meeting.join_with(|open| open.room = "other".into()));
    for client in &mut meeting.clients {
        client.sender.sends_audio = false;
    }
    for (sender, viewer) in [(0, 1), (2, 3)] {
        meeting.clients[viewer].sender.sends_video = false;
        meeting.show(viewer, VIDEO_SLOTS[0], Some(sender));
    }
    meeting.connect();
    meeting.run(500 * MILLISECOND);
    for order in [[0, 2], [2, 0]] {
        let mut visits = Visits::default();
        meeting.now += 33 * MILLISECOND;
        for sender in order {
            meeting.clients[sender].tick(meeting.now);
            let path = Path::udp(meeting.clients[sender].address, NODE.ip());
            for mut datagram in std::mem::take(&mut meeting.clients[sender].outgoing) {
                meeting.shard.handle_datagram(meeting.now, &path, &mut datagram, &mut visits);
            }
        }
        // Answers to the senders' own checks are not what is looked for.
        visits.0.clear();
        meeting.shard.flush(meeting.now, &mut visits);
        let viewers = order.map(|sender| meeting.clients[sender + 1].address);
        visits.0.retain(|address| viewers.contains(address));
        assert_eq!(visits.0, viewers, "in the order of arrival");
    }
}

#[test]
fn many_sessions_are_looked_at_a_few_at_a_time() {
    const SESSIONS: usize = 300;
    const TOGETHER: usize = 64;
    let mut meeting = Meeting::new(2, Conditions::IDEAL);
    (0..SESSIONS).for_each(|_| _ = meeting.join());
    meeting.shard.take_events();
    // Nobody has ever answered, so that whoever is looked at ends.
    let expired = meeting.now + 60 * SECOND;
    let (mut now, mut ended) = (expired, 0);
    while ended < SESSIONS && now < expired + SECOND {
        meeting.shard.handle_timeout(now, &mut Calls::default());
        let closed = |kind: &EventKind| matches!(kind, EventKind::SessionState { state: SessionState::Closed, .. });
        let at_once = meeting.shard.take_events().iter().filter(|event| closed(&event.kind)).count();
        assert!(at_once <= TOGETHER, "{at_once} sessions in one go");
        ended += at_once;
        now = meeting.shard.poll_timeout().unwrap_or(now);
    }
    assert_eq!(ended, SESSIONS);
    assert!(now < expired + 20 * MILLISECOND, "each was looked at within 20 ms, not {} us", now - expired);
}
