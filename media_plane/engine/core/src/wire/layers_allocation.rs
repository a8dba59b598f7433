//! Which of its encodings a sender sends, as it tells itself (video-layers-allocation,
//! `http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00`).
//!
//! libwebrtc says it with each key frame, and with the next frame of the base layer when it has changed.

/// Streams that the format can speak of.
const MAX_STREAMS: u8 = 4;

/// The part of it that the engine uses: bitrates and sizes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayersAllocation {
    /// Place of the encoding that says it, in the order of the offer.
    pub place: u8,
    /// Encodings of which at least one spatial layer is sent, bit by place.
    sent: u8,
}

impl LayersAllocation {
    /// Reads the value of the extension; None where it is cut short, or leaves out the encoding that says it, which that disproves.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (&head, masks) = value.split_first()?;
        let (place, streams, common) = (head >> 6, (head >> 4 & 0x03) + 1, head & 0x0f);
        if common != 0 {
            return Self { place, sent: (1 << streams) - 1 }.if_coherent();
        }
        // Four bits of spatial layers a stream, the first stream in the upper half of a byte.
        let mask = |stream: u8| masks.get(usize::from(stream / 2)).map(|byte| byte >> (4 * (1 - stream % 2)) & 0x0f);
        let mut sent = 0;
        for stream in 0..streams {
            sent |= u8::from(mask(stream)? != 0) << stream;
        }
        Self { place, sent }.if_coherent()
    }

    fn if_coherent(self) -> Option<Self> {
        self.includes(self.place.into()).then_some(self)
    }

    /// Whether the encoding at a place is sent.
    #[must_use]
    pub fn includes(self, place: usize) -> bool {
        place < usize::from(MAX_STREAMS) && self.sent & 1 << place != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: &[u8]) -> Option<(u8, [bool; 4])> {
        LayersAllocation::parse(value).map(|told| (told.place, [0, 1, 2, 3].map(|place| told.includes(place))))
    }

    #[test]
    fn streams_that_are_alike_share_a_mask() {
        // Two streams, one spatial layer each; three temporal layers; bitrates.
        assert_eq!(sent(&[0b0001_0001, 0b1010_0000, 50, 70, 90]), Some((0, [true, true, false, false])));
        assert_eq!(sent(&[0b1010_0001, 0]), Some((2, [true, true, true, false])));
    }

    #[test]
    fn streams_that_differ_have_a_mask_each() {
        assert_eq!(sent(&[0b0010_0000, 0b0001_0000, 0b0001_0000]), Some((0, [true, false, true, false])));
        assert_eq!(sent(&[0b0111_0000, 0b0011_0001, 0b0000_0001]), Some((1, [true, true, false, true])));
    }

    #[test]
    fn what_is_cut_short_or_says_nothing_is_not_believed() {
        assert_eq!(sent(&[]), None);
        assert_eq!(sent(&[0]), None);
        assert_eq!(sent(&[0b0010_0000, 0b0001_0000]), None);
        assert_eq!(sent(&[0b0001_0000, 0]), None);
        assert_eq!(sent(&[0b0101_0000, 0b0001_0000]), None);
        assert_eq!(sent(&[0b1001_0001]), None);
        assert_eq!(LayersAllocation::parse(&[1]).map(|told| told.includes(7)), Some(false));
    }
}
