//! Records that are longer than what the node sends, or than a buffer of its libraries.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::outbox::MAX_DATAGRAM;
use parley_engine_core::wire::rtp::RtpHeader;
use sim::{Conditions, Meeting, VIDEO_SLOTS, heartbeat};

/// An SCTP packet in a DTLS record: its headers, and those of the record with tag and nonce.
const AROUND: usize = 12 + 8 + 37;

#[test]
fn a_heartbeat_of_any_length_leaves_the_shard_as_it_was() {
    for info in [0, 4, 100, 1_400, 1_436, 1_440, 1_444, 1_448, 1_456, 1_500, 1_900] {
        let mut meeting = Meeting::new(1, Conditions::IDEAL);
        for _ in 0..2 {
            meeting.join_with_captions();
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

/// dimpl panics where a certificate is longer than the buffer that it is to be copied into.
#[test]
fn a_client_with_a_certificate_of_any_length_is_let_in() {
    for longer in [0, 1_000, 1_700, 1_720, 1_800, 4_000, 16_000] {
        let mut meeting = Meeting::new(2, Conditions::IDEAL);
        let viewer = meeting.join();
        let sender = meeting.join_with_long_certificate(longer);
        meeting.show(viewer, VIDEO_SLOTS[0], Some(sender));
        meeting.connect();
        let from = meeting.now;
        meeting.run(SECOND);
        let seen = meeting.clients[viewer].slot(VIDEO_SLOTS[0]).count_between(from, meeting.now);
        assert!(seen > 60, "{longer} bytes more");
    }
}

#[test]
fn a_packet_that_is_too_long_to_be_sent_on_is_counted_and_the_stream_goes_on() {
    for (len, fits) in [(1_400, true), (1_490, false), (1_500, false), (1_900, false)] {
        let mut meeting = Meeting::new(3, Conditions::IDEAL);
        let (viewer, sender) = (meeting.join(), meeting.join());
        meeting.show(viewer, VIDEO_SLOTS[0], Some(sender));
        meeting.connect();
        meeting.run(SECOND);
        meeting.clients[viewer].looks = false;
        let client = &mut meeting.clients[sender];
        let mut packet = client.sender.tick(meeting.now + SECOND).pop().unwrap();
        assert_eq!(RtpHeader::parse(&packet).unwrap().ssrc, client.sender.video_ssrc());
        packet.resize(len, 7);
        client.send_media(packet);
        meeting.run(SECOND);
        assert_eq!(meeting.shard.counters().dropped_send_oversized == 0, fits, "{len} bytes");
        let before = meeting.shard.counters().packets_sent;
        meeting.run(SECOND);
        assert!(meeting.shard.counters().packets_sent > before + 60);
    }
}
