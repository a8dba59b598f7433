//! Session keys and the ciphers made from them.

use std::fmt;

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{GCM_TAG_LEN, HMAC_TAG_LEN, RTCP_HEADER_LEN, RTCP_INDEX_LEN, SrtpError, SrtpProfile};
use crate::wire::bytes::{array_at, u32_at};

const SESSION_SALT_LEN: usize = 14;
const GCM_SALT_LEN: usize = 12;
const AUTH_KEY_LEN: usize = 20;
/// Labels of RFC 3711 section 4.3; those of RTCP follow those of RTP.
const LABEL_ENCRYPTION: u8 = 0;
const LABEL_AUTHENTICATION: u8 = 1;
const LABEL_SALT: u8 = 2;
const LABEL_RTCP: u8 = 3;

/// Derives the ciphers for RTP and RTCP; None when key or salt have the wrong length.
pub(super) fn derive_ciphers(profile: SrtpProfile, master_key: &[u8], master_salt: &[u8]) -> Option<(Cipher, Cipher)> {
    if master_key.len() != profile.key_len() || master_salt.len() != profile.salt_len() {
        return None;
    }
    let derivation = KeyDerivation::new(master_key, master_salt)?;
    Some((derivation.cipher(profile, 0)?, derivation.cipher(profile, LABEL_RTCP)?))
}

/// The AES-CM pseudo-random function of RFC 3711 section 4.3.3, with 256-bit keys as in RFC 6188.
struct KeyDerivation {
    key: EncryptingKey,
    /// Salts of 96 bits are padded on the right (RFC 7714 section 11).
    salt: [u8; SESSION_SALT_LEN],
}

impl KeyDerivation {
    fn new(master_key: &[u8], master_salt: &[u8]) -> Option<Self> {
        let mut salt = [0; SESSION_SALT_LEN];
        salt.get_mut(..master_salt.len())?.copy_from_slice(master_salt);
        Some(Self { key: counter_mode_key(master_key)?, salt })
    }

    /// Derives `N` bytes under a label, with a key derivation rate of zero: keys are derived once.
    fn derive<const N: usize>(&self, label: u8) -> Option<[u8; N]> {
        let mut counter = [0; 16];
        counter[..SESSION_SALT_LEN].copy_from_slice(&self.salt);
        counter[7] ^= label;
        let mut output = [0; N];
        apply_keystream(&self.key, counter, &mut output)?;
        Some(output)
    }

    fn cipher(&self, profile: SrtpProfile, labels: u8) -> Option<Cipher> {
        let encryption = labels + LABEL_ENCRYPTION;
        Some(match profile {
            SrtpProfile::AeadAes256Gcm => Cipher::Gcm(self.gcm(&self.derive::<32>(encryption)?, labels)?),
            SrtpProfile::AeadAes128Gcm => Cipher::Gcm(self.gcm(&self.derive::<16>(encryption)?, labels)?),
            SrtpProfile::Aes128CmSha1_80 => Cipher::CounterMode(Box::new(CounterMode::new(
                &self.derive::<16>(encryption)?,
                &self.derive::<AUTH_KEY_LEN>(labels + LABEL_AUTHENTICATION)?,
                self.derive(labels + LABEL_SALT)?,
            )?)),
        })
    }

    fn gcm(&self, key: &[u8], labels: u8) -> Option<Gcm> {
        Gcm::new(key, self.derive(labels + LABEL_SALT)?)
    }
}

fn counter_mode_key(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

/// Combines `data` with the AES counter-mode keystream that starts at `counter`.
fn apply_keystream(key: &EncryptingKey, counter: [u8; 16], data: &mut [u8]) -> Option<()> {
    key.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(counter))).ok()?;
    Some(())
}

/// Protects the packets of one direction, either RTP or RTCP.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, which is read for each packet")]
pub(super) enum Cipher {
    Gcm(Gcm),
    // Rare and large: kept apart so that sessions with AES-GCM stay small.
    CounterMode(Box<CounterMode>),
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys never reach a log.
        formatter.write_str(match self {
            Self::Gcm(_) => "Gcm",
            Self::CounterMode(_) => "CounterMode",
        })
    }
}

impl Cipher {
    #[inline]
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::Malformed)?;
                Ok(header_len + gcm.open(gcm.rtp_nonce(ssrc, index), header, sealed)?)
            }
            Self::CounterMode(cipher) => cipher.open_rtp(packet, header_len, ssrc, index),
        }
    }

    #[inline]
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header_len: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let buffer = buffer.get_mut(..len + GCM_TAG_LEN).ok_or(SrtpError::NoSpace)?;
                let (header, sealed) = buffer.split_at_mut_checked(header_len).ok_or(SrtpError::Malformed)?;
                gcm.seal(gcm.rtp_nonce(ssrc, index), header, sealed)?;
                Ok(len + GCM_TAG_LEN)
            }
            Self::CounterMode(cipher) => cipher.seal_rtp(buffer, header_len, len, ssrc, index),
        }
    }

    /// The word that holds the encryption flag and the index of an SRTCP packet.
    pub(super) fn rtcp_index_word(&self, packet: &[u8]) -> Option<u32> {
        let (from_end, least) = match self {
            Self::Gcm(_) => (RTCP_INDEX_LEN, RTCP_HEADER_LEN + GCM_TAG_LEN + RTCP_INDEX_LEN),
            Self::CounterMode(_) => (RTCP_INDEX_LEN + HMAC_TAG_LEN, RTCP_HEADER_LEN + RTCP_INDEX_LEN + HMAC_TAG_LEN),
        };
        if packet.len() < least {
            return None;
        }
        u32_at(packet, packet.len() - from_end)
    }

    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let end = packet.len().checked_sub(RTCP_INDEX_LEN).ok_or(SrtpError::Malformed)?;
                let (aad, nonce) = gcm.rtcp_parameters(packet, ssrc, word).ok_or(SrtpError::Malformed)?;
                let sealed = packet.get_mut(RTCP_HEADER_LEN..end).ok_or(SrtpError::Malformed)?;
                Ok(RTCP_HEADER_LEN + gcm.open(nonce, &aad, sealed)?)
            }
            Self::CounterMode(cipher) => cipher.open_rtcp(packet, ssrc, word),
        }
    }

    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, word: u32) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let end = len + GCM_TAG_LEN;
                let buffer = buffer.get_mut(..end + RTCP_INDEX_LEN).ok_or(SrtpError::NoSpace)?;
                let (aad, nonce) = gcm.rtcp_parameters(buffer, ssrc, word).ok_or(SrtpError::Malformed)?;
                let (packet, trailer) = buffer.split_at_mut(end);
                trailer.copy_from_slice(&word.to_be_bytes());
                gcm.seal(nonce, &aad, packet.get_mut(RTCP_HEADER_LEN..).ok_or(SrtpError::Malformed)?)?;
                Ok(end + RTCP_INDEX_LEN)
            }
            Self::CounterMode(cipher) => cipher.seal_rtcp(buffer, len, ssrc, word),
        }
    }
}

/// AES-GCM as in RFC 7714.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; GCM_SALT_LEN],
}

impl Gcm {
    pub(super) fn new(key: &[u8], salt: [u8; GCM_SALT_LEN]) -> Option<Self> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        Some(Self { key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), salt })
    }

    /// Two zero bytes, SSRC, rollover counter and sequence number, combined with the salt (section 8.1).
    #[inline]
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index))
    }

    /// Two zero bytes, SSRC, two zero bytes and the index, combined with the salt (section 9.1); the flag is not part of it.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index & 0x7fff_ffff))
    }

    #[inline]
    fn nonce(&self, value: u128) -> Nonce {
        let [_, _, _, _, value @ ..] = value.to_be_bytes();
        let mut nonce = self.salt;
        for (byte, value) in nonce.iter_mut().zip(value) {
            *byte ^= value;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// The additional data of an SRTCP packet, which is its header and index word (section 9.2), and its nonce.
    fn rtcp_parameters(&self, packet: &[u8], ssrc: u32, word: u32) -> Option<([u8; 12], Nonce)> {
        let header: [u8; RTCP_HEADER_LEN] = array_at(packet, 0)?;
        let mut aad = [0; 12];
        aad[..RTCP_HEADER_LEN].copy_from_slice(&header);
        aad[RTCP_HEADER_LEN..].copy_from_slice(&word.to_be_bytes());
        Some((aad, self.rtcp_nonce(ssrc, word)))
    }

    #[inline]
    fn open(&self, nonce: Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<usize, SrtpError> {
        if sealed.len() < GCM_TAG_LEN {
            return Err(SrtpError::Malformed);
        }
        let plain = self.key.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| SrtpError::Authentication)?;
        Ok(plain.len())
    }

    /// Encrypts all but the last bytes of `sealed`, which receive the tag.
    #[inline]
    fn seal(&self, nonce: Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<(), SrtpError> {
        let at = sealed.len().checked_sub(GCM_TAG_LEN).ok_or(SrtpError::NoSpace)?;
        let (plain, tag_place) = sealed.split_at_mut(at);
        let tag =
            self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), plain).map_err(|_| SrtpError::Malformed)?;
        tag_place.copy_from_slice(tag.as_ref());
        Ok(())
    }
}

/// AES counter mode with an HMAC-SHA1 tag, as in RFC 3711.
pub(super) struct CounterMode {
    key: EncryptingKey,
    auth_key: hmac::Key,
    salt: u128,
}

impl CounterMode {
    pub(super) fn new(key: &[u8], auth_key: &[u8], salt: [u8; SESSION_SALT_LEN]) -> Option<Self> {
        let mut padded = [0; 16];
        padded[..SESSION_SALT_LEN].copy_from_slice(&salt);
        Some(Self {
            key: counter_mode_key(key)?,
            auth_key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_key),
            salt: u128::from_be_bytes(padded),
        })
    }

    /// Encrypts or decrypts with the keystream of a packet (RFC 3711 section 4.1.1).
    #[inline]
    pub(super) fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) -> Result<(), SrtpError> {
        let counter = self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        apply_keystream(&self.key, counter.to_be_bytes(), data).ok_or(SrtpError::Malformed)
    }

    fn tag(&self, signed: &[u8], suffix: &[u8]) -> [u8; HMAC_TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.auth_key);
        context.update(signed);
        context.update(suffix);
        array_at(context.sign().as_ref(), 0).unwrap_or_default()
    }

    fn check(&self, signed: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        constant_time::verify_slices_are_equal(&self.tag(signed, suffix), tag).map_err(|_| SrtpError::Authentication)
    }

    fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(HMAC_TAG_LEN).ok_or(SrtpError::Malformed)?;
        let (signed, tag) = packet.split_at_mut(len);
        let rollover_counter = (index >> 16) as u32;
        let payload_at = signed.len().checked_sub(header_len).map(|_| header_len).ok_or(SrtpError::Malformed)?;
        self.check(signed, &rollover_counter.to_be_bytes(), tag)?;
        self.apply(ssrc, index, signed.get_mut(payload_at..).unwrap_or_default())?;
        Ok(len)
    }

    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header_len: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let end = len + HMAC_TAG_LEN;
        let (signed, tag) =
            buffer.get_mut(..end).and_then(|buffer| buffer.split_at_mut_checked(len)).ok_or(SrtpError::NoSpace)?;
        self.apply(ssrc, index, signed.get_mut(header_len..).ok_or(SrtpError::Malformed)?)?;
        let rollover_counter = (index >> 16) as u32;
        tag.copy_from_slice(&self.tag(signed, &rollover_counter.to_be_bytes()));
        Ok(end)
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32) -> Result<usize, SrtpError> {
        let signed_len = packet.len().checked_sub(HMAC_TAG_LEN).ok_or(SrtpError::Malformed)?;
        let (signed, tag) = packet.split_at_mut(signed_len);
        self.check(signed, &[], tag)?;
        let len = signed_len.checked_sub(RTCP_INDEX_LEN).ok_or(SrtpError::Malformed)?;
        let encrypted = signed.get_mut(RTCP_HEADER_LEN..len).ok_or(SrtpError::Malformed)?;
        self.apply(ssrc, u64::from(word & 0x7fff_ffff), encrypted)?;
        Ok(len)
    }

    fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, word: u32) -> Result<usize, SrtpError> {
        let signed_len = len + RTCP_INDEX_LEN;
        let end = signed_len + HMAC_TAG_LEN;
        let buffer = buffer.get_mut(..end).ok_or(SrtpError::NoSpace)?;
        let (signed, tag) = buffer.split_at_mut(signed_len);
        let (packet, trailer) = signed.split_at_mut(len);
        let plain = packet.get_mut(RTCP_HEADER_LEN..).ok_or(SrtpError::Malformed)?;
        self.apply(ssrc, u64::from(word & 0x7fff_ffff), plain)?;
        trailer.copy_from_slice(&word.to_be_bytes());
        tag.copy_from_slice(&self.tag(signed, &[]));
        Ok(end)
    }
}

#[cfg(test)]
pub(super) mod vectors {
    //! Access for the tests to what the RFCs print.
    use super::*;

    pub(crate) fn derive<const N: usize>(master_key: &[u8], master_salt: &[u8], label: u8) -> [u8; N] {
        KeyDerivation::new(master_key, master_salt).unwrap().derive(label).unwrap()
    }

    pub(crate) fn gcm(key: &[u8], salt: [u8; GCM_SALT_LEN]) -> Cipher {
        Cipher::Gcm(Gcm::new(key, salt).unwrap())
    }
}
