//! What somebody sends takes a bounded number of steps. Each call of a simulated meeting counts them and fails over its limit.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use parley_engine_core::wire::rtp::RtpHeaderMut;
use sim::{CAMERA, Conditions, Meeting, VIDEO_SLOTS};

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
