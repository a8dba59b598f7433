//! A session's figures, made on request.

use std::net::SocketAddr;

use crate::bandwidth::Estimate;
use crate::event::{SessionState, TrackName};

/// Figures of one session at one moment.
#[derive(Debug, Clone)]
pub struct SessionStats {
    /// Transport state.
    pub state: SessionState,
    /// SRTP profile, once connected.
    pub srtp_profile: Option<&'static str>,
    /// Where the client is, once known.
    pub remote_address: Option<SocketAddr>,
    /// Round trip time from receiver reports.
    pub round_trip_time_ms: Option<f64>,
    /// What is known of the way to the client.
    pub bandwidth: Estimate,
    /// What the client sends.
    pub tracks: Vec<TrackStats>,
    /// What the client receives.
    pub slots: Vec<SlotStats>,
}

/// Figures of a track from a client.
#[derive(Debug, Clone)]
pub struct TrackStats {
    /// Its m-line.
    pub mid: String,
    /// RTP packets received.
    pub packets: u64,
    /// Bytes of RTP received.
    pub bytes: u64,
    /// Packets lost (RFC 3550 section 6.4.1, never below zero).
    pub lost: u64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// Name of the codec in use.
    pub codec: Option<String>,
    /// Level of the last packet in -dBov (0 loudest, 127 silence; RFC 6464).
    pub audio_level: Option<u8>,
}

/// Figures of a slot to a client.
#[derive(Debug, Clone)]
pub struct SlotStats {
    /// Its m-line.
    pub mid: String,
    /// What it carries.
    pub source: Option<TrackName>,
    /// RTP packets sent.
    pub packets: u64,
    /// Bytes of RTP sent.
    pub bytes: u64,
    /// Fraction lost by the last receiver report, 0 to 1.
    pub fraction_lost: f64,
    /// Packets the client asked for again.
    pub nacks: u64,
    /// Key frames the client asked for.
    pub key_frames_requested: u64,
}
