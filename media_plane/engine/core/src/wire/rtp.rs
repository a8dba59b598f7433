//! RTP headers (RFC 3550 section 5): reading, changing in place, and writing for a receiver.

#[cfg(test)]
mod tests;

use super::bytes::{Writer, array_at, u16_at, u32_at};
use super::extension::{ExtensionElements, ExtensionIds, ExtensionValues, write_extensions};

/// Length of a header without CSRCs and extension.
pub const FIXED_HEADER_LEN: usize = 12;

const VERSION: u8 = 2;
const PADDING_FLAG: u8 = 0x20;
const EXTENSION_FLAG: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0f;
const MARKER_FLAG: u8 = 0x80;
const PAYLOAD_TYPE_MASK: u8 = 0x7f;

/// The header of a packet. It holds offsets instead of borrowing, so the packet can be decrypted in place afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// For video the last packet of a frame, for audio the first of a talk spurt.
    pub marker: bool,
    /// The payload format, as numbered by the session's SDP.
    pub payload_type: u8,
    /// Counts packets; wraps.
    pub sequence_number: u16,
    /// Sampling instant in units of the format's clock; wraps.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// How many contributing sources follow the fixed header.
    pub csrc_count: u8,
    /// Whether the packet ends in padding; its length is known only after decryption.
    pub has_padding: bool,
    /// The header-extension block.
    pub extension: Option<ExtensionBlock>,
    /// Length of everything before the payload. Never more than the length of the packet that was parsed.
    pub len: usize,
}

/// Where a packet's header-extension block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionBlock {
    /// The 16 bits "defined by profile": 0xBEDE for the one-byte form, 0x100X for the two-byte form (RFC 8285).
    pub profile: u16,
    /// Offset of the first element.
    pub at: usize,
    /// Length of all elements, a multiple of four.
    pub len: usize,
}

impl RtpHeader {
    /// Parses the header of an RTP or SRTP packet; None when it is malformed.
    #[inline]
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let [flags, kind] = array_at(packet, 0)?;
        if flags >> 6 != VERSION {
            return None;
        }
        let csrc_count = flags & CSRC_COUNT_MASK;
        let mut len = FIXED_HEADER_LEN + usize::from(csrc_count) * 4;
        let mut extension = None;
        if flags & EXTENSION_FLAG != 0 {
            let block = ExtensionBlock {
                profile: u16_at(packet, len)?,
                at: len + 4,
                len: usize::from(u16_at(packet, len + 2)?) * 4,
            };
            len = block.at + block.len;
            extension = Some(block);
        }
        if packet.len() < len {
            return None;
        }
        Some(Self {
            marker: kind & MARKER_FLAG != 0,
            payload_type: kind & PAYLOAD_TYPE_MASK,
            sequence_number: u16_at(packet, 2)?,
            timestamp: u32_at(packet, 4)?,
            ssrc: u32_at(packet, 8)?,
            csrc_count,
            has_padding: flags & PADDING_FLAG != 0,
            extension,
            len,
        })
    }

    /// The payload of a decrypted packet without its padding; None when the padding is longer than the payload.
    ///
    /// An empty payload is that of a packet of padding, as senders use them to probe for bandwidth.
    #[inline]
    #[must_use]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        packet.get(self.len..self.payload_end(packet)?)
    }

    fn payload_end(&self, packet: &[u8]) -> Option<usize> {
        if !self.has_padding {
            return Some(packet.len());
        }
        let padding = usize::from(*packet.last()?);
        let end = packet.len().checked_sub(padding)?;
        (padding > 0 && end >= self.len).then_some(end)
    }

    /// The contributing sources of the packet that was parsed.
    pub fn csrcs<'a>(&self, packet: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        (0..usize::from(self.csrc_count)).map_while(move |index| u32_at(packet, FIXED_HEADER_LEN + index * 4))
    }

    /// The header-extension elements of the packet that was parsed, in their order.
    #[inline]
    #[must_use]
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> ExtensionElements<'a> {
        match self.extension {
            Some(block) => {
                ExtensionElements::new(block.profile, packet.get(block.at..block.at + block.len).unwrap_or_default())
            }
            None => ExtensionElements::default(),
        }
    }
}

/// Changes the fixed header of a packet in place.
#[derive(Debug)]
pub struct RtpHeaderMut<'a>(&'a mut [u8; FIXED_HEADER_LEN]);

impl<'a> RtpHeaderMut<'a> {
    /// Takes a packet; None when it is shorter than a header.
    #[inline]
    #[must_use]
    pub fn new(packet: &'a mut [u8]) -> Option<Self> {
        packet.first_chunk_mut().map(Self)
    }

    /// Sets or clears the marker bit.
    #[inline]
    pub fn set_marker(&mut self, marker: bool) {
        self.0[1] = self.0[1] & PAYLOAD_TYPE_MASK | if marker { MARKER_FLAG } else { 0 };
    }

    /// Sets the payload type; its top bit is ignored.
    #[inline]
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.0[1] = self.0[1] & MARKER_FLAG | payload_type & PAYLOAD_TYPE_MASK;
    }

    /// Sets the sequence number.
    #[inline]
    pub fn set_sequence_number(&mut self, sequence_number: u16) {
        self.0[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    }

    /// Sets the timestamp.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.0[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// Sets the SSRC.
    #[inline]
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.0[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }
}

/// The fixed part of a header to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingHeader {
    /// See [`RtpHeader::marker`].
    pub marker: bool,
    /// Payload type in the receiver's numbering.
    pub payload_type: u8,
    /// Sequence number of the receiver's stream.
    pub sequence_number: u16,
    /// Timestamp of the receiver's stream.
    pub timestamp: u32,
    /// SSRC of the receiver's stream.
    pub ssrc: u32,
}

/// Writes a header with the extensions that the receiver agreed on; returns its length, or None when `out` is too small.
///
/// Values without an identifier in `ids` are left out; CSRCs are not written, since an SFU mixes nothing.
/// The payload follows at the returned offset.
#[inline]
#[must_use]
pub fn write_header(
    out: &mut [u8],
    header: &OutgoingHeader,
    ids: &ExtensionIds,
    values: &ExtensionValues<'_>,
) -> Option<usize> {
    let mut writer = Writer::new(out);
    let marker = if header.marker { MARKER_FLAG } else { 0 };
    let [sequence_high, sequence_low] = header.sequence_number.to_be_bytes();
    let kind = marker | header.payload_type & PAYLOAD_TYPE_MASK;
    writer.put(&[VERSION << 6, kind, sequence_high, sequence_low])?;
    writer.put_u32(header.timestamp)?;
    writer.put_u32(header.ssrc)?;
    write_extensions(&mut writer, ids, values)?;
    let len = writer.len();
    if len > FIXED_HEADER_LEN {
        *out.first_mut()? |= EXTENSION_FLAG;
    }
    Some(len)
}

/// Whether timestamp `a` is after `b` in the shorter direction around the circle.
#[inline]
#[must_use]
pub fn is_newer_timestamp(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// Extends `sequence_number` to 64 bits: the number nearest to `reference` that ends in it (never below zero).
///
/// ```
/// use parley_engine_core::wire::rtp::extend_sequence_number;
/// assert_eq!(extend_sequence_number(2, 65_535), 65_538);
/// assert_eq!(extend_sequence_number(65_535, 65_538), 65_535);
/// ```
#[inline]
#[must_use]
pub fn extend_sequence_number(sequence_number: u16, reference: u64) -> u64 {
    let difference = i64::from(sequence_number.wrapping_sub(reference as u16).cast_signed());
    reference.checked_add_signed(difference).unwrap_or(u64::from(sequence_number))
}
