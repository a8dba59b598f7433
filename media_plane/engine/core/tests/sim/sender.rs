//! What a client sends: a voice and a picture, kept for a while to be sent again.

use std::collections::{HashMap, VecDeque};

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionValues};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};

use super::picture::{Mark, PACKETS_PER_FRAME, encode};
use super::{CAMERA, MICROPHONE};

pub const AUDIO_TYPE: u8 = 111;
pub const VIDEO_TYPE: u8 = 96;
pub const RTX_TYPE: u8 = 97;
pub const RED_TYPE: u8 = 63;
const AUDIO_INTERVAL: Micros = 20 * MILLISECOND;
const VIDEO_INTERVAL: Micros = 33 * MILLISECOND;
const KEPT: usize = 1_000;

/// An RTP packet before encryption.
pub type Packet = Vec<u8>;

/// A client's outgoing media.
pub struct Sender {
    number: usize,
    pub ids: ExtensionIds,
    pub audio_ssrc: u32,
    pub video_ssrc: u32,
    pub rtx_ssrc: u32,
    /// Whether packets carry MID (and the SSRCs need not be signalled).
    pub names_streams: bool,
    pub level: u8,
    pub sends_video: bool,
    pub sends_audio: bool,
    /// Whether each frame of sound is repeated in the packet after it (RFC 2198).
    pub sends_redundancy: bool,
    pub packets_per_frame: u16,
    next_audio: Micros,
    next_video: Micros,
    audio_sequence: u16,
    video_sequence: u16,
    rtx_sequence: u16,
    transport_sequence: u16,
    frame: u32,
    key_frame_wanted: bool,
    pub key_frames: u32,
    pub retransmitted: u32,
    kept: HashMap<u16, (u32, bool, Vec<u8>)>,
    order: VecDeque<u16>,
}

impl Sender {
    pub fn new(number: usize, ids: ExtensionIds) -> Self {
        let base = 1_000 * (number as u32 + 1);
        Self {
            number,
            ids,
            audio_ssrc: base,
            video_ssrc: base + 1,
            rtx_ssrc: base + 2,
            names_streams: true,
            level: 127,
            sends_video: true,
            sends_audio: true,
            sends_redundancy: false,
            packets_per_frame: PACKETS_PER_FRAME,
            next_audio: 0,
            next_video: 0,
            // Close to the wrap, which every run therefore passes.
            audio_sequence: 65_500,
            video_sequence: 65_450,
            rtx_sequence: 100,
            transport_sequence: 65_000,
            frame: 32_700,
            key_frame_wanted: true,
            key_frames: 0,
            retransmitted: 0,
            kept: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub fn want_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// Packets that are due.
    pub fn tick(&mut self, now: Micros) -> Vec<Packet> {
        let mut packets = Vec::new();
        if now >= self.next_audio {
            self.next_audio = now + AUDIO_INTERVAL;
            if self.sends_audio {
                packets.push(self.audio(now));
            }
        }
        if now >= self.next_video {
            self.next_video = now + VIDEO_INTERVAL;
            if self.sends_video {
                self.picture(now, &mut packets);
            }
        }
        packets
    }

    fn audio(&mut self, now: Micros) -> Packet {
        self.audio_sequence = self.audio_sequence.wrapping_add(1);
        let header = OutgoingHeader {
            marker: false,
            payload_type: if self.sends_redundancy { RED_TYPE } else { AUDIO_TYPE },
            sequence_number: self.audio_sequence,
            timestamp: (now * 48 / 1_000) as u32,
            ssrc: self.audio_ssrc,
        };
        let level = AudioLevel { voice: self.level < 50, level: self.level };
        let frame = [&[self.number as u8][..], &[0xfc; 60]].concat();
        // 960 samples back, and as long as this frame.
        let headers = [0x80 | AUDIO_TYPE, 0x0f, 0x00, frame.len() as u8, AUDIO_TYPE];
        let payload = if self.sends_redundancy { [&headers[..], &frame, &frame].concat() } else { frame };
        self.packet(&header, MICROPHONE, Some(level), &payload)
    }

    fn picture(&mut self, now: Micros, packets: &mut Vec<Packet>) {
        self.frame += 1;
        let key = std::mem::take(&mut self.key_frame_wanted);
        self.key_frames += u32::from(key);
        let timestamp = (now * 90 / 1_000) as u32;
        for part in 0..self.packets_per_frame {
            self.video_sequence = self.video_sequence.wrapping_add(1);
            let marker = part + 1 == self.packets_per_frame;
            let payload = encode(&Mark { sender: self.number, frame: self.frame, part, key }, marker);
            let header = OutgoingHeader {
                marker,
                payload_type: VIDEO_TYPE,
                sequence_number: self.video_sequence,
                timestamp,
                ssrc: self.video_ssrc,
            };
            packets.push(self.packet(&header, CAMERA, None, &payload));
            self.keep(self.video_sequence, timestamp, marker, payload);
        }
    }

    fn keep(&mut self, sequence: u16, timestamp: u32, marker: bool, payload: Vec<u8>) {
        self.kept.insert(sequence, (timestamp, marker, payload));
        self.order.push_back(sequence);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }

    /// A packet sent again as RTX (RFC 4588).
    pub fn retransmission(&mut self, sequence: u16) -> Option<Packet> {
        let (timestamp, marker, payload) = self.kept.get(&sequence)?.clone();
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        self.retransmitted += 1;
        let header = OutgoingHeader {
            marker,
            payload_type: RTX_TYPE,
            sequence_number: self.rtx_sequence,
            timestamp,
            ssrc: self.rtx_ssrc,
        };
        let payload = [&sequence.to_be_bytes()[..], &payload].concat();
        Some(self.packet(&header, CAMERA, None, &payload))
    }

    fn packet(&mut self, header: &OutgoingHeader, mid: &str, level: Option<AudioLevel>, payload: &[u8]) -> Packet {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let values = ExtensionValues {
            mid: self.names_streams.then_some(mid.as_bytes()),
            audio_level: level,
            transport_sequence_number: Some(self.transport_sequence),
            ..ExtensionValues::default()
        };
        let mut packet = vec![0; 100];
        let len = write_header(&mut packet, header, &self.ids, &values).unwrap();
        packet.truncate(len);
        packet.extend(payload);
        packet
    }
}
