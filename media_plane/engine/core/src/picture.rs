//! What forwarding needs to know of a video payload, whatever its codec.

use crate::payload::av1::DependencyDescriptor;
use crate::payload::h264;
use crate::payload::structure::Structure;
use crate::payload::vp8::{self, Vp8Descriptor, Vp8Numbers};
use crate::payload::vp9::{self, Vp9Descriptor};
use crate::payload::{PictureId, VideoFormat};

/// Spatial and temporal layers that are told apart; further ones count as the highest.
pub(crate) const MAX_LAYERS: usize = 4;

/// The numbers of a payload or dependency descriptor that must run on when a slot changes its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PictureNumbers {
    /// Picture ID, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether the picture ID has 15 bits.
    pub wide: bool,
    /// TL0PICIDX.
    pub tl0_index: Option<u8>,
    /// KEYIDX of VP8, 5 bits.
    pub key_index: Option<u8>,
    /// Frame number of a dependency descriptor.
    pub frame_number: Option<u16>,
    /// Whether a receiver takes a missing picture ID for a lost picture, so that those of dropped pictures must be closed up
    /// (VP8; in VP9 the distance tells the picture's place in its group).
    pub contiguous: bool,
}

/// Where a receiver of fewer layers may begin to receive more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SwitchPoint {
    /// Not here.
    #[default]
    None,
    /// With this frame, which depends on lower layers only (VP8's Y bit).
    ThisLayer,
    /// After this frame: later frames of higher layers depend on nothing before it (VP9's U bit).
    Above,
}

/// Where a packet stands among the layers of its encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LayerMark {
    pub spatial: u8,
    pub temporal: u8,
    pub switch: SwitchPoint,
    /// The last packet of its spatial layer in its picture.
    pub ends_layer: bool,
}

/// What the payload says of its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The packet begins a key frame: a decoder can start here.
    pub starts_key_frame: bool,
    /// Present in VP8 and VP9 payloads, and where there is a dependency descriptor.
    pub numbers: Option<PictureNumbers>,
    /// All zero where the payload tells nothing of layers.
    pub layer: LayerMark,
}

/// Reads what a payload says; nothing for sound and for malformed payloads.
///
/// `structure` is that of the dependency descriptor's stream, which tells the layers where the payload does not.
pub(crate) fn inspect(
    format: Option<VideoFormat>,
    payload: &[u8],
    descriptor: Option<&[u8]>,
    structure: Option<&Structure>,
) -> Picture {
    let mut picture = match format {
        Some(VideoFormat::Vp8) => inspect_vp8(payload),
        Some(VideoFormat::Vp9) => inspect_vp9(payload),
        Some(format) => Picture { starts_key_frame: format.starts_key_frame(payload), ..Picture::default() },
        None => return Picture::default(),
    };
    let layer = || structure?.layer(descriptor?);
    if let Some(descriptor) = descriptor.and_then(DependencyDescriptor::parse) {
        // It also tells the truth where payloads are end-to-end encrypted.
        picture.starts_key_frame = descriptor.starts_key_frame();
        let numbers = picture.numbers.unwrap_or_default();
        picture.numbers = Some(PictureNumbers { frame_number: Some(descriptor.frame_number), ..numbers });
        // libwebrtc leaves the layers out of VP8 payloads that come with a descriptor, and AV1 and H.264 never have any.
        if format != Some(VideoFormat::Vp9)
            && let Some(layer) = layer()
        {
            picture.layer = LayerMark {
                spatial: capped(layer.spatial),
                temporal: capped(layer.temporal),
                switch: if layer.is_switch { SwitchPoint::ThisLayer } else { SwitchPoint::None },
                ends_layer: descriptor.end_of_frame,
            };
        }
    }
    picture
}

/// Writes the sizes of the spatial layers that the first packet of a key frame states, the smallest first; returns how many.
pub(crate) fn sizes(format: Option<VideoFormat>, payload: &[u8], sizes: &mut [(u16, u16); MAX_LAYERS]) -> usize {
    let single = match format {
        Some(VideoFormat::Vp8) => {
            Vp8Descriptor::parse(payload).and_then(|descriptor| descriptor.key_frame_size(payload))
        }
        Some(VideoFormat::H264) => h264::key_frame_size(payload),
        Some(VideoFormat::Vp9) => {
            let structure = Vp9Descriptor::parse(payload).and_then(|descriptor| descriptor.structure);
            let Some(structure) = structure else { return 0 };
            let count = usize::from(structure.spatial_layers).min(MAX_LAYERS);
            sizes[..count].copy_from_slice(&structure.sizes[..count]);
            return count;
        }
        _ => None,
    };
    single.map_or(0, |size| {
        sizes[0] = size;
        1
    })
}

fn inspect_vp8(payload: &[u8]) -> Picture {
    let Some(descriptor) = Vp8Descriptor::parse(payload) else { return Picture::default() };
    let (picture_id, wide) = split(descriptor.picture_id);
    Picture {
        starts_key_frame: descriptor.starts_key_frame(payload),
        numbers: Some(PictureNumbers {
            picture_id,
            wide,
            tl0_index: descriptor.tl0_picture_index,
            key_index: descriptor.key_index,
            frame_number: None,
            contiguous: true,
        }),
        layer: descriptor.temporal_layer.map_or_else(LayerMark::default, |layer| LayerMark {
            temporal: capped(layer.id),
            switch: if layer.sync { SwitchPoint::ThisLayer } else { SwitchPoint::None },
            ..LayerMark::default()
        }),
    }
}

fn capped(layer: u8) -> u8 {
    layer.min(MAX_LAYERS as u8 - 1)
}

fn inspect_vp9(payload: &[u8]) -> Picture {
    let Some(descriptor) = Vp9Descriptor::parse(payload) else { return Picture::default() };
    let (picture_id, wide) = split(descriptor.picture_id);
    Picture {
        starts_key_frame: descriptor.starts_key_frame(),
        numbers: Some(PictureNumbers {
            picture_id,
            wide,
            tl0_index: descriptor.layer.and_then(|layer| layer.tl0_picture_index),
            key_index: None,
            frame_number: None,
            contiguous: false,
        }),
        layer: descriptor.layer.map_or_else(LayerMark::default, |layer| LayerMark {
            spatial: capped(layer.spatial_id),
            temporal: capped(layer.temporal_id),
            switch: if layer.switching_up_point { SwitchPoint::Above } else { SwitchPoint::None },
            ends_layer: descriptor.end_of_frame,
        }),
    }
}

fn split(id: Option<PictureId>) -> (Option<u16>, bool) {
    (id.map(|id| id.value), id.is_some_and(|id| id.wide))
}

impl PictureNumbers {
    /// Writes the numbers over those of a payload; whichever it does not have are left out.
    pub(crate) fn write_to(&self, format: Option<VideoFormat>, payload: &mut [u8]) {
        let picture_id = self.picture_id.unwrap_or_default();
        let tl0_picture_index = self.tl0_index.unwrap_or_default();
        // The payload was parsed when it came, so neither can fail.
        let _ = match format {
            Some(VideoFormat::Vp8) => {
                let key_index = self.key_index.unwrap_or_default();
                vp8::rewrite(payload, &Vp8Numbers { picture_id, tl0_picture_index, key_index })
            }
            Some(VideoFormat::Vp9) => vp9::rewrite(payload, picture_id, tl0_picture_index),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::structure::tests::descriptor;

    #[test]
    fn numbers_read_are_those_written() {
        // VP8: X, S; I L T K; 15-bit picture ID, TL0PICIDX, TID/Y/KEYIDX; a key frame.
        let mut payload = [0x90, 0xf0, 0x81, 0x02, 7, 0x43, 0x00, 0x9d];
        let picture = inspect(Some(VideoFormat::Vp8), &payload, None, None);
        assert!(picture.starts_key_frame);
        let numbers = PictureNumbers {
            picture_id: Some(0x7fff),
            wide: true,
            tl0_index: Some(200),
            key_index: Some(31),
            frame_number: None,
            contiguous: true,
        };
        numbers.write_to(Some(VideoFormat::Vp8), &mut payload);
        assert_eq!(inspect(Some(VideoFormat::Vp8), &payload, None, None).numbers, Some(numbers));
    }

    #[test]
    fn layers_that_a_payload_leaves_to_the_descriptor_are_read_there() {
        let structure = Structure::parse(&descriptor()).unwrap();
        let layer = |format, payload: &[u8]| inspect(Some(format), payload, Some(&[6, 0, 1]), Some(&structure)).layer;
        let told = LayerMark { temporal: 1, switch: SwitchPoint::ThisLayer, ..LayerMark::default() };
        // Chromium's VP8 beside a descriptor: a partition starts, and no more.
        assert_eq!(layer(VideoFormat::Vp8, &[0x10, 0x31]), told);
        assert_eq!(layer(VideoFormat::Av1, &[0x10, 0x31]), told);
        assert_eq!(layer(VideoFormat::Vp9, &[0x08, 0x31]), LayerMark::default(), "it always tells its own");
    }

    #[test]
    fn sound_and_rubbish_say_nothing() {
        assert_eq!(inspect(None, &[1, 2, 3], None, None), Picture::default());
        assert_eq!(inspect(Some(VideoFormat::Vp8), &[0x80], None, None), Picture::default());
    }
}
