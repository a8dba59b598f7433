//! Simulcast and temporal layers in whole meetings of the simulated network.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::event::EventKind;
use parley_engine_core::explanation::{LayerReason, SlotExplanation};
use sim::{Client, Conditions, Meeting};

const SEEDS: u64 = 10;
const SLOT: &str = "5";
const OTHER: &str = "6";

/// A client that watches the simulcast camera of another at a height.
fn watch(seed: u64, conditions: Conditions, height: u32) -> Meeting {
    let mut meeting = Meeting::new(seed, Conditions::IDEAL);
    meeting.join();
    meeting.join_with_simulcast();
    meeting.show_at(0, SLOT, Some(1), height, 0);
    meeting.connect();
    meeting.network.conditions = conditions;
    meeting
}

/// What a decoder saw of a slot.
#[derive(Debug, Default)]
struct Seen {
    /// Heights in the order they were shown, and when each began.
    heights: Vec<(u16, Micros)>,
    temporal_layers: [usize; 3],
}

impl Seen {
    fn heights(&self) -> Vec<u16> {
        self.heights.iter().map(|(height, _)| *height).collect()
    }
}

/// Checks what came in a slot: no gap older than `settled`; picture ids without a gap; a base layer index that counts the
/// frames of the base layer; timestamps that grow; and a key frame wherever the size changes.
fn check(client: &Client, slot: &str, settled: Micros) -> Seen {
    let slot = client.slot(slot);
    let newest = slot.packets.iter().filter(|(_, packet)| packet.at <= settled).map(|(sequence, _)| *sequence).max();
    let newest = newest.expect("something came");
    let missing: Vec<_> = slot.missing().into_iter().filter(|gap| *gap < newest).collect();
    assert!(missing.is_empty(), "gaps {missing:?} before {newest}");
    let mut seen = Seen::default();
    let mut previous: Option<(sim::Mark, u16, u8, u32, bool)> = None;
    // Empty packets stand for what was lost on the way to the node and then not wanted: perhaps a whole picture.
    let mut empty = 0;
    for (sequence, packet) in slot.packets.range(..=newest) {
        if packet.payload.is_empty() {
            empty += 1;
            continue;
        }
        let (descriptor, mark) = sim::decode(&packet.payload);
        let (picture, tl0) = (descriptor.picture_id.unwrap().value, descriptor.tl0_picture_index.unwrap());
        let layer = descriptor.temporal_layer.unwrap().id;
        if seen.heights.last().is_none_or(|(height, _)| *height != mark.height) {
            assert!(mark.key && mark.part == 0, "sequence {sequence}: a size begins with a key frame, not {mark:?}");
            seen.heights.push((mark.height, packet.at));
        }
        let same = previous.is_some_and(|(before, ..)| (before.height, before.frame) == (mark.height, mark.frame));
        if let Some((before, last_picture, last_tl0, timestamp, ended)) = previous {
            let context = format!("sequence {sequence}: {before:?}, then {mark:?}");
            let step = picture.wrapping_sub(last_picture) & 0x7fff;
            let least = u16::from(!same);
            assert!((least..=least + empty / 2).contains(&step), "{context}: {step} after {empty} empty");
            assert_eq!(tl0, last_tl0.wrapping_add(u8::from(!same && layer == 0)), "{context}");
            let advance = packet.timestamp.wrapping_sub(timestamp);
            assert!(if same { advance == 0 } else { (1..900_000).contains(&advance) }, "{context}: {advance}");
            // Where the size changes, the end of the last picture may have been lost.
            assert!(ended != same || before.height != mark.height, "{context}: pictures come whole");
        }
        seen.temporal_layers[usize::from(layer)] += usize::from(!same);
        (previous, empty) = (Some((mark, picture, tl0, packet.timestamp, packet.marker)), 0);
    }
    seen
}

/// What senders were told to be wanted, in order.
fn wanted(meeting: &Meeting) -> Vec<String> {
    meeting.events(|kind| match kind {
        EventKind::EncodingsWanted { rids, .. } => Some(rids.concat()),
        _ => None,
    })
}

#[test]
fn each_slot_gets_the_size_that_it_shows() {
    let mut meeting = watch(1, Conditions::IDEAL, 180);
    meeting.show_at(0, OTHER, Some(1), 720, 0);
    meeting.run(5 * SECOND);
    let viewer = &meeting.clients[0];
    assert_eq!(check(viewer, SLOT, meeting.now).heights(), [180]);
    assert_eq!(check(viewer, OTHER, meeting.now).heights(), [180, 720], "the smaller is there the sooner");
    assert_eq!(meeting.sources_of(0, OTHER), [Some(1)], "it is the same picture to the node");
    assert!(meeting.clients[1].sender.encodings.iter().all(|encoding| encoding.reported));
}

#[test]
fn sizes_that_nobody_needs_are_switched_off_and_come_back_in_time() {
    let mut meeting = watch(2, Conditions { loss: 0, delay: 20 * MILLISECOND, jitter: 0 }, 180);
    meeting.run(6 * SECOND);
    assert_eq!(wanted(&meeting), ["q"]);
    let before: Vec<_> = meeting.clients[1].sender.encodings.iter().map(|encoding| encoding.pictures).collect();
    meeting.run(2 * SECOND);
    let sent = |meeting: &Meeting| -> Vec<_> {
        meeting.clients[1]
            .sender
            .encodings
            .iter()
            .zip(&before)
            .map(|(encoding, before)| encoding.pictures - before)
            .collect()
    };
    assert!(matches!(sent(&meeting)[..], [59..=62, 0, 0]), "{:?}", sent(&meeting));

    let maximised = meeting.now;
    meeting.show_at(0, SLOT, Some(1), 720, 0);
    meeting.run(2 * SECOND);
    let seen = check(&meeting.clients[0], SLOT, meeting.now - SECOND);
    assert_eq!(seen.heights(), [180, 720]);
    let took = seen.heights[1].1 - maximised;
    assert!(took < 200 * MILLISECOND, "{took} us");
    assert_eq!(wanted(&meeting), ["q", "qf"]);

    meeting.show_at(0, SLOT, Some(1), 180, 0);
    meeting.run(4 * SECOND);
    let seen = check(&meeting.clients[0], SLOT, meeting.now - SECOND);
    assert_eq!(seen.heights(), [180, 720, 180]);
    assert_eq!(wanted(&meeting), ["q", "qf", "q"]);
}

#[test]
fn a_switched_stream_is_repaired_from_the_ring_of_its_source() {
    for seed in 0..SEEDS {
        let mut meeting = watch(seed, Conditions { loss: 30, delay: 15 * MILLISECOND, jitter: 5 * MILLISECOND }, 180);
        for (round, height) in [720, 180, 360, 720].into_iter().enumerate() {
            meeting.run(2 * SECOND);
            meeting.show_at(0, SLOT, Some(1), height, 0);
            assert!(meeting.clients[0].slot(SLOT).packets.len() > 50 * round, "seed {seed}");
        }
        meeting.run(3 * SECOND);
        let seen = check(&meeting.clients[0], SLOT, meeting.now - SECOND);
        assert_eq!(seen.heights(), [180, 720, 180, 360, 720], "seed {seed}");
        let repaired = meeting.clients[0].slot(SLOT).in_order().filter(|packet| packet.by_retransmission).count();
        assert!(repaired > 20, "seed {seed}: {repaired}");
        assert_eq!(meeting.sources_of(0, SLOT), [Some(1)], "seed {seed}");
    }
}

#[test]
fn a_size_that_its_sender_gives_up_is_replaced_before_anyone_notices() {
    let mut meeting = watch(3, Conditions::IDEAL, 720);
    meeting.signalling = None;
    meeting.run(5 * SECOND);
    let stopped = meeting.now;
    meeting.clients[1].sender.encodings[2].set_active(false);
    meeting.run(3 * SECOND);
    let seen = check(&meeting.clients[0], SLOT, meeting.now);
    assert_eq!(seen.heights(), [180, 720, 360]);
    assert!(seen.heights[2].1 - stopped < 600 * MILLISECOND, "{:?} after {stopped}", seen.heights);
    meeting.clients[1].sender.encodings[2].set_active(true);
    let resumed = meeting.now;
    meeting.run(4 * SECOND);
    let seen = check(&meeting.clients[0], SLOT, meeting.now);
    assert_eq!(seen.heights(), [180, 720, 360, 720]);
    assert!(seen.heights[3].1 - resumed > 1_900 * MILLISECOND, "it has to prove steady");
}

/// When a viewer of 720 lines, whose sender gives them up after so much time and says so at once, has another size.
fn replaced_after(seed: u64, conditions: Conditions, goes_on: Micros) -> Micros {
    let mut meeting = watch(seed, Conditions::IDEAL, 720);
    meeting.signalling = None;
    meeting.clients[1].sender.tells_encodings = true;
    meeting.run(5 * SECOND);
    meeting.network.conditions = conditions;
    let told = meeting.now;
    meeting.clients[1].sender.claims = Some(0b011);
    meeting.run(goes_on);
    meeting.clients[1].sender.encodings[2].set_active(false);
    meeting.clients[1].sender.claims = None;
    meeting.run(3 * SECOND);
    let seen = check(&meeting.clients[0], SLOT, meeting.now - SECOND);
    assert_eq!(seen.heights(), [180, 720, 360], "seed {seed}");
    seen.heights[2].1 - told
}

#[test]
fn a_size_that_its_sender_says_to_have_given_up_is_replaced_at_once() {
    let way = Conditions { loss: 0, delay: 20 * MILLISECOND, jitter: 5 * MILLISECOND };
    for seed in 0..SEEDS {
        // To the next frame, thither, there and back for the key frame, and to the viewer.
        let after = replaced_after(seed, way, 0);
        assert!(after < 170 * MILLISECOND, "seed {seed}: {after}");
        // What waited to be sent still comes and changes nothing.
        let after = replaced_after(seed, way, 300 * MILLISECOND);
        assert!(after < 170 * MILLISECOND, "seed {seed}: {after}");
        // The word may be lost, and comes with its repair.
        let after = replaced_after(seed, Conditions { loss: 10, ..way }, 0);
        assert!(after < 550 * MILLISECOND, "seed {seed}: {after}");
    }
}

#[test]
fn a_sender_that_says_it_stopped_and_goes_on_is_not_believed_for_long() {
    let mut meeting = watch(5, Conditions::IDEAL, 720);
    meeting.signalling = None;
    meeting.clients[1].sender.tells_encodings = true;
    meeting.run(5 * SECOND);
    meeting.clients[1].sender.claims = Some(0b011);
    meeting.run(8 * SECOND);
    assert_eq!(check(&meeting.clients[0], SLOT, meeting.now).heights(), [180, 720, 360, 720]);
}

#[test]
fn a_size_that_its_sender_has_given_up_is_not_asked_for_key_frames() {
    let mut meeting = watch(4, Conditions::IDEAL, 720);
    meeting.signalling = None;
    meeting.run(5 * SECOND);
    // The viewer's last request goes unanswered, since the sender gives the size up.
    meeting.clients[0].request_key_frame(SLOT);
    meeting.clients[1].sender.encodings[2].set_active(false);
    meeting.run(SECOND);
    let asked = meeting.clients[1].heard.key_frame_requests.len();
    meeting.run(5 * SECOND);
    assert_eq!(meeting.clients[1].heard.key_frame_requests.len(), asked);
    meeting.clients[1].sender.encodings[2].set_active(true);
    meeting.run(4 * SECOND);
    assert_eq!(check(&meeting.clients[0], SLOT, meeting.now).heights().last(), Some(&720));
}

#[test]
fn little_bandwidth_means_small_pictures_then_fewer_of_them_and_no_gaps() {
    for seed in 0..SEEDS {
        let conditions = Conditions { loss: 10 * (seed % 3), delay: 15 * MILLISECOND, jitter: 5 * MILLISECOND };
        let mut meeting = watch(seed, conditions, 720);
        for encoding in &mut meeting.clients[1].sender.encodings {
            encoding.layered = true;
        }
        meeting.run(4 * SECOND);
        meeting.clients[0].limit(350_000);
        meeting.run(5 * SECOND);
        let seen = check(&meeting.clients[0], SLOT, meeting.now - SECOND);
        // Nobody needed 360 lines before: where they had been switched off, 180 come between.
        let fallen = seen.heights();
        assert!(fallen.starts_with(&[180, 720]) && fallen.ends_with(&[360]), "seed {seed}: {fallen:?}");
        let since = meeting.now - 3 * SECOND;
        let layers = layers_since(&meeting, since);
        assert!(layers[2] == 0 && layers[1] > 15 && layers[0] > 15, "seed {seed}: {layers:?}");
        let bits = 8 * bytes_since(&meeting, since) / 3;
        assert!((160_000..300_000).contains(&bits), "seed {seed}: {bits} bit/s");

        // Enough for all frames of 360 lines, but no other way: the step up waits.
        meeting.clients[0].limit(600_000);
        let since = meeting.now;
        meeting.run(2 * SECOND);
        let held = check(&meeting.clients[0], SLOT, meeting.now - SECOND).heights();
        assert_eq!(held, fallen, "seed {seed}: no step up for eight seconds");
        let layers = layers_since(&meeting, since);
        assert!(layers[2] == 0 && layers[1] > 10, "seed {seed}: no step up for eight seconds, {layers:?}");
        meeting.clients[0].limit(10_000_000);
        meeting.run(4 * SECOND);
        let risen = check(&meeting.clients[0], SLOT, meeting.now - SECOND).heights();
        assert!(risen.starts_with(&fallen) && risen[fallen.len()..] == [720], "seed {seed}: {risen:?}");
        let layers = layers_since(&meeting, meeting.now - SECOND);
        assert!(layers[2] > 10, "seed {seed}: {layers:?}");
    }
}

/// Frames by temporal layer that began to arrive since a time.
fn layers_since(meeting: &Meeting, since: Micros) -> [usize; 3] {
    let mut layers = [0; 3];
    for packet in
        meeting.clients[0].slot(SLOT).in_order().filter(|packet| packet.at >= since && !packet.payload.is_empty())
    {
        let (descriptor, mark) = sim::decode(&packet.payload);
        layers[usize::from(descriptor.temporal_layer.unwrap().id)] += usize::from(mark.part == 0);
    }
    layers
}

fn bytes_since(meeting: &Meeting, since: Micros) -> usize {
    let recent = meeting.clients[0].slot(SLOT).in_order().filter(|packet| packet.at >= since);
    recent.map(|packet| packet.payload.len()).sum()
}

#[test]
fn what_cannot_be_carried_at_all_is_paused_and_sound_goes_on() {
    let mut meeting = watch(5, Conditions::IDEAL, 720);
    meeting.run(3 * SECOND);
    meeting.clients[0].limit(100_000);
    meeting.run(2 * SECOND);
    let paused = meeting.now;
    meeting.run(2 * SECOND);
    assert_eq!(meeting.clients[0].slot(SLOT).count_between(paused, meeting.now), 0);
    let heard: usize = sim::AUDIO_SLOTS
        .iter()
        .filter_map(|mid| meeting.clients[0].slots.get(*mid))
        .map(|slot| slot.count_between(paused, meeting.now))
        .sum();
    assert!(heard > 90, "{heard}");
    assert_eq!(meeting.sources_of(0, SLOT), [Some(1), None]);
    meeting.clients[0].limit(2_000_000);
    meeting.run(SECOND);
    assert_eq!(meeting.sources_of(0, SLOT), [Some(1), None, Some(1)]);
    check(&meeting.clients[0], SLOT, meeting.now);
}

#[test]
fn the_stage_is_served_before_the_others() {
    let mut meeting = Meeting::new(6, Conditions::IDEAL);
    meeting.join();
    meeting.join_with_simulcast();
    meeting.join_with_simulcast();
    meeting.show_at(0, SLOT, Some(1), 720, 0);
    meeting.show_at(0, OTHER, Some(2), 720, 10);
    meeting.connect();
    meeting.run(3 * SECOND);
    meeting.clients[0].limit(800_000);
    meeting.run(3 * SECOND);
    assert_eq!(check(&meeting.clients[0], SLOT, meeting.now).heights().last(), Some(&180));
    assert_eq!(check(&meeting.clients[0], OTHER, meeting.now).heights().last(), Some(&360));
}

#[test]
fn a_session_can_say_why_its_pictures_are_as_they_are() {
    let mut meeting = watch(7, Conditions::IDEAL, 180);
    meeting.show_at(0, OTHER, Some(1), 720, 0);
    meeting.run(5 * SECOND);
    let told = meeting.explain(0);
    let [small, large] = [&told.slots[3], &told.slots[4]];
    assert_eq!((small.reason, large.reason), (LayerReason::Viewport, LayerReason::Best));
    let heights = |slot: &SlotExplanation| {
        (slot.sent.as_ref().unwrap().height, slot.best.as_ref().unwrap().height, slot.useful_height)
    };
    assert_eq!((heights(small), heights(large)), ((180, 720, 180), (720, 720, 720)));
    assert!((28.0..32.0).contains(&large.sent.as_ref().unwrap().frames_per_second));
    assert_eq!(told.slots[0].reason, LayerReason::None, "sound");
    // 180 lines take 130 kbit/s, 720 take 1.4 Mbit/s, a voice 45 kbit/s.
    for rate in [told.sent_bits_per_second, told.wanted_bits_per_second] {
        assert!((1_400_000..1_800_000).contains(&rate), "{told:?}");
    }
    let sender = meeting.explain(1);
    let sent: Vec<_> = sender.tracks[1].encodings.iter().map(|layer| (layer.rid.as_str(), layer.height)).collect();
    assert_eq!(sent, [("q", 180), ("f", 720)], "nobody needs the one between");
    assert_eq!((&sender.tracks[1].wanted[..], sender.tracks[1].codec.as_str()), (&["q".into(), "f".into()][..], "VP8"));

    meeting.clients[0].limit(1_000_000);
    meeting.run(5 * SECOND);
    let told = meeting.explain(0);
    let large = &told.slots[4];
    assert_eq!((large.reason, large.sent.as_ref().unwrap().height), (LayerReason::Bandwidth, 360));
    assert_eq!(told.bandwidth.bits_per_second, 1_000_000);
    assert!((200_000..1_500_000).contains(&large.missing_bits_per_second), "{large:?}");

    meeting.clients[0].limit(1_850_000);
    meeting.run(2 * SECOND);
    assert_eq!(meeting.explain(0).slots[4].reason, LayerReason::Policy, "held back");
    meeting.clients[0].limit(90_000_000);
    meeting.run(2 * SECOND);
    assert_eq!(meeting.explain(0).slots[4].reason, LayerReason::Best);
    meeting.mute(1, sim::CAMERA, true);
    assert_eq!(meeting.explain(0).slots[4].reason, LayerReason::Sender);
}
