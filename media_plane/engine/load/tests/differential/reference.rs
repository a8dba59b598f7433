//! str0m as the other end of packets that are protected with given keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parley_engine_core::srtp::{
    DtlsRole, InboundContext, MAX_OVERHEAD, OutboundContext, OutboundControl, SrtpProfile, contexts_from_dtls,
};
use parley_engine_core::wire::extension::{ExtensionIds, ExtensionKind};
use str0m::_internal_test_exports::TestSrtp;
use str0m::crypto::dtls::{KeyingMaterial, SrtpProfile as TheirProfile};
use str0m::media::MediaKind;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use str0m::{Event, Input, Output, Rtc};

pub(crate) const SSRC: u32 = 0xcafe_0001;
pub(crate) const VIDEO_TYPE: u8 = 96;
pub(crate) const PROFILES: [(SrtpProfile, TheirProfile); 3] = [
    (SrtpProfile::AeadAes256Gcm, TheirProfile::AEAD_AES_256_GCM),
    (SrtpProfile::AeadAes128Gcm, TheirProfile::AEAD_AES_128_GCM),
    (SrtpProfile::Aes128CmSha1_80, TheirProfile::AES128_CM_SHA1_80),
];
/// The extensions that both know, with str0m's own numbers.
pub(crate) const EXTENSIONS: [(ExtensionKind, u8); 7] = [
    (ExtensionKind::AudioLevel, 1),
    (ExtensionKind::AbsSendTime, 2),
    (ExtensionKind::TransportCc, 3),
    (ExtensionKind::Mid, 4),
    (ExtensionKind::Rid, 10),
    (ExtensionKind::RepairedRid, 11),
    (ExtensionKind::VideoOrientation, 13),
];

pub(crate) fn keys(
    profile: SrtpProfile,
    theirs: TheirProfile,
) -> (InboundContext, OutboundContext, KeyingMaterial, TestSrtp) {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|index| (index as u8).wrapping_mul(7)).collect();
    // We open what a client seals, and seal as a client.
    let (inbound, _) = contexts_from_dtls(profile, &material, DtlsRole::Server).unwrap();
    let (_, outbound) = contexts_from_dtls(profile, &material, DtlsRole::Client).unwrap();
    let material = KeyingMaterial::new(&material);
    let srtp = TestSrtp::new(&str0m::crypto::from_feature_flags(), theirs, &material);
    (inbound, outbound, material, srtp)
}

/// A str0m session with given keys that tells everything it reads.
pub(crate) struct Reference {
    rtc: Rtc,
    pub now: Instant,
    pub ids: ExtensionIds,
}

impl Reference {
    /// With the keys of a profile, and what seals for it.
    pub(crate) fn keyed(profile: SrtpProfile, theirs: TheirProfile) -> (OutboundContext, Self) {
        let (_, outbound, material, _) = keys(profile, theirs);
        (outbound, Self::new(material, theirs))
    }

    fn new(material: KeyingMaterial, profile: TheirProfile) -> Self {
        let now = Instant::now();
        let builder = Rtc::builder().clear_codecs().enable_vp8(true).set_rtp_mode(true).enable_raw_packets(true);
        let mut rtc = builder.build(now);
        let mut direct = rtc.direct_api();
        direct.declare_media("vid".into(), MediaKind::Video);
        direct.expect_stream_rx(SSRC.into(), None, "vid".into(), None);
        rtc._set_srtp_keys(material, profile, false);
        let mut ids = ExtensionIds::default();
        for (kind, id) in EXTENSIONS {
            ids.set(kind, id).unwrap();
        }
        Self { rtc, now, ids }
    }

    /// Feeds a protected packet; returns what was read of it.
    pub(crate) fn read(&mut self, packet: &[u8]) -> Vec<RawPacket> {
        let address: SocketAddr = "10.0.0.9:9".parse().unwrap();
        let receive = Receive::new(Protocol::Udp, address, address, packet).unwrap();
        self.now += Duration::from_millis(1);
        self.rtc.handle_input(Input::Receive(self.now, receive)).unwrap();
        let mut read = Vec::new();
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Event(Event::RawPacket(raw)) => read.push(*raw),
                Output::Timeout(_) => return read,
                _ => {}
            }
        }
    }

    pub(crate) fn read_control(
        &mut self,
        outbound: &OutboundContext,
        control: &mut OutboundControl,
        packet: &[u8],
    ) -> Vec<Rtcp> {
        let mut buffer = [packet, &[0; MAX_OVERHEAD]].concat();
        let len = outbound.protect_rtcp(control, &mut buffer, packet.len()).unwrap();
        let read = self.read(&buffer[..len]).into_iter();
        read.filter_map(|raw| if let RawPacket::RtcpRx(rtcp) = raw { Some(rtcp) } else { None }).collect()
    }
}
