//! Video payloads that say whose they are: VP8 descriptors that a decoder would accept, with a mark inside.

use parley_engine_core::payload::vp8::Vp8Descriptor;

/// Packets of a frame.
pub const PACKETS_PER_FRAME: u16 = 3;
/// Bytes of a full packet's payload.
const PAYLOAD_LEN: usize = 1_000;
/// What precedes the mark: a frame tag, and in key frames the start code and the size.
const DELTA_HEADER_LEN: usize = 1;
const KEY_HEADER_LEN: usize = 10;

/// Where a packet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub sender: usize,
    pub frame: u32,
    pub part: u16,
    pub key: bool,
    /// Height of the encoding.
    pub height: u16,
}

/// A frame's place among the temporal layers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Temporal {
    pub layer: u8,
    pub sync: bool,
    /// Counts frames of the base layer.
    pub tl0_index: u8,
}

/// Makes the payload of one packet.
pub fn encode(mark: &Mark, temporal: Temporal, last: bool) -> Vec<u8> {
    let picture = (mark.frame & 0x7fff) as u16 | 0x8000;
    let start = if mark.part == 0 { 0x10 } else { 0 };
    let mut payload = vec![0x80 | start, 0xf0];
    payload.extend(picture.to_be_bytes());
    let key_index = (mark.frame / 100) as u8 & 0x1f;
    payload.extend([temporal.tl0_index, temporal.layer << 6 | u8::from(temporal.sync) << 5 | key_index]);
    if mark.key && mark.part == 0 {
        payload.extend([0, 0, 0, 0x9d, 0x01, 0x2a]);
        payload.extend((mark.height / 9 * 16).to_le_bytes());
        payload.extend(mark.height.to_le_bytes());
    } else {
        payload.push(u8::from(!mark.key));
    }
    payload.extend((mark.sender as u32).to_be_bytes());
    payload.extend(mark.frame.to_be_bytes());
    payload.extend(mark.part.to_be_bytes());
    payload.push(u8::from(mark.key));
    payload.extend(mark.height.to_be_bytes());
    payload.resize(if last { PAYLOAD_LEN / 2 } else { PAYLOAD_LEN }, mark.frame as u8);
    payload
}

/// Reads a payload back: its descriptor as it arrived and whose it is.
pub fn decode(payload: &[u8]) -> (Vp8Descriptor, Mark) {
    let descriptor = Vp8Descriptor::parse(payload).expect("the descriptor is whole");
    let header = if descriptor.starts_key_frame(payload) { KEY_HEADER_LEN } else { DELTA_HEADER_LEN };
    let mark = &payload[descriptor.len + header..];
    let number = |at: usize| u32::from_be_bytes(mark[at..at + 4].try_into().unwrap());
    let part = u16::from_be_bytes([mark[8], mark[9]]);
    let height = u16::from_be_bytes([mark[11], mark[12]]);
    assert!(payload.last().is_some_and(|byte| *byte == number(4) as u8), "the payload is whole");
    (descriptor, Mark { sender: number(0) as usize, frame: number(4), part, key: mark[10] == 1, height })
}
