//! What forwarding needs to know of a video payload, whatever its codec.

use crate::payload::av1::DependencyDescriptor;
use crate::payload::vp8::{self, Vp8Descriptor, Vp8Numbers};
use crate::payload::vp9::{self, Vp9Descriptor};
use crate::payload::{PictureId, VideoFormat};

/// The numbers of a VP8 or VP9 payload descriptor that must run on when a slot changes its source.
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
}

/// What the payload says of its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The packet begins a key frame: a decoder can start here.
    pub starts_key_frame: bool,
    /// Present in VP8 and VP9 payloads.
    pub numbers: Option<PictureNumbers>,
}

/// Reads what a payload says; nothing for sound and for malformed payloads.
pub(crate) fn inspect(format: Option<VideoFormat>, payload: &[u8], descriptor: Option<&[u8]>) -> Picture {
    match format {
        Some(VideoFormat::Vp8) => inspect_vp8(payload),
        Some(VideoFormat::Vp9) => inspect_vp9(payload),
        Some(VideoFormat::Av1) => {
            // The descriptor also tells when the payload is end-to-end encrypted.
            let descriptor = descriptor.and_then(DependencyDescriptor::parse);
            let starts = descriptor.map(|descriptor| descriptor.starts_key_frame());
            let starts_key_frame = starts.unwrap_or_else(|| VideoFormat::Av1.starts_key_frame(payload));
            Picture { starts_key_frame, numbers: None }
        }
        Some(format) => Picture { starts_key_frame: format.starts_key_frame(payload), numbers: None },
        None => Picture::default(),
    }
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
        }),
    }
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

    #[test]
    fn numbers_read_are_those_written() {
        // VP8: X, S; I L T K; 15-bit picture ID, TL0PICIDX, TID/Y/KEYIDX; a key frame.
        let mut payload = [0x90, 0xf0, 0x81, 0x02, 7, 0x43, 0x00, 0x9d];
        let picture = inspect(Some(VideoFormat::Vp8), &payload, None);
        assert!(picture.starts_key_frame);
        let numbers =
            PictureNumbers { picture_id: Some(0x7fff), wide: true, tl0_index: Some(200), key_index: Some(31) };
        numbers.write_to(Some(VideoFormat::Vp8), &mut payload);
        assert_eq!(inspect(Some(VideoFormat::Vp8), &payload, None).numbers, Some(numbers));
    }

    #[test]
    fn sound_and_rubbish_say_nothing() {
        assert_eq!(inspect(None, &[1, 2, 3], None), Picture::default());
        assert_eq!(inspect(Some(VideoFormat::Vp8), &[0x80], None), Picture::default());
    }
}
