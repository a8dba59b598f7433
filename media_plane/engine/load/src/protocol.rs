//! The operations that the driving program writes to stdin, one JSON object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is sent on an m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Audio,
    Video,
}

/// When the packets of a video frame leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pacing {
    /// All at once, as an encoder gives them.
    #[default]
    Burst,
    /// One by one, evenly over the time of the frame.
    Even,
}

/// One operation.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Makes a client and its offer.
    Offer(Offer),
    /// Gives the client the answer; it connects.
    Answer { id: String, sdp: String },
    /// Answers an offer: makes the client if it is new, and connects.
    Accept(Accept),
    /// Tells one of the peer's candidates that did not stand in its description (RFC 8838).
    Candidate { id: String, candidate: String },
    /// Begins to send, or changes what is sent.
    Publish(Publish),
    /// Ends sending.
    Unpublish { id: String, kind: Kind, source: Option<String> },
    /// Sets the audio level that the client's packets state.
    Level { id: String, level: u8, voice: Option<bool> },
    /// Asks for a key frame on a receiving m-line.
    KeyFrame { id: String, mid: String },
    /// Loses a share of the client's media packets (RTP and RTCP), 0 to 1 each way, as a bad network would.
    Impair {
        id: String,
        #[serde(default)]
        receive_loss: f64,
        #[serde(default)]
        send_loss: f64,
    },
    /// From now on the client neither reads media nor answers it: the kernel drops RTP and RTCP at its socket and counts them,
    /// and the client sends none. Consent (RFC 7675) goes on, so the peer keeps sending.
    IgnoreMedia { id: String },
    /// Whether the kernel hands runs of datagrams to the client uncut, as a network card that segments by itself would save
    /// the sender that work. It does unless told otherwise.
    Coalesce { id: String, on: bool },
    /// Sends this many mutations of the client's own datagrams from its own address, beside what it sends anyway.
    Hostile { id: String, count: u64 },
    /// One client, or all, read and answer no more, as suspended devices; what they send goes on.
    Stop { id: Option<String> },
    /// Tells what has happened, of one client or of all.
    Stats { id: Option<String> },
    /// Forgets the latencies of one client or of all: what is told next covers the time from here on.
    ResetLatency { id: Option<String> },
    /// Ends a client.
    Close { id: String },
}

#[derive(Debug, Deserialize)]
pub(crate) struct Offer {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) send: Vec<Track>,
    #[serde(default)]
    pub(crate) audio_slots: usize,
    #[serde(default)]
    pub(crate) video_slots: usize,
    /// What receivers will see as the publisher; counts up from 1 unless given.
    pub(crate) number: Option<u32>,
    /// Whether to agree on transport-cc; yes unless told otherwise.
    pub(crate) feedback: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Accept {
    pub(crate) id: String,
    pub(crate) sdp: String,
    /// As in [`Offer`].
    pub(crate) number: Option<u32>,
    /// As in [`Offer`].
    pub(crate) feedback: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Track {
    pub(crate) kind: Kind,
    pub(crate) source: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Publish {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// One of the offer's sources; the first of its kind unless given.
    pub(crate) source: Option<String>,
    pub(crate) frames_per_second: Option<f64>,
    pub(crate) packets_per_frame: Option<usize>,
    pub(crate) packet_bytes: Option<usize>,
    /// When the packets of a frame leave; a burst unless given. Only for synthetic video.
    #[serde(default)]
    pub(crate) pacing: Pacing,
    /// A VP8 file to send over and over instead of synthetic packets.
    pub(crate) ivf: Option<PathBuf>,
    /// 0 is the loudest, 127 silence.
    pub(crate) level: Option<u8>,
    pub(crate) voice: Option<bool>,
}
