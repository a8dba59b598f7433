//! Records that are longer than what the node sends, or than a buffer of its libraries.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::outbox::MAX_DATAGRAM;
use sim::{Conditions, Meeting, heartbeat};

/// An SCTP packet in a DTLS record: its headers, and those of the record with tag and nonce.
const AROUND: usize = 12 + 8 + 37;

#[test]
fn a_heartbeat_of_any_length_leaves_the_shard_as_it_was() {
    for info in [0, 4, 100, 1_400, 1_436, 1_440, 1_444, 1_448, 1_456, 1_500, 1_900] {
        let mut meeting = Meeting::new(1, Conditions::IDEAL);
        for _ in 0..2 {
            let number = meeting.join_with_channels();
            meeting.clients[number].channels.as_mut().unwrap().open("captions");
        }
        meeting.connect();
        meeting.run(SECOND);
        let now = meeting.now;
        let channels = meeting.clients[0].channels.as_mut().unwrap();
        assert!(channels.say(0, b"before"));
        let spoken = channels.tick(now);
        for packet in &spoken {
            meeting.clients[0].send_data(now, packet);
        }
        meeting.clients[0].send_data(now, &heartbeat(&spoken[0], info));
        meeting.run(100 * MILLISECOND);
        assert!(meeting.clients[0].channels.as_mut().unwrap().say(0, b"after"));
        meeting.run(SECOND);
        let heard = meeting.clients[1].channels.as_mut().unwrap().payloads("captions", "participant-0").len();
        assert_eq!(heard, 2, "{info} bytes of information: the others hear what is said after it");
        let refused = meeting.shard.counters().dropped_send_oversized;
        assert_eq!(refused > 0, info + AROUND > MAX_DATAGRAM, "{info} bytes of information: {refused} refused");
    }
}
