//! A participant that sends any chunks in its own SCTP association: the way of bytes through DTLS to the association, and of what
//! it answers through the outbox.

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};

use super::channels::crc32c;
use super::participant::take;
use super::{Conditions, Meeting, VIDEO_SLOTS};

const WATCHER: usize = 0;
const HOSTILE: usize = 1;
const HONEST: usize = 2;
/// Simulated time that an input may take.
const LIMIT: Micros = 400 * MILLISECOND;
const AFTERWARDS: Micros = 200 * MILLISECOND;
/// The common header (RFC 9260 section 3.1), of which the last four bytes are the checksum.
const HEADER: usize = 12;
const DATA: u8 = 0;
/// Where a DATA chunk has its TSN.
const TSN: std::ops::Range<usize> = 4..8;
/// The longest packet: its record is as long as a datagram that a node takes over TCP.
const LONGEST: usize = 2_000;

/// Each packet is one byte of what it is, one of its length in units of eight bytes, and its chunks.
pub fn association(mut data: &[u8]) {
    let mut meeting = meeting();
    let (header, mut tsn) = take_over(&mut meeting);
    let end = meeting.now + LIMIT;
    while let &[what, len, ref rest @ ..] = data
        && meeting.now < end
    {
        data = rest;
        match what % 8 {
            0..=4 => {
                let chunks = take(&mut data, 8 * usize::from(len));
                let packet = packet(&header, chunks, &mut tsn);
                send(&mut meeting, &packet);
            }
            5 => meeting.run(Micros::from(len % 64) * MILLISECOND),
            6 => {
                let bytes = take(&mut data, 8 * usize::from(len)).to_vec();
                send(&mut meeting, &bytes);
            }
            _ => _ = meeting.clients[HONEST].channels.as_mut().unwrap().say(0, &vec![what; usize::from(len)]),
        }
        meeting.run(MILLISECOND);
    }
    let before = meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len();
    meeting.run(AFTERWARDS);
    assert!(meeting.clients[WATCHER].slot(VIDEO_SLOTS[0]).shown.len() > before, "the others' picture goes on");
    for other in [WATCHER, HONEST] {
        assert!(!meeting.clients[other].channels.as_ref().unwrap().lost, "the others' channels stay");
    }
}

fn meeting() -> Meeting {
    let mut meeting = Meeting::new(8, Conditions::IDEAL);
    for _ in 0..3 {
        meeting.join_with_captions();
    }
    meeting.connect();
    meeting.show(WATCHER, VIDEO_SLOTS[0], Some(HONEST));
    meeting.run(SECOND / 2);
    assert!(meeting.clients.iter().all(|client| !client.channels.as_ref().unwrap().acknowledged.is_empty()));
    meeting
}

/// From now on the association is the input's: its common header, and its next TSN.
fn take_over(meeting: &mut Meeting) -> ([u8; HEADER], u32) {
    let now = meeting.now;
    let channels = meeting.clients[HOSTILE].channels.as_mut().unwrap();
    assert!(channels.say(0, b"the last that is honest"));
    let packet = channels.tick(now).remove(0);
    channels.deaf = true;
    send(meeting, &packet);
    let tsn = u32::from_be_bytes(packet[HEADER..][TSN].try_into().unwrap());
    (packet[..HEADER].try_into().unwrap(), tsn.wrapping_add(1))
}

/// A packet whose header is right. TSNs of DATA are made such that they come near the expected one.
fn packet(header: &[u8; HEADER], chunks: &[u8], next_tsn: &mut u32) -> Vec<u8> {
    let mut packet = [header, &chunks[..chunks.len().min(LONGEST - HEADER)]].concat();
    if chunks.first() == Some(&DATA)
        && let Some(place) = packet[HEADER..].get_mut(TSN)
    {
        let tsn = next_tsn.wrapping_add(u32::from(place[3] & 7));
        place.copy_from_slice(&tsn.to_be_bytes());
        *next_tsn = next_tsn.wrapping_add(1);
    }
    packet[8..HEADER].fill(0);
    let sum = crc32c(&packet);
    packet[8..HEADER].copy_from_slice(&sum.to_le_bytes());
    packet
}

fn send(meeting: &mut Meeting, packet: &[u8]) {
    let now = meeting.now;
    if !packet.is_empty() {
        meeting.clients[HOSTILE].send_data(now, &packet[..packet.len().min(LONGEST)]);
    }
}
