//! Every timer and command with sessions in every state: whatever state one is in, the call of the others goes on.

mod sim;

use std::sync::mpsc::sync_channel;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::command::Command;
use parley_engine_core::event::CloseReason;
use parley_engine_core::ufrag::LocalCredentials;
use sim::{Bursts, CAMERA, Client, Conditions, Link, MICROPHONE, Meeting, VIDEO_SLOTS};

const WATCHER: usize = 0;
const SENDER: usize = 1;
/// The session whose state it is about.
const OTHER: usize = 2;
/// Pictures come at some ninety packets a second.
const LEAST_PACKETS: usize = 60;
const NOTHING_PASSES: Bursts = Bursts { begin: 1_000, end: 0, loss: 1_000 };

/// A state, and what brings a new session into it.
type State = (&'static str, fn(&mut Meeting));

const STATES: [State; 17] = [
    ("connected", |meeting| connect(meeting)),
    ("without a path", |meeting| {
        connect(meeting);
        lose_path(meeting);
    }),
    ("its path another's", |meeting| {
        connect(meeting);
        let thief = meeting.join_with(|open| open.parameters.send_tracks.clear());
        meeting.clients[OTHER].checks = false;
        let address = meeting.clients[OTHER].address;
        meeting.clients[OTHER].address = "10.9.9.9:999".parse().unwrap();
        // Whoever has the address now answers there.
        meeting.clients[thief].address = address;
        meeting.run(200 * MILLISECOND);
        assert_eq!(meeting.stats(OTHER).remote_address, None);
    }),
    ("never heard of", |meeting| {
        let other = meeting.join();
        meeting.clients[other].checks = false;
    }),
    ("without keys", |meeting| {
        let other = meeting.join();
        let address = meeting.clients[other].address;
        meeting.network.down.insert(address, Link { bursts: Some(NOTHING_PASSES), ..Link::default() });
        meeting.run(SECOND);
        let stats = meeting.stats(other);
        assert_eq!((stats.remote_address, stats.srtp_profile), (None, None), "it has not answered");
    }),
    ("handshaking", |meeting| {
        handshake_half(meeting);
        let address = meeting.clients[OTHER].address;
        meeting.network.up.insert(address, Link { bursts: Some(NOTHING_PASSES), ..Link::default() });
    }),
    ("handshaking without a path", |meeting| {
        handshake_half(meeting);
        lose_path(meeting);
    }),
    ("closed by its client", |meeting| {
        connect(meeting);
        let now = meeting.now;
        meeting.clients[OTHER].close(now);
    }),
    ("closed by the node, its client still sending", |meeting| {
        connect(meeting);
        meeting.leave(OTHER);
    }),
    ("without slots", |meeting| {
        meeting.join_with(|open| open.parameters.slots.clear());
        meeting.connect();
    }),
    ("without tracks", |meeting| {
        meeting.join_with(|open| open.parameters.send_tracks.clear());
        meeting.run(SECOND);
    }),
    ("without tracks, slots or a path", |meeting| {
        meeting.join_with(|open| {
            open.parameters.send_tracks.clear();
            open.parameters.slots.clear();
        });
        meeting.run(SECOND);
        lose_path(meeting);
    }),
    ("with a name that no report has room for", |meeting| {
        meeting.join_with(|open| open.parameters.cname = "x".repeat(2_000));
        meeting.connect();
    }),
    ("paced, without a path", |meeting| {
        connect(meeting);
        meeting.show(OTHER, VIDEO_SLOTS[1], Some(WATCHER));
        meeting.clients[OTHER].limit(150_000);
        meeting.run(2 * SECOND);
        lose_path(meeting);
    }),
    ("probed, without a path", |meeting| {
        let other = meeting.join();
        meeting.clients[other].reports_arrivals = true;
        meeting.connect();
        for slot in VIDEO_SLOTS {
            meeting.show(other, slot, Some(SENDER));
        }
        meeting.run(500 * MILLISECOND);
        lose_path(meeting);
    }),
    ("asked for what is missing, without a path", |meeting| {
        connect(meeting);
        let address = meeting.clients[OTHER].address;
        let half = Bursts { begin: 1_000, end: 0, loss: 500 };
        meeting.network.up.insert(address, Link { bursts: Some(half), ..Link::default() });
        meeting.run(SECOND);
        lose_path(meeting);
    }),
    ("with messages that wait, without a path", |meeting| {
        meeting.join_with_captions();
        meeting.join_with_captions();
        meeting.connect();
        meeting.run(SECOND);
        lose_path(meeting);
        for _ in 0..50 {
            assert!(meeting.clients[OTHER + 1].channels.as_mut().unwrap().say(0, &[7; 1_000]));
            meeting.run(20 * MILLISECOND);
        }
    }),
];

fn connect(meeting: &mut Meeting) {
    meeting.join();
    meeting.connect();
    meeting.show(OTHER, VIDEO_SLOTS[0], Some(SENDER));
    meeting.run(300 * MILLISECOND);
}

/// The client's first flight is answered; of its second nothing has arrived.
fn handshake_half(meeting: &mut Meeting) {
    let other = meeting.join();
    while meeting.clients[other].handshake_records() == 0 {
        meeting.run(MILLISECOND);
    }
    meeting.run(3 * MILLISECOND);
    assert_eq!(meeting.stats(other).srtp_profile, None);
}

/// What has carried the session's datagrams has ended, and its client has gone.
fn lose_path(meeting: &mut Meeting) {
    meeting.clients[OTHER].checks = false;
    meeting.disconnect(OTHER);
    let address = meeting.clients[OTHER].address;
    meeting.network.up.insert(address, Link { bursts: Some(NOTHING_PASSES), ..Link::default() });
    assert_eq!(meeting.stats(OTHER).remote_address, None);
}

/// Asks of the session and its tracks and slots what can be asked.
fn command_all(meeting: &mut Meeting, turn: usize, priority: i32) {
    let key = Meeting::key(OTHER);
    for slot in VIDEO_SLOTS {
        meeting.show_at(OTHER, slot, [Some(SENDER), None][turn % 2], 180 << (turn % 3), priority);
    }
    meeting.show(WATCHER, VIDEO_SLOTS[1], [Some(OTHER), None][turn % 2]);
    for mid in [MICROPHONE, CAMERA] {
        meeting.mute(OTHER, mid, turn % 3 == 1);
    }
    meeting.command(Command::RequestKeyFrame(key, CAMERA.into()));
    if turn == 2 {
        let theirs = Client::credentials();
        meeting.command(Command::RestartIce(key, LocalCredentials::generate(0, OTHER as u32), theirs));
    }
    match turn {
        1 => meeting.renegotiate(OTHER, |parameters| parameters.slots.truncate(4)),
        3 => meeting.renegotiate(OTHER, |parameters| {
            parameters.send_tracks.remove(1);
            parameters.slots.truncate(1);
        }),
        4 => meeting.renegotiate(OTHER, |parameters| parameters.slots.clear()),
        _ => {}
    }
    meeting.command(Command::Stats(key, sync_channel(1).0));
    meeting.command(Command::Explain(key, sync_channel(1).0));
}

/// HANG-2, TCP-1 and their kind.
#[test]
fn the_others_call_goes_on_whatever_state_a_session_is_in() {
    for (name, bring_about) in STATES {
        let mut meeting = Meeting::new(3, Conditions::IDEAL);
        assert_eq!((meeting.join(), meeting.join()), (WATCHER, SENDER));
        meeting.show(WATCHER, VIDEO_SLOTS[0], Some(SENDER));
        meeting.connect();
        meeting.run(SECOND);
        bring_about(&mut meeting);
        for (turn, priority) in [3, 1, 4, 1, 5].into_iter().enumerate() {
            let from = meeting.now;
            command_all(&mut meeting, turn, priority);
            meeting.run(SECOND);
            let packets = meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).count_between(from, meeting.now);
            assert!(packets > LEAST_PACKETS, "{name}: {packets} packets in second {turn}");
        }
        meeting.command(Command::CloseSession(Meeting::key(OTHER), CloseReason::Requested));
        meeting.run(SECOND);
        meeting.command(Command::CloseRoom(sim::ROOM.into()));
        meeting.run(SECOND);
        assert_eq!(meeting.shard.poll_timeout(), None, "{name}: nothing is left");
    }
}

/// A session that has lost its path comes back with its keys and streams, or is ended in time.
#[test]
fn a_session_without_a_path_comes_back_or_is_ended() {
    for comes_back in [true, false] {
        let mut meeting = Meeting::new(4, Conditions::IDEAL);
        meeting.join();
        meeting.join();
        connect(&mut meeting);
        lose_path(&mut meeting);
        meeting.run(10 * SECOND);
        assert_eq!(meeting.stats(OTHER).remote_address, None);
        if comes_back {
            let address = meeting.clients[OTHER].address;
            meeting.network.up.remove(&address);
            meeting.clients[OTHER].checks = true;
            meeting.run(3 * SECOND);
            let from = meeting.now;
            meeting.run(SECOND);
            assert!(meeting.clients[OTHER].slot(VIDEO_SLOTS[0]).count_between(from, meeting.now) > LEAST_PACKETS);
        } else {
            meeting.run(25 * SECOND);
            assert_eq!(meeting.shard.counters().sessions_closed, 1);
        }
    }
}
