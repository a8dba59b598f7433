//! Writing binding requests and responses into a buffer of the caller.

use std::net::{IpAddr, SocketAddr};

use super::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_MESSAGE_INTEGRITY,
    ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USE_CANDIDATE, ATTR_USERNAME, ATTR_XOR_MAPPED_ADDRESS,
    ATTRIBUTE_HEADER_LEN, ERROR_BAD_REQUEST, ERROR_ROLE_CONFLICT, ERROR_UNAUTHENTICATED, ERROR_UNKNOWN_ATTRIBUTE,
    ErrorCode, FINGERPRINT_LEN, FINGERPRINT_MASK, HEADER_LEN, INTEGRITY_LEN, IntegrityKey, MAGIC_COOKIE, TransactionId,
    address_mask, crc32,
};
use crate::wire::bytes::Writer;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

/// The fields of a connectivity check.
#[derive(Debug, Clone, Copy)]
pub struct BindingRequest<'a> {
    /// Chosen at random for each request.
    pub transaction_id: TransactionId,
    /// `<receiver's fragment>:<sender's fragment>`.
    pub username: &'a str,
    /// Priority of the candidate that this check would make known.
    pub priority: u32,
    /// Whether to nominate the pair.
    pub use_candidate: bool,
    /// Whether the sender has the controlling role.
    pub controlling: bool,
    /// Decides a role conflict.
    pub tie_breaker: u64,
}

/// Writes a connectivity check signed with the receiver's password; returns its length, or None when `out` is too small.
#[must_use]
pub fn write_binding_request(out: &mut [u8], request: &BindingRequest<'_>, key: &IntegrityKey) -> Option<usize> {
    let mut message = start(out, BINDING_REQUEST, &request.transaction_id)?;
    attribute(&mut message, ATTR_USERNAME, request.username.as_bytes())?;
    attribute(&mut message, ATTR_PRIORITY, &request.priority.to_be_bytes())?;
    let role = if request.controlling { ATTR_ICE_CONTROLLING } else { ATTR_ICE_CONTROLLED };
    attribute(&mut message, role, &request.tie_breaker.to_be_bytes())?;
    if request.use_candidate {
        attribute(&mut message, ATTR_USE_CANDIDATE, &[])?;
    }
    finish(message, Some(key))
}

/// Writes the success response to a check that came from `mapped`; returns its length, or None when `out` is too small.
///
/// An IPv4 address inside an IPv6 one, as a dual-stack socket reports it, is written as IPv4.
#[must_use]
pub fn write_binding_success(
    out: &mut [u8],
    transaction_id: &TransactionId,
    mapped: SocketAddr,
    key: &IntegrityKey,
) -> Option<usize> {
    let mut message = start(out, BINDING_SUCCESS, transaction_id)?;
    let port = mapped.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = mapped.ip().to_canonical();
    let (family, length) = if ip.is_ipv4() { (1, 8) } else { (2, 20) };
    message.put_u16(ATTR_XOR_MAPPED_ADDRESS)?;
    message.put_u16(length)?;
    message.put_u16(family)?;
    message.put_u16(port)?;
    match ip {
        IpAddr::V4(ip) => message.put_u32(ip.to_bits() ^ MAGIC_COOKIE)?,
        IpAddr::V6(ip) => message.put(&(ip.to_bits() ^ address_mask(transaction_id)).to_be_bytes())?,
    }
    finish(message, Some(key))
}

/// Writes an error response; returns its length, or None when `out` is too small.
///
/// `key` is None where the peer cannot be known: for 400 and 401 (RFC 8489 section 9.1.3).
#[must_use]
pub fn write_binding_error(
    out: &mut [u8],
    transaction_id: &TransactionId,
    error: ErrorCode,
    key: Option<&IntegrityKey>,
) -> Option<usize> {
    let (code, reason): (u16, &[u8]) = match error {
        ErrorCode::BadRequest => (ERROR_BAD_REQUEST, b"Bad Request"),
        ErrorCode::Unauthenticated => (ERROR_UNAUTHENTICATED, b"Unauthenticated"),
        ErrorCode::UnknownAttribute(_) => (ERROR_UNKNOWN_ATTRIBUTE, b"Unknown Attribute"),
        ErrorCode::RoleConflict => (ERROR_ROLE_CONFLICT, b"Role Conflict"),
    };
    let mut message = start(out, BINDING_ERROR, transaction_id)?;
    message.put_u16(ATTR_ERROR_CODE)?;
    message.put_u16(4 + reason.len() as u16)?;
    message.put(&[0, 0, (code / 100) as u8, (code % 100) as u8])?;
    message.put(reason)?;
    message.pad_to_word()?;
    if let ErrorCode::UnknownAttribute(kind) = error {
        attribute(&mut message, ATTR_UNKNOWN_ATTRIBUTES, &kind.to_be_bytes())?;
    }
    finish(message, key)
}

fn start<'a>(out: &'a mut [u8], kind: u16, transaction_id: &TransactionId) -> Option<Writer<'a>> {
    let mut message = Writer::new(out);
    message.put_u16(kind)?;
    message.put_u16(0)?;
    message.put_u32(MAGIC_COOKIE)?;
    message.put(transaction_id)?;
    Some(message)
}

fn attribute(message: &mut Writer<'_>, kind: u16, value: &[u8]) -> Option<()> {
    message.put_u16(kind)?;
    message.put_u16(u16::try_from(value.len()).ok()?)?;
    message.put(value)?;
    message.pad_to_word()
}

fn finish(mut message: Writer<'_>, key: Option<&IntegrityKey>) -> Option<usize> {
    if let Some(key) = key {
        let tag = key.sign(message.written());
        attribute(&mut message, ATTR_MESSAGE_INTEGRITY, tag.as_ref().get(..INTEGRITY_LEN)?)?;
    }
    // FINGERPRINT covers the final length, itself included.
    let length = message.len() - HEADER_LEN + ATTRIBUTE_HEADER_LEN + FINGERPRINT_LEN;
    message.patch_u16(2, u16::try_from(length).ok()?)?;
    let fingerprint = crc32(message.written()) ^ FINGERPRINT_MASK;
    attribute(&mut message, ATTR_FINGERPRINT, &fingerprint.to_be_bytes())?;
    Some(message.len())
}
