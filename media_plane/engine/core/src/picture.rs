//! What forwarding needs to know of a video payload, whatever its codec.

/// The numbers of a VP8 payload descriptor (RFC 7741 section 4.2) that must run on when a slot changes its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PictureNumbers {
    /// Picture ID, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether the picture ID has 15 bits.
    pub wide: bool,
    /// TL0PICIDX.
    pub tl0_index: Option<u8>,
    /// KEYIDX, 5 bits.
    pub key_index: Option<u8>,
}

/// What the payload says of its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The packet begins a key frame: a decoder can start here.
    pub starts_key_frame: bool,
    /// Present in VP8 payloads.
    pub numbers: Option<PictureNumbers>,
}
