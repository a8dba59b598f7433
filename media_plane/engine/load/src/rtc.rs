//! How the load clients use str0m.

use std::net::SocketAddr;
use std::time::Instant;

use str0m::format::Codec;
use str0m::media::MediaKind;
use str0m::rtp::Extension;
use str0m::{Candidate, Rtc};

use crate::protocol::Kind;

impl Kind {
    pub(crate) fn media(self) -> MediaKind {
        match self {
            Self::Audio => MediaKind::Audio,
            Self::Video => MediaKind::Video,
        }
    }

    pub(crate) fn codec(self) -> Codec {
        match self {
            Self::Audio => Codec::Opus,
            Self::Video => Codec::Vp8,
        }
    }
}

impl From<MediaKind> for Kind {
    fn from(kind: MediaKind) -> Self {
        if kind == MediaKind::Audio { Self::Audio } else { Self::Video }
    }
}

/// A connection for Opus and VP8. Without `feedback` it does not agree on transport-cc, so a peer expects none.
pub(crate) fn connection(address: SocketAddr, feedback: bool, now: Instant) -> Result<Rtc, String> {
    let mut builder = Rtc::builder().clear_codecs().enable_opus(true, false).enable_vp8(true).set_rtp_mode(true);
    if !feedback {
        builder = builder.clear_extension_map();
        builder = builder.set_extension(1, Extension::AudioLevel).set_extension(4, Extension::RtpMid);
    }
    let mut rtc = builder.build(now);
    rtc.add_local_candidate(Candidate::host(address, "udp").map_err(|error| error.to_string())?);
    Ok(rtc)
}
