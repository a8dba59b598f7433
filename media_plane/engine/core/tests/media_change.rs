//! SDP-7: a session whose m-lines change while it runs. What goes on loses nothing, what is new begins, what is over ends.
//!
//! As in all simulated tests, no number of a stream is sealed for two packets.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::event::{Direction, EventKind};
use parley_engine_core::params::{MediaKind, SendTrack, SlotSpec};
use sim::{
    AUDIO_SLOTS, CAMERA, Client, Conditions, LATER_SLOTS, MICROPHONE, Meeting, SCREEN, SCREEN_HEIGHT, VIDEO_SLOTS,
};
use sim::{Random, decode};

const VIEWER: usize = 0;
const SENDER: usize = 1;
const DELAY: Micros = 20 * MILLISECOND;
/// Time for a picture: a way to the sender and two to the viewer, a frame, and who asks for it.
const PATIENCE: Micros = 300 * MILLISECOND;

/// A viewer who hears and sees a sender, both for a while.
fn two(seed: u64) -> Meeting {
    let mut meeting = Meeting::new(seed, Conditions { loss: 0, delay: DELAY, jitter: 0 });
    meeting.join();
    meeting.join();
    meeting.clients[SENDER].sender.level = 20;
    meeting.show(VIEWER, VIDEO_SLOTS[0], Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    meeting
}

fn screen() -> SendTrack {
    SendTrack {
        mid: SCREEN.into(),
        kind: MediaKind::Video,
        payload_types: vec![96],
        ssrcs: Vec::new(),
        rtx_ssrcs: Vec::new(),
        rids: Vec::new(),
        nack: true,
        muted: false,
    }
}

/// The sender adds an m-line for its screen, and sends it.
fn share(meeting: &mut Meeting) {
    meeting.renegotiate(SENDER, |parameters| parameters.send_tracks.push(screen()));
    meeting.clients[SENDER].sender.share();
}

/// The pictures of a slot, by height.
fn heights(meeting: &Meeting, slot: &str, since: Micros) -> Vec<u16> {
    let shown = &meeting.clients[VIEWER].slot(slot).shown;
    shown.iter().filter(|(at, _)| *at >= since).map(|(_, height)| *height).collect()
}

/// Whether all packets of a slot have come in order, and nothing has been left out between two times.
fn assert_unbroken(meeting: &Meeting, slot: &str, from: Micros, longest: Micros) {
    let received = meeting.clients[VIEWER].slot(slot);
    let numbers: Vec<_> = received.packets.keys().copied().collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "slot {slot} misses a packet");
    let times: Vec<_> = received.in_order().map(|packet| packet.at).filter(|at| *at >= from).collect();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Micros::MAX);
    assert!(gap <= longest, "slot {slot} waits for {gap} us");
}

fn assert_call_goes_on(meeting: &Meeting, since: Micros) {
    assert_unbroken(meeting, AUDIO_SLOTS[0], since, 40 * MILLISECOND);
    assert_unbroken(meeting, VIDEO_SLOTS[0], since, 60 * MILLISECOND);
}

#[test]
fn a_track_that_is_added_arrives_and_the_others_lose_nothing() {
    let mut meeting = two(1);
    let (since, key_frames) = (meeting.now, meeting.clients[SENDER].sender.key_frames);
    share(&mut meeting);
    meeting.show_track(VIEWER, VIDEO_SLOTS[1], Some((SENDER, SCREEN)), 0, 0);
    meeting.run(2 * SECOND);
    assert_call_goes_on(&meeting, since);
    let first = meeting.clients[VIEWER].slot(VIDEO_SLOTS[1]).shown[0];
    assert!(first.0 - since < PATIENCE && first.1 == SCREEN_HEIGHT);
    assert!(heights(&meeting, VIDEO_SLOTS[1], since).len() > 50);
    assert!(heights(&meeting, VIDEO_SLOTS[0], since).iter().all(|height| *height == 720));
    let camera = meeting.clients[SENDER].sender.key_frames - key_frames;
    assert!(camera <= 2, "the screen's first, and the one that its viewer needs: {camera}");
    assert_eq!(meeting.shard.counters().dropped_unknown_ssrc, 0);
}

#[test]
fn slots_that_are_added_are_filled_and_the_others_lose_nothing() {
    let mut meeting = two(2);
    meeting.join();
    meeting.connect();
    let since = meeting.now;
    let slot = meeting.clients[VIEWER].slot_spec(LATER_SLOTS[0], MediaKind::Video);
    meeting.renegotiate(VIEWER, |parameters| parameters.slots.push(slot));
    meeting.show(VIEWER, LATER_SLOTS[0], Some(2));
    meeting.run(SECOND);
    assert_call_goes_on(&meeting, since);
    let pictures = meeting.clients[VIEWER].slot(LATER_SLOTS[0]);
    assert!(pictures.shown[0].0 - since < PATIENCE);
    assert!(pictures.in_order().all(|packet| decode(&packet.payload).1.sender == 2));
}

#[test]
fn a_slot_for_sound_that_is_added_is_filled_at_once() {
    let mut meeting = Meeting::new(3, Conditions::IDEAL);
    meeting.join_with(|open| open.parameters.slots.retain(|slot| slot.kind == MediaKind::Video));
    meeting.join();
    meeting.clients[SENDER].sender.level = 20;
    meeting.connect();
    meeting.run(SECOND);
    let since = meeting.now;
    let slot = meeting.clients[VIEWER].slot_spec(AUDIO_SLOTS[2], MediaKind::Audio);
    meeting.renegotiate(VIEWER, |parameters| {
        parameters.slots.retain(|slot| slot.kind == MediaKind::Video);
        parameters.slots.push(slot);
    });
    meeting.run(100 * MILLISECOND);
    assert!(meeting.clients[VIEWER].slot(AUDIO_SLOTS[2]).count_between(since, meeting.now) >= 4);
}

#[test]
fn a_track_that_is_stopped_ends_for_its_viewers_alone() {
    let mut meeting = two(4);
    share(&mut meeting);
    meeting.show_track(VIEWER, VIDEO_SLOTS[1], Some((SENDER, SCREEN)), 0, 0);
    meeting.run(SECOND);
    let since = meeting.now;
    meeting.renegotiate(SENDER, |_| {});
    assert_eq!(meeting.sources_of(VIEWER, VIDEO_SLOTS[1]).last(), Some(&Some(SENDER)), "until the event is read");
    meeting.run(SECOND);
    assert_call_goes_on(&meeting, since);
    assert_eq!(meeting.sources_of(VIEWER, VIDEO_SLOTS[1]).last(), Some(&None));
    assert_eq!(meeting.sources_of(VIEWER, VIDEO_SLOTS[0]).last(), Some(&Some(SENDER)));
    assert!(meeting.clients[SENDER].sender.screen().is_some(), "it has not noticed yet");
    assert_eq!(heights(&meeting, VIDEO_SLOTS[1], since + 2 * DELAY).len(), 0);
    let mids: Vec<_> = meeting.stats(SENDER).tracks.into_iter().map(|track| track.mid).collect();
    assert_eq!(mids, [MICROPHONE, CAMERA]);
    let counters = meeting.shard.counters();
    assert!(counters.dropped_late + counters.dropped_unknown_ssrc > 80, "what it still sends is not another's");
}

#[test]
fn a_track_that_comes_back_goes_on_under_its_ssrc() {
    for declares in [false, true] {
        let mut meeting = two(5);
        share(&mut meeting);
        // More than a turn of the sequence number: a new counter on the node's side would not fit any more.
        meeting.clients[SENDER].sender.packets_per_frame = 60;
        meeting.show_track(VIEWER, VIDEO_SLOTS[1], Some((SENDER, SCREEN)), 0, 0);
        meeting.run(50 * SECOND);
        meeting.clients[SENDER].sender.packets_per_frame = 3;
        meeting.clients[SENDER].sender.screen().unwrap().set_active(false);
        meeting.renegotiate(SENDER, |_| {});
        meeting.run(2 * SECOND);
        let ssrc = meeting.clients[SENDER].sender.screen().unwrap().ssrc;
        meeting.renegotiate(SENDER, |parameters| {
            let ssrcs = if declares { vec![ssrc] } else { Vec::new() };
            parameters.send_tracks.push(SendTrack { ssrcs, ..screen() });
        });
        meeting.clients[SENDER].sender.screen().unwrap().set_active(true);
        meeting.show_track(VIEWER, VIDEO_SLOTS[1], Some((SENDER, SCREEN)), 0, 0);
        let since = meeting.now;
        meeting.run(SECOND);
        assert!(heights(&meeting, VIDEO_SLOTS[1], since).len() > 20, "declared: {declares}");
        assert_eq!(meeting.shard.counters().dropped_srtp_auth, 0);
    }
}

/// Streams of simulcast are named only until a report has shown that they are known, also when they come back.
#[test]
fn encodings_that_come_back_need_not_be_named() {
    let mut meeting = Meeting::new(9, Conditions::IDEAL);
    meeting.join();
    meeting.join_with_simulcast();
    meeting.show(VIEWER, VIDEO_SLOTS[0], Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    for pause in [2 * SECOND, 0] {
        meeting.renegotiate(SENDER, |parameters| _ = parameters.send_tracks.remove(1));
        meeting.clients[SENDER].sender.sends_video = false;
        meeting.run(pause);
        meeting.renegotiate(SENDER, |_| {});
        meeting.clients[SENDER].sender.sends_video = true;
        meeting.show(VIEWER, VIDEO_SLOTS[0], Some(SENDER));
        let since = meeting.now;
        meeting.run(SECOND);
        assert!(meeting.clients[SENDER].sender.encodings.iter().all(|encoding| encoding.reported));
        assert!(heights(&meeting, VIDEO_SLOTS[0], since).len() > 20, "after {pause} us");
    }
}

#[test]
fn a_slot_that_is_stopped_makes_room_for_another() {
    let mut meeting = two(6);
    meeting.show(VIEWER, VIDEO_SLOTS[1], Some(SENDER));
    meeting.run(SECOND);
    let since = meeting.now;
    let slot = meeting.clients[VIEWER].slot_spec(LATER_SLOTS[1], MediaKind::Video);
    meeting.renegotiate(VIEWER, |parameters| {
        parameters.slots.retain(|slot| *slot.mid != *VIDEO_SLOTS[1]);
        parameters.slots.push(slot);
    });
    meeting.show(VIEWER, LATER_SLOTS[1], Some(SENDER));
    meeting.run(SECOND);
    assert_call_goes_on(&meeting, since);
    assert_eq!(meeting.clients[VIEWER].slot(VIDEO_SLOTS[1]).count_between(since + 2 * DELAY, meeting.now), 0);
    assert!(heights(&meeting, LATER_SLOTS[1], since).len() > 20);
    let slots: Vec<_> = meeting.stats(VIEWER).slots.into_iter().map(|slot| slot.mid).collect();
    assert_eq!(slots, ["2", "3", "4", "5", LATER_SLOTS[1]]);
    assert_eq!(meeting.explain(VIEWER).slots.len(), 5);
}

#[test]
fn other_encodings_are_another_track_and_it_can_be_shown_again() {
    let mut meeting = Meeting::new(7, Conditions::IDEAL);
    meeting.join();
    meeting.join();
    meeting.show(VIEWER, VIDEO_SLOTS[0], Some(SENDER));
    meeting.connect();
    meeting.run(SECOND);
    meeting.clients[SENDER].sender.simulcast();
    meeting.renegotiate(SENDER, |_| {});
    meeting.show(VIEWER, VIDEO_SLOTS[0], Some(SENDER));
    let since = meeting.now;
    meeting.run(2 * SECOND);
    assert!(meeting.clients[VIEWER].slot(VIDEO_SLOTS[0]).longest_freeze(since, meeting.now) < PATIENCE);
    assert!(meeting.explain(SENDER).tracks[1].encodings.len() > 1);
}

#[test]
fn a_first_picture_is_told_of_a_track_that_is_added() {
    let mut meeting = two(8);
    share(&mut meeting);
    meeting.run(SECOND);
    let name = Client::name_of(SENDER);
    let first = meeting.events(|kind| match kind {
        EventKind::FirstMedia { subject, mid, direction: Direction::In } if *subject.session == *name => {
            Some(mid.to_string())
        }
        _ => None,
    });
    assert_eq!(first.len(), 3);
    assert_eq!(first.last().map(String::as_str), Some(SCREEN));
}

/// Some of the slots that a client has go on; those that it has not begin, some of them, under SSRCs that nothing had before.
fn next_slots(random: &mut Random, slots: &[SlotSpec], ssrc: &mut u32) -> Vec<SlotSpec> {
    let mut next: Vec<_> = slots.iter().filter(|_| random.below(4) > 0).cloned().collect();
    for mid in VIDEO_SLOTS.iter().chain(&LATER_SLOTS) {
        if random.below(2) == 0 && next.iter().all(|slot| *slot.mid != **mid) {
            *ssrc += 2;
            next.push(SlotSpec {
                mid: (*mid).into(),
                kind: MediaKind::Video,
                ssrc: *ssrc,
                rtx_ssrc: (random.below(4) > 0).then_some(*ssrc + 1),
            });
        }
    }
    next
}

#[test]
fn whatever_changes_and_however_often_no_call_breaks() {
    for seed in 0..10 {
        let mut meeting = Meeting::new(seed, Conditions { loss: 20, delay: DELAY, jitter: 5 * MILLISECOND });
        let mut random = Random(seed);
        (0..4).for_each(|_| _ = meeting.join());
        (0..4).for_each(|number| meeting.clients[number].looks = false);
        meeting.connect();
        let mut slots: Vec<_> = (0..4).map(|number| meeting.clients[number].parameters().slots).collect();
        let mut ssrc = 50_000_000;
        for _ in 0..30 {
            let number = random.below(4) as usize;
            slots[number] = next_slots(&mut random, &slots[number], &mut ssrc);
            let shares = random.below(2) == 0;
            if shares && meeting.clients[number].sender.screen().is_none() {
                meeting.clients[number].sender.share();
            }
            let (slots, stops_camera) = (slots[number].clone(), random.below(8) == 0);
            meeting.renegotiate(number, |parameters| {
                parameters.slots = slots;
                parameters.send_tracks.extend(shares.then(screen));
                parameters.send_tracks.retain(|track| *track.mid != *CAMERA || !stops_camera);
            });
            for slot in VIDEO_SLOTS.iter().chain(&LATER_SLOTS) {
                let mid = if random.below(2) == 0 { CAMERA } else { SCREEN };
                meeting.show_track(random.below(4) as usize, slot, Some((random.below(4) as usize, mid)), 0, 0);
            }
            meeting.run(100 * MILLISECOND);
        }
        assert!(meeting.clients.iter().all(|client| !client.heard.closed), "seed {seed}");
    }
}
