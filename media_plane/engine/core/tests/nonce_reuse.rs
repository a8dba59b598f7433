//! E3: no number of a stream is sealed for two packets. Under AES-GCM that would reveal the authentication key (NIST SP 800-38D,
//! appendix A). Each packet that leaves the shard is looked at by `sim::Sealed`, in these tests as in all others.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::outbox::Path;
use parley_engine_core::wire::rtp::RtpHeader;
use sim::{CAMERA, Conditions, Meeting, NODE, Random};

const SLOT: &str = "5";
const OTHER_SLOT: &str = "6";
const VIEWER: usize = 0;
const SENDER: usize = 1;
/// The longest time without a picture after a stream has begun anew: to ask for one and to make it takes two ways and a frame.
const PATIENCE: Micros = 300 * MILLISECOND;

/// A viewer and a sender.
fn two(seed: u64) -> Meeting {
    let mut meeting = Meeting::new(seed, Conditions::IDEAL);
    meeting.join();
    meeting.join();
    meeting.show(VIEWER, SLOT, Some(SENDER));
    meeting.connect();
    meeting
}

fn longest_freeze(meeting: &Meeting, viewer: usize, since: Micros) -> Micros {
    meeting.clients[viewer].slot(SLOT).longest_freeze(since, meeting.now)
}

/// The camera goes on under another SSRC, with other numbers, and with a key frame as encoders begin.
fn change_ssrc(meeting: &mut Meeting, client: usize, encoding: usize, ahead: u16) {
    let encoding = &mut meeting.clients[client].sender.encodings[encoding];
    encoding.ssrc += 77_000;
    (encoding.reported, encoding.rtx_reported) = (false, false);
    encoding.sequence = encoding.sequence.wrapping_add(ahead);
    encoding.want_key_frame();
}

#[test]
fn a_repair_of_what_has_left_the_ring_is_dropped() {
    let mut meeting = two(1);
    meeting.run(SECOND);
    let sender = &mut meeting.clients[SENDER].sender;
    let (ssrc, sequence) = (sender.video_ssrc(), sender.encodings[0].sequence);
    let repair = sender.retransmission(ssrc, sequence).expect("it has just been sent");
    // Some 90 packets a second: after 13 seconds more than the ring's 1,024 have followed.
    meeting.run(13 * SECOND);
    assert!(meeting.clients[SENDER].sender.encodings[0].sequence.wrapping_sub(sequence) > 1_100);
    assert_eq!(meeting.shard.counters().dropped_late, 0);
    meeting.clients[SENDER].send_media(repair);
    let before = meeting.now;
    meeting.run(SECOND);
    let counters = meeting.shard.counters();
    assert_eq!((counters.dropped_late, counters.dropped_reuse), (1, 0));
    assert!(longest_freeze(&meeting, VIEWER, before) < PATIENCE);
}

#[test]
fn a_repair_of_what_is_in_the_ring_is_not_stored_again() {
    let mut meeting = two(1);
    meeting.run(2 * SECOND);
    for back in [0, 1, 50] {
        let sender = &mut meeting.clients[SENDER].sender;
        let (ssrc, sequence) = (sender.video_ssrc(), sender.encodings[0].sequence.wrapping_sub(back));
        let mut repair = sender.retransmission(ssrc, sequence).unwrap();
        *repair.last_mut().unwrap() ^= 1;
        meeting.clients[SENDER].send_media(repair);
    }
    meeting.run(SECOND);
    let counters = meeting.shard.counters();
    assert_eq!((counters.dropped_late, counters.dropped_reuse), (0, 0));
}

#[test]
fn numbers_that_come_again_under_another_ssrc_are_those_of_a_new_stream() {
    for behind in [1_u16, 30, 300, 400, 1_000, 1_500, 2_900, 3_100] {
        let mut meeting = two(2);
        meeting.run(40 * SECOND);
        change_ssrc(&mut meeting, SENDER, 0, behind.wrapping_neg());
        let before = meeting.now;
        meeting.run(40 * SECOND);
        assert_eq!(meeting.shard.counters().dropped_reuse, 0, "{behind} behind");
        assert!(longest_freeze(&meeting, VIEWER, before) < PATIENCE, "{behind} behind");
    }
}

#[test]
fn repairs_of_a_former_stream_are_not_taken_for_those_of_the_present_one() {
    let mut meeting = two(3);
    meeting.run(2 * SECOND);
    let sender = &mut meeting.clients[SENDER].sender;
    let (ssrc, newest) = (sender.video_ssrc(), sender.encodings[0].sequence);
    let repairs: Vec<_> = (0..30).map(|back| sender.retransmission(ssrc, newest.wrapping_sub(back)).unwrap()).collect();
    // The new stream has come to numbers shortly before those of the repairs.
    change_ssrc(&mut meeting, SENDER, 0, 65_536_u32.wrapping_sub(60) as u16);
    meeting.run(200 * MILLISECOND);
    for repair in repairs {
        meeting.clients[SENDER].send_media(repair);
    }
    let before = meeting.now;
    meeting.run(2 * SECOND);
    assert!(longest_freeze(&meeting, VIEWER, before) < PATIENCE);
}

#[test]
fn late_packets_of_a_former_stream_do_not_bring_it_back_and_newer_ones_do() {
    let mut meeting = two(4);
    meeting.run(2 * SECOND);
    let before = meeting.clients[SENDER].sender.encodings[0].ssrc;
    change_ssrc(&mut meeting, SENDER, 0, 20_000);
    meeting.run(200 * MILLISECOND);
    // One packet of the old stream was overtaken by the first ones of the new one.
    let after = meeting.clients[SENDER].sender.encodings[0].ssrc;
    let at = meeting.now;
    meeting.clients[SENDER].sender.encodings[0].ssrc = before;
    meeting.run(33 * MILLISECOND);
    meeting.clients[SENDER].sender.encodings[0].ssrc = after;
    assert!(meeting.shard.counters().dropped_late > 0);
    meeting.run(3 * SECOND);
    assert!(longest_freeze(&meeting, VIEWER, at) < PATIENCE);
    let at = meeting.now;
    meeting.clients[SENDER].sender.encodings[0].ssrc = before;
    meeting.clients[SENDER].sender.encodings[0].want_key_frame();
    meeting.run(3 * SECOND);
    assert!(longest_freeze(&meeting, VIEWER, at) < PATIENCE, "the sender has gone back to it");
}

/// A viewer whose packets are sent again as they were: it has no RTX.
fn join_without_rtx(meeting: &mut Meeting) -> usize {
    meeting.join_with(|open| open.parameters.slots.iter_mut().for_each(|slot| slot.rtx_ssrc = None))
}

#[test]
fn where_there_is_no_rtx_packets_are_sent_again_bit_by_bit() {
    let mut meeting = Meeting::new(5, Conditions::IDEAL);
    join_without_rtx(&mut meeting);
    meeting.join();
    meeting.show(VIEWER, SLOT, Some(SENDER));
    meeting.connect();
    meeting.network.conditions = Conditions { loss: 50, delay: 20 * MILLISECOND, jitter: 5 * MILLISECOND };
    // A repeated packet that had not been lost would be refused by the client.
    meeting.clients[VIEWER].takes_repeats = true;
    meeting.run(20 * SECOND);
    assert!(meeting.network.sealed.repeated > 30, "{}", meeting.network.sealed.repeated);
    assert_eq!(meeting.shard.counters().dropped_reuse, 0);
}

#[test]
fn a_source_that_went_on_without_a_way_to_the_viewer_starts_afresh() {
    // More than half a turn of the numbers: the receiver could not tell which turn they are of.
    for packets_per_frame in [10, 60] {
        let mut meeting = two(6);
        meeting.clients[SENDER].sender.packets_per_frame = packets_per_frame;
        meeting.run(2 * SECOND);
        let path = Path::udp(meeting.clients[VIEWER].address, NODE.ip());
        meeting.clients[VIEWER].checks = false;
        meeting.shard.handle_disconnect(&path);
        meeting.run(25 * SECOND);
        meeting.clients[VIEWER].checks = true;
        meeting.run(SECOND);
        let before = meeting.now;
        meeting.run(3 * SECOND);
        let freeze = longest_freeze(&meeting, VIEWER, before);
        assert!(freeze < PATIENCE, "{packets_per_frame} packets a frame");
    }
}

/// What may happen in a meeting, by chance.
fn disturb(meeting: &mut Meeting, random: &mut Random, viewers: &[usize], senders: &[usize]) {
    let sender = senders[random.below(senders.len() as u64) as usize];
    let viewer = viewers[random.below(viewers.len() as u64) as usize];
    let encodings = meeting.clients[sender].sender.encodings.len() as u64;
    let encoding = random.below(encodings) as usize;
    match random.below(10) {
        0 => {
            let near = random.below(6_000).wrapping_sub(3_000) as u16;
            let ahead = if random.permille(500) { near } else { random.next() as u16 };
            change_ssrc(meeting, sender, encoding, ahead);
        }
        // Numbers go on elsewhere under the same SSRC, or leave a hole.
        1 => {
            let ahead = [5, 500, 2_900, 20_000][random.below(4) as usize];
            let encoding = &mut meeting.clients[sender].sender.encodings[encoding];
            encoding.sequence = encoding.sequence.wrapping_add(ahead);
        }
        2 | 3 => {
            let [slot, other] = if random.permille(500) { [SLOT, OTHER_SLOT] } else { [OTHER_SLOT, SLOT] };
            let height = [90, 180, 360, 720][random.below(4) as usize];
            meeting.show_at(viewer, slot, Some(sender), height, 0);
            if random.permille(300) {
                meeting.show(viewer, other, None);
            }
        }
        4 => {
            meeting.mute(sender, CAMERA, true);
            meeting.run(Micros::from(random.below(100) as u32) * MILLISECOND);
            meeting.mute(sender, CAMERA, false);
        }
        5 => meeting.network.conditions.loss = random.below(80),
        _ => forge_repairs(meeting, random, sender, encoding),
    }
}

/// Repairs that were not asked for, with the contents of another packet, of any number.
fn forge_repairs(meeting: &mut Meeting, random: &mut Random, sender: usize, encoding: usize) {
    let newest = meeting.clients[sender].sender.encodings[encoding].sequence;
    for _ in 0..random.below(20) {
        let ssrc = meeting.clients[sender].sender.encodings[encoding].ssrc;
        let Some(mut repair) = meeting.clients[sender].sender.retransmission(ssrc, newest) else { return };
        let header = RtpHeader::parse(&repair).unwrap().len;
        let back = [random.below(100), random.below(2_500), random.below(65_536)][random.below(3) as usize];
        repair[header..header + 2].copy_from_slice(&newest.wrapping_sub(back as u16).to_be_bytes());
        meeting.clients[sender].send_media(repair);
    }
}

#[test]
fn whatever_senders_do_no_number_carries_two_packets() {
    let mut reused = 0;
    for seed in 0..6 {
        let mut meeting =
            Meeting::new(seed, Conditions { loss: 20, delay: 10 * MILLISECOND, jitter: 15 * MILLISECOND });
        let viewers = [meeting.join(), join_without_rtx(&mut meeting)];
        let senders = [meeting.join(), meeting.join_with_simulcast()];
        meeting.clients[senders[1]].sender.encodings.iter_mut().for_each(|encoding| encoding.layered = true);
        for viewer in viewers {
            meeting.clients[viewer].takes_repeats = true;
            meeting.clients[viewer].reports_arrivals = true;
            meeting.show(viewer, SLOT, Some(senders[viewer % 2]));
        }
        meeting.connect();
        let mut random = Random(seed);
        for _ in 0..150 {
            meeting.run(Micros::from(random.below(300) as u32) * MILLISECOND);
            disturb(&mut meeting, &mut random, &viewers, &senders);
        }
        reused += meeting.shard.counters().dropped_reuse;
        for viewer in viewers {
            // The smallest fits whatever the way is thought to carry by now.
            meeting.show_at(viewer, SLOT, Some(senders[1]), 180, 0);
            meeting.show(viewer, OTHER_SLOT, None);
        }
        meeting.network.conditions = Conditions::IDEAL;
        meeting.run(5 * SECOND);
        for viewer in viewers {
            let since = meeting.now - SECOND;
            assert!(longest_freeze(&meeting, viewer, since) < PATIENCE, "seed {seed}: viewer {viewer} sees a picture");
        }
    }
    println!("{reused} packets refused");
}
