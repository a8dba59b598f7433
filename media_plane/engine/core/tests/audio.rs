//! Sound in the simulated network.

mod sim;

use std::collections::BTreeSet;

use parley_engine_core::clock::SECOND;
use parley_engine_core::command::OpenSession;
use parley_engine_core::params::Codec;
use sim::{AUDIO_SLOTS, Bursts, Client, Conditions, Link, Meeting, Received};

const AUDIO_TYPE: u8 = 111;
const RED_TYPE: u8 = 63;

fn knows_redundancy(open: &mut OpenSession, payload_type: u8) {
    let opus = open.parameters.codecs[0].clone();
    open.parameters.codecs.push(Codec { name: "red".into(), payload_type, fmtp: "opus".into(), ..opus });
    open.parameters.send_tracks[0].payload_types.push(payload_type);
}

fn heard_by(client: &Client) -> Vec<(u8, Vec<u8>)> {
    let slots = client.slots.iter().filter(|(mid, _)| AUDIO_SLOTS.contains(&mid.as_str()));
    slots.flat_map(|(_, slot)| slot.in_order().map(|packet| (packet.payload_type, packet.payload.clone()))).collect()
}

#[test]
fn redundant_sound_keeps_its_repetition_for_those_who_know_it_and_loses_it_for_others() {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    let speaker = meeting.join_with(|open| knows_redundancy(open, RED_TYPE));
    let knowing = meeting.join_with(|open| {
        open.parameters.codecs[0].payload_type = 109;
        knows_redundancy(open, 120);
    });
    let plain = meeting.join();
    for listener in [knowing, plain] {
        meeting.clients[listener].sender.sends_audio = false;
    }
    meeting.clients[speaker].sender.sends_redundancy = true;
    meeting.clients[speaker].sender.level = 20;
    meeting.connect();
    meeting.run(3 * SECOND);

    let frame = [&[speaker as u8][..], &[0xfc; 60]].concat();
    let heard = heard_by(&meeting.clients[knowing]);
    assert!(heard.len() > 100, "{} packets", heard.len());
    let (opus, repeated) = (109, 0x80);
    let expected = [&[repeated | opus, 0x0f, 0x00, 61, opus][..], &frame, &frame].concat();
    assert!(heard.iter().all(|packet| *packet == (120, expected.clone())), "{:?}", heard[0]);

    let heard = heard_by(&meeting.clients[plain]);
    assert!(heard.len() > 100, "{} packets", heard.len());
    assert!(heard.iter().all(|packet| *packet == (111, frame.clone())), "{:?}", heard[0]);
}

#[test]
fn lost_sound_is_asked_for_unless_the_next_packet_repeats_it() {
    for (seed, redundant) in [(1, false), (2, false), (3, true), (4, true)] {
        let mut meeting = Meeting::new(seed, Conditions::IDEAL);
        let [speaker, listener] = [(); 2].map(|()| meeting.join_with(|open| knows_redundancy(open, RED_TYPE)));
        meeting.clients[listener].sender.sends_audio = false;
        meeting.clients[speaker].sender.sends_video = false;
        meeting.clients[speaker].sender.sends_redundancy = redundant;
        meeting.clients[speaker].sender.level = 20;
        meeting.connect();
        meeting.run(SECOND);
        let address = meeting.clients[speaker].address;
        let bursts = Bursts { begin: 50, end: 500, loss: 1_000 };
        meeting.network.up.insert(address, Link { bursts: Some(bursts), ..Link::default() });
        meeting.run(10 * SECOND);
        let lost = meeting.network.up.remove(&address).unwrap().lost;
        let lost = lost.iter().filter(|lost| [AUDIO_TYPE, RED_TYPE].contains(&lost.kind)).count();
        meeting.run(SECOND);

        let nacked = meeting.clients[speaker].heard.nacked;
        let counters = *meeting.shard.counters();
        assert!(lost > 15 && counters.packets_recovered > 5, "seed {seed}: {counters:?} of {lost}");
        assert_eq!(nacked < lost, redundant, "seed {seed}: {nacked} requests for {lost} losses");
        let slot = AUDIO_SLOTS.iter().find_map(|mid| meeting.clients[listener].slots.get(*mid)).unwrap();
        assert_eq!(meeting.clients[speaker].heard.key_frame_requests, [0; 0], "seed {seed}");
        let heard: BTreeSet<_> = slot.in_order().flat_map(frames).collect();
        let steps = heard.iter().zip(heard.iter().skip(1)).map(|(one, next)| next - one);
        assert!(steps.clone().all(|step| step == 960), "seed {seed}: {:?}", steps.collect::<Vec<_>>());
    }
}

/// Timestamps of the frames that a packet of redundant sound brings, the newest last.
fn frames(packet: &Received) -> Vec<u32> {
    let headers = packet.payload.chunks(4).take_while(|header| header[0] & 0x80 != 0);
    let ages = headers.map(|header| u32::from(u16::from_be_bytes([header[1], header[2]]) >> 2));
    ages.chain([0]).map(|age| packet.timestamp.wrapping_sub(age)).collect()
}

#[test]
fn who_loses_much_is_given_each_frame_more_often() {
    for seed in 0..5 {
        let mut meeting = Meeting::new(seed, Conditions::IDEAL);
        let [speaker, listener, lucky] = [(); 3].map(|()| meeting.join_with(|open| knows_redundancy(open, RED_TYPE)));
        for other in [listener, lucky] {
            meeting.clients[other].sender.sends_audio = false;
        }
        meeting.clients[speaker].sender.sends_redundancy = true;
        meeting.clients[speaker].sender.level = 20;
        meeting.connect();
        meeting.run(2 * SECOND);
        let address = meeting.clients[listener].address;
        let bursts = Bursts { begin: 20, end: 300, loss: 1_000 };
        meeting.network.down.insert(address, Link { bursts: Some(bursts), ..Link::default() });
        meeting.run(8 * SECOND);
        let from = meeting.now;
        meeting.run(10 * SECOND);

        let slot = |client: usize| AUDIO_SLOTS.iter().find_map(|mid| meeting.clients[client].slots.get(*mid)).unwrap();
        let late = |client| slot(client).in_order().filter(move |packet: &&Received| packet.at >= from);
        assert!(late(lucky).all(|packet| frames(packet).len() == 2), "seed {seed}");
        let came = late(listener).count();
        assert!(late(listener).all(|packet| frames(packet).len() == 7), "seed {seed}");
        let heard: BTreeSet<_> = late(listener).flat_map(frames).collect();
        let (lost, missing) = (late(lucky).count() - came, late(lucky).count().saturating_sub(heard.len()));
        assert!(lost > 15 && missing * 4 < lost, "seed {seed}: of {lost} lost packets {missing} frames are missing");
    }
}
