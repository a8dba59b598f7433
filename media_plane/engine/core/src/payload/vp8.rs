//! VP8 payload descriptors (RFC 7741 section 4.2).

use super::PictureId;
use crate::wire::bytes::{array_at, u8_at, u16_at};

const EXTENDED_FLAG: u8 = 0x80;
const NON_REFERENCE_FLAG: u8 = 0x20;
const START_FLAG: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const PICTURE_ID_FLAG: u8 = 0x80;
const TL0_FLAG: u8 = 0x40;
const LAYER_FLAG: u8 = 0x20;
const KEY_INDEX_FLAG: u8 = 0x10;
const WIDE_FLAG: u8 = 0x80;
const KEY_INDEX_MASK: u8 = 0x1f;
const KEY_FRAME_START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// Where a frame stands among the temporal layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemporalLayer {
    /// 0 is the base.
    pub id: u8,
    /// Whether the frame depends on the base layer only, so that a receiver may begin with this layer here.
    pub sync: bool,
}

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// Whether no other frame depends on this one.
    pub non_reference: bool,
    /// Whether a partition starts in this packet.
    pub partition_start: bool,
    /// The partition.
    pub partition_index: u8,
    /// See [`PictureId`].
    pub picture_id: Option<PictureId>,
    /// Counts frames of the base layer; wraps.
    pub tl0_picture_index: Option<u8>,
    /// See [`TemporalLayer`].
    pub temporal_layer: Option<TemporalLayer>,
    /// Counts key frames; five bits.
    pub key_index: Option<u8>,
    /// Length of the descriptor; the VP8 data follows it.
    pub len: usize,
}

/// The numbers of a descriptor that must stay continuous for a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Numbers {
    /// Written in the width that the descriptor has.
    pub picture_id: u16,
    /// See [`Vp8Descriptor::tl0_picture_index`].
    pub tl0_picture_index: u8,
    /// See [`Vp8Descriptor::key_index`].
    pub key_index: u8,
}

/// Offsets of the optional fields, as the first two bytes tell them.
#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    picture_id: Option<(usize, bool)>,
    tl0: Option<usize>,
    /// The byte that temporal layer and key index share, present when either is.
    layer: Option<usize>,
    has_layer: bool,
    has_key_index: bool,
    len: usize,
}

impl Layout {
    #[inline]
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut layout = Self { len: 1, ..Self::default() };
        if u8_at(payload, 0)? & EXTENDED_FLAG == 0 {
            return Some(layout);
        }
        let flags = u8_at(payload, 1)?;
        layout.len = 2;
        if flags & PICTURE_ID_FLAG != 0 {
            let wide = u8_at(payload, layout.len)? & WIDE_FLAG != 0;
            layout.picture_id = Some((layout.len, wide));
            layout.len += if wide { 2 } else { 1 };
        }
        if flags & TL0_FLAG != 0 {
            layout.tl0 = Some(layout.len);
            layout.len += 1;
        }
        layout.has_layer = flags & LAYER_FLAG != 0;
        layout.has_key_index = flags & KEY_INDEX_FLAG != 0;
        if layout.has_layer || layout.has_key_index {
            layout.layer = Some(layout.len);
            layout.len += 1;
        }
        (layout.len <= payload.len()).then_some(layout)
    }
}

impl Vp8Descriptor {
    /// Parses the descriptor at the beginning of a payload; None when it is cut off.
    #[inline]
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let layout = Layout::parse(payload)?;
        let first = u8_at(payload, 0)?;
        let layer_byte = layout.layer.and_then(|at| u8_at(payload, at)).unwrap_or_default();
        let picture_id = match layout.picture_id {
            Some((at, true)) => Some(PictureId { value: u16_at(payload, at)? & 0x7fff, wide: true }),
            Some((at, false)) => Some(PictureId { value: u16::from(u8_at(payload, at)?), wide: false }),
            None => None,
        };
        Some(Self {
            non_reference: first & NON_REFERENCE_FLAG != 0,
            partition_start: first & START_FLAG != 0,
            partition_index: first & PARTITION_MASK,
            picture_id,
            tl0_picture_index: layout.tl0.and_then(|at| u8_at(payload, at)),
            temporal_layer: layout
                .has_layer
                .then_some(TemporalLayer { id: layer_byte >> 6, sync: layer_byte & 0x20 != 0 }),
            key_index: layout.has_key_index.then_some(layer_byte & KEY_INDEX_MASK),
            len: layout.len,
        })
    }

    /// Whether this is the first packet of a frame.
    #[inline]
    #[must_use]
    pub fn starts_frame(&self) -> bool {
        self.partition_start && self.partition_index == 0
    }

    /// Whether this is the first packet of a key frame; `payload` is what the descriptor was parsed from.
    #[inline]
    #[must_use]
    pub fn starts_key_frame(&self, payload: &[u8]) -> bool {
        // Bit 0 of the frame header is the inverse key-frame flag (RFC 6386 section 9.1).
        self.starts_frame() && u8_at(payload, self.len).is_some_and(|byte| byte & 1 == 0)
    }

    /// Width and height in pixels that the first packet of a key frame states.
    #[must_use]
    pub fn key_frame_size(&self, payload: &[u8]) -> Option<(u16, u16)> {
        if !self.starts_key_frame(payload) || array_at(payload, self.len + 3)? != KEY_FRAME_START_CODE {
            return None;
        }
        // The upper two bits of each are a scaling hint.
        let size = |at: usize| Some(u16::from_le_bytes(array_at(payload, at)?) & 0x3fff);
        Some((size(self.len + 6)?, size(self.len + 8)?))
    }
}

/// Whether a payload is the first packet of a key frame.
#[must_use]
pub fn starts_key_frame(payload: &[u8]) -> bool {
    Vp8Descriptor::parse(payload).is_some_and(|descriptor| descriptor.starts_key_frame(payload))
}

/// Replaces the numbers that the descriptor has; None (and no change) when it is cut off.
#[inline]
pub fn rewrite(payload: &mut [u8], numbers: &Vp8Numbers) -> Option<()> {
    let layout = Layout::parse(payload)?;
    match layout.picture_id {
        Some((at, true)) => {
            let value = numbers.picture_id | u16::from(WIDE_FLAG) << 8;
            payload.get_mut(at..at + 2)?.copy_from_slice(&value.to_be_bytes());
        }
        Some((at, false)) => *payload.get_mut(at)? = numbers.picture_id as u8 & !WIDE_FLAG,
        None => {}
    }
    if let Some(at) = layout.tl0 {
        *payload.get_mut(at)? = numbers.tl0_picture_index;
    }
    if let Some(at) = layout.layer.filter(|_| layout.has_key_index) {
        let byte = payload.get_mut(at)?;
        *byte = *byte & !KEY_INDEX_MASK | numbers.key_index & KEY_INDEX_MASK;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_FRAME: &[u8] = b"\x90\xf0\x92\x34\x56\xa7\x10\x00\x00\x9d\x01\x2a\x80\x42\xe0\x01rest";

    #[test]
    fn full_descriptor() {
        let descriptor = Vp8Descriptor::parse(KEY_FRAME).unwrap();
        let expected = Vp8Descriptor {
            non_reference: false,
            partition_start: true,
            partition_index: 0,
            picture_id: Some(PictureId { value: 0x1234, wide: true }),
            tl0_picture_index: Some(0x56),
            temporal_layer: Some(TemporalLayer { id: 2, sync: true }),
            key_index: Some(7),
            len: 6,
        };
        assert_eq!(descriptor, expected);
        assert!(descriptor.starts_frame() && descriptor.starts_key_frame(KEY_FRAME));
        assert_eq!(descriptor.key_frame_size(KEY_FRAME), Some((640, 480)));
    }

    #[test]
    fn shorter_descriptors() {
        let plain = Vp8Descriptor::parse(&[0x10, 0x01]).unwrap();
        assert_eq!((plain.len, plain.picture_id, plain.key_index), (1, None, None));
        assert!(!plain.starts_key_frame(&[0x10, 0x01]));
        let narrow = Vp8Descriptor::parse(&[0xb1, 0x80, 0x7f]).unwrap();
        assert_eq!(narrow.picture_id, Some(PictureId { value: 127, wide: false }));
        assert!(narrow.non_reference && !narrow.starts_frame());
        let key_index_only = Vp8Descriptor::parse(&[0x90, 0x10, 0xff]).unwrap();
        assert_eq!((key_index_only.temporal_layer, key_index_only.key_index), (None, Some(31)));
        let layer_only = Vp8Descriptor::parse(&[0x90, 0x20, 0x5f]).unwrap();
        assert_eq!(layer_only.temporal_layer, Some(TemporalLayer { id: 1, sync: false }));
        assert_eq!(layer_only.key_index, None);
    }

    #[test]
    fn cut_off_descriptors_are_refused_and_left_alone() {
        let numbers = Vp8Numbers { picture_id: 1, tl0_picture_index: 2, key_index: 3 };
        for len in 0..6 {
            let mut payload = KEY_FRAME[..len].to_vec();
            assert_eq!(Vp8Descriptor::parse(&payload), None);
            assert_eq!(rewrite(&mut payload, &numbers), None);
            assert_eq!(payload, KEY_FRAME[..len]);
        }
        assert!(!starts_key_frame(&KEY_FRAME[..6]), "no frame header");
        assert!(starts_key_frame(KEY_FRAME));
        assert_eq!(Vp8Descriptor::parse(KEY_FRAME).unwrap().key_frame_size(&KEY_FRAME[..14]), None);
    }

    #[test]
    fn numbers_are_replaced_in_their_width() {
        let numbers = Vp8Numbers { picture_id: 0x7fff, tl0_picture_index: 9, key_index: 0xff };
        let mut payload = KEY_FRAME.to_vec();
        rewrite(&mut payload, &numbers).unwrap();
        let before = Vp8Descriptor::parse(KEY_FRAME).unwrap();
        let expected = Vp8Descriptor {
            picture_id: Some(PictureId { value: 0x7fff, wide: true }),
            tl0_picture_index: Some(9),
            key_index: Some(31),
            ..before
        };
        assert_eq!(Vp8Descriptor::parse(&payload), Some(expected));
        assert_eq!(payload[6..], KEY_FRAME[6..]);

        let mut narrow = [0x90, 0x80, 0x05, 0x00];
        rewrite(&mut narrow, &Vp8Numbers { picture_id: 0x01ff, ..numbers }).unwrap();
        assert_eq!(narrow, [0x90, 0x80, 0x7f, 0x00]);
        let mut layer_only = [0x90, 0x20, 0x5f];
        rewrite(&mut layer_only, &numbers).unwrap();
        assert_eq!(layer_only, [0x90, 0x20, 0x5f]);
        let mut plain = [0x10, 0x00];
        assert_eq!(rewrite(&mut plain, &numbers), Some(()));
        assert_eq!(plain, [0x10, 0x00]);
    }
}
