//! Sound in the simulated network.

mod sim;

use parley_engine_core::clock::SECOND;
use parley_engine_core::command::OpenSession;
use parley_engine_core::params::Codec;
use sim::{AUDIO_SLOTS, Client, Conditions, Meeting};

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
