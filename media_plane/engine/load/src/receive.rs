//! What a client has received on one m-line, and whether it was continuous.

use parley_engine_core::payload::vp8::Vp8Descriptor;
use parley_engine_core::wire::rtp::is_newer_timestamp;
use serde_json::{Value, json};
use str0m::rtp::RtpPacket;

use crate::histogram::Histogram;
use crate::payload::{Mark, parse_vp8};
use crate::protocol::Kind;

const PICTURE_ID_MASK: u16 = 0x7fff;

/// The newest packet, with which the next one is compared.
#[derive(Clone, Copy)]
struct Previous {
    sequence_number: u64,
    timestamp: u32,
    picture_id: Option<u16>,
}

/// Counts what arrives on one m-line.
pub(crate) struct Receiver {
    kind: Kind,
    packets: u64,
    bytes: u64,
    lowest: u64,
    highest: u64,
    previous: Option<Previous>,
    publisher: Option<u32>,
    publisher_changes: u64,
    key_frames: u64,
    discontinuities: u64,
    late_switches: u64,
    first_unix_nano: Option<u64>,
    first_key_frame_unix_nano: Option<u64>,
    latency: Histogram,
}

impl Receiver {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            packets: 0,
            bytes: 0,
            lowest: u64::MAX,
            highest: 0,
            previous: None,
            publisher: None,
            publisher_changes: 0,
            key_frames: 0,
            discontinuities: 0,
            late_switches: 0,
            first_unix_nano: None,
            first_key_frame_unix_nano: None,
            latency: Histogram::new(),
        }
    }

    /// Counts a packet; returns the publisher when it is another than before.
    pub(crate) fn record(&mut self, packet: &RtpPacket, arrival_unix_nano: u64) -> Option<u32> {
        if packet.payload.is_empty() {
            // Padding, sent to probe for bandwidth.
            return None;
        }
        self.first_unix_nano.get_or_insert(arrival_unix_nano);
        self.packets += 1;
        self.bytes += packet.payload.len() as u64;
        self.lowest = self.lowest.min(*packet.seq_no);
        self.highest = self.highest.max(*packet.seq_no);
        let descriptor = if self.kind == Kind::Video { parse_vp8(&packet.payload) } else { None };
        self.check_continuity(packet, descriptor.as_ref());
        let starts_key_frame = descriptor.is_some_and(|descriptor| descriptor.starts_key_frame(&packet.payload));
        self.key_frames += u64::from(starts_key_frame);
        if starts_key_frame {
            self.first_key_frame_unix_nano.get_or_insert(arrival_unix_nano);
        }
        let mark = Mark::find(&packet.payload)?;
        self.latency.record(arrival_unix_nano.saturating_sub(mark.sent_unix_nano) / 1000);
        if self.publisher == Some(mark.publisher) {
            return None;
        }
        // A decoder can show another source only from a key frame on.
        let late = self.kind == Kind::Video && mark.every_packet && !starts_key_frame;
        self.late_switches += u64::from(late);
        self.publisher_changes += 1;
        self.publisher = Some(mark.publisher);
        self.publisher
    }

    /// Counts a break between two packets that follow each other: a decoder must not notice that a slot changes its source.
    fn check_continuity(&mut self, packet: &RtpPacket, descriptor: Option<&Vp8Descriptor>) {
        let now = Previous {
            sequence_number: *packet.seq_no,
            timestamp: packet.header.timestamp,
            picture_id: descriptor.and_then(|descriptor| descriptor.picture_id).map(|id| id.value),
        };
        let Some(before) = self.previous.filter(|before| before.sequence_number < now.sequence_number) else {
            if self.previous.is_none() {
                self.previous = Some(now);
            }
            return;
        };
        self.previous = Some(now);
        if before.sequence_number + 1 != now.sequence_number {
            return;
        }
        let new_frame = descriptor.is_none_or(Vp8Descriptor::starts_frame);
        let time_goes_on = if new_frame {
            is_newer_timestamp(now.timestamp, before.timestamp)
        } else {
            now.timestamp == before.timestamp
        };
        let pictures_go_on = match (before.picture_id, now.picture_id) {
            (Some(before), Some(now)) => now == (before + u16::from(new_frame)) & PICTURE_ID_MASK,
            _ => true,
        };
        self.discontinuities += u64::from(!(time_goes_on && pictures_go_on));
    }

    fn lost(&self) -> u64 {
        if self.packets == 0 { 0 } else { (self.highest - self.lowest + 1).saturating_sub(self.packets) }
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            packets: self.packets,
            lost: self.lost(),
            discontinuities: self.discontinuities,
            late_switches: self.late_switches,
            ..Totals::default()
        };
        match self.kind {
            Kind::Audio => totals.audio_latency.add(&self.latency),
            Kind::Video => totals.video_latency.add(&self.latency),
        }
        totals
    }

    /// Forgets latencies, so that the next summary covers a new interval. Counters go on.
    pub(crate) fn reset_latency(&mut self) {
        self.latency = Histogram::new();
    }

    pub(crate) fn summary(&self) -> Value {
        json!({
            "kind": self.kind,
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": self.lost(),
            "publisher": self.publisher,
            "publisher_changes": self.publisher_changes,
            "key_frames": self.key_frames,
            "discontinuities": self.discontinuities,
            "late_switches": self.late_switches,
            "first_unix_nano": self.first_unix_nano,
            "first_key_frame_unix_nano": self.first_key_frame_unix_nano,
        })
    }
}

/// Sums over m-lines and clients.
#[derive(Clone)]
pub(crate) struct Totals {
    packets: u64,
    lost: u64,
    discontinuities: u64,
    late_switches: u64,
    audio_latency: Histogram,
    video_latency: Histogram,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            packets: 0,
            lost: 0,
            discontinuities: 0,
            late_switches: 0,
            audio_latency: Histogram::new(),
            video_latency: Histogram::new(),
        }
    }
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.discontinuities += other.discontinuities;
        self.late_switches += other.late_switches;
        self.audio_latency.add(&other.audio_latency);
        self.video_latency.add(&other.video_latency);
    }

    pub(crate) fn summary(&self) -> Value {
        json!({
            "packets": self.packets,
            "lost": self.lost,
            "discontinuities": self.discontinuities,
            "late_switches": self.late_switches,
            "audio_latency_us": self.audio_latency.summary(),
            "video_latency_us": self.video_latency.summary(),
        })
    }
}
