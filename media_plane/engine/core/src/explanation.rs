//! Why a session's pictures look as they do, made on request (`parley.meeting.v1.MediaExplanation`).

use crate::bandwidth::Estimate;
use crate::clock::Micros;
use crate::outbox::Transport;
use crate::params::MediaKind;

/// What is known of a session's way and of what its slots carry.
#[derive(Debug, Clone)]
pub struct SessionExplanation {
    /// What carries the client's media, once it has proven an address.
    pub transport: Option<Transport>,
    /// What is known of the way to the client.
    pub bandwidth: Estimate,
    /// What is sent now, in bits a second: the packets of all slots.
    pub sent_bits_per_second: u64,
    /// What all slots together would take at the layers their layout can use.
    pub wanted_bits_per_second: u64,
    /// Round trip time, if it has been measured.
    pub round_trip_time_ms: Option<f64>,
    /// Whether each packet of sound repeats the frames before it, because the way loses much and has room for it.
    pub sound_repeated: bool,
    /// What the slots carry, in the order of the offer.
    pub slots: Vec<SlotExplanation>,
    /// What the client sends, in the order of the offer.
    pub tracks: Vec<TrackExplanation>,
}

/// A quality of a track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoLayer {
    /// RTP stream identifier; empty without simulcast.
    pub rid: String,
    /// Spatial layer within the encoding.
    pub spatial: u8,
    /// Temporal layer within the encoding.
    pub temporal: u8,
    /// Width in pixels; 0: not known.
    pub width: u16,
    /// Height in pixels; 0: not known.
    pub height: u16,
    /// Frames a second over the last second in which it came.
    pub frames_per_second: f64,
    /// Bits a second, with the headers of UDP and IP.
    pub bits_per_second: u64,
}

/// Why a slot carries no better layer (`parley.meeting.v1.LayerReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerReason {
    /// The slot shall show nothing, or carries sound.
    None,
    /// It carries the best there is.
    Best,
    /// It is shown too small for more.
    Viewport,
    /// The way to the receiver carries no more.
    Bandwidth,
    /// The sender sends no more.
    Sender,
    /// More is held back for steadiness.
    Policy,
    /// More is on its way.
    Switching,
    /// The receiver does not know the codec that it is sent in.
    Codec,
}

/// What a slot carries and why.
#[derive(Debug, Clone)]
pub struct SlotExplanation {
    /// Its m-line.
    pub mid: String,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// What is sent in it.
    pub sent: Option<VideoLayer>,
    /// The best that its track has, whether it is sent to the node now or switched off because nobody needs it.
    pub best: Option<VideoLayer>,
    /// Height of the best that its layout can use; 0: not known.
    pub useful_height: u16,
    /// Why it is not more.
    pub reason: LayerReason,
    /// The height that its layout can use; 0: any.
    pub max_height: u32,
    /// Bits a second that the next step needs beyond what there is.
    pub missing_bits_per_second: u64,
    /// How much later its pictures are shown, so that what is lost is sent again in time.
    pub repair_wait: Micros,
}

/// What a client sends on a track.
#[derive(Debug, Clone)]
pub struct TrackExplanation {
    /// Its m-line.
    pub mid: String,
    /// What arrives, one for each encoding, the smallest first.
    pub encodings: Vec<VideoLayer>,
    /// RTP stream identifiers of the encodings that are needed.
    pub wanted: Vec<String>,
    /// Share of packets lost on the way to the node by the last report.
    pub fraction_lost: f64,
    /// Name of the codec.
    pub codec: String,
}
