//! The node's ICE credentials. The user name fragment says which shard and which session a connectivity check is for.

use aws_lc_rs::rand;

use crate::params::check_ice;

/// The characters of an ICE fragment (RFC 8839 section 5.4), which are also those of base 64.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Two characters of shard, four of place, four of chance.
const UFRAG_LEN: usize = 10;
const PWD_LEN: usize = 32;
const SHARD_BITS: u32 = 12;
const INDEX_BITS: u32 = 24;
const NONCE_BITS: u32 = 24;

/// The node's half of a session's ICE credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCredentials {
    /// User name fragment.
    pub ufrag: String,
    /// Password.
    pub pwd: String,
}

/// The client's half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCredentials {
    /// User name fragment.
    pub ufrag: String,
    /// Password.
    pub pwd: String,
}

impl RemoteCredentials {
    /// Checks their lengths; the error names the rule that is broken.
    pub fn validate(&self) -> Result<(), &'static str> {
        check_ice(&self.ufrag, &self.pwd)
    }
}

impl LocalCredentials {
    /// Makes credentials for the session at `index` of `shard`.
    ///
    /// # Panics
    /// When the operating system gives no random bytes, because nothing can be secure then.
    #[must_use]
    pub fn generate(shard: u16, index: u32) -> Self {
        let mut random = [0_u8; PWD_LEN + 4];
        rand::fill(&mut random).expect("the operating system gives random bytes");
        let (pwd, nonce) = random.split_at(PWD_LEN);
        let nonce = u64::from(u32::from_be_bytes([0, nonce[0], nonce[1], nonce[2]]));
        let value = (u64::from(shard) << (INDEX_BITS + NONCE_BITS)) | (u64::from(index) << NONCE_BITS) | nonce;
        let letter = |bits: u64| char::from(ALPHABET[(bits & 63) as usize]);
        Self {
            ufrag: (0..UFRAG_LEN).rev().map(|place| letter(value >> (6 * place))).collect(),
            pwd: pwd.iter().map(|byte| letter(u64::from(*byte))).collect(),
        }
    }
}

/// Reads shard and place out of a fragment; None when it is not one of ours.
#[must_use]
pub fn decode(ufrag: &[u8]) -> Option<(u16, u32)> {
    if ufrag.len() != UFRAG_LEN {
        return None;
    }
    let mut value = 0_u64;
    for letter in ufrag {
        value = (value << 6) | u64::from(sextet(*letter)?);
    }
    let shard = value >> (INDEX_BITS + NONCE_BITS);
    let index = (value >> NONCE_BITS) & ((1 << INDEX_BITS) - 1);
    (shard < 1 << SHARD_BITS).then_some((shard as u16, index as u32))
}

fn sextet(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (shard, index) in [(0, 0), (1, 1999), (4095, (1 << 24) - 1)] {
            let credentials = LocalCredentials::generate(shard, index);
            assert_eq!(decode(credentials.ufrag.as_bytes()), Some((shard, index)));
            assert!(credentials.pwd.len() >= 22);
        }
    }

    #[test]
    fn credentials_differ() {
        assert_ne!(LocalCredentials::generate(1, 1), LocalCredentials::generate(1, 1));
    }

    #[test]
    fn foreign_fragments_are_refused() {
        for ufrag in ["", "abcd", "AAAAAAAAA-", "AAAAAAAAAAA"] {
            assert_eq!(decode(ufrag.as_bytes()), None);
        }
    }
}
