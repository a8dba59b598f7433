//! Which SRTP profile was agreed on: str0m does not tell, the handshake in the clear does.

use parley_engine_core::wire::bytes::{array_at, u8_at};

const HANDSHAKE: u8 = 22;
const RECORD_HEADER_LEN: usize = 13;
const SERVER_HELLO: u8 = 2;
/// Extension 14 (RFC 5764) of five bytes: a list of one profile, and no master key identifier.
const ONE_PROFILE: [u8; 6] = [0, 14, 0, 5, 0, 2];

/// Finds the chosen profile in a DTLS 1.2 datagram that begins with a `ServerHello`.
pub(crate) fn chosen(datagram: &[u8]) -> Option<&'static str> {
    if u8_at(datagram, 0)? != HANDSHAKE || u8_at(datagram, RECORD_HEADER_LEN)? != SERVER_HELLO {
        return None;
    }
    let at = datagram.windows(ONE_PROFILE.len()).position(|window| window == ONE_PROFILE)?;
    match array_at(datagram, at + ONE_PROFILE.len())? {
        [0, 1] => Some("AES128_CM_HMAC_SHA1_80"),
        [0, 7] => Some("AEAD_AES_128_GCM"),
        [0, 8] => Some("AEAD_AES_256_GCM"),
        _ => Some("another"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(kind: u8, profile: u8) -> Vec<u8> {
        let mut datagram = vec![HANDSHAKE, 254, 253];
        datagram.resize(RECORD_HEADER_LEN, 0);
        datagram.push(kind);
        datagram.resize(70, 3);
        datagram.extend(ONE_PROFILE);
        datagram.extend([0, profile, 0]);
        datagram
    }

    #[test]
    fn the_server_hello_says_which_profile() {
        assert_eq!(chosen(&hello(SERVER_HELLO, 8)), Some("AEAD_AES_256_GCM"));
        assert_eq!(chosen(&hello(SERVER_HELLO, 7)), Some("AEAD_AES_128_GCM"));
        assert_eq!(chosen(&hello(SERVER_HELLO, 1)), Some("AES128_CM_HMAC_SHA1_80"));
    }

    #[test]
    fn nothing_else_does() {
        assert_eq!(chosen(&hello(1, 8)), None);
        assert_eq!(chosen(&hello(SERVER_HELLO, 8)[..40]), None);
        assert_eq!(chosen(&[0x80; 100]), None);
        assert_eq!(chosen(&[]), None);
    }
}
