//! RTP header extensions in their one-byte and two-byte forms (RFC 8285).
//!
//! Each session numbers its extensions differently. [`ExtensionIds`] is one session's numbering, [`ExtensionValues`] what a
//! packet says, so forwarding is: read with the sender's numbering, change, write with the receiver's.

#[cfg(test)]
mod tests;

use super::bytes::{Writer, u8_at, u16_at, u24_at};
use super::rtp::RtpHeader;

const ONE_BYTE_PROFILE: u16 = 0xbede;
const TWO_BYTE_PROFILE: u16 = 0x1000;
const TWO_BYTE_PROFILE_MASK: u16 = 0xfff0;
/// The largest identifier of the one-byte form; 15 is reserved.
const MAX_ONE_BYTE_ID: u8 = 14;
const MAX_ONE_BYTE_VALUE_LEN: usize = 16;

/// The extensions that the engine reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExtensionKind {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143).
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` (RFC 8852).
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id` (RFC 8852).
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    AudioLevel,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    TransportCc,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    AbsSendTime,
    /// `https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension`.
    DependencyDescriptor,
    /// `urn:3gpp:video-orientation`.
    VideoOrientation,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`.
    PlayoutDelay,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00`.
    LayersAllocation,
}

const KIND_COUNT: usize = 10;
pub(crate) const KINDS: [ExtensionKind; KIND_COUNT] = [
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
    ExtensionKind::AudioLevel,
    ExtensionKind::TransportCc,
    ExtensionKind::AbsSendTime,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::VideoOrientation,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::LayersAllocation,
];

/// The identifiers that one session agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// Identifier by kind; 0: not agreed.
    ids: [u8; KIND_COUNT],
    /// Kind by identifier.
    kinds: [Option<ExtensionKind>; MAX_ONE_BYTE_ID as usize + 1],
}

impl ExtensionIds {
    /// Agrees on an identifier; None (and no change) when it is not 1 to 14 or already stands for another extension.
    pub fn set(&mut self, kind: ExtensionKind, id: u8) -> Option<()> {
        if id == 0 || id > MAX_ONE_BYTE_ID {
            return None;
        }
        let place = self.kinds.get_mut(usize::from(id))?;
        if place.is_some_and(|other| other != kind) {
            return None;
        }
        *place = Some(kind);
        let previous = std::mem::replace(&mut self.ids[kind as usize], id);
        if previous != id && previous != 0 {
            self.kinds[usize::from(previous)] = None;
        }
        Some(())
    }

    /// The identifier of an extension.
    #[inline]
    #[must_use]
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        let id = self.ids[kind as usize];
        (id != 0).then_some(id)
    }

    /// The extension behind an identifier.
    #[inline]
    #[must_use]
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.kinds.get(usize::from(id)).copied().flatten()
    }
}

/// How loud the audio of a packet is (RFC 6464).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the sender's voice activity detection hears speech.
    pub voice: bool,
    /// 0 (the loudest) to 127 (silence), in -dBov.
    pub level: u8,
}

impl AudioLevel {
    fn from_byte(byte: u8) -> Self {
        Self { voice: byte & 0x80 != 0, level: byte & 0x7f }
    }

    fn to_byte(self) -> u8 {
        u8::from(self.voice) << 7 | self.level & 0x7f
    }
}

/// What the extensions of a packet say; None: absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionValues<'a> {
    /// The m-line the stream belongs to.
    pub mid: Option<&'a [u8]>,
    /// The simulcast layer of the stream.
    pub rid: Option<&'a [u8]>,
    /// The simulcast layer that this RTX stream repairs.
    pub repaired_rid: Option<&'a [u8]>,
    /// How loud the packet is.
    pub audio_level: Option<AudioLevel>,
    /// Transport-wide sequence number.
    pub transport_sequence_number: Option<u16>,
    /// Departure time in 2^-18 s, modulo 64 s; 24 bits.
    pub abs_send_time: Option<u32>,
    /// The dependency descriptor, undecoded.
    pub dependency_descriptor: Option<&'a [u8]>,
    /// To be written over the frame number of the dependency descriptor; never read.
    pub frame_number: Option<u16>,
    /// The coordination-of-video-orientation byte (3GPP TS 26.114).
    pub video_orientation: Option<u8>,
    /// How long a picture shall wait for its repair before it is shown.
    pub playout_delay: Option<PlayoutDelay>,
    /// Which encodings the sender sends, undecoded: see [`LayersAllocation`](super::layers_allocation::LayersAllocation).
    pub layers_allocation: Option<&'a [u8]>,
}

/// The least time from the capture of a picture to its display, in steps of 10 ms; the most is left to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay(pub u16);

impl PlayoutDelay {
    /// The unit.
    pub const STEP_MS: u64 = 10;
    /// What stands for the most: 10 s, libwebrtc's own.
    const MOST: u32 = 1_000;

    fn from_bits(bits: u32) -> Self {
        Self((bits >> 12) as u16)
    }

    fn to_bytes(self) -> [u8; 4] {
        (u32::from(self.0 & 0xfff) << 12 | Self::MOST).to_be_bytes()
    }
}

impl<'a> ExtensionValues<'a> {
    /// Reads the extensions of the packet that `header` was parsed from, in the sender's numbering.
    ///
    /// Unknown elements are skipped; an element too short for its kind counts as absent.
    #[inline]
    #[must_use]
    pub fn read(header: &RtpHeader, packet: &'a [u8], ids: &ExtensionIds) -> Self {
        let mut values = Self::default();
        for (id, value) in header.extensions(packet) {
            match ids.kind(id) {
                Some(ExtensionKind::Mid) => values.mid = Some(value),
                Some(ExtensionKind::Rid) => values.rid = Some(value),
                Some(ExtensionKind::RepairedRid) => values.repaired_rid = Some(value),
                Some(ExtensionKind::AudioLevel) => values.audio_level = u8_at(value, 0).map(AudioLevel::from_byte),
                Some(ExtensionKind::TransportCc) => values.transport_sequence_number = u16_at(value, 0),
                Some(ExtensionKind::AbsSendTime) => values.abs_send_time = u24_at(value, 0),
                Some(ExtensionKind::DependencyDescriptor) => values.dependency_descriptor = Some(value),
                Some(ExtensionKind::VideoOrientation) => values.video_orientation = u8_at(value, 0),
                Some(ExtensionKind::PlayoutDelay) => {
                    values.playout_delay = u24_at(value, 0).map(PlayoutDelay::from_bits);
                }
                Some(ExtensionKind::LayersAllocation) => values.layers_allocation = Some(value),
                None => {}
            }
        }
        values
    }
}

/// Converts a duration since any epoch to the value of abs-send-time.
#[inline]
#[must_use]
pub fn abs_send_time(since_epoch: std::time::Duration) -> u32 {
    let whole = (since_epoch.as_secs() & 0x3f) << 18;
    let fraction = (u64::from(since_epoch.subsec_nanos()) << 18) / 1_000_000_000;
    (whole | fraction) as u32
}

/// Iterates over the elements of a header-extension block: identifier and value. It ends at the first malformed one.
#[derive(Debug, Clone, Default)]
pub struct ExtensionElements<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> ExtensionElements<'a> {
    /// Iterates over the elements of `block`, whose form `profile` tells; other profiles have none.
    #[inline]
    #[must_use]
    pub fn new(profile: u16, block: &'a [u8]) -> Self {
        let two_byte = profile & TWO_BYTE_PROFILE_MASK == TWO_BYTE_PROFILE;
        let rest = if two_byte || profile == ONE_BYTE_PROFILE { block } else { &[] };
        Self { rest, two_byte }
    }

    fn take(&mut self, id: u8, header_len: usize, value_len: usize) -> Option<(u8, &'a [u8])> {
        let end = header_len + value_len;
        let value = self.rest.get(header_len..end)?;
        self.rest = self.rest.get(end..)?;
        Some((id, value))
    }
}

impl<'a> Iterator for ExtensionElements<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // A zero byte pads both forms.
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let element = match *self.rest {
            [id, len, ..] if self.two_byte => self.take(id, 2, usize::from(len)),
            // Identifier 15 and an identifier 0 with a length end the block (RFC 8285 section 4.2).
            [first, ..] if !self.two_byte && matches!(first >> 4, 1..=MAX_ONE_BYTE_ID) => {
                self.take(first >> 4, 1, usize::from(first & 0x0f) + 1)
            }
            _ => None,
        };
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

/// Appends an extension block to a header; writes nothing when no value has an identifier, None when the buffer is full.
#[inline]
pub(super) fn write_extensions(
    writer: &mut Writer<'_>,
    ids: &ExtensionIds,
    values: &ExtensionValues<'_>,
) -> Option<()> {
    let block_at = writer.len();
    // The one-byte form can write neither empty values nor more than 16 bytes.
    let needs_two_bytes = |kind, value: Option<&[u8]>| {
        ids.id(kind).is_some() && value.is_some_and(|value| !matches!(value.len(), 1..=MAX_ONE_BYTE_VALUE_LEN))
    };
    let two_byte = needs_two_bytes(ExtensionKind::DependencyDescriptor, values.dependency_descriptor)
        || needs_two_bytes(ExtensionKind::Mid, values.mid)
        || needs_two_bytes(ExtensionKind::Rid, values.rid)
        || needs_two_bytes(ExtensionKind::RepairedRid, values.repaired_rid)
        || needs_two_bytes(ExtensionKind::LayersAllocation, values.layers_allocation);
    writer.put_u16(if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE })?;
    writer.put_u16(0)?;
    let elements_at = writer.len();
    for kind in KINDS {
        let id = ids.ids[kind as usize];
        if id != 0 {
            write_value(writer, two_byte, id, kind, values)?;
        }
    }
    if writer.len() == elements_at {
        writer.truncate(block_at);
        return Some(());
    }
    writer.pad_to_word()?;
    let words = (writer.len() - elements_at) / 4;
    writer.patch_u16(block_at + 2, words as u16)
}

#[inline]
fn write_value(
    writer: &mut Writer<'_>,
    two_byte: bool,
    id: u8,
    kind: ExtensionKind,
    values: &ExtensionValues<'_>,
) -> Option<()> {
    let mut put = |value: Option<&[u8]>| value.map_or(Some(()), |value| write_element(writer, two_byte, id, value));
    match kind {
        ExtensionKind::Mid => put(values.mid),
        ExtensionKind::Rid => put(values.rid),
        ExtensionKind::RepairedRid => put(values.repaired_rid),
        ExtensionKind::AudioLevel => {
            put(values.audio_level.map(|level| [level.to_byte()]).as_ref().map(<[u8; 1]>::as_slice))
        }
        ExtensionKind::TransportCc => {
            put(values.transport_sequence_number.map(u16::to_be_bytes).as_ref().map(<[u8; 2]>::as_slice))
        }
        ExtensionKind::AbsSendTime => {
            put(values.abs_send_time.map(u32::to_be_bytes).as_ref().and_then(|bytes| bytes.get(1..)))
        }
        ExtensionKind::DependencyDescriptor => {
            put(values.dependency_descriptor)?;
            match (values.frame_number, values.dependency_descriptor) {
                // It follows the first byte (the AV1 RTP payload specification, section A.8.2).
                (Some(number), Some(descriptor)) if descriptor.len() >= 3 => {
                    writer.patch_u16(writer.len() - descriptor.len() + 1, number)
                }
                _ => Some(()),
            }
        }
        ExtensionKind::VideoOrientation => {
            put(values.video_orientation.map(|byte| [byte]).as_ref().map(<[u8; 1]>::as_slice))
        }
        ExtensionKind::PlayoutDelay => {
            put(values.playout_delay.map(PlayoutDelay::to_bytes).as_ref().and_then(|bytes| bytes.get(1..)))
        }
        ExtensionKind::LayersAllocation => put(values.layers_allocation),
    }
}

#[inline]
fn write_element(writer: &mut Writer<'_>, two_byte: bool, id: u8, value: &[u8]) -> Option<()> {
    if two_byte {
        writer.put(&[id, u8::try_from(value.len()).ok()?])?;
    } else {
        writer.put_u8(id << 4 | (value.len() as u8).wrapping_sub(1) & 0x0f)?;
    }
    writer.put(value)
}
