//! The Data Channel Establishment Protocol (RFC 8832): a channel is opened by one message and its answer.

use super::Label;

/// `DATA_CHANNEL_ACK` (section 5.2).
pub(crate) const ACK: [u8; 1] = [0x02];

/// `DATA_CHANNEL_OPEN`'s message type (section 8.2.1).
const OPEN: u8 = 0x03;
/// Bytes of it before the label.
const HEADER: usize = 12;
/// `DATA_CHANNEL_RELIABLE`: ordered, and every message arrives (section 8.2.2).
const RELIABLE: u8 = 0x00;
/// `DATA_CHANNEL_PARTIAL_RELIABLE_REXMIT_UNORDERED`: a message is sent again a limited number of times.
const RETRANSMIT_UNORDERED: u8 = 0x81;

/// What a client says of a channel that it opens (RFC 8832 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenMessage<'a> {
    /// Ordered or not, reliable or not.
    pub channel_type: u8,
    /// Retransmissions, or a lifetime in milliseconds.
    pub reliability: u32,
    /// What the channel is for.
    pub label: &'a [u8],
    /// Its subprotocol.
    pub protocol: &'a [u8],
}

impl<'a> OpenMessage<'a> {
    /// Reads the message; the two strings must fill it exactly.
    pub(crate) fn parse(data: &'a [u8]) -> Option<Self> {
        let (header, strings) = data.split_first_chunk::<HEADER>()?;
        let [OPEN, channel_type, _, _, r0, r1, r2, r3, l0, l1, p0, p1] = *header else { return None };
        let (label, protocol) = strings.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let whole = protocol.len() == usize::from(u16::from_be_bytes([p0, p1]));
        let reliability = u32::from_be_bytes([r0, r1, r2, r3]);
        whole.then_some(Self { channel_type, reliability, label, protocol })
    }

    /// The label it names, if that is one of ours and the channel promises what this label's does.
    pub(crate) fn known_label(&self) -> Option<Label> {
        let label = Label::from_name(self.label)?;
        let promised = (self.channel_type, self.reliability);
        // For reliable channels the number means nothing (section 5.1).
        let fits =
            if label.is_reliable() { self.channel_type == RELIABLE } else { promised == (RETRANSMIT_UNORDERED, 0) };
        (fits && self.protocol.is_empty()).then_some(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(channel_type: u8, reliability: u32, label: &str, protocol: &str) -> Vec<u8> {
        let mut data = vec![OPEN, channel_type, 1, 0];
        data.extend(reliability.to_be_bytes());
        data.extend((label.len() as u16).to_be_bytes());
        data.extend((protocol.len() as u16).to_be_bytes());
        data.extend(label.bytes().chain(protocol.bytes()));
        data
    }

    #[test]
    fn what_chromium_writes_is_read() {
        let data = b"\x03\x81\x01\x00\0\0\0\0\0\x07\0\0pointer";
        let message = OpenMessage::parse(data).unwrap();
        assert_eq!((message.channel_type, message.reliability), (0x81, 0));
        assert_eq!((message.label, message.protocol), (&b"pointer"[..], &b""[..]));
        assert_eq!(message.known_label(), Some(Label::Pointer));
    }

    #[test]
    fn lengths_must_fit_exactly() {
        let data = open(RELIABLE, 0, "strokes", "x");
        assert!(OpenMessage::parse(&data).is_some());
        for len in 0..data.len() {
            assert_eq!(OpenMessage::parse(&data[..len]), None, "{len} bytes");
        }
        assert_eq!(OpenMessage::parse(&[&data[..], b"y"].concat()), None);
        assert_eq!(OpenMessage::parse(&ACK), None);
    }

    #[test]
    fn a_label_fixes_what_its_channel_promises() {
        let known = |kind, reliability, label, protocol| {
            OpenMessage::parse(&open(kind, reliability, label, protocol)).unwrap().known_label()
        };
        assert_eq!(known(RELIABLE, 7, "strokes", ""), Some(Label::Strokes));
        assert_eq!(known(RELIABLE, 0, "captions", ""), Some(Label::Captions));
        assert_eq!(known(RELIABLE, 0, "pointer", ""), None, "everyone would wait for what is out of date");
        assert_eq!(known(RETRANSMIT_UNORDERED, 1, "pointer", ""), None);
        assert_eq!(known(0x80, 0, "captions", ""), None, "unordered");
        assert_eq!(known(RELIABLE, 0, "captions", "json"), None);
        assert_eq!(known(RELIABLE, 0, "Captions", ""), None);
        assert_eq!(known(RELIABLE, 0, "", ""), None);
    }
}
