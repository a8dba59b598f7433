//! A participant that has the keys of its own session and says whatever it likes: the way into the node for bytes that no parser
//! has seen alone.

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::fuzz::framed_rtcp;
use parley_engine_core::wire::rtp::{RtpHeader, RtpHeaderMut};

use super::sender::{AUDIO_TYPE, RED_TYPE, RTX_TYPE, VIDEO_TYPE};
use super::{CAMERA, Conditions, MICROPHONE, Meeting, VIDEO_SLOTS};

/// An honest client whose picture another one watches while the third misbehaves.
const WATCHER: usize = 0;
const HOSTILE: usize = 1;
const HONEST: usize = 2;
/// Simulated time that an input may take: more would only make inputs slower.
const LIMIT: Micros = 400 * MILLISECOND;
/// Time after which the watcher must have seen more.
const AFTERWARDS: Micros = 200 * MILLISECOND;

/// Takes the next `len` bytes, or what is left.
pub(super) fn take<'a>(data: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = data.split_at(len.min(data.len()));
    *data = rest;
    taken
}

/// Lets a participant send what the input says, packet after packet; what the others see of each other goes on.
///
/// Each packet is one byte of what it is, one of its length, and its bytes.
pub fn participant(mut data: &[u8]) {
    let mut meeting = meeting();
    let mut sequence = 65_500_u16;
    let end = meeting.now + LIMIT;
    while let &[what, len, ref rest @ ..] = data {
        data = rest;
        match what % 8 {
            0 | 1 => {
                sequence = sequence.wrapping_add(u16::from(what >> 3)).wrapping_sub(3);
                let body = take(&mut data, usize::from(len));
                send_rtp(&mut meeting, sequence, what, body);
            }
            2 => {
                let packet = take(&mut data, usize::from(len) * 6);
                if RtpHeader::parse(packet).is_some() {
                    meeting.clients[HOSTILE].send_media(packet.to_vec());
                }
            }
            3 => {
                let compound = framed_rtcp(take(&mut data, usize::from(len)));
                meeting.clients[HOSTILE].send_control_packet(&compound);
            }
            4 => {
                let datagram = take(&mut data, usize::from(len) * 6).to_vec();
                meeting.clients[HOSTILE].outgoing.push(datagram);
            }
            5 if meeting.now < end => meeting.run(Micros::from(len % 64) * MILLISECOND),
            6 => command(&mut meeting, what, len),
            _ => meeting.run(MILLISECOND),
        }
        if meeting.now >= end {
            break;
        }
    }
    let before = meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len();
    meeting.run(AFTERWARDS);
    assert!(meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len() > before, "the others' picture goes on");
    let _ = (meeting.stats(WATCHER), meeting.explain(WATCHER));
}

fn meeting() -> Meeting {
    let mut meeting = Meeting::new(7, Conditions::IDEAL);
    meeting.join();
    meeting.join_with_simulcast();
    meeting.join();
    meeting.connect();
    meeting.show(WATCHER, VIDEO_SLOTS[0], Some(HONEST));
    // This one takes everything that comes of the hostile one as it is, and so does the hostile one.
    meeting.show_at(HONEST, VIDEO_SLOTS[0], Some(HOSTILE), 720, 1);
    meeting.show(HOSTILE, VIDEO_SLOTS[0], Some(HONEST));
    meeting.clients[HONEST].looks = false;
    meeting.clients[HOSTILE].looks = false;
    meeting.clients[HOSTILE].listens = false;
    for _ in 0..20 {
        meeting.run(20 * MILLISECOND);
        if meeting.clients[WATCHER].slots.get(VIDEO_SLOTS[0]).is_some_and(|slot| !slot.shown.is_empty()) {
            return meeting;
        }
    }
    panic!("no picture before anything happened");
}

/// Sends a packet of one of its streams, or of one that nobody has announced: payload type, stream and body are the input's.
fn send_rtp(meeting: &mut Meeting, sequence: u16, what: u8, body: &[u8]) {
    let client = &mut meeting.clients[HOSTILE];
    let Some((&choice, payload)) = body.split_first() else { return };
    let encodings = &client.sender.encodings;
    let ssrc = match choice >> 4 & 7 {
        0 | 1 => client.sender.audio_ssrc,
        place @ 2..=4 => encodings[usize::from(place) - 2].ssrc,
        5 => encodings[2].rtx_ssrc(),
        6 => 77_000,
        _ => 78_000 + u32::from(sequence % 4),
    };
    let kind = [AUDIO_TYPE, VIDEO_TYPE, RTX_TYPE, RED_TYPE, 0, 35, 96, 127][usize::from(choice & 7)];
    // With the extension bit the body begins with the block.
    let flags = 0x80 | if what & 1 == 1 { 0x10 } else { 0 } | (choice & 8) << 2;
    let mut packet = vec![flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let timestamp = (meeting.now / 11) as u32;
    if let Some(mut fields) = RtpHeaderMut::new(&mut packet) {
        fields.set_marker(choice & 0x80 != 0);
        fields.set_payload_type(kind);
        fields.set_sequence_number(sequence);
        fields.set_timestamp(timestamp);
        fields.set_ssrc(ssrc);
    }
    packet.extend(payload);
    if RtpHeader::parse(&packet).is_some() {
        client.send_media(packet);
    }
}

fn command(meeting: &mut Meeting, what: u8, choice: u8) {
    let mid = if choice & 1 == 0 { CAMERA } else { MICROPHONE };
    match what >> 3 & 3 {
        0 => meeting.mute(HOSTILE, mid, choice & 2 == 0),
        1 => meeting.show_at(HONEST, VIDEO_SLOTS[1], (choice & 1 == 0).then_some(HOSTILE), u32::from(choice) * 4, 0),
        2 => meeting.show_at(HONEST, VIDEO_SLOTS[0], Some(HOSTILE), u32::from(choice) * 4, i32::from(choice)),
        _ => meeting.show(HOSTILE, VIDEO_SLOTS[usize::from(choice & 1)], (choice & 2 == 0).then_some(HONEST)),
    }
}
