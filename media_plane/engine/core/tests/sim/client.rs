//! A client: ICE, DTLS and SRTP as a browser does them, with the engine's own wire modules and dimpl as the active side.

mod control;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dimpl::{Config, Dtls, DtlsCertificate, Output};
use parley_engine_core::clock::{Clock, MILLISECOND, Micros, SECOND};
use parley_engine_core::params::{Codec, HeaderExtensions, MediaKind, SendTrack, SessionParameters, SlotSpec};
use parley_engine_core::srtp::{
    DtlsRole, InboundContext, InboundControl, InboundStream, MAX_OVERHEAD, OutboundContext, OutboundControl,
    OutboundStream, SrtpError, SrtpProfile, contexts_from_dtls,
};
use parley_engine_core::twcc::FeedbackRecorder;
use parley_engine_core::ufrag::{LocalCredentials, RemoteCredentials};
use parley_engine_core::wire::demux::{DatagramKind, classify};
use parley_engine_core::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues, PlayoutDelay};
use parley_engine_core::wire::rtp::{RtpHeader, extend_sequence_number};
use parley_engine_core::wire::stun::{
    BindingRequest, Class, IntegrityKey, Message, write_binding_request, write_binding_success,
};

use control::Heard;

use super::certificate::lengthen;
use super::channels::ChannelClient;
use super::receiver::{Received, SlotReceiver};
use super::sender::{AUDIO_TYPE, RTX_TYPE, Sender, VIDEO_TYPE};
use super::{AUDIO_SLOTS, CAMERA, LATER_SLOTS, MICROPHONE, NODE, VIDEO_SLOTS};

const FIRST_CHECKS: Micros = 50 * MILLISECOND;
const LATER_CHECKS: Micros = 2 * SECOND;

fn ice_pwd() -> String {
    "p".repeat(24)
}

/// A client.
pub struct Client {
    pub name: String,
    pub address: SocketAddr,
    pub outgoing: Vec<Vec<u8>>,
    pub sender: Sender,
    pub slots: HashMap<String, SlotReceiver>,
    pub heard: Heard,
    /// Its data channels.
    pub channels: Option<ChannelClient>,
    /// Whether it asks again for what is missing.
    pub repairs: bool,
    /// Whether it reports when packets arrived, and asks for key frames, as a browser does.
    pub reports_arrivals: bool,
    /// Whether packets may come a second time, which it then leaves alone.
    pub takes_repeats: bool,
    /// The newest number that has come of each stream.
    pub newest: HashMap<u32, u16>,
    /// Whether it looks at the media that comes; without it, only at how it comes.
    pub looks: bool,
    /// Whether it acts on RTCP.
    pub listens: bool,
    arrivals: FeedbackRecorder,
    next_arrival_report: Micros,
    /// Sender reports of the node by SSRC: the middle of their NTP time, and their arrival.
    sender_reports: HashMap<u32, (u32, Micros)>,
    limit: Option<u64>,
    /// Whether it sends connectivity checks.
    pub checks: bool,
    /// Whether it answers those of the node.
    pub answers: bool,
    /// Whether its checks nominate.
    pub nominates: bool,
    pub profile: Option<SrtpProfile>,
    number: usize,
    clock: Clock,
    username: String,
    node_key: IntegrityKey,
    ice_connected: bool,
    next_check: Micros,
    dtls: Dtls,
    dtls_wake: Micros,
    handshake_records: usize,
    certificate: DtlsCertificate,
    keys: Option<(InboundContext, OutboundContext)>,
    inbound: HashMap<u32, InboundStream>,
    /// With the highest index.
    outbound: HashMap<u32, (OutboundStream, u64)>,
    control_in: HashMap<u32, InboundControl>,
    control_out: OutboundControl,
    next_report: Micros,
    transaction: u8,
}

fn handshake(certificate: DtlsCertificate, now: Micros, clock: Clock) -> Dtls {
    // A browser's first retransmission comes after 50 ms.
    let config = Config::builder().flight_start_rto(Duration::from_millis(50)).flight_retries(20).max_queue_tx(64);
    let mut dtls = Dtls::new_12(Arc::new(config.build().unwrap()), certificate, clock.instant(now));
    dtls.set_active(true);
    dtls
}

impl Client {
    pub fn name_of(number: usize) -> String {
        format!("client-{number}")
    }

    pub fn number_of(name: &str) -> usize {
        name.trim_start_matches("client-").parse().unwrap()
    }

    pub fn new(number: usize, now: Micros, clock: Clock) -> Self {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let dtls = handshake(certificate.clone(), now, clock);
        let mut ids = ExtensionIds::default();
        // Every client numbers its extensions in its own way.
        let shift = (number % 5) as u8;
        ids.set(ExtensionKind::Mid, 1 + shift);
        ids.set(ExtensionKind::AudioLevel, 6 + shift);
        ids.set(ExtensionKind::TransportCc, 11 + (shift & 1));
        ids.set(ExtensionKind::PlayoutDelay, 12 - (shift & 1));
        ids.set(ExtensionKind::LayersAllocation, 1 + (shift + 1) % 5);
        ids.set(ExtensionKind::Rid, 13);
        ids.set(ExtensionKind::RepairedRid, 14);
        Self {
            name: Self::name_of(number),
            address: format!(
                "10.{}.{}.{}:{}",
                number / 60_000,
                number / 250 % 240 + 1,
                number % 250 + 1,
                40_000 + number % 20_000
            )
            .parse()
            .unwrap(),
            outgoing: Vec::new(),
            sender: Sender::new(number, ids),
            slots: HashMap::new(),
            heard: Heard::default(),
            channels: None,
            repairs: true,
            reports_arrivals: false,
            takes_repeats: false,
            newest: HashMap::new(),
            looks: true,
            listens: true,
            arrivals: FeedbackRecorder::new(),
            next_arrival_report: 0,
            sender_reports: HashMap::new(),
            checks: true,
            answers: true,
            nominates: true,
            limit: None,
            profile: None,
            number,
            clock,
            username: String::new(),
            node_key: IntegrityKey::new(""),
            ice_connected: false,
            next_check: now,
            dtls,
            dtls_wake: 0,
            handshake_records: 0,
            certificate,
            keys: None,
            inbound: HashMap::new(),
            outbound: HashMap::new(),
            control_in: HashMap::new(),
            control_out: OutboundControl::default(),
            next_report: now,
            transaction: 0,
        }
    }

    /// Tells the client the node's half of the transport.
    pub fn connect_to(&mut self, node: &LocalCredentials) {
        self.username = format!("{}:client", node.ufrag);
        self.node_key = IntegrityKey::new(&node.pwd);
    }

    /// The client's half of it.
    pub fn credentials() -> RemoteCredentials {
        RemoteCredentials { ufrag: "client".into(), pwd: ice_pwd() }
    }

    /// What the node knows of this client.
    pub fn parameters(&self) -> SessionParameters {
        let ids = self.sender.ids;
        let codec = |name: &str, payload_type, clock_rate, rtx_payload_type| Codec {
            name: name.into(),
            payload_type,
            clock_rate,
            channels: 1,
            rtx_payload_type,
            fmtp: String::new(),
        };
        let camera = self.sender.encodings.iter().filter(|encoding| encoding.mid == CAMERA);
        let rids: Vec<_> = camera.map(|encoding| encoding.rid.to_owned()).collect();
        let track = |mid: &str, kind, payload_type| SendTrack {
            mid: mid.into(),
            kind,
            payload_types: vec![payload_type],
            ssrcs: Vec::new(),
            rtx_ssrcs: Vec::new(),
            rids: if mid == CAMERA && rids.len() > 1 { rids.clone() } else { Vec::new() },
            nack: true,
            muted: false,
        };
        let slots = AUDIO_SLOTS
            .iter()
            .map(|mid| (mid, MediaKind::Audio))
            .chain(VIDEO_SLOTS.iter().map(|mid| (mid, MediaKind::Video)));
        SessionParameters {
            ice_ufrag: "client".into(),
            ice_pwd: ice_pwd(),
            fingerprints: vec![("sha-256".into(), self.certificate.fingerprint_str())],
            codecs: vec![codec("opus", AUDIO_TYPE, 48_000, None), codec("VP8", VIDEO_TYPE, 90_000, Some(RTX_TYPE))],
            extensions: HeaderExtensions {
                mid: ids.id(ExtensionKind::Mid),
                audio_level: ids.id(ExtensionKind::AudioLevel),
                transport_cc: ids.id(ExtensionKind::TransportCc),
                playout_delay: ids.id(ExtensionKind::PlayoutDelay),
                layers_allocation: ids.id(ExtensionKind::LayersAllocation),
                rid: ids.id(ExtensionKind::Rid),
                repaired_rid: ids.id(ExtensionKind::RepairedRid),
                ..HeaderExtensions::default()
            },
            send_tracks: vec![
                track(MICROPHONE, MediaKind::Audio, AUDIO_TYPE),
                track(CAMERA, MediaKind::Video, VIDEO_TYPE),
            ],
            slots: slots.map(|(mid, kind)| self.slot_spec(mid, kind)).collect(),
            cname: "node".into(),
            channels: None,
        }
    }

    /// A slot as the node's answer has it.
    pub fn slot_spec(&self, mid: &str, kind: MediaKind) -> SlotSpec {
        let ssrc = self.slot_ssrc(mid);
        SlotSpec { mid: mid.into(), kind, ssrc, rtx_ssrc: (kind == MediaKind::Video).then_some(ssrc + 100) }
    }

    fn slot_ssrc(&self, mid: &str) -> u32 {
        self.ssrcs().start + mid.parse::<u32>().unwrap()
    }

    /// The SSRCs of its slots.
    pub fn ssrcs(&self) -> Range<u32> {
        let first = 900_000 + 1_000 * self.number as u32;
        first..first + 1_000
    }

    pub fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// How many records of its handshake it has made; they leave with the next step of the meeting.
    pub fn handshake_records(&self) -> usize {
        self.handshake_records
    }

    /// Makes its certificate so many bytes longer, before its parameters are asked for.
    pub fn lengthen_certificate(&mut self, now: Micros, by: usize) {
        self.certificate.certificate = lengthen(&self.certificate.certificate, by);
        self.dtls = handshake(self.certificate.clone(), now, self.clock);
    }

    pub fn slot(&self, mid: &str) -> &SlotReceiver {
        self.slots.get(mid).expect("something came in the slot")
    }

    pub fn receive(&mut self, now: Micros, datagram: &mut [u8]) {
        match classify(datagram) {
            DatagramKind::Stun => {
                let message = Message::parse(datagram).unwrap();
                self.ice_connected |= message.class == Class::Success && message.verify(&self.node_key);
                if message.class == Class::Request && self.answers {
                    self.answer_check(&message);
                }
            }
            DatagramKind::Dtls => {
                let handled =
                    self.dtls.handle_timeout(self.clock.instant(now)).and_then(|()| self.dtls.handle_packet(datagram));
                handled.expect("the node's records are right");
                self.drain_dtls(now);
            }
            DatagramKind::Rtp => self.receive_media(now, datagram),
            DatagramKind::Rtcp => self.receive_control(now, datagram),
            DatagramKind::Noise => panic!("the node sends no noise"),
        }
    }

    pub fn tick(&mut self, now: Micros) {
        if self.checks && now >= self.next_check {
            self.next_check = now + if self.ice_connected { LATER_CHECKS } else { FIRST_CHECKS };
            self.check();
        }
        if self.ice_connected && now >= self.dtls_wake {
            self.dtls.handle_timeout(self.clock.instant(now)).expect("the handshake goes on");
            self.drain_dtls(now);
        }
        if self.keys.is_none() {
            return;
        }
        self.tick_channels(now);
        for packet in self.sender.tick(now) {
            self.send_media(packet);
        }
        self.send_control(now);
        if self.reports_arrivals {
            self.report_arrivals(now);
        }
    }

    /// Sends a connectivity check from the present address, which it nominates unless told otherwise.
    pub fn check(&mut self) {
        self.transaction = self.transaction.wrapping_add(1);
        let check = self.write_check(&self.node_key);
        self.outgoing.push(check);
    }

    /// A check as somebody writes it who has read the user name on the wire, but does not know the password.
    pub fn forged_check(&self) -> Vec<u8> {
        self.write_check(&IntegrityKey::new("guessed"))
    }

    /// Answers a check of the node, as every full ICE agent does.
    fn answer_check(&mut self, check: &Message<'_>) {
        let key = IntegrityKey::new(&ice_pwd());
        let for_me = check.receiver_fragment() == Some(b"client") && check.verify(&key);
        if !for_me || !self.username.as_bytes().starts_with(check.sender_fragment().unwrap_or_default()) {
            return;
        }
        let mut buffer = [0; 640];
        let len = write_binding_success(&mut buffer, &check.transaction_id, NODE, &key).unwrap();
        self.outgoing.push(buffer[..len].to_vec());
    }

    fn write_check(&self, key: &IntegrityKey) -> Vec<u8> {
        let request = BindingRequest {
            transaction_id: [self.transaction; 12],
            username: &self.username,
            priority: 1,
            use_candidate: self.nominates,
            controlling: true,
            tie_breaker: 7,
        };
        let mut buffer = [0; 640];
        let len = write_binding_request(&mut buffer, &request, key).unwrap();
        buffer[..len].to_vec()
    }

    fn drain_dtls(&mut self, now: Micros) {
        let mut buffer = [0; 2_048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(record) => {
                    self.outgoing.push(record.to_vec());
                    self.handshake_records += usize::from(self.keys.is_none());
                }
                Output::Timeout(at) => {
                    let wait = at.saturating_duration_since(self.clock.instant(now));
                    self.dtls_wake = now + (wait.as_micros() as Micros).max(MILLISECOND);
                    return;
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
                        _ => SrtpProfile::Aes128CmSha1_80,
                    };
                    self.profile = Some(profile);
                    self.keys = contexts_from_dtls(profile, &material, DtlsRole::Client);
                }
                Output::ApplicationData(data) => {
                    self.channels.as_mut().expect("data channels were agreed").handle_input(now, data);
                }
                Output::CloseNotify => self.heard.closed = true,
                _ => {}
            }
        }
    }

    fn tick_channels(&mut self, now: Micros) {
        let packets = self.channels.as_mut().map(|channels| channels.tick(now)).unwrap_or_default();
        for packet in packets {
            self.send_data(now, &packet);
        }
    }

    /// Sends what belongs to the application, in a DTLS record of its own.
    pub fn send_data(&mut self, now: Micros, data: &[u8]) {
        if self.heard.closed {
            return;
        }
        self.dtls.handle_timeout(self.clock.instant(now)).unwrap();
        self.dtls.send_application_data(data).unwrap();
        self.drain_dtls(now);
    }

    /// Encrypts and sends an RTP packet.
    pub fn send_media(&mut self, mut packet: Vec<u8>) {
        let Some((_, keys)) = &self.keys else { return };
        let len = packet.len();
        let RtpHeader { ssrc, sequence_number: number, .. } = RtpHeader::parse(&packet).unwrap();
        packet.resize(len + MAX_OVERHEAD, 0);
        let (stream, highest) = self.outbound.entry(ssrc).or_insert_with(|| (OutboundStream::default(), number.into()));
        let index = extend_sequence_number(number, *highest);
        *highest = index.max(*highest);
        let len = match keys.protect_rtp(stream, &mut packet, len) {
            // Sound is repeated under its number with other extensions, as libwebrtc does, and the hostile do what they like.
            Err(SrtpError::Reuse) => keys.protect_rtp(&mut stream_before(keys, index), &mut packet, len),
            sealed => sealed,
        };
        let len = len.unwrap();
        packet.truncate(len);
        self.outgoing.push(packet);
    }

    /// Closes the DTLS association, as a browser does when the page goes.
    pub fn close(&mut self, now: Micros) {
        self.dtls.close().unwrap();
        self.drain_dtls(now);
    }

    fn receive_media(&mut self, now: Micros, datagram: &mut [u8]) {
        let Some((keys, _)) = &self.keys else { return };
        let ssrc = RtpHeader::parse(datagram).unwrap().ssrc;
        let len = match keys.unprotect_rtp(self.inbound.entry(ssrc).or_default(), datagram) {
            Err(SrtpError::Replay) if self.takes_repeats => return,
            opened => opened.expect("no packet is sent twice as it was"),
        };
        let packet = &datagram[..len];
        let header = RtpHeader::parse(packet).unwrap();
        let values = ExtensionValues::read(&header, packet, &self.sender.ids);
        let payload = header.payload(packet).unwrap();
        self.newest.insert(ssrc, header.sequence_number);
        if let Some(number) = values.transport_sequence_number.filter(|_| self.reports_arrivals) {
            self.arrivals.record(number, now);
        }
        if !self.looks {
            return;
        }
        let mids = AUDIO_SLOTS.iter().chain(&VIDEO_SLOTS).chain(&LATER_SLOTS);
        let (mid, by_retransmission) = mids
            .map(|mid| (*mid, ssrc.wrapping_sub(self.slot_ssrc(mid))))
            .find_map(|(mid, offset)| (offset == 0 || offset == 100).then_some((mid, offset == 100)))
            .expect("an SSRC of the answer");
        assert_eq!(by_retransmission, header.payload_type == RTX_TYPE);
        // On the stream itself an empty packet keeps the place of one that was left out.
        if payload.is_empty() && by_retransmission {
            self.slots.entry(mid.to_owned()).or_default().padding += 1;
            return;
        }
        let (sequence, payload) = if by_retransmission {
            (u16::from_be_bytes([payload[0], payload[1]]), &payload[2..])
        } else {
            (header.sequence_number, payload)
        };
        let received = Received {
            at: now,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            marker: header.marker,
            mid: values.mid.map(|mid| String::from_utf8_lossy(mid).into_owned()),
            payload: payload.to_vec(),
            by_retransmission,
            wait: values.playout_delay.map(|delay| Micros::from(delay.0) * PlayoutDelay::STEP_MS * MILLISECOND),
        };
        self.slots.entry(mid.to_owned()).or_default().insert(sequence, received);
    }
}

/// The state of a stream before it came to an index.
fn stream_before(keys: &OutboundContext, index: u64) -> OutboundStream {
    let mut stream = OutboundStream::default();
    for earlier in (0..index).step_by(30_000) {
        let mut packet = [0; 12 + MAX_OVERHEAD];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&(earlier as u16).to_be_bytes());
        keys.protect_rtp(&mut stream, &mut packet, 12).unwrap();
    }
    stream
}
