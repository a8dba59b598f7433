//! STUN as ICE uses it (RFC 8489, RFC 8445): parsing and answering connectivity checks.
//!
//! The engine is an ICE-lite agent: it answers binding requests, and sends its own only to learn whether an address receives.

mod write;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

use super::bytes::{array_at, u8_at, u16_at, u32_at, u64_at};
pub use write::{BindingRequest, write_binding_error, write_binding_request, write_binding_success};

/// The fixed value in bytes 4 to 7 of every message.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;
/// The method of connectivity checks.
pub const METHOD_BINDING: u16 = 0x001;
/// A buffer of this size holds every message this module writes.
pub const MAX_MESSAGE_LEN: usize = 640;

/// Message types below this number are what RFC 7983 lets through as STUN: methods of eight bits.
const TYPE_END: u16 = 0x0400;
pub(crate) const HEADER_LEN: usize = 20;
const ATTRIBUTE_HEADER_LEN: usize = 4;
const INTEGRITY_LEN: usize = 20;
const FINGERPRINT_LEN: usize = 4;
const FINGERPRINT_MASK: u32 = 0x5354_554e;

const ATTR_USERNAME: u16 = 0x0006;
const ATTR_MESSAGE_INTEGRITY: u16 = 0x0008;
const ATTR_ERROR_CODE: u16 = 0x0009;
const ATTR_UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const ATTR_XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ATTR_PRIORITY: u16 = 0x0024;
const ATTR_USE_CANDIDATE: u16 = 0x0025;
const ATTR_FINGERPRINT: u16 = 0x8028;
const ATTR_ICE_CONTROLLED: u16 = 0x8029;
const ATTR_ICE_CONTROLLING: u16 = 0x802a;
/// Attributes below this number must be understood by the receiver (RFC 8489 section 14).
const COMPREHENSION_OPTIONAL: u16 = 0x8000;

const ERROR_UNAUTHENTICATED: u16 = 401;
const ERROR_BAD_REQUEST: u16 = 400;
const ERROR_UNKNOWN_ATTRIBUTE: u16 = 420;
const ERROR_ROLE_CONFLICT: u16 = 487;

/// Identifies a request and its response.
pub type TransactionId = [u8; 12];

/// Why a datagram is no STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunError {
    /// Too short, not starting like STUN, a length that does not fit, or an attribute that does not.
    Malformed,
    /// The FINGERPRINT attribute does not match the message.
    Fingerprint,
}

/// What a message is for (RFC 8489 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request.
    Success,
    /// Refuses a request.
    Error,
}

/// Which error response to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: an attribute that ICE needs is missing.
    BadRequest,
    /// 401: the integrity check failed or the user name is unknown.
    Unauthenticated,
    /// 420: the request holds an attribute that must be understood and is not.
    UnknownAttribute(u16),
    /// 487: both sides believe to have the same role.
    RoleConflict,
}

/// A password ready to compute MESSAGE-INTEGRITY: the short-term credential of RFC 8489 section 9.1.
#[derive(Debug, Clone)]
pub struct IntegrityKey(hmac::Key);

impl IntegrityKey {
    /// Prepares the password of an ICE agent (`a=ice-pwd`).
    #[must_use]
    pub fn new(password: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()))
    }

    /// Computes the integrity value of a message whose MESSAGE-INTEGRITY attribute starts at the end of `before`.
    fn sign(&self, before: &[u8]) -> hmac::Tag {
        // The length field counts up to and including MESSAGE-INTEGRITY, whatever follows it (RFC 8489 section 14.5).
        let length = before.len().saturating_sub(HEADER_LEN) + ATTRIBUTE_HEADER_LEN + INTEGRITY_LEN;
        let mut context = hmac::Context::with_key(&self.0);
        context.update(before.get(..2).unwrap_or_default());
        context.update(&(length as u16).to_be_bytes());
        context.update(before.get(4..).unwrap_or_default());
        context.sign()
    }
}

/// A parsed message. It borrows the datagram; integrity is checked on demand, because the key depends on the user name.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    datagram: &'a [u8],
    /// Request, indication or response.
    pub class: Class,
    /// [`METHOD_BINDING`] in ICE.
    pub method: u16,
    /// Copied into the response.
    pub transaction_id: TransactionId,
    /// USERNAME: the receiver's fragment, a colon, the sender's fragment (RFC 8445 section 7.2.2).
    pub username: Option<&'a [u8]>,
    /// PRIORITY of a peer-reflexive candidate learnt from this request.
    pub priority: Option<u32>,
    /// USE-CANDIDATE: the controlling agent nominates this pair.
    pub use_candidate: bool,
    /// ICE-CONTROLLING with its tie-breaker.
    pub ice_controlling: Option<u64>,
    /// ICE-CONTROLLED with its tie-breaker.
    pub ice_controlled: Option<u64>,
    /// ERROR-CODE of an error response.
    pub error_code: Option<u16>,
    /// XOR-MAPPED-ADDRESS of a success response.
    pub mapped_address: Option<SocketAddr>,
    /// The first attribute that must be understood and is not; a request that has one is refused with 420.
    pub unknown_required: Option<u16>,
    /// Whether a (correct) FINGERPRINT is present.
    pub has_fingerprint: bool,
    integrity_at: Option<usize>,
}

impl<'a> Message<'a> {
    /// Parses a datagram and checks its FINGERPRINT when it has one.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let mut message = Self::parse_header(datagram).ok_or(StunError::Malformed)?;
        let mut at = HEADER_LEN;
        while at < datagram.len() {
            let (kind, value) = attribute_at(datagram, at).ok_or(StunError::Malformed)?;
            if message.has_fingerprint {
                return Err(StunError::Malformed);
            }
            if kind == ATTR_FINGERPRINT {
                message.check_fingerprint(at, value)?;
            } else if message.integrity_at.is_none() {
                // What stands between MESSAGE-INTEGRITY and FINGERPRINT is not covered and is ignored (section 14.5).
                message.take_attribute(kind, value, at).ok_or(StunError::Malformed)?;
            }
            at += ATTRIBUTE_HEADER_LEN + value.len().next_multiple_of(4);
        }
        Ok(message)
    }

    fn parse_header(datagram: &'a [u8]) -> Option<Self> {
        let kind = u16_at(datagram, 0)?;
        let length = usize::from(u16_at(datagram, 2)?);
        let well_formed = kind < TYPE_END
            && length % 4 == 0
            && length + HEADER_LEN == datagram.len()
            && u32_at(datagram, 4)? == MAGIC_COOKIE;
        well_formed.then_some(())?;
        Some(Self {
            datagram,
            class: match (kind >> 8 & 1, kind >> 4 & 1) {
                (0, 0) => Class::Request,
                (0, _) => Class::Indication,
                (_, 0) => Class::Success,
                _ => Class::Error,
            },
            method: kind & 0x000f | (kind & 0x00e0) >> 1 | (kind & 0x0200) >> 2,
            transaction_id: array_at(datagram, 8)?,
            username: None,
            priority: None,
            use_candidate: false,
            ice_controlling: None,
            ice_controlled: None,
            error_code: None,
            mapped_address: None,
            unknown_required: None,
            has_fingerprint: false,
            integrity_at: None,
        })
    }

    fn take_attribute(&mut self, kind: u16, value: &'a [u8], at: usize) -> Option<()> {
        match kind {
            ATTR_USERNAME => self.username = Some(value),
            ATTR_PRIORITY => self.priority = Some(u32_at(value, 0)?),
            ATTR_USE_CANDIDATE => self.use_candidate = true,
            ATTR_ICE_CONTROLLING => self.ice_controlling = Some(u64_at(value, 0)?),
            ATTR_ICE_CONTROLLED => self.ice_controlled = Some(u64_at(value, 0)?),
            ATTR_ERROR_CODE => {
                self.error_code = Some(u16::from(u8_at(value, 2)? & 7) * 100 + u16::from(u8_at(value, 3)?));
            }
            ATTR_XOR_MAPPED_ADDRESS => self.mapped_address = Some(unxor_address(value, &self.transaction_id)?),
            ATTR_MESSAGE_INTEGRITY => {
                (value.len() == INTEGRITY_LEN).then_some(())?;
                self.integrity_at = Some(at);
            }
            ATTR_UNKNOWN_ATTRIBUTES | COMPREHENSION_OPTIONAL.. => {}
            unknown => self.unknown_required = self.unknown_required.or(Some(unknown)),
        }
        Some(())
    }

    fn check_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), StunError> {
        let covered = self.datagram.get(..at).ok_or(StunError::Malformed)?;
        if value.len() != FINGERPRINT_LEN || u32_at(value, 0) != Some(crc32(covered) ^ FINGERPRINT_MASK) {
            return Err(StunError::Fingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    /// Length of the datagram.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.datagram.len()
    }

    /// Whether this is a request of the binding method, the only message an ICE-lite agent acts on.
    #[must_use]
    pub fn is_binding_request(&self) -> bool {
        self.class == Class::Request && self.method == METHOD_BINDING
    }

    /// Whether MESSAGE-INTEGRITY is present and was made with this key; takes the same time for every wrong value.
    #[must_use]
    pub fn verify(&self, key: &IntegrityKey) -> bool {
        let Some(at) = self.integrity_at else {
            return false;
        };
        let value_at = at + ATTRIBUTE_HEADER_LEN;
        match (self.datagram.get(..at), self.datagram.get(value_at..value_at + INTEGRITY_LEN)) {
            (Some(before), Some(value)) => {
                constant_time::verify_slices_are_equal(key.sign(before).as_ref(), value).is_ok()
            }
            _ => false,
        }
    }

    /// Whether MESSAGE-INTEGRITY is present at all; a request without it is refused with 400 (RFC 8489 section 9.1.3).
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// The fragment before the colon of USERNAME: in a request, that of the agent it is sent to.
    #[must_use]
    pub fn receiver_fragment(&self) -> Option<&'a [u8]> {
        Some(self.split_username()?.0)
    }

    /// The fragment after the colon of USERNAME: in a request, that of its sender.
    #[must_use]
    pub fn sender_fragment(&self) -> Option<&'a [u8]> {
        Some(self.split_username()?.1)
    }

    fn split_username(&self) -> Option<(&'a [u8], &'a [u8])> {
        let username = self.username?;
        let colon = username.iter().position(|&byte| byte == b':')?;
        Some((username.get(..colon)?, username.get(colon + 1..)?))
    }
}

fn attribute_at(datagram: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let kind = u16_at(datagram, at)?;
    let length = usize::from(u16_at(datagram, at + 2)?);
    let value_at = at + ATTRIBUTE_HEADER_LEN;
    // The padding belongs to the message: a last attribute without it is malformed.
    datagram.get(value_at..value_at + length.next_multiple_of(4))?;
    Some((kind, datagram.get(value_at..value_at + length)?))
}

fn unxor_address(value: &[u8], transaction_id: &TransactionId) -> Option<SocketAddr> {
    let port = u16_at(value, 2)? ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match u8_at(value, 1)? {
        1 => IpAddr::V4(Ipv4Addr::from_bits(u32_at(value, 4)? ^ MAGIC_COOKIE)),
        2 => {
            let mask = address_mask(transaction_id);
            IpAddr::V6(Ipv6Addr::from_bits(u128::from_be_bytes(array_at(value, 4)?) ^ mask))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What an IPv6 address is combined with: the magic cookie and then the transaction id (RFC 8489 section 14.2).
fn address_mask(transaction_id: &TransactionId) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction_id);
    u128::from_be_bytes(mask)
}

const CRC32_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// The CRC-32 of ITU V.42, which FINGERPRINT uses.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, &byte| CRC32_TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}
