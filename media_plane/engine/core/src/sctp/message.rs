//! What receivers get: `parley.signaling.v1.ChannelMessage`, so that they know whose message it is.

/// Tags of its two fields, `participant_id` and `payload`, both length-delimited (Protocol Buffers' encoding).
const PARTICIPANT_ID: u8 = 1 << 3 | 2;
const PAYLOAD: u8 = 2 << 3 | 2;

/// Wraps a message.
pub(crate) fn wrap(participant_id: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(participant_id.len() + payload.len() + 12);
    for (tag, content) in [(PARTICIPANT_ID, participant_id.as_bytes()), (PAYLOAD, payload)] {
        message.push(tag);
        push_varint(&mut message, content.len());
        message.extend_from_slice(content);
    }
    message
}

fn push_varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_wrapped_as_protocol_buffers_are_encoded() {
        assert_eq!(wrap("ab", b"xyz"), b"\x0a\x02ab\x12\x03xyz");
        let long = wrap("p", &[7; 300]);
        assert_eq!(&long[..6], b"\x0a\x01p\x12\xac\x02");
        assert_eq!(long.len(), 306);
    }
}
