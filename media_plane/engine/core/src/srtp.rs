//! SRTP and SRTCP (RFC 3711, RFC 7714) with the keys of a DTLS handshake (RFC 5764).
//!
//! An [`InboundContext`] or [`OutboundContext`] holds the keys of one direction of one session and never changes, so it can be
//! shared. What changes with each packet, rollover counter and replay window, stands in a small struct for each stream that
//! the caller owns: the caller bounds how many there are. For a stream not seen before, pass a default one and keep it only
//! when the packet proves authentic; nobody without the keys can then fill the caller's table.

mod index;
mod keys;
mod outbound;
#[cfg(test)]
mod tests;

use std::fmt;

pub use index::{InboundControl, InboundStream, OutboundControl};
use keys::{Cipher, derive_ciphers};
pub use outbound::OutboundStream;
pub(crate) use outbound::WINDOW;

use crate::wire::bytes::{array_at, u16_at, u32_at};
use crate::wire::rtp::RtpHeader;

/// The protection profiles that the engine speaks, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `SRTP_AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`: five times as expensive, for peers without AES-GCM.
    Aes128CmSha1_80,
}

impl SrtpProfile {
    /// Length of a master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
        }
    }

    /// Length of a master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    /// Length of the keying material that DTLS exports: two keys and two salts.
    #[must_use]
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// How many bytes protection adds to an RTP packet.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => GCM_TAG_LEN,
            Self::Aes128CmSha1_80 => HMAC_TAG_LEN,
        }
    }

    /// How many bytes protection adds to an RTCP packet.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + RTCP_INDEX_LEN
    }

    /// The profile's name without its `SRTP_` prefix, as browsers report it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }
}

/// The most that protection adds to a packet, whatever the profile.
pub const MAX_OVERHEAD: usize = GCM_TAG_LEN + RTCP_INDEX_LEN;

const GCM_TAG_LEN: usize = 16;
const HMAC_TAG_LEN: usize = 10;
const RTCP_INDEX_LEN: usize = 4;
const RTCP_HEADER_LEN: usize = 8;
/// The top bit of the word that carries the SRTCP index: the packet is encrypted.
const RTCP_ENCRYPTED_FLAG: u32 = 0x8000_0000;

/// Why a packet was not protected or unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpError {
    /// The packet is too short or its header is wrong; for SRTCP also: it is not encrypted, which RFC 8827 forbids.
    Malformed,
    /// The tag does not match: forged, damaged, or made with other keys.
    Authentication,
    /// The packet was received before, or is so old that this cannot be told.
    Replay,
    /// The buffer has no room for the tag.
    NoSpace,
    /// The packet counter has run out; the session needs new keys.
    KeysExhausted,
    /// Another packet has been sealed under this number, or one so long ago that this cannot be told.
    Reuse,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "malformed packet",
            Self::Authentication => "authentication failed",
            Self::Replay => "replayed packet",
            Self::NoSpace => "no space for the tag",
            Self::KeysExhausted => "packet counter exhausted",
            Self::Reuse => "packet number used before",
        })
    }
}

impl std::error::Error for SrtpError {}

/// Our part in the DTLS handshake, which decides whose keys are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// We sent the `ClientHello`.
    Client,
    /// We answered it.
    Server,
}

/// Makes the contexts of both directions from exported keying material (RFC 5764 section 4.2).
///
/// Returns None when the material is too short for the profile.
#[must_use]
pub fn contexts_from_dtls(
    profile: SrtpProfile,
    keying_material: &[u8],
    role: DtlsRole,
) -> Option<(InboundContext, OutboundContext)> {
    let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
    let (client_key, rest) = keying_material.split_at_checked(key_len)?;
    let (server_key, rest) = rest.split_at_checked(key_len)?;
    let (client_salt, rest) = rest.split_at_checked(salt_len)?;
    let server_salt = rest.get(..salt_len)?;
    let client = (client_key, client_salt);
    let server = (server_key, server_salt);
    let (theirs, ours) = match role {
        DtlsRole::Client => (server, client),
        DtlsRole::Server => (client, server),
    };
    Some((InboundContext::new(profile, theirs.0, theirs.1)?, OutboundContext::new(profile, ours.0, ours.1)?))
}

/// Checks and decrypts what the peer sends.
#[derive(Debug)]
pub struct InboundContext {
    rtp: Cipher,
    rtcp: Cipher,
}

impl InboundContext {
    /// Derives session keys from a master key and salt; None when their lengths do not fit the profile.
    #[must_use]
    pub fn new(profile: SrtpProfile, master_key: &[u8], master_salt: &[u8]) -> Option<Self> {
        let (rtp, rtcp) = derive_ciphers(profile, master_key, master_salt)?;
        Some(Self { rtp, rtcp })
    }

    /// Unprotects an SRTP packet in place and returns the length of the RTP packet, which starts where the SRTP packet did.
    ///
    /// `stream` is the state of the packet's SSRC; it changes only on success. After an error the packet's content is lost.
    #[inline]
    pub fn unprotect_rtp(&self, stream: &mut InboundStream, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = RtpHeader::parse(packet).ok_or(SrtpError::Malformed)?;
        let index = stream.index_of(header.sequence_number)?;
        let len = self.rtp.open_rtp(packet, header.len, header.ssrc, index)?;
        stream.accept(index);
        Ok(len)
    }

    /// Unprotects an SRTCP packet in place and returns the length of the (compound) RTCP packet.
    ///
    /// `control` is the state of the sender's SSRC, which stands in bytes 4 to 7; it changes only on success.
    pub fn unprotect_rtcp(&self, control: &mut InboundControl, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let sender_ssrc = u32_at(packet, 4).ok_or(SrtpError::Malformed)?;
        let word = self.rtcp.rtcp_index_word(packet).ok_or(SrtpError::Malformed)?;
        if word & RTCP_ENCRYPTED_FLAG == 0 {
            return Err(SrtpError::Malformed);
        }
        let index = word & !RTCP_ENCRYPTED_FLAG;
        control.check(index)?;
        let len = self.rtcp.open_rtcp(packet, sender_ssrc, word)?;
        control.accept(index);
        Ok(len)
    }
}

/// What sealing has to know of the header of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Length of the header, CSRCs and extensions included.
    pub header_len: usize,
    /// SSRC in the header.
    pub ssrc: u32,
    /// Sequence number in the header.
    pub sequence_number: u16,
}

/// Encrypts and signs what we send.
#[derive(Debug)]
pub struct OutboundContext {
    profile: SrtpProfile,
    rtp: Cipher,
    rtcp: Cipher,
}

impl OutboundContext {
    /// Derives session keys from a master key and salt; None when their lengths do not fit the profile.
    #[must_use]
    pub fn new(profile: SrtpProfile, master_key: &[u8], master_salt: &[u8]) -> Option<Self> {
        let (rtp, rtcp) = derive_ciphers(profile, master_key, master_salt)?;
        Some(Self { profile, rtp, rtcp })
    }

    /// The profile that the peers agreed on.
    #[must_use]
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer` in place and returns the length of the SRTP packet.
    ///
    /// `stream` is the state of the packet's SSRC; it changes only on success. After [`SrtpError::Reuse`] the buffer must not be sent.
    #[inline]
    pub fn protect_rtp(&self, stream: &mut OutboundStream, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..len).ok_or(SrtpError::NoSpace)?;
        let header = RtpHeader::parse(packet).ok_or(SrtpError::Malformed)?;
        let written = Written { header_len: header.len, ssrc: header.ssrc, sequence_number: header.sequence_number };
        self.protect_written(stream, buffer, len, written)
    }

    /// The same for a packet whose header the caller has just written, so that it need not be read again.
    #[inline]
    pub fn protect_written(
        &self,
        stream: &mut OutboundStream,
        buffer: &mut [u8],
        len: usize,
        written: Written,
    ) -> Result<usize, SrtpError> {
        let index = stream.index_of(written.sequence_number)?;
        let sealed = self.rtp.seal_rtp(buffer, written.header_len, len, written.ssrc, index)?;
        stream.accept(index, buffer.get(len..sealed).unwrap_or_default())?;
        Ok(sealed)
    }

    /// Protects the (compound) RTCP packet in the first `len` bytes of `buffer` in place; returns the SRTCP packet's length.
    ///
    /// `control` is the state of the sender SSRC in bytes 4 to 7; one for the whole session is right too.
    pub fn protect_rtcp(
        &self,
        control: &mut OutboundControl,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, SrtpError> {
        let packet = buffer.get(..len).ok_or(SrtpError::NoSpace)?;
        let sender_ssrc = u32_at(packet, 4).ok_or(SrtpError::Malformed)?;
        let index = control.advance()?;
        self.rtcp.seal_rtcp(buffer, len, sender_ssrc, index | RTCP_ENCRYPTED_FLAG)
    }
}

/// The SSRC of an SRTCP packet's sender, by which its [`InboundControl`] is found.
#[must_use]
pub fn rtcp_sender_ssrc(packet: &[u8]) -> Option<u32> {
    u16_at(packet, 0)?;
    array_at(packet, 4).map(u32::from_be_bytes)
}
