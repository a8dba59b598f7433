//! One encoding of a simulated camera.

use std::collections::{HashMap, VecDeque};

use parley_engine_core::clock::Micros;

use super::CAMERA;
use super::picture::{Mark, Temporal, encode};

const KEPT: usize = 1_000;

/// A packet before its header is written.
#[derive(Debug, Clone)]
pub struct Content {
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
    /// What is said of the encodings with it.
    pub told: Option<Vec<u8>>,
}

/// The packets of a picture.
pub struct Frame {
    pub is_key: bool,
    pub packets: Vec<Content>,
}

/// An encoding.
pub struct Encoding {
    owner: usize,
    /// MID of its m-line.
    pub mid: &'static str,
    /// RTP stream identifier; empty without simulcast.
    pub rid: &'static str,
    pub ssrc: u32,
    pub height: u16,
    /// Packets a frame; 0: as many as the sender says.
    pub packets: u16,
    pub is_active: bool,
    /// Whether the node's reports named the stream, and its repair stream.
    pub reported: bool,
    pub rtx_reported: bool,
    /// Whether frames have three temporal layers.
    pub layered: bool,
    /// What was last said of the encodings in this one, and what is to be said with the next packet.
    told: Vec<u8>,
    to_tell: Option<Vec<u8>>,
    key_frame_wanted: bool,
    pub key_frames: u32,
    pub pictures: u32,
    frame: u32,
    since_key: u32,
    tl0_index: u8,
    pub sequence: u16,
    rtx_sequence: u16,
    timestamp_offset: u32,
    kept: HashMap<u16, Content>,
    order: VecDeque<u16>,
}

impl Encoding {
    pub fn new(owner: usize, rid: &'static str, ssrc: u32, height: u16, packets: u16) -> Self {
        Self {
            owner,
            mid: CAMERA,
            rid,
            ssrc,
            height,
            packets,
            is_active: true,
            reported: false,
            rtx_reported: false,
            layered: false,
            told: Vec::new(),
            to_tell: None,
            key_frame_wanted: true,
            key_frames: 0,
            pictures: 0,
            frame: 32_700,
            since_key: 0,
            tl0_index: 200,
            // Close to the wrap, which every run therefore passes.
            sequence: 65_450,
            rtx_sequence: 100,
            // Every encoding counts time from a random number of its own.
            timestamp_offset: if rid.is_empty() { 0 } else { ssrc.wrapping_mul(2_654_435_761) },
            kept: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub fn rtx_ssrc(&self) -> u32 {
        self.ssrc + 1
    }

    pub fn want_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// Says with the next packet which encodings are sent, if that is news or a key frame begins.
    pub fn tell(&mut self, allocation: Vec<u8>) {
        if self.told != allocation || self.key_frame_wanted {
            self.told.clone_from(&allocation);
            self.to_tell = Some(allocation);
        }
    }

    /// Goes on after a pause with a key frame.
    pub fn set_active(&mut self, active: bool) {
        self.key_frame_wanted |= active && !self.is_active;
        self.is_active = active;
    }

    /// Timestamp of a moment.
    pub fn timestamp(&self, now: Micros) -> u32 {
        ((now * 90 / 1_000) as u32).wrapping_add(self.timestamp_offset)
    }

    /// The packets of the next picture.
    pub fn next_frame(&mut self, now: Micros, packets: u16) -> Option<Frame> {
        if !self.is_active {
            return None;
        }
        self.frame += 1;
        self.pictures += 1;
        let is_key = std::mem::take(&mut self.key_frame_wanted);
        self.key_frames += u32::from(is_key);
        self.since_key = if is_key { 0 } else { self.since_key + 1 };
        let temporal = self.temporal();
        let count = if self.packets == 0 { packets } else { self.packets };
        let packets = (0..count).map(|part| self.packet(now, part, is_key, temporal, part + 1 == count)).collect();
        Some(Frame { is_key, packets })
    }

    /// The pattern of libwebrtc's three temporal layers, whose first frame of each higher layer is a point to switch at.
    fn temporal(&mut self) -> Temporal {
        let place = (self.since_key % 8) as usize;
        let layer = if self.layered { [0, 2, 1, 2, 0, 2, 1, 2][place] } else { 0 };
        if layer == 0 {
            self.tl0_index = self.tl0_index.wrapping_add(1);
        }
        Temporal { layer, sync: layer > 0 && place < 3, tl0_index: self.tl0_index }
    }

    fn packet(&mut self, now: Micros, part: u16, key: bool, temporal: Temporal, marker: bool) -> Content {
        self.sequence = self.sequence.wrapping_add(1);
        let mark = Mark { sender: self.owner, frame: self.frame, part, key, height: self.height };
        let payload = encode(&mark, temporal, marker);
        let told = self.to_tell.take();
        let content = Content { sequence: self.sequence, timestamp: self.timestamp(now), marker, payload, told };
        self.kept.insert(content.sequence, content.clone());
        self.order.push_back(content.sequence);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        content
    }

    /// A packet to be sent again.
    pub fn again(&self, sequence: u16) -> Option<Content> {
        self.kept.get(&sequence).cloned()
    }

    pub fn next_repair(&mut self) -> u16 {
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        self.rtx_sequence
    }
}
