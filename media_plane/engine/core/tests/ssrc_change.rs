//! E7: a publisher whose camera goes on under another SSRC: its MID and stream identifier are those of before, and a viewer sees nothing of it.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use sim::{Conditions, Meeting};

const SLOT: &str = "5";
const SENDER: usize = 1;
const DELAY: Micros = 25 * MILLISECOND;
/// A picture has to be asked for and made anew, at the worst: two ways and a frame or two.
const PATIENCE: Micros = 300 * MILLISECOND;

/// The longest time without a new picture after the camera has gone on under another SSRC, so far from its last number.
fn freeze(seed: u64, ahead: u16) -> (Micros, u64, u64) {
    let mut meeting = Meeting::new(seed, Conditions { loss: 0, delay: DELAY, jitter: 0 });
    meeting.join();
    meeting.join();
    meeting.clients[0].reports_arrivals = true;
    meeting.show(0, SLOT, Some(SENDER));
    meeting.connect();
    meeting.run(5 * SECOND);
    let encoding = &mut meeting.clients[SENDER].sender.encodings[0];
    encoding.ssrc += 77_000;
    encoding.sequence = encoding.sequence.wrapping_add(ahead);
    encoding.want_key_frame();
    let (from, dropped) = (meeting.now, meeting.shard.counters().dropped_rtp);
    meeting.run(60 * SECOND);
    let freeze = meeting.clients[0].slot(SLOT).longest_freeze(from, meeting.now);
    let counters = meeting.shard.counters();
    (freeze, counters.dropped_rtp - dropped, counters.key_frame_requests_sent)
}

#[test]
fn a_viewer_goes_on_after_a_change_of_the_ssrc() {
    let mut failed = Vec::new();
    // Numbers begin anywhere (RFC 3550 section 5.1): far away, or by chance near those of before.
    for ahead in [1_i16, 300, 2_900, 20_000, -25_000, -3_100, -400, -300, -30] {
        let (freeze, dropped, requests) = freeze(1, ahead.cast_unsigned());
        println!("{ahead:>6}: {} ms, {dropped} dropped, {requests} key frames asked for", freeze / MILLISECOND);
        if freeze > PATIENCE {
            failed.push((ahead, freeze / MILLISECOND));
        }
    }
    assert_eq!(failed, [], "distance of the new numbers, and milliseconds without a picture");
}
