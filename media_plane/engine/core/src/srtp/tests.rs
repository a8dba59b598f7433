use super::keys::{CounterMode, vectors};
use super::*;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmSha1_80];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn pair(profile: SrtpProfile) -> (InboundContext, OutboundContext) {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|byte| byte as u8).collect();
    let (inbound, _) = contexts_from_dtls(profile, &material, DtlsRole::Server).unwrap();
    let (_, outbound) = contexts_from_dtls(profile, &material, DtlsRole::Client).unwrap();
    (inbound, outbound)
}

fn rtp_packet(sequence_number: u16) -> Vec<u8> {
    let mut packet = b"\x80\x60\x00\x00\x00\x00\x00\x07\xca\xfe\xba\xbepayload of a packet".to_vec();
    packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    packet
}

fn protect(context: &OutboundContext, stream: &mut OutboundStream, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_OVERHEAD, 0);
    let len = context.protect_rtp(stream, &mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

#[test]
fn key_derivation_of_rfc_3711_appendix_b_3() {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    assert_eq!(vectors::derive::<16>(&key, &salt, 0)[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(vectors::derive::<14>(&key, &salt, 2)[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(vectors::derive::<20>(&key, &salt, 1)[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn key_derivation_of_rfc_6188_section_7_2() {
    let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
    let salt = hex("3b04803de51ee7c96423ab5b78d2");
    let cipher_key = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4";
    assert_eq!(vectors::derive::<32>(&key, &salt, 0)[..], hex(cipher_key));
    assert_eq!(vectors::derive::<14>(&key, &salt, 2)[..], hex("fa31791685ca444a9e07c6c64e93"));
}

#[test]
fn keystream_of_rfc_3711_appendix_b_2() {
    let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let cipher = CounterMode::new(&hex("2B7E151628AED2A6ABF7158809CF4F3C"), &[0; 20], salt).unwrap();
    let mut keystream = [0; 48];
    cipher.apply(0, 0, &mut keystream).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(keystream[..], hex(expected));
}

#[test]
fn srtp_of_rfc_7714_section_16() {
    let salt: [u8; 12] = hex("517569642070726f2071756f").try_into().unwrap();
    let plain = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573",
    );
    let key: Vec<u8> = (0..32).collect();
    for (key_len, sealed) in [
        (
            16,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
             8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            32,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
             b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let cipher = vectors::gcm(&key[..key_len], salt);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + 16, 0);
        let len = cipher.seal_rtp(&mut buffer, 12, plain.len(), 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(buffer[..len], hex(sealed));
        assert_eq!(cipher.open_rtp(&mut buffer[..len], 12, 0x5501_a0b2, 0xf17b), Ok(plain.len()));
        assert_eq!(buffer[..plain.len()], plain);
    }
}

#[test]
fn srtcp_of_rfc_7714_section_17() {
    let salt: [u8; 12] = hex("517569642070726f2071756f").try_into().unwrap();
    let plain = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef",
    );
    let key: Vec<u8> = (0..32).collect();
    for (key_len, sealed) in [
        (
            16,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
             0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            32,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
             6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let cipher = vectors::gcm(&key[..key_len], salt);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + 20, 0);
        let len = cipher.seal_rtcp(&mut buffer, plain.len(), 0x4d61_7273, 0x8000_05d4).unwrap();
        assert_eq!(buffer[..len], hex(sealed));
        assert_eq!(cipher.rtcp_index_word(&buffer[..len]), Some(0x8000_05d4));
        assert_eq!(cipher.open_rtcp(&mut buffer[..len], 0x4d61_7273, 0x8000_05d4), Ok(plain.len()));
        assert_eq!(buffer[..plain.len()], plain);
    }
}

#[test]
fn whole_packets_as_libsrtp_writes_them() {
    let rtp = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let rtcp = hex("81c8000bcafebabe abababababababababababababababab");
    for (profile, key, salt, srtp, srtcp) in [
        (
            SrtpProfile::Aes128CmSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139",
            "0ec675ad498afeebb6960b3aabe6",
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            SrtpProfile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "a0a1a2a3a4a5a6a7a8a9aaab",
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ] {
        let outbound = OutboundContext::new(profile, &hex(key), &hex(salt)).unwrap();
        assert_eq!(protect(&outbound, &mut OutboundStream::default(), &rtp), hex(srtp));
        let mut buffer = rtcp.clone();
        buffer.resize(rtcp.len() + MAX_OVERHEAD, 0);
        let len = outbound.protect_rtcp(&mut OutboundControl::default(), &mut buffer, rtcp.len()).unwrap();
        assert_eq!(buffer[..len], hex(srtcp));
    }
}

#[test]
fn rtp_goes_there_and_back_across_rollovers() {
    for profile in PROFILES {
        let (inbound, outbound) = pair(profile);
        let (mut sending, mut receiving) = (OutboundStream::default(), InboundStream::default());
        for step in 0..400_u32 {
            let plain = rtp_packet((65_000 + step * 331) as u16);
            let mut sealed = protect(&outbound, &mut sending, &plain);
            assert_eq!(sealed.len(), plain.len() + profile.rtp_overhead());
            assert_ne!(sealed[12..plain.len()], plain[12..]);
            let len = inbound.unprotect_rtp(&mut receiving, &mut sealed).unwrap();
            assert_eq!(sealed[..len], plain);
        }
    }
}

#[test]
fn rtcp_goes_there_and_back() {
    for profile in PROFILES {
        let (inbound, outbound) = pair(profile);
        let (mut sending, mut receiving) = (OutboundControl::default(), InboundControl::default());
        for plain in [hex("80c9000100000007"), hex("81ce0002 00000007 00000008")] {
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + profile.rtcp_overhead(), 0);
            let len = outbound.protect_rtcp(&mut sending, &mut buffer, plain.len()).unwrap();
            assert_eq!(len, buffer.len());
            assert_eq!(rtcp_sender_ssrc(&buffer), Some(7));
            let mut again = buffer.clone();
            let len = inbound.unprotect_rtcp(&mut receiving, &mut buffer).unwrap();
            assert_eq!(buffer[..len], plain);
            assert_eq!(inbound.unprotect_rtcp(&mut receiving, &mut again), Err(SrtpError::Replay));
        }
    }
}

#[test]
fn replays_are_refused() {
    for profile in PROFILES {
        let (inbound, outbound) = pair(profile);
        let mut receiving = InboundStream::default();
        let sealed = protect(&outbound, &mut OutboundStream::default(), &rtp_packet(5));
        assert!(inbound.unprotect_rtp(&mut receiving, &mut sealed.clone()).is_ok());
        assert_eq!(inbound.unprotect_rtp(&mut receiving, &mut sealed.clone()), Err(SrtpError::Replay));
    }
}

#[test]
fn forged_packets_change_nothing() {
    for profile in PROFILES {
        let (inbound, outbound) = pair(profile);
        let mut receiving = InboundStream::default();
        let sealed = protect(&outbound, &mut OutboundStream::default(), &rtp_packet(5));
        for at in 2..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x40;
            let result = inbound.unprotect_rtp(&mut receiving, &mut forged);
            assert_eq!(result, Err(SrtpError::Authentication), "{profile:?} byte {at}");
        }
        // A forged packet far ahead must not have moved the window.
        assert!(inbound.unprotect_rtp(&mut receiving, &mut sealed.clone()).is_ok());
    }
}

#[test]
fn truncated_packets_never_pass() {
    for profile in PROFILES {
        let (inbound, outbound) = pair(profile);
        let sealed = protect(&outbound, &mut OutboundStream::default(), &rtp_packet(5));
        let mut control = hex("80c9000100000007");
        control.resize(8 + MAX_OVERHEAD, 0);
        let len = outbound.protect_rtcp(&mut OutboundControl::default(), &mut control, 8).unwrap();
        for short in 0..sealed.len() {
            let result = inbound.unprotect_rtp(&mut InboundStream::default(), &mut sealed[..short].to_vec());
            assert!(matches!(result, Err(SrtpError::Malformed | SrtpError::Authentication)), "{short}");
        }
        for short in 0..len {
            let result = inbound.unprotect_rtcp(&mut InboundControl::default(), &mut control[..short].to_vec());
            assert!(matches!(result, Err(SrtpError::Malformed | SrtpError::Authentication)), "{short}");
        }
    }
}

#[test]
fn unencrypted_rtcp_is_refused() {
    let (inbound, _) = pair(SrtpProfile::AeadAes128Gcm);
    let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
    packet.resize(8 + 16, 0);
    packet.extend([0, 0, 0, 1]);
    assert_eq!(inbound.unprotect_rtcp(&mut InboundControl::default(), &mut packet), Err(SrtpError::Malformed));
}

#[test]
fn small_buffers_and_short_keys_are_refused() {
    for profile in PROFILES {
        let (_, outbound) = pair(profile);
        let packet = rtp_packet(1);
        let mut buffer = packet.clone();
        buffer.resize(packet.len() + profile.rtp_overhead() - 1, 0);
        let mut stream = OutboundStream::default();
        assert_eq!(outbound.protect_rtp(&mut stream, &mut buffer, packet.len()), Err(SrtpError::NoSpace));
        let beyond = buffer.len() + 1;
        assert_eq!(outbound.protect_rtp(&mut stream, &mut buffer, beyond), Err(SrtpError::NoSpace));
        let mut control = [0x80; 8];
        assert_eq!(outbound.protect_rtcp(&mut OutboundControl::default(), &mut control, 8), Err(SrtpError::NoSpace));
        let short = vec![0; profile.keying_material_len() - 1];
        assert!(contexts_from_dtls(profile, &short, DtlsRole::Server).is_none());
        assert!(InboundContext::new(profile, &[0; 15], &[0; 12]).is_none());
    }
}

#[test]
fn debug_output_holds_no_keys() {
    let (inbound, outbound) = pair(SrtpProfile::AeadAes256Gcm);
    assert_eq!(format!("{inbound:?}"), "InboundContext { rtp: Gcm, rtcp: Gcm }");
    assert!(format!("{outbound:?}").contains("rtp: Gcm, rtcp: Gcm"));
}
