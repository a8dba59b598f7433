//! VP9 payload descriptors (RFC 9628 section 4.2).

use super::PictureId;
use crate::wire::bytes::{u8_at, u16_at};

const PICTURE_ID_FLAG: u8 = 0x80;
const INTER_PICTURE_FLAG: u8 = 0x40;
const LAYER_FLAG: u8 = 0x20;
const FLEXIBLE_FLAG: u8 = 0x10;
const START_FLAG: u8 = 0x08;
const END_FLAG: u8 = 0x04;
const STRUCTURE_FLAG: u8 = 0x02;
const NOT_INTER_LAYER_FLAG: u8 = 0x01;
/// The most reference indices that a flexible-mode descriptor may hold.
const MAX_REFERENCES: usize = 3;
const MAX_SPATIAL_LAYERS: usize = 8;

/// Where a frame stands among the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Temporal layer; 0 is the base.
    pub temporal_id: u8,
    /// Whether a receiver may switch up to this temporal layer here.
    pub switching_up_point: bool,
    /// Spatial layer; 0 is the base.
    pub spatial_id: u8,
    /// Whether the frame depends on the spatial layer below it.
    pub inter_layer_dependency: bool,
    /// Counts base-layer pictures; absent in flexible mode.
    pub tl0_picture_index: Option<u8>,
}

/// The resolutions of a scalability structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalabilityStructure {
    /// How many spatial layers there are, one to eight.
    pub spatial_layers: u8,
    /// Width and height in pixels by spatial layer; zero where the structure does not state them.
    pub sizes: [(u16, u16); MAX_SPATIAL_LAYERS],
}

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// See [`PictureId`].
    pub picture_id: Option<PictureId>,
    /// Whether the frame depends on earlier pictures.
    pub inter_picture_predicted: bool,
    /// See [`Layer`].
    pub layer: Option<Layer>,
    /// Whether references are given picture by picture.
    pub flexible: bool,
    /// Whether this is the first packet of a (layer) frame.
    pub start_of_frame: bool,
    /// Whether this is the last packet of a (layer) frame.
    pub end_of_frame: bool,
    /// Whether no higher spatial layer of this picture depends on the frame.
    pub not_inter_layer_reference: bool,
    /// Sent with key frames.
    pub structure: Option<ScalabilityStructure>,
    /// Length of the descriptor; the VP9 data follows it.
    pub len: usize,
}

impl Vp9Descriptor {
    /// Parses the descriptor at the beginning of a payload; None when it is cut off or has too many references.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields { payload, at: 0 };
        let flags = fields.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let flexible = has(FLEXIBLE_FLAG);
        let picture_id = if has(PICTURE_ID_FLAG) { Some(fields.picture_id()?) } else { None };
        let layer = if has(LAYER_FLAG) { Some(fields.layer(flexible)?) } else { None };
        if flexible && has(INTER_PICTURE_FLAG) {
            fields.skip_references()?;
        }
        let structure = if has(STRUCTURE_FLAG) { Some(fields.structure()?) } else { None };
        if fields.at > payload.len() {
            return None;
        }
        Some(Self {
            picture_id,
            inter_picture_predicted: has(INTER_PICTURE_FLAG),
            layer,
            flexible,
            start_of_frame: has(START_FLAG),
            end_of_frame: has(END_FLAG),
            not_inter_layer_reference: has(NOT_INTER_LAYER_FLAG),
            structure,
            len: fields.at,
        })
    }

    /// Whether this is the first packet of a key picture: its base spatial layer, depending on nothing.
    #[must_use]
    pub fn starts_key_frame(&self) -> bool {
        self.start_of_frame
            && !self.inter_picture_predicted
            && self.layer.is_none_or(|layer| layer.spatial_id == 0 && !layer.inter_layer_dependency)
    }
}

/// Whether a payload is the first packet of a key picture.
#[must_use]
pub fn starts_key_frame(payload: &[u8]) -> bool {
    Vp9Descriptor::parse(payload).is_some_and(|descriptor| descriptor.starts_key_frame())
}

/// Replaces the picture id in its width and, where the descriptor has one, the index of the base-layer picture.
///
/// Returns None (and changes nothing) when the descriptor is cut off.
pub fn rewrite(payload: &mut [u8], picture_id: u16, tl0_picture_index: u8) -> Option<()> {
    let descriptor = Vp9Descriptor::parse(payload)?;
    let mut at = 1;
    if let Some(PictureId { wide, .. }) = descriptor.picture_id {
        if wide {
            payload.get_mut(at..at + 2)?.copy_from_slice(&(picture_id | 0x8000).to_be_bytes());
            at += 2;
        } else {
            *payload.get_mut(at)? = picture_id as u8 & 0x7f;
            at += 1;
        }
    }
    if descriptor.layer.is_some_and(|layer| layer.tl0_picture_index.is_some()) {
        *payload.get_mut(at + 1)? = tl0_picture_index;
    }
    Some(())
}

/// Reads the fields of a descriptor one after the other.
struct Fields<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = u8_at(self.payload, self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<u16> {
        let word = u16_at(self.payload, self.at)?;
        self.at += 2;
        Some(word)
    }

    fn picture_id(&mut self) -> Option<PictureId> {
        let first = self.byte()?;
        if first & 0x80 == 0 {
            return Some(PictureId { value: u16::from(first), wide: false });
        }
        let value = u16::from_be_bytes([first & 0x7f, self.byte()?]);
        Some(PictureId { value, wide: true })
    }

    fn layer(&mut self, flexible: bool) -> Option<Layer> {
        let byte = self.byte()?;
        Some(Layer {
            temporal_id: byte >> 5,
            switching_up_point: byte & 0x10 != 0,
            spatial_id: byte >> 1 & 7,
            inter_layer_dependency: byte & 1 != 0,
            tl0_picture_index: if flexible { None } else { Some(self.byte()?) },
        })
    }

    fn skip_references(&mut self) -> Option<()> {
        for _ in 0..MAX_REFERENCES {
            let another_follows = self.byte()? & 1 != 0;
            if !another_follows {
                return Some(());
            }
        }
        None
    }

    fn structure(&mut self) -> Option<ScalabilityStructure> {
        let byte = self.byte()?;
        let spatial_layers = (byte >> 5) + 1;
        let mut sizes = [(0, 0); MAX_SPATIAL_LAYERS];
        if byte & 0x10 != 0 {
            for size in sizes.iter_mut().take(usize::from(spatial_layers)) {
                *size = (self.word()?, self.word()?);
            }
        }
        if byte & 0x08 != 0 {
            for _ in 0..self.byte()? {
                // Temporal layer, switching point and a count of references, which follow as one byte each.
                let references = self.byte()? >> 2 & 3;
                self.at += usize::from(references);
            }
        }
        Some(ScalabilityStructure { spatial_layers, sizes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I, L, B, V; wide picture id; layer byte with T=0, U, S=0; TL0PICIDX; two layers with sizes and a picture group of two.
    const KEY_PICTURE: &[u8] = b"\xaa\x81\x02\x10\x33\x38\x01\x40\x00\xb4\x02\x80\x01\x68\x02\x14\x01\x28\x02\x01data";

    #[test]
    fn key_picture_with_structure() {
        let descriptor = Vp9Descriptor::parse(KEY_PICTURE).unwrap();
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x0102, wide: true }));
        let layer = descriptor.layer.unwrap();
        assert_eq!((layer.temporal_id, layer.spatial_id, layer.tl0_picture_index), (0, 0, Some(0x33)));
        assert!(layer.switching_up_point && !layer.inter_layer_dependency);
        let structure = descriptor.structure.unwrap();
        assert_eq!(structure.spatial_layers, 2);
        assert_eq!(structure.sizes[..3], [(320, 180), (640, 360), (0, 0)]);
        assert!(descriptor.start_of_frame && !descriptor.end_of_frame && !descriptor.flexible);
        assert_eq!(KEY_PICTURE[descriptor.len..], *b"data");
        assert!(starts_key_frame(KEY_PICTURE));
    }

    #[test]
    fn flexible_mode_skips_references() {
        // I, P, L, F, E, Z; narrow picture id; T=2, S=1, D; two references.
        let payload = b"\xf5\x05\x43\x03\x02data";
        let descriptor = Vp9Descriptor::parse(payload).unwrap();
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 5, wide: false }));
        let layer = descriptor.layer.unwrap();
        assert_eq!((layer.temporal_id, layer.spatial_id, layer.tl0_picture_index), (2, 1, None));
        assert!(layer.inter_layer_dependency && descriptor.end_of_frame && descriptor.not_inter_layer_reference);
        assert_eq!(payload[descriptor.len..], *b"data");
        assert!(!descriptor.starts_key_frame());
        assert_eq!(Vp9Descriptor::parse(b"\xf5\x05\x43\x03\x03\x03\x02"), None, "four references");
    }

    #[test]
    fn higher_spatial_layers_do_not_start_a_key_picture() {
        assert!(starts_key_frame(b"\x08data"));
        assert!(!starts_key_frame(b"\x48data"), "predicted");
        assert!(!starts_key_frame(b"\x00data"), "not the first packet");
        assert!(!starts_key_frame(b"\x28\x03\x00data"), "spatial layer 1");
    }

    #[test]
    fn every_truncation_is_refused() {
        for len in 0..KEY_PICTURE.len() - 4 {
            assert_eq!(Vp9Descriptor::parse(&KEY_PICTURE[..len]), None, "{len}");
        }
    }

    #[test]
    fn numbers_are_replaced_in_their_width() {
        let mut payload = KEY_PICTURE.to_vec();
        rewrite(&mut payload, 0x7abc, 9).unwrap();
        let descriptor = Vp9Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x7abc, wide: true }));
        assert_eq!(descriptor.layer.unwrap().tl0_picture_index, Some(9));
        assert_eq!(payload[5..], KEY_PICTURE[5..]);
        let mut flexible = *b"\xf5\x05\x43\x03\x02data";
        rewrite(&mut flexible, 0x01ff, 9).unwrap();
        assert_eq!(flexible, *b"\xf5\x7f\x43\x03\x02data");
        assert_eq!(rewrite(&mut [], 1, 1), None);
    }
}
