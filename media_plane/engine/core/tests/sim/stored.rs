//! A participant that numbers its packets as it likes and repeats what it likes under whatever SSRC, and a receiver that asks for
//! any of them again: the way of stored packets.

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::wire::rtcp::RtcpWriter;
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};

use super::link::{Bursts, Link};
use super::picture::{Mark, Temporal, encode};
use super::sender::{RTX_TYPE, VIDEO_TYPE};
use super::{CAMERA, Conditions, Meeting, VIDEO_SLOTS};

const WATCHER: usize = 0;
const HOSTILE: usize = 1;
/// Sends the picture that the watcher sees, and sees the hostile one's.
const HONEST: usize = 2;
/// Simulated time that an input may take.
const LIMIT: Micros = 600 * MILLISECOND;
const AFTERWARDS: Micros = 200 * MILLISECOND;
const FIRST_SSRC: u32 = 50_000;

/// What the hostile one sends next.
#[derive(Default)]
struct Stream {
    ssrc: u32,
    sequence: u16,
    repair: u16,
    frame: u32,
}

/// Four bytes a step: what it is, a small number, and a number of 16 bits.
pub fn stored_packets(data: &[u8]) {
    let mut meeting = meeting();
    let mut stream = Stream { ssrc: FIRST_SSRC, ..Stream::default() };
    let end = meeting.now + LIMIT;
    for &[what, small, high, low] in data.as_chunks().0 {
        let number = u16::from_be_bytes([high, low]);
        match what % 8 {
            0..=2 => {
                let ahead = if what & 0x80 == 0 { u16::from(small % 8) } else { number };
                stream.sequence = stream.sequence.wrapping_add(ahead);
                send_picture(&mut meeting, &mut stream, what & 0x40 == 0, small);
            }
            3 => send_repair(&mut meeting, &mut stream, number, small),
            4 => ask_again(&mut meeting, number, small),
            5 => meeting.run(Micros::from(small % 64) * MILLISECOND),
            6 => {
                stream.ssrc = FIRST_SSRC + 10 * u32::from(small % 8);
                stream.sequence = number;
            }
            _ => change(&mut meeting, what >> 3, small),
        }
        if meeting.now >= end {
            break;
        }
    }
    let before = meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len();
    meeting.run(AFTERWARDS);
    assert!(meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len() > before, "the others' picture goes on");
}

fn meeting() -> Meeting {
    let mut meeting = Meeting::new(9, Conditions::IDEAL);
    for _ in 0..3 {
        meeting.join();
    }
    meeting.connect();
    meeting.show(WATCHER, VIDEO_SLOTS[0], Some(HONEST));
    meeting.show(HONEST, VIDEO_SLOTS[0], Some(HOSTILE));
    meeting.clients[HOSTILE].sender.sends_video = false;
    meeting.clients[HOSTILE].listens = false;
    meeting.clients[HONEST].looks = false;
    meeting.clients[HONEST].takes_repeats = true;
    meeting.clients[HONEST].reports_arrivals = true;
    meeting.run(400 * MILLISECOND);
    meeting
}

fn header(stream: &Stream, payload_type: u8, sequence_number: u16, timestamp: u32) -> OutgoingHeader {
    let ssrc = stream.ssrc + u32::from(payload_type == RTX_TYPE);
    OutgoingHeader { marker: true, payload_type, sequence_number, timestamp, ssrc }
}

fn send(meeting: &mut Meeting, header: &OutgoingHeader, payload: &[u8]) {
    let client = &mut meeting.clients[HOSTILE];
    let values = client.sender.next_values(CAMERA);
    let mut packet = vec![0; 100];
    let len = write_header(&mut packet, header, &client.sender.ids, &values).unwrap();
    packet.truncate(len);
    packet.extend(payload);
    client.send_media(packet);
}

fn picture(stream: &Stream, key: bool) -> Vec<u8> {
    let mark = Mark { sender: HOSTILE, frame: stream.frame, part: 0, key, height: 720 };
    encode(&mark, Temporal::default(), true)
}

fn send_picture(meeting: &mut Meeting, stream: &mut Stream, key: bool, small: u8) {
    stream.frame += u32::from(small >> 3 & 1);
    let header = header(stream, VIDEO_TYPE, stream.sequence, stream.frame.wrapping_mul(3_000));
    send(meeting, &header, &picture(stream, key));
}

fn send_repair(meeting: &mut Meeting, stream: &mut Stream, back: u16, small: u8) {
    stream.repair = stream.repair.wrapping_add(1);
    let original = stream.sequence.wrapping_sub(back);
    let header = header(stream, RTX_TYPE, stream.repair, stream.frame.wrapping_mul(3_000));
    let payload = [&original.to_be_bytes()[..], &picture(stream, small & 1 == 0)].concat();
    send(meeting, &header, &payload);
}

/// The receiver asks for what it was sent last, less a number, and some before it.
fn ask_again(meeting: &mut Meeting, back: u16, count: u8) {
    let client = &mut meeting.clients[HONEST];
    let ssrc = client.ssrcs().start + VIDEO_SLOTS[0].parse::<u32>().unwrap();
    let newest = client.newest.get(&ssrc).copied().unwrap_or_default();
    let first = newest.wrapping_sub(back);
    let mut buffer = [0; 1_200];
    let mut writer = RtcpWriter::new(&mut buffer);
    writer.nack(1, ssrc, (0..=u16::from(count)).map(|offset| first.wrapping_add(offset))).unwrap();
    client.send_control_packet(writer.written());
}

fn change(meeting: &mut Meeting, what: u8, small: u8) {
    let address = meeting.clients[HONEST].address;
    match what % 4 {
        0 => meeting.mute(HOSTILE, CAMERA, small & 1 == 0),
        1 => meeting.show(HONEST, VIDEO_SLOTS[usize::from(small & 1)], (small & 2 == 0).then_some(HOSTILE)),
        2 => meeting.clients[HONEST].limit(50_000 + 10_000 * u64::from(small)),
        _ => {
            let bursts = Bursts { begin: u64::from(small), end: 300, loss: 500 };
            meeting.network.down.insert(address, Link { bursts: Some(bursts), ..Link::default() });
        }
    }
}
