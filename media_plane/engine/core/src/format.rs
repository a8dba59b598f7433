//! How a payload format is numbered on the two sides of a slot.

use crate::params::Codec;
use crate::payload::red::{self, Frames};

/// The payload types of a source's packets in its own session and in that of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// Payload type in the source's session.
    pub incoming: u8,
    /// Payload type in this session.
    pub outgoing: u8,
    /// Payload type of retransmissions in this session.
    pub rtx: Option<u8>,
    /// What is done to redundant audio.
    pub redundancy: Redundancy,
}

/// What is done to the payloads of redundant audio (RFC 2198) on their way to a receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Redundancy {
    /// Nothing: this is no redundant audio.
    #[default]
    None,
    /// The blocks get the payload type that their format has in the receiver's session.
    Renumber(u8),
    /// Only the newest block is sent: the receiver does not know redundant audio.
    Strip,
}

impl Redundancy {
    /// Whether the receiver takes packets that repeat more than their sender does.
    pub(crate) fn may_repeat_more(self) -> bool {
        matches!(self, Self::Renumber(_))
    }

    /// Writes a payload as the receiver is to have it, with `frames` in its place where the receiver knows redundant audio; returns its
    /// length. None: nothing of it is sent.
    #[inline]
    pub(crate) fn write(self, frames: Option<&Frames<'_>>, payload: &[u8], buffer: &mut [u8]) -> Option<usize> {
        if let (Self::Renumber(payload_type), Some(frames)) = (self, frames) {
            return frames.write(buffer, payload_type);
        }
        let part = if self == Self::Strip { red::primary(payload)? } else { payload };
        let written = buffer.get_mut(..part.len())?;
        written.copy_from_slice(part);
        if let Self::Renumber(payload_type) = self {
            red::renumber(written, payload_type);
        }
        Some(part.len())
    }
}

/// Encoding name of what redundant audio repeats.
const OPUS: &str = "opus";

impl Format {
    /// Finds the format of a source's packets among the codecs of this session.
    pub(crate) fn find(source: &Codec, ours: &[Codec]) -> Option<Self> {
        let is_redundant = source.name.eq_ignore_ascii_case(red::NAME);
        let opus = || ours.iter().find(|own| is_redundant && own.name.eq_ignore_ascii_case(OPUS));
        let (own, redundancy) = match ours.iter().find(|own| own.is_same_format(source)) {
            Some(own) => (own, opus().map_or(Redundancy::None, |opus| Redundancy::Renumber(opus.payload_type))),
            None => (opus()?, Redundancy::Strip),
        };
        Some(Self { incoming: source.payload_type, outgoing: own.payload_type, rtx: own.rtx_payload_type, redundancy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_matched_by_name_and_parameters() {
        let codec = |name: &str, payload_type, fmtp: &str| Codec {
            name: name.into(),
            payload_type,
            clock_rate: 90_000,
            channels: 1,
            rtx_payload_type: Some(payload_type + 1),
            fmtp: fmtp.into(),
        };
        let ours = [codec("vp8", 120, ""), codec("H264", 102, "profile=b")];
        let found = Format::find(&codec("VP8", 96, ""), &ours).unwrap();
        assert_eq!((found.incoming, found.outgoing, found.rtx), (96, 120, Some(121)));
        assert_eq!(Format::find(&codec("H264", 100, "profile=a"), &ours), None);
    }

    #[test]
    fn redundant_audio_is_renumbered_for_those_who_know_it_and_stripped_for_others() {
        let codec = |name: &str, payload_type| Codec {
            name: name.into(),
            payload_type,
            clock_rate: 48_000,
            channels: 2,
            rtx_payload_type: None,
            fmtp: if name == "red" { "opus".into() } else { String::new() },
        };
        let red = codec("red", 63);
        let found = Format::find(&red, &[codec("opus", 109), codec("red", 120)]).unwrap();
        assert_eq!((found.outgoing, found.redundancy), (120, Redundancy::Renumber(109)));
        let found = Format::find(&red, &[codec("opus", 109)]).unwrap();
        assert_eq!((found.outgoing, found.redundancy), (109, Redundancy::Strip));
        let found = Format::find(&codec("opus", 111), &[codec("red", 120), codec("opus", 109)]).unwrap();
        assert_eq!((found.outgoing, found.redundancy), (109, Redundancy::None));
        assert_eq!(Format::find(&red, &[codec("PCMU", 0)]), None);
    }
}
