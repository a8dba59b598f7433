//! Whole meetings in the simulated network.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::event::{CloseReason, EventKind, SessionState};
use parley_engine_core::srtp::SrtpProfile;
use sim::{CAMERA, Client, Conditions, MICROPHONE, Meeting};

const SEEDS: u64 = 20;
const SLOT: &str = "5";

/// Two clients that show each other's cameras in their first slot. The conditions hold from the moment they are connected:
/// the retransmission timers of the handshake are the one thing here that no seed determines.
fn two(seed: u64, conditions: Conditions) -> Meeting {
    let mut meeting = Meeting::new(seed, Conditions::IDEAL);
    meeting.join();
    meeting.join();
    meeting.show(0, SLOT, Some(1));
    meeting.show(1, SLOT, Some(0));
    meeting.connect();
    meeting.network.conditions = conditions;
    meeting
}

/// Checks a video slot: no gap older than `settled`, the numbers of a decoder's eye run on, every source starts with a key
/// frame. Returns the senders in the order they were shown.
fn check_video(client: &Client, slot: &str, settled: Micros) -> Vec<usize> {
    let slot = client.slot(slot);
    let missing = slot.missing();
    let newest_settled =
        slot.packets.iter().filter(|(_, packet)| packet.at <= settled).map(|(sequence, _)| *sequence).max();
    assert!(missing.iter().all(|gap| Some(*gap) > newest_settled), "gaps {missing:?} before {newest_settled:?}");
    let mut senders: Vec<usize> = Vec::new();
    let mut previous: Option<(sim::Mark, u16, u8, u32)> = None;
    for (sequence, packet) in slot.packets.iter().filter(|(sequence, _)| Some(**sequence) <= newest_settled) {
        let (descriptor, mark) = sim::decode(&packet.payload);
        let picture = descriptor.picture_id.expect("the width is kept").value;
        let tl0 = descriptor.tl0_picture_index.unwrap();
        if senders.last() != Some(&mark.sender) {
            // Nobody can know that the very first packet of a stream was lost.
            assert!(
                mark.key && (mark.part == 0 || previous.is_none()),
                "sequence {sequence}: a source starts with a key frame, not {mark:?}"
            );
            senders.push(mark.sender);
        }
        if let Some((before, last_picture, last_tl0, timestamp)) = previous {
            let same_frame = (before.sender, before.frame) == (mark.sender, mark.frame);
            let step = u16::from(!same_frame);
            assert_eq!(picture, (last_picture + step) & 0x7fff, "sequence {sequence}: {before:?} then {mark:?}");
            assert_eq!(tl0, last_tl0.wrapping_add(step as u8));
            let advance = packet.timestamp.wrapping_sub(timestamp);
            assert!(if same_frame { advance == 0 } else { (1..90_000).contains(&advance) }, "advance {advance}");
        }
        previous = Some((mark, picture, tl0, packet.timestamp));
    }
    senders
}

#[test]
fn media_of_one_reaches_the_other_in_order() {
    let mut meeting = two(1, Conditions::IDEAL);
    meeting.run(5 * SECOND);
    for (client, other) in [(0, 1), (1, 0)] {
        let viewer = &meeting.clients[client];
        assert_eq!(viewer.profile, Some(SrtpProfile::AeadAes256Gcm));
        assert_eq!(check_video(viewer, SLOT, meeting.now), [other]);
        assert!(viewer.slot(SLOT).packets.len() > 400);
        assert!(viewer.slot(SLOT).in_order().all(|packet| packet.mid.as_deref() == Some(SLOT)));
        let audio: Vec<_> = viewer.slots.iter().filter(|(mid, _)| sim::AUDIO_SLOTS.contains(&mid.as_str())).collect();
        assert_eq!(audio.len(), 1, "one other is heard, and nobody hears itself");
        assert!(audio[0].1.packets.len() > 230 && audio[0].1.missing().is_empty());
        assert!(audio[0].1.in_order().all(|packet| usize::from(packet.payload[0]) == other));
    }
    assert_eq!(meeting.sources_of(0, SLOT), [Some(1)]);
}

#[test]
fn the_node_tells_senders_what_they_need_to_know() {
    let mut meeting = two(2, Conditions::IDEAL);
    meeting.run(5 * SECOND);
    for client in &meeting.clients {
        let heard = &client.heard;
        assert!((40..=110).contains(&heard.transport_feedback), "{} feedback messages", heard.transport_feedback);
        assert!(heard.packets_reported > 600, "{} packets reported", heard.packets_reported);
        assert!((4..=6).contains(&heard.receiver_reports), "{heard:?}");
        assert!(heard.sender_reports.len() >= 8, "audio and video, each second");
        assert!(heard.key_frame_requests.len() <= 2, "{:?}", heard.key_frame_requests);
    }
    let stats = meeting.stats(0);
    assert_eq!((stats.state, stats.srtp_profile), (SessionState::Connected, Some("AEAD_AES_256_GCM")));
    assert_eq!(stats.tracks[1].lost, 0);
    assert_eq!(stats.tracks[1].codec.as_deref(), Some("VP8"));
    assert_eq!(&*stats.slots[3].source.as_ref().unwrap().session, "client-1");
}

#[test]
fn losses_are_repaired_both_ways() {
    for seed in 0..SEEDS {
        let conditions = Conditions { loss: 20 + 4 * (seed % 8), delay: 15 * MILLISECOND, jitter: 10 * MILLISECOND };
        let mut meeting = two(seed, conditions);
        meeting.run(6 * SECOND);
        for (client, other) in [(0, 1), (1, 0)] {
            let viewer = &meeting.clients[client];
            assert_eq!(check_video(viewer, SLOT, meeting.now - SECOND), [other], "seed {seed}");
            let repaired = viewer.slot(SLOT).in_order().filter(|packet| packet.by_retransmission).count();
            assert!(repaired > 5, "seed {seed}: {repaired} repaired");
            assert!(viewer.sender.retransmitted > 5, "seed {seed}");
        }
        let counters = *meeting.shard.counters();
        assert!(counters.packets_recovered > 10 && counters.nacks_received > 10, "seed {seed}: {counters:?}");
        assert_eq!(counters.dropped_srtp_auth, 0, "seed {seed}");
    }
}

#[test]
fn handshakes_survive_loss() {
    for seed in 0..SEEDS {
        let mut meeting =
            Meeting::new(seed, Conditions { loss: 150, delay: 20 * MILLISECOND, jitter: 20 * MILLISECOND });
        meeting.join();
        meeting.join();
        meeting.connect();
    }
}

#[test]
fn a_slot_switches_with_a_key_frame_and_its_numbers_run_on() {
    for seed in 0..SEEDS {
        let conditions = Conditions { loss: 10, delay: 10 * MILLISECOND, jitter: 5 * MILLISECOND };
        let mut meeting = Meeting::new(seed, Conditions::IDEAL);
        (0..3).for_each(|_| _ = meeting.join());
        meeting.show(0, SLOT, Some(1));
        meeting.connect();
        meeting.network.conditions = conditions;
        meeting.run(2 * SECOND);
        for sender in [2, 1, 2] {
            let before = meeting.clients[0].slot(SLOT).packets.len();
            meeting.show(0, SLOT, Some(sender));
            meeting.run(2 * SECOND);
            assert!(meeting.clients[0].slot(SLOT).packets.len() > before + 100, "seed {seed}: no gap at the switch");
        }
        assert_eq!(check_video(&meeting.clients[0], SLOT, meeting.now - SECOND), [1, 2, 1, 2], "seed {seed}");
        assert_eq!(meeting.sources_of(0, SLOT), [1, 2, 1, 2].map(Some), "seed {seed}");
    }
}

#[test]
fn the_same_picture_may_stand_in_two_slots_and_a_slot_may_be_emptied() {
    let mut meeting = two(3, Conditions::IDEAL);
    meeting.show(0, "6", Some(1));
    meeting.run(2 * SECOND);
    assert_eq!(check_video(&meeting.clients[0], "6", meeting.now), [1]);
    meeting.show(0, "6", None);
    let emptied = meeting.now;
    meeting.run(SECOND);
    assert_eq!(meeting.clients[0].slot("6").count_between(emptied + 10 * MILLISECOND, meeting.now), 0);
    assert!(meeting.clients[0].slot(SLOT).count_between(emptied, meeting.now) > 80);
    assert_eq!(meeting.sources_of(0, "6"), [Some(1), None]);
}

#[test]
fn a_muted_track_is_silent_and_comes_back_with_a_key_frame() {
    let mut meeting = two(4, Conditions::IDEAL);
    meeting.run(SECOND);
    meeting.mute(0, CAMERA, true);
    meeting.mute(0, MICROPHONE, true);
    let muted = meeting.now;
    meeting.run(2 * SECOND);
    let viewer = &meeting.clients[1];
    let after = muted + 10 * MILLISECOND;
    assert!(viewer.slots.values().all(|slot| slot.count_between(after, meeting.now) == 0));
    let key_frames = meeting.clients[0].sender.key_frames;
    meeting.mute(0, CAMERA, false);
    meeting.mute(0, MICROPHONE, false);
    let unmuted = meeting.now;
    meeting.run(SECOND);
    assert_eq!(meeting.clients[0].sender.key_frames, key_frames + 1);
    let viewer = &meeting.clients[1];
    assert!(
        viewer.slots.values().all(|slot| slot.count_between(unmuted, meeting.now) > 40 && slot.missing().is_empty())
    );
    let first = viewer.slot(SLOT).in_order().find(|packet| packet.at >= unmuted).unwrap();
    assert!(sim::decode(&first.payload).1.key);
}

#[test]
fn a_third_joins_and_leaves_and_the_others_do_not_notice() {
    let mut meeting = two(5, Conditions::IDEAL);
    meeting.run(SECOND);
    let third = meeting.join();
    meeting.show(third, SLOT, Some(0));
    meeting.show(0, "6", Some(third));
    meeting.connect();
    meeting.run(2 * SECOND);
    assert_eq!(check_video(&meeting.clients[third], SLOT, meeting.now), [0]);
    assert_eq!(check_video(&meeting.clients[0], "6", meeting.now), [2]);
    meeting.leave(third);
    let left = meeting.now;
    meeting.run(2 * SECOND);
    assert_eq!(check_video(&meeting.clients[0], SLOT, meeting.now), [1]);
    assert!(meeting.clients[0].slot(SLOT).count_between(left, meeting.now) > 160);
    assert_eq!(meeting.sources_of(0, "6"), [Some(2), None]);
    let heard: Vec<_> = sim::AUDIO_SLOTS.iter().flat_map(|slot| meeting.sources_of(0, slot)).collect();
    assert_eq!(heard, [Some(1), Some(2), None], "the voice of the second never moved");
    assert!(meeting.clients[third].heard.byes > 0 && meeting.clients[third].heard.closed);
    let ends = meeting.events(|kind| match kind {
        EventKind::SessionState { subject, state: SessionState::Closed, reason, .. } => {
            Some((subject.session.to_string(), *reason))
        }
        _ => None,
    });
    assert_eq!(ends, [("client-2".into(), Some(CloseReason::Requested))]);
}

#[test]
fn the_loudest_are_heard_and_the_speaker_is_told() {
    let mut meeting = Meeting::new(6, Conditions::IDEAL);
    (0..6).for_each(|_| _ = meeting.join());
    meeting.connect();
    meeting.run(SECOND);
    meeting.clients[5].sender.level = 20;
    meeting.run(2 * SECOND);
    let since = meeting.now - SECOND;
    for listener in 0..5 {
        let hears = meeting.clients[listener].slots.values().any(|slot| {
            slot.in_order().any(|packet| packet.at > since && packet.payload[0] == 5 && packet.payload_type == 111)
        });
        assert!(hears, "{listener} hears the one who speaks");
    }
    assert!(meeting.clients.iter().all(|client| client.slots.len() == 3), "three voices each");
    let speakers = meeting.events(|kind| match kind {
        EventKind::DominantSpeaker { session, .. } => Some(session.as_deref().map(Client::number_of)),
        _ => None,
    });
    assert_eq!(speakers, [Some(5)]);
}

#[test]
fn replays_and_garbage_are_counted_and_harmless() {
    let mut meeting = two(7, Conditions::IDEAL);
    meeting.network.recorded = Some(Vec::new());
    meeting.run(SECOND);
    let recorded = meeting.network.recorded.take().unwrap();
    let before = *meeting.shard.counters();
    for (from, datagram) in &recorded {
        meeting.network.send(meeting.now, *from, sim::NODE, datagram.clone());
    }
    meeting.run(100 * MILLISECOND);
    let replayed = meeting.shard.counters().dropped_srtp_replay - before.dropped_srtp_replay;
    assert!(replayed as usize > recorded.len() * 9 / 10, "{replayed} of {}", recorded.len());
    garble(&mut meeting, &recorded);
    let counters = *meeting.shard.counters();
    for dropped in [
        counters.dropped_stun,
        counters.dropped_srtp_auth,
        counters.dropped_unknown_source,
        counters.dropped_noise,
        counters.dropped_dtls + counters.dropped_rtp + counters.dropped_rtcp,
    ] {
        assert!(dropped > before.dropped_stun, "{counters:?}");
    }
    meeting.run(SECOND);
    assert_eq!(check_video(&meeting.clients[0], SLOT, meeting.now), [1]);
    assert_eq!(check_video(&meeting.clients[1], SLOT, meeting.now), [0]);
}

/// Sends mutated datagrams from known and unknown addresses.
fn garble(meeting: &mut Meeting, recorded: &[(std::net::SocketAddr, Vec<u8>)]) {
    let mut random = sim::Random(99);
    for round in 0..20_000_u32 {
        let (from, mut datagram) = recorded[random.below(recorded.len() as u64) as usize].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(datagram.len() as u64) as usize;
            datagram[at] = random.next() as u8;
        }
        if random.permille(200) {
            datagram.truncate(random.below(datagram.len() as u64) as usize);
        }
        if random.permille(200) {
            datagram.insert(0, [0, 1, 20, 22, 128, 200][random.below(6) as usize]);
        }
        let from = if random.permille(300) {
            std::net::SocketAddr::from(([10, 9, 9, 9], 1 + (round % 50) as u16))
        } else {
            from
        };
        meeting.network.send(meeting.now, from, sim::NODE, datagram);
        if round % 200 == 0 {
            meeting.run(5 * MILLISECOND);
        }
    }
    meeting.run(10 * MILLISECOND);
}

#[test]
fn a_flood_in_the_name_of_an_address_does_not_cost_it_its_consent() {
    let mut meeting = two(12, Conditions::IDEAL);
    let forged = std::net::SocketAddr::new(meeting.clients[0].address.ip(), 7);
    // Beside the client's own rhythm, so that its checks never come first when the limit has something to give.
    meeting.run(2 * MILLISECOND);
    let check = meeting.clients[0].forged_check();
    for _ in 0..8_000 {
        meeting.network.send(meeting.now, forged, sim::NODE, check.clone());
        meeting.network.send(meeting.now, forged, sim::NODE, check.clone());
        meeting.run(5 * MILLISECOND);
    }
    let counters = *meeting.shard.counters();
    assert!(counters.dropped_rate > 10_000 && counters.dropped_stun < 6_000, "{counters:?}");
    let closed = meeting.events(|kind| match kind {
        EventKind::SessionState { state: SessionState::Closed, reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(closed, []);
    assert_eq!(meeting.stats(0).remote_address, Some(meeting.clients[0].address));
}

#[test]
fn a_client_that_moves_is_followed() {
    let mut meeting = two(8, Conditions::IDEAL);
    meeting.run(SECOND);
    let client = &mut meeting.clients[0];
    client.address = "10.7.7.7:9999".parse().unwrap();
    client.check();
    let moved = meeting.now;
    meeting.run(SECOND);
    assert!(meeting.clients[0].slot(SLOT).count_between(moved + 50 * MILLISECOND, meeting.now) > 70);
    assert_eq!(meeting.stats(0).remote_address, Some(meeting.clients[0].address));
    assert_eq!(check_video(&meeting.clients[1], SLOT, meeting.now), [0]);
}

#[test]
fn silence_ends_the_session_and_a_goodbye_at_once() {
    let mut meeting = two(9, Conditions::IDEAL);
    meeting.clients[0].checks = false;
    let closing = meeting.now;
    meeting.clients[1].close(closing);
    meeting.run(29 * SECOND);
    let reasons = |meeting: &Meeting| {
        meeting.events(|kind| match kind {
            EventKind::SessionState { state: SessionState::Closed, reason, .. } => *reason,
            _ => None,
        })
    };
    assert_eq!(reasons(&meeting), [CloseReason::PeerClosed]);
    meeting.run(3 * SECOND);
    assert_eq!(reasons(&meeting), [CloseReason::PeerClosed, CloseReason::IceTimeout]);
    assert_eq!(meeting.shard.take_released().len(), 2);
}

#[test]
fn a_client_with_another_certificate_is_refused() {
    let mut meeting = Meeting::new(10, Conditions::IDEAL);
    meeting.join_with(|open| open.parameters.fingerprints[0].1 = vec!["00"; 32].join(":"));
    meeting.run(2 * SECOND);
    let ends = meeting.events(|kind| match kind {
        EventKind::SessionState { state, reason, .. } => Some((*state, *reason)),
        _ => None,
    });
    assert_eq!(ends, [(SessionState::Connecting, None), (SessionState::Closed, Some(CloseReason::DtlsFailed))]);
}

#[test]
fn key_frame_requests_are_sent_once_a_second() {
    let mut meeting = two(11, Conditions::IDEAL);
    meeting.run(2 * SECOND);
    meeting.clients[0].heard.key_frame_requests.clear();
    for _ in 0..300 {
        meeting.clients[1].request_key_frame(SLOT);
        meeting.run(10 * MILLISECOND);
    }
    let asked = &meeting.clients[0].heard.key_frame_requests;
    assert!((3..=4).contains(&asked.len()), "{asked:?}");
    assert!(meeting.shard.counters().key_frame_requests_received >= 290);
}

#[test]
fn a_newcomer_is_shown_a_picture_as_soon_as_it_can_receive() {
    let mut meeting = Meeting::new(41, Conditions { loss: 0, delay: 20 * MILLISECOND, jitter: 0 });
    let first = meeting.join();
    meeting.connect();
    meeting.run(SECOND);
    meeting.clients[first].heard.key_frame_requests.clear();
    let newcomer = meeting.join();
    meeting.show(newcomer, SLOT, Some(first));
    while !meeting.clients[newcomer].is_connected() {
        meeting.run(MILLISECOND);
    }
    let connected = meeting.now;
    while !meeting.clients[newcomer].slots.contains_key(SLOT) && meeting.now < connected + SECOND {
        meeting.run(MILLISECOND);
    }
    let waited = meeting.now - connected;
    assert!(waited <= 120 * MILLISECOND, "a way and back, a frame's time and the way to it, not {waited} us");
    assert_eq!(meeting.clients[first].heard.key_frame_requests.len(), 1, "none in vain");
}

#[test]
fn a_track_that_falls_silent_is_told() {
    let mut meeting = two(12, Conditions::IDEAL);
    meeting.run(SECOND);
    meeting.clients[0].sender.sends_video = false;
    meeting.run(3 * SECOND);
    meeting.clients[0].sender.sends_video = true;
    meeting.run(SECOND);
    let activity = meeting.events(|kind| match kind {
        EventKind::TrackActivity { subject, mid, active } if *subject.session == *"client-0" && **mid == *CAMERA => {
            Some(*active)
        }
        _ => None,
    });
    assert_eq!(activity, [true, false, true]);
}

#[test]
fn streams_are_known_by_their_declared_ssrc_too() {
    let mut meeting = Meeting::new(13, Conditions::IDEAL);
    meeting.join_with(|open| {
        open.parameters.send_tracks[0].ssrcs = vec![1_000];
        open.parameters.send_tracks[1].ssrcs = vec![1_001];
        open.parameters.send_tracks[1].rtx_ssrcs = vec![1_002];
    });
    meeting.clients[0].sender.names_streams = false;
    meeting.join();
    meeting.show(1, SLOT, Some(0));
    meeting.connect();
    meeting.run(SECOND);
    assert_eq!(check_video(&meeting.clients[1], SLOT, meeting.now), [0]);
    assert_eq!(meeting.shard.counters().dropped_unknown_ssrc, 0);
}

/// How much later than the quickest picture each picture came, in order of lateness.
fn lateness(client: &Client, slot: &str) -> Vec<Micros> {
    let packets: Vec<_> = client.slot(slot).in_order().filter(|packet| packet.marker).collect();
    let first = packets[0].timestamp;
    let captured = |timestamp: u32| Micros::from(timestamp.wrapping_sub(first)) * 100 / 9;
    let travelled: Vec<_> = packets.iter().map(|packet| packet.at - captured(packet.timestamp)).collect();
    let quickest = *travelled.iter().min().unwrap();
    let mut late: Vec<_> = travelled.iter().map(|travelled| travelled - quickest).collect();
    late.sort_unstable();
    late
}

#[test]
fn a_lost_picture_comes_back_before_it_is_missed() {
    // A picture in one packet: only the next packet of another stream can tell at once that it was lost.
    let mut noticed_in_all = 0;
    for seed in 0..SEEDS {
        let mut meeting = Meeting::new(seed, Conditions::IDEAL);
        meeting.join();
        meeting.join();
        meeting.clients[0].sender.packets_per_frame = 1;
        meeting.show(1, SLOT, Some(0));
        meeting.connect();
        meeting.network.conditions = Conditions { loss: 100, delay: 5 * MILLISECOND, jitter: 0 };
        meeting.run(20 * SECOND);
        let late = lateness(&meeting.clients[1], SLOT);
        let noticed = late.iter().filter(|late| **late > 100 * MILLISECOND).count() * 1_000 / late.len();
        assert!(noticed <= 70, "seed {seed}: {noticed} of a thousand pictures are more than 100 ms late");
        noticed_in_all += noticed;
    }
    assert!(noticed_in_all <= 40 * SEEDS as usize, "{noticed_in_all}");
}

#[test]
fn a_repetition_that_comes_before_anything_else_of_its_stream_is_taken() {
    // A sender that probes repeats its newest packet; if the packet itself was lost, its repetition is all there is.
    let mut meeting = two(21, Conditions::IDEAL);
    meeting.run(SECOND);
    meeting.clients[0].sender.sends_audio = false;
    meeting.clients[0].sender.sends_video = false;
    meeting.run(200 * MILLISECOND);
    let newest = meeting.clients[0].sender.encodings[0].sequence;
    meeting.network.conditions = Conditions { loss: 1_000, ..Conditions::IDEAL };
    meeting.clients[0].sender.sends_video = true;
    while meeting.clients[0].sender.encodings[0].sequence == newest {
        meeting.run(MILLISECOND);
    }
    meeting.clients[0].sender.sends_video = false;
    meeting.run(10 * MILLISECOND);
    meeting.network.conditions = Conditions::IDEAL;
    let end = meeting.clients[0].sender.encodings[0].sequence;
    let before = meeting.clients[1].slot(SLOT).packets.len();
    for back in (0..end.wrapping_sub(newest)).rev() {
        let sender = &mut meeting.clients[0].sender;
        let repetition = sender.retransmission(sender.encodings[0].ssrc, end.wrapping_sub(back)).unwrap();
        meeting.clients[0].send_media(repetition);
    }
    meeting.run(100 * MILLISECOND);
    assert_eq!(meeting.clients[1].slot(SLOT).packets.len() - before, usize::from(end.wrapping_sub(newest)));
    meeting.clients[0].sender.sends_video = true;
    meeting.run(SECOND);
    assert_eq!(check_video(&meeting.clients[1], SLOT, meeting.now), [0]);
}
