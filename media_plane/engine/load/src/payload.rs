//! What the load clients send: payloads that a forwarder takes for VP8 and Opus and that tell who sent them, and when.

use std::path::Path;

use parley_engine_core::payload::vp8::Vp8Descriptor;
use parley_engine_core::wire::bytes::{array_at, u8_at, u32_at, u64_at};

/// Length of the mark at the end of a payload.
const MARK_LEN: usize = 24;
const MARK_MAGIC: [u8; 6] = *b"PARLEY";
const VP8_DESCRIPTOR_LEN: usize = 6;
const VP8_KEY_FRAME_HEADER: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
const VP8_DELTA_FRAME_HEADER: [u8; 10] = [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The smallest payload that has room for descriptor, frame header and mark.
pub(crate) const MIN_VIDEO_LEN: usize = VP8_DESCRIPTOR_LEN + VP8_KEY_FRAME_HEADER.len() + MARK_LEN;
const OPUS_HEADER_LEN: usize = 5;
/// The smallest payload that has room for a silent Opus packet and the mark.
pub(crate) const MIN_AUDIO_LEN: usize = OPUS_HEADER_LEN + MARK_LEN;
/// The largest padding that one length byte can state.
pub(crate) const MAX_AUDIO_LEN: usize = OPUS_HEADER_LEN + 254;
const IVF_HEADER_LEN: usize = 32;
const IVF_FRAME_HEADER_LEN: usize = 12;

/// Who sent a payload, and when. It stands at the end, where decoders of VP8 and Opus do not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number of the publisher.
    pub(crate) publisher: u32,
    /// Number of the frame.
    pub(crate) frame: u32,
    /// Nanoseconds since the Unix epoch.
    pub(crate) sent_unix_nano: u64,
    /// Whether every packet of the stream is marked, not only the last one of a frame.
    pub(crate) every_packet: bool,
}

impl Mark {
    fn append(self, payload: &mut Vec<u8>) {
        payload.extend(MARK_MAGIC);
        payload.extend([u8::from(self.every_packet), 0]);
        payload.extend(self.publisher.to_be_bytes());
        payload.extend(self.frame.to_be_bytes());
        payload.extend(self.sent_unix_nano.to_be_bytes());
    }

    /// Finds the mark of a received payload.
    pub(crate) fn find(payload: &[u8]) -> Option<Self> {
        let at = payload.len().checked_sub(MARK_LEN)?;
        if array_at(payload, at)? != MARK_MAGIC {
            return None;
        }
        Some(Self {
            every_packet: u8_at(payload, at + 6)? == 1,
            publisher: u32_at(payload, at + 8)?,
            frame: u32_at(payload, at + 12)?,
            sent_unix_nano: u64_at(payload, at + 16)?,
        })
    }
}

/// The numbers of a VP8 descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vp8Frame {
    pub(crate) picture_id: u16,
    pub(crate) tl0_picture_index: u8,
    pub(crate) key_index: u8,
}

impl Vp8Frame {
    fn descriptor(self, first_packet: bool) -> [u8; VP8_DESCRIPTOR_LEN] {
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        let start = if first_packet { 0x10 } else { 0 };
        [0x80 | start, 0xf0, high, low, self.tl0_picture_index, self.key_index & 0x1f]
    }
}

/// Builds one packet of a frame that looks like VP8 from outside and holds no picture.
pub(crate) fn synthetic_vp8(len: usize, frame: Vp8Frame, first_packet: bool, key_frame: bool, mark: Mark) -> Vec<u8> {
    let mut payload = Vec::with_capacity(len);
    payload.extend(frame.descriptor(first_packet));
    payload.extend(if key_frame { VP8_KEY_FRAME_HEADER } else { VP8_DELTA_FRAME_HEADER });
    payload.resize(len.max(MIN_VIDEO_LEN) - MARK_LEN, 0x55);
    mark.append(&mut payload);
    payload
}

/// Builds the packets of a real VP8 frame; the last one carries the mark behind the frame's data.
pub(crate) fn vp8_packets(len: usize, frame: Vp8Frame, data: &[u8], mark: Mark) -> Vec<Vec<u8>> {
    let room = len.max(MIN_VIDEO_LEN) - VP8_DESCRIPTOR_LEN - MARK_LEN;
    let mut packets: Vec<Vec<u8>> = data
        .chunks(room)
        .enumerate()
        .map(|(index, chunk)| [&frame.descriptor(index == 0)[..], chunk].concat())
        .collect();
    if let Some(last) = packets.last_mut() {
        mark.append(last);
    }
    packets
}

/// Builds an Opus packet of 20 ms stereo silence whose padding (RFC 6716 section 3.2.5) carries the mark.
pub(crate) fn opus(len: usize, mark: Mark) -> Vec<u8> {
    let len = len.clamp(MIN_AUDIO_LEN, MAX_AUDIO_LEN);
    let padding = len - OPUS_HEADER_LEN;
    // CELT fullband stereo, code 3: one frame with padding; then the two bytes that decode to silence.
    let mut payload = vec![0xff, 0x41, padding as u8, 0xff, 0xfe];
    payload.resize(len - MARK_LEN, 0);
    mark.append(&mut payload);
    payload
}

/// What a receiver sees of a VP8 payload.
pub(crate) fn parse_vp8(payload: &[u8]) -> Option<Vp8Descriptor> {
    Vp8Descriptor::parse(payload)
}

/// Reads the frames of a VP8 file in the IVF container. The first must be a key frame.
pub(crate) fn read_ivf(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let frames = parse_ivf(&file).ok_or_else(|| format!("{}: not an IVF file with VP8", path.display()))?;
    match frames.first().and_then(|frame| frame.first()) {
        Some(byte) if byte & 1 == 0 => Ok(frames),
        _ => Err(format!("{}: does not begin with a key frame", path.display())),
    }
}

fn parse_ivf(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    if array_at(file, 0)? != *b"DKIF" || array_at(file, 8)? != *b"VP80" {
        return None;
    }
    let mut rest = file.get(IVF_HEADER_LEN..)?;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(array_at(rest, 0)?) as usize;
        let (frame, after) = rest.get(IVF_FRAME_HEADER_LEN..)?.split_at_checked(len)?;
        frames.push(frame.to_vec());
        rest = after;
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { publisher: 7, frame: 9, sent_unix_nano: 1 << 60, every_packet: true };
    const FRAME: Vp8Frame = Vp8Frame { picture_id: 0x7abc, tl0_picture_index: 3, key_index: 4 };

    #[test]
    fn synthetic_video_looks_like_vp8() {
        let payload = synthetic_vp8(1150, FRAME, true, true, MARK);
        assert_eq!(payload.len(), 1150);
        let descriptor = parse_vp8(&payload).unwrap();
        assert_eq!(descriptor.picture_id.unwrap().value, 0x7abc);
        assert!(descriptor.starts_key_frame(&payload));
        assert_eq!(descriptor.key_frame_size(&payload), Some((640, 360)));
        assert_eq!(Mark::find(&payload), Some(MARK));
        let later = synthetic_vp8(10, FRAME, false, false, MARK);
        assert_eq!(later.len(), MIN_VIDEO_LEN);
        assert!(!parse_vp8(&later).unwrap().starts_frame());
    }

    #[test]
    fn audio_has_the_asked_length_within_its_limits() {
        for (asked, len) in [(0, MIN_AUDIO_LEN), (80, 80), (1000, MAX_AUDIO_LEN)] {
            let payload = opus(asked, MARK);
            assert_eq!(payload.len(), len);
            assert_eq!(usize::from(payload[2]), len - OPUS_HEADER_LEN);
            assert_eq!(Mark::find(&payload), Some(MARK));
        }
        assert_eq!(Mark::find(&[0; 100]), None);
        assert_eq!(Mark::find(&[]), None);
    }

    #[test]
    fn file_frames_are_split_and_marked_once() {
        let data = vec![8; 2500];
        let packets = vp8_packets(1150, FRAME, &data, MARK);
        assert_eq!(packets.len(), 3);
        assert!(packets.iter().all(|packet| packet.len() <= 1150));
        let marked: Vec<bool> = packets.iter().map(|packet| Mark::find(packet).is_some()).collect();
        assert_eq!(marked, [false, false, true]);
        let joined: Vec<u8> = packets.iter().flat_map(|packet| packet[VP8_DESCRIPTOR_LEN..].to_vec()).collect();
        assert_eq!(joined[..2500], data);
    }

    #[test]
    fn ivf_is_read_frame_by_frame() {
        let mut file = b"DKIF\0\0\x20\0VP80".to_vec();
        file.resize(IVF_HEADER_LEN, 0);
        for frame in [&[0_u8, 1, 2][..], &[1, 2]] {
            file.extend((frame.len() as u32).to_le_bytes());
            file.extend([0; 8]);
            file.extend(frame);
        }
        assert_eq!(parse_ivf(&file), Some(vec![vec![0, 1, 2], vec![1, 2]]));
        assert_eq!(parse_ivf(&file[..file.len() - 1]), None);
        assert_eq!(parse_ivf(b"RIFF"), None);
    }
}
