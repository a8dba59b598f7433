//! What somebody sends takes a bounded number of steps. Each call of a simulated meeting counts them and fails over its limit.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::wire::rtp::RtpHeaderMut;
use sim::{CAMERA, Conditions, Meeting, VIDEO_SLOTS, with_chunks};

/// As many as a batch has, and the most numbers that can be left out before a stream counts as a new one.
const PACKETS: u16 = 60;
const LEFT_OUT: u16 = 2_990;

#[test]
fn what_follows_a_key_frame_is_not_looked_for_beyond_the_ring() {
    let mut meeting = Meeting::new(5, Conditions::IDEAL);
    let (viewer, sender) = (meeting.join(), meeting.join());
    meeting.show(viewer, VIDEO_SLOTS[0], Some(sender));
    meeting.connect();
    meeting.run(SECOND);
    meeting.clients[sender].sender.sends_audio = false;
    meeting.clients[sender].sender.packets_per_frame = PACKETS;
    for muted in [true, false] {
        meeting.mute(sender, CAMERA, muted);
    }
    // Its answer is what it has been asked for, but with numbers far apart.
    let from = meeting.now;
    let client = &mut meeting.clients[sender];
    let first = client.sender.encodings[0].sequence;
    client.sender.encodings[0].want_key_frame();
    let frame = client.sender.tick(from + SECOND);
    assert_eq!(frame.len(), usize::from(PACKETS));
    for (number, mut packet) in (1..=PACKETS).zip(frame) {
        let sequence = first.wrapping_add(number.wrapping_mul(LEFT_OUT));
        RtpHeaderMut::new(&mut packet).unwrap().set_sequence_number(sequence);
        client.send_media(packet);
    }
    meeting.run(10 * MILLISECOND);
    assert!(
        meeting.clients[viewer].slot(VIDEO_SLOTS[0]).count_between(from, meeting.now) > 0,
        "the slot starts with it"
    );
}

/// SCTP chunks (RFC 9260) that make whoever takes them look for each number that they name.
mod hostile {
    /// SACK: nothing new, but all numbers after it, many times over.
    pub(super) fn sack(acknowledged: u32) -> Vec<u8> {
        const BLOCKS: u16 = 270;
        let mut chunk = vec![3, 0];
        chunk.extend((16 + 4 * BLOCKS).to_be_bytes());
        chunk.extend(acknowledged.to_be_bytes());
        chunk.extend([0, 1, 0, 0]);
        chunk.extend(BLOCKS.to_be_bytes());
        chunk.extend([0, 0]);
        chunk.extend([0, 1, 0xff, 0xff].repeat(BLOCKS.into()));
        chunk
    }

    /// DATA with one byte.
    pub(super) fn data(number: u32) -> Vec<u8> {
        let mut chunk = vec![0, 3, 0, 17];
        chunk.extend(number.to_be_bytes());
        chunk.extend([0; 8]);
        chunk.extend([1, 0, 0, 0]);
        chunk
    }
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[16..20].try_into().unwrap())
}

/// What a client claims to have received is looked for number by number as long as it has been sent, as often as the claim is repeated:
/// 270 times with one packet.
#[test]
fn numbers_that_sctp_only_names_are_paid_for() {
    let mut meeting = Meeting::new(6, Conditions::IDEAL);
    for _ in 0..3 {
        meeting.join_with_captions();
    }
    meeting.connect();
    meeting.run(SECOND);
    let now = meeting.now;
    let channels = meeting.clients[0].channels.as_mut().unwrap();
    assert!(channels.say(0, b"before"));
    let spoken = channels.tick(now);
    channels.deaf = true;
    meeting.clients[0].send_data(now, &spoken[0]);
    meeting.run(100 * MILLISECOND);
    let now = meeting.now;
    for ahead in 1..=20 {
        let sack = with_chunks(&spoken[0], &hostile::sack(number(&spoken[0])));
        let data = with_chunks(&spoken[0], &hostile::data(number(&spoken[0]).wrapping_add(1_000 * ahead)));
        meeting.clients[0].send_data(now, &sack);
        meeting.clients[0].send_data(now, &data);
    }
    meeting.run(100 * MILLISECOND);
    let counters = meeting.shard.counters();
    assert_eq!(counters.dropped_sctp_rate, 20);
    assert_eq!(
        counters.channel_messages_dropped_malformed, 19,
        "one is near enough to be a message that overtook others"
    );
    assert!(meeting.clients[1].channels.as_mut().unwrap().say(0, b"after"));
    meeting.run(SECOND);
    let heard = |participant| meeting.clients[2].channels.as_ref().unwrap().payloads("captions", participant).len();
    assert_eq!((heard("participant-0"), heard("participant-1")), (1, 1));
}
