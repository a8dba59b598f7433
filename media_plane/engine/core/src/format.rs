//! How a payload format is numbered on the two sides of a slot.

use crate::params::Codec;

/// The payload types of a source's packets in its own session and in that of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// Payload type in the source's session.
    pub incoming: u8,
    /// Payload type in this session.
    pub outgoing: u8,
    /// Payload type of retransmissions in this session.
    pub rtx: Option<u8>,
}

impl Format {
    /// Finds the format of a source's packets among the codecs of this session.
    pub(crate) fn find(source: &Codec, ours: &[Codec]) -> Option<Self> {
        let own = ours.iter().find(|own| own.is_same_format(source))?;
        Some(Self { incoming: source.payload_type, outgoing: own.payload_type, rtx: own.rtx_payload_type })
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
}
