//! What a forwarder needs to know about payloads: where frames and key frames start, which numbers must stay continuous
//! when a slot changes its source, and how sound is repeated against loss.

pub mod av1;
mod bits;
pub mod h264;
pub mod red;
pub(crate) mod structure;
pub mod vp8;
pub mod vp9;

/// Identifies a picture in VP8 and VP9; it grows by one with each and wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// Seven or fifteen bits.
    pub value: u16,
    /// Whether it has fifteen.
    pub wide: bool,
}

/// The video formats whose payloads the engine understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoFormat {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// The AV1 RTP payload specification.
    Av1,
}

impl VideoFormat {
    /// The format behind an encoding name of SDP, which is compared without regard to case (RFC 4855).
    ///
    /// ```
    /// use parley_engine_core::payload::VideoFormat;
    /// assert_eq!(VideoFormat::from_encoding_name("vp8"), Some(VideoFormat::Vp8));
    /// assert_eq!(VideoFormat::from_encoding_name("opus"), None);
    /// ```
    #[must_use]
    pub fn from_encoding_name(name: &str) -> Option<Self> {
        [("VP8", Self::Vp8), ("VP9", Self::Vp9), ("H264", Self::H264), ("AV1", Self::Av1)]
            .into_iter()
            .find_map(|(known, format)| known.eq_ignore_ascii_case(name).then_some(format))
    }

    /// Whether a decoder that knows nothing can begin with this payload: the first packet of a key frame.
    ///
    /// False for a malformed payload. For AV1 only packets without end-to-end encryption can be told; with it, ask
    /// [`av1::DependencyDescriptor`].
    #[must_use]
    pub fn starts_key_frame(self, payload: &[u8]) -> bool {
        match self {
            Self::Vp8 => vp8::starts_key_frame(payload),
            Self::Vp9 => vp9::starts_key_frame(payload),
            Self::H264 => h264::starts_key_frame(payload),
            Self::Av1 => av1::starts_key_frame(payload),
        }
    }
}
