//! Whole calls: str0m on both ends of the shard, over a network that loses, reorders and repeats. What one encodes the other
//! gets, byte for byte, and both count alike.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use parley_engine_core::clock::{Clock, MILLISECOND, Micros, SECOND};
use parley_engine_core::command::{Command, OpenSession, SessionKey, SlotRequest};
use parley_engine_core::dtls::Identity;
use parley_engine_core::outbox::Path;
use parley_engine_core::params::{Codec, HeaderExtensions, MediaKind, SendTrack, SessionParameters, SlotSpec};
use parley_engine_core::shard::{Shard, ShardConfig};
use parley_engine_core::stats::SessionStats;
use parley_engine_core::ufrag::LocalCredentials;
use str0m::config::DtlsVersion;
use str0m::ice::IceCreds;
use str0m::media::{MediaKind as TheirKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::stats::{MediaEgressStats, MediaIngressStats};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::SEEDS;
use crate::sim::{Conditions, Link, NODE, Network, Random};

const VIDEO_TYPE: u8 = 96;
const RTX_TYPE: u8 = 97;
const CAMERA: &str = "cam";
const SLOT: &str = "slt";
const FRAME_INTERVAL: Micros = 33 * MILLISECOND;
/// Time at the end in which nothing new is sent and repairs arrive.
const DRAIN: Micros = 2 * SECOND;
const CALL: Micros = 12 * SECOND;
/// Frames that must arrive of a hundred: str0m waits for a repair no longer than for thirty packets.
const REPAIRED_PERCENT: usize = 97;
/// Packets that may be on their way, behind others, when a report is written.
const LATE: u64 = 5;

/// One of two str0m clients.
struct Peer {
    rtc: Rtc,
    number: u32,
    address: SocketAddr,
    deadline: Micros,
    random: Random,
    next_frame: Micros,
    key_wanted: bool,
    sends: bool,
    connected: bool,
    /// Every frame by its number.
    sent: HashMap<u32, Vec<u8>>,
    received: Vec<Vec<u8>>,
    egress: Option<MediaEgressStats>,
    ingress: Option<MediaIngressStats>,
    /// What its reports said in 256ths, one a second.
    losses: Vec<u8>,
    key_frames: u32,
}

impl Peer {
    fn new(number: u32, seed: u64, clock: Clock) -> Self {
        let builder = Rtc::builder()
            .clear_codecs()
            .enable_vp8(true)
            .set_dtls_version(DtlsVersion::Dtls12)
            .set_stats_interval(Some(Duration::from_secs(1)));
        let mut rtc = builder.build(clock.instant(0));
        let address: SocketAddr = format!("10.1.0.{}:40000", number + 1).parse().unwrap();
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        rtc.add_remote_candidate(Candidate::host(NODE, "udp").unwrap());
        Self {
            rtc,
            number,
            address,
            deadline: 0,
            random: Random(seed << 8 | u64::from(number)),
            next_frame: 0,
            key_wanted: true,
            sends: true,
            connected: false,
            sent: HashMap::new(),
            received: Vec::new(),
            egress: None,
            ingress: None,
            losses: Vec::new(),
            key_frames: 0,
        }
    }

    fn ssrc(&self, base: u32) -> u32 {
        base + 100 * self.number
    }

    /// What signalling would carry to the client.
    fn connect_to(&mut self, credentials: &LocalCredentials, fingerprint: &str) {
        let (camera, slot) = (self.ssrc(1_000), self.ssrc(9_000));
        let mut direct = self.rtc.direct_api();
        direct.set_ice_controlling(true);
        direct.set_remote_ice_credentials(IceCreds { ufrag: credentials.ufrag.clone(), pass: credentials.pwd.clone() });
        direct.set_remote_fingerprint(format!("sha-256 {fingerprint}").parse().unwrap());
        direct.start_dtls(true).unwrap();
        for mid in [CAMERA, SLOT] {
            direct.declare_media(Mid::from(mid), TheirKind::Video);
        }
        direct.declare_stream_tx(camera.into(), Some((camera + 1).into()), Mid::from(CAMERA), None);
        direct.expect_stream_rx(slot.into(), Some((slot + 1).into()), Mid::from(SLOT), None);
    }

    /// What signalling would carry to the node.
    fn parameters(&mut self) -> SessionParameters {
        let (camera, slot) = (self.ssrc(1_000), self.ssrc(9_000));
        let direct = self.rtc.direct_api();
        let credentials = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().to_string();
        SessionParameters {
            ice_ufrag: credentials.ufrag,
            ice_pwd: credentials.pass,
            fingerprints: vec![("sha-256".into(), fingerprint.trim_start_matches("sha-256 ").into())],
            codecs: vec![Codec {
                name: "VP8".into(),
                payload_type: VIDEO_TYPE,
                clock_rate: 90_000,
                channels: 1,
                rtx_payload_type: Some(RTX_TYPE),
                fmtp: String::new(),
            }],
            // str0m's own numbers.
            extensions: HeaderExtensions {
                abs_send_time: Some(2),
                transport_cc: Some(3),
                mid: Some(4),
                ..HeaderExtensions::default()
            },
            send_tracks: vec![SendTrack {
                mid: CAMERA.into(),
                kind: MediaKind::Video,
                payload_types: vec![VIDEO_TYPE],
                ssrcs: vec![camera],
                rtx_ssrcs: vec![camera + 1],
                rids: Vec::new(),
                nack: true,
                muted: false,
            }],
            slots: vec![SlotSpec { mid: SLOT.into(), kind: MediaKind::Video, ssrc: slot, rtx_ssrc: Some(slot + 1) }],
            cname: "node".into(),
            channels: None,
        }
    }

    /// Encodes a picture: a frame tag, in key frames a start code and a size, its number, and noise.
    fn encode(&mut self, now: Micros, clock: Clock) {
        let number = self.sent.len() as u32;
        let is_key = std::mem::take(&mut self.key_wanted);
        self.key_frames += u32::from(is_key);
        let mut frame = vec![u8::from(!is_key), 0, 0];
        if is_key {
            frame.extend([0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        }
        frame.extend(self.number.to_be_bytes());
        frame.extend(number.to_be_bytes());
        let len = if is_key { 6_000 } else { 200 + self.random.below(4_000) };
        frame.extend((0..len).map(|_| self.random.next() as u8));
        self.sent.insert(number, frame.clone());
        let writer = self.rtc.writer(Mid::from(CAMERA)).unwrap();
        let time = MediaTime::from_90khz(now * 90 / 1_000);
        writer.write(VIDEO_TYPE.into(), clock.instant(now), time, frame).unwrap();
    }

    fn tick(&mut self, now: Micros, clock: Clock, network: &mut Network) {
        if self.sends && self.connected && now >= self.next_frame {
            self.next_frame = now + FRAME_INTERVAL;
            self.encode(now, clock);
            self.deadline = now;
        }
        if now >= self.deadline {
            self.rtc.handle_input(Input::Timeout(clock.instant(now))).unwrap();
            self.drain(now, clock, network);
        }
    }

    fn receive(&mut self, now: Micros, clock: Clock, network: &mut Network, datagram: &[u8]) {
        let receive = Receive::new(Protocol::Udp, NODE, self.address, datagram).unwrap();
        self.rtc.handle_input(Input::Receive(clock.instant(now), receive)).unwrap();
        self.drain(now, clock, network);
    }

    fn drain(&mut self, now: Micros, clock: Clock, network: &mut Network) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    let wait = at.saturating_duration_since(clock.instant(now)).as_micros() as Micros;
                    self.deadline = now + wait.clamp(MILLISECOND, SECOND);
                    return;
                }
                Output::Transmit(transmit) => {
                    network.send(now, self.address, NODE, transmit.contents.to_vec());
                }
                Output::Event(event) => self.note(event),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::KeyframeRequest(_) => self.key_wanted = true,
            Event::MediaData(data) => self.received.push(data.data.to_vec()),
            Event::MediaEgressStats(stats) if stats.mid == Mid::from(CAMERA) => self.egress = Some(stats),
            Event::MediaIngressStats(stats) if stats.mid == Mid::from(SLOT) => {
                self.losses.extend(stats.loss.map(|loss| (loss * 256.0) as u8));
                self.ingress = Some(stats);
            }
            _ => {}
        }
    }
}

/// A shard between two clients.
struct Call {
    now: Micros,
    clock: Clock,
    shard: Shard,
    network: Network,
    peers: Vec<Peer>,
}

fn key(number: u32) -> SessionKey {
    SessionKey { index: number, generation: 0 }
}

impl Call {
    /// Both clients are there and see each other.
    fn connected(seed: u64, conditions: Conditions) -> Self {
        let clock = Clock::start();
        let identity = Arc::new(Identity::generate().unwrap());
        let fingerprint = identity.fingerprint();
        let shard = Shard::new(ShardConfig { index: 0, clock, identity, audio_slots: 3 });
        let network = Network::new(seed, conditions);
        let mut call = Self { now: 0, clock, shard, network, peers: Vec::new() };
        call.command(Command::OpenRoom("room".into()));
        for number in 0..2 {
            let credentials = LocalCredentials::generate(0, number);
            let mut peer = Peer::new(number, seed, clock);
            peer.connect_to(&credentials, &fingerprint);
            let parameters = peer.parameters();
            call.peers.push(peer);
            let session = format!("peer-{number}").into();
            let open = OpenSession { room: "room".into(), session, key: key(number), credentials, parameters };
            call.command(Command::OpenSession(Box::new(open)));
        }
        for number in 0..2 {
            let source = Some((key(1 - number), CAMERA.into()));
            let request = SlotRequest { mid: SLOT.into(), source, max_height: 0, priority: 0 };
            call.command(Command::UpdateSlots(key(number), vec![request]));
        }
        call.run(3 * SECOND);
        assert!(call.peers.iter().all(|peer| peer.connected && !peer.received.is_empty()), "both see each other");
        call
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command, &mut self.network.outgoing);
        self.network.accept(self.now);
    }

    fn stats(&mut self, number: u32) -> SessionStats {
        let (reply, answer) = sync_channel(1);
        self.command(Command::Stats(key(number), reply));
        answer.try_recv().unwrap()
    }

    fn run(&mut self, duration: Micros) {
        let end = self.now + duration;
        while self.now < end {
            self.now += MILLISECOND;
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for (from, to, mut datagram) in self.network.due(now) {
            if to == NODE {
                let path = Path::udp(from, NODE.ip());
                self.shard.handle_datagram(now, &path, &mut datagram, &mut self.network.outgoing);
            } else if let Some(peer) = self.peers.iter_mut().find(|peer| peer.address == to) {
                peer.receive(now, self.clock, &mut self.network, &datagram);
            }
        }
        self.shard.flush(now, &mut self.network.outgoing);
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, &mut self.network.outgoing);
        }
        for peer in &mut self.peers {
            peer.tick(now, self.clock, &mut self.network);
        }
        self.network.accept(now);
        self.shard.take_events();
    }
}

fn number_of(frame: &[u8]) -> (u32, u32) {
    let header = if frame[0] & 1 == 0 { 10 } else { 3 };
    let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    (number(header), number(header + 4))
}

/// Every frame that was given to a decoder is one that the other has encoded, once and in order; returns how many there are.
fn check_frames(receiver: &Peer, sender: &Peer) -> usize {
    let mut last = None;
    for frame in &receiver.received {
        let (of, number) = number_of(frame);
        assert_eq!(of, sender.number);
        assert_eq!(sender.sent.get(&number), Some(frame), "frame {number} is as it was encoded");
        assert!(last < Some(number), "frame {number} after {last:?}");
        last = Some(number);
    }
    receiver.received.len()
}

#[test]
fn on_a_good_network_every_frame_arrives() {
    for seed in 0..SEEDS {
        let mut call = Call::connected(seed, Conditions::IDEAL);
        call.run(2 * SECOND);
        call.peers.iter_mut().for_each(|peer| peer.sends = false);
        call.run(SECOND);
        for (receiver, sender) in [(0, 1), (1, 0)] {
            let (receiver, sender) = (&call.peers[receiver], &call.peers[sender]);
            let first = number_of(&receiver.received[0]).1 as usize;
            assert_eq!(check_frames(receiver, sender), sender.sent.len() - first, "of seed {seed}");
            assert_eq!(receiver.ingress.as_ref().unwrap().nacks, 0);
        }
    }
}

#[test]
fn what_is_lost_is_repaired_and_both_count_alike() {
    for seed in 0..SEEDS {
        let loss = 10 + 3 * seed;
        let (delay, jitter) = (20 * MILLISECOND, seed % 4 * 5 * MILLISECOND);
        let mut call = Call::connected(seed, Conditions { loss: 0, delay, jitter });
        call.network.conditions.loss = loss;
        for peer in &call.peers {
            let repeating = || Link { duplicates: 20, ..Link::default() };
            call.network.up.insert(peer.address, repeating());
            call.network.down.insert(peer.address, repeating());
        }
        call.run(CALL);
        let figures = [call.stats(0), call.stats(1)];
        for (peer, node) in call.peers.iter().zip(&figures) {
            compare(peer, node, loss, 2 * delay..=2 * (delay + jitter));
        }
        call.network.conditions.loss = 0;
        call.peers.iter_mut().for_each(|peer| peer.sends = false);
        call.run(DRAIN);
        for (receiver, sender) in [(0, 1), (1, 0)] {
            let arrived = check_frames(&call.peers[receiver], &call.peers[sender]);
            let sent = call.peers[sender].sent.len();
            assert!(arrived * 100 >= sent * REPAIRED_PERCENT, "seed {seed}: {arrived} of {sent} at {loss}/1000");
        }
    }
}

/// What str0m has counted and what the node says agree.
fn compare(peer: &Peer, node: &SessionStats, loss: u64, round_trip: RangeInclusive<Micros>) {
    let (egress, ingress, slot) = (peer.egress.as_ref().unwrap(), peer.ingress.as_ref().unwrap(), &node.slots[0]);
    let theirs = egress.rtt.unwrap().as_micros() as Micros;
    let ours = (node.round_trip_time_ms.unwrap() * 1_000.0) as Micros;
    for found in [theirs, ours] {
        let expected = round_trip.start() - 2 * MILLISECOND..=round_trip.end() + 5 * MILLISECOND;
        assert!(expected.contains(&found), "round trips of {theirs} (theirs) and {ours} us (ours), not {expected:?}");
    }
    // str0m counts requests that it sends, the node each packet that is asked for by those that arrive.
    let asked = ingress.nacks * 8 / 10..=2 * ingress.nacks + 5;
    assert!(asked.contains(&slot.nacks), "{} asked for, {} requests", slot.nacks, ingress.nacks);
    // The node's reports about the camera come back as what str0m knows of its own loss; the last one is up to a second
    // old, and counts what was late then as lost.
    let (lost, reported) = (node.tracks[0].lost, egress.remote.as_ref().unwrap().packets_lost);
    assert!((reported.saturating_sub(LATE)..=reported + 25).contains(&lost), "{lost} lost, {reported} reported");
    let expected = node.tracks[0].packets * loss / 1_000;
    assert!((expected / 3..=expected * 2 + 5).contains(&lost), "{lost} lost of {}", node.tracks[0].packets);
    // What str0m reported of the slot is what the node says of it; the last report may have been lost.
    let said = (slot.fraction_lost * 256.0) as u8;
    assert!(peer.losses.iter().rev().take(3).any(|loss| *loss == said), "{said} is none of {:?}", peer.losses);
}
