//! One participant's connection: transport, what it sends and what it receives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::bandwidth::Estimator;
use crate::bucket::Bucket;
use crate::carried::Carried;
use crate::clock::{Clock, Micros, SECOND};
use crate::command::{OpenSession, SessionKey};
use crate::dtls::{Handshake, Identity};
use crate::event::{SessionState, Subject};
use crate::ice::Ice;
use crate::outbox::Path;
use crate::pacer::Pacer;
use crate::params::{Codec, HeaderExtensions, MediaKind};
use crate::rate::SentRate;
use crate::repair_wait::RepairWait;
use crate::sctp::Channels;
use crate::slab::Key;
use crate::slot::Slot;
use crate::srtp::{InboundContext, InboundControl, InboundStream, OutboundContext, OutboundControl, SrtpProfile};
use crate::track::Track;
use crate::twcc::FeedbackRecorder;
use crate::ufrag::RemoteCredentials;
use crate::uplink::Uplink;
use crate::wire::extension::{ExtensionIds, ExtensionKind};

/// Streams and RTCP senders a session may have. Only a participant with keys can add one.
pub(crate) const MAX_STREAMS: usize = 64;
/// Work for a session's RTCP, in units ([`RtcpPacket::work`](crate::wire::rtcp::RtcpPacket::work)) a second, and for how long what is not
/// used is saved up. Twenty pictures on a way that loses a fifth take that much at the worst, as libwebrtc asks for what is missing.
const CONTROL_WORK: u64 = 50_000;
const CONTROL_SAVED: Micros = 2 * SECOND;
/// Connectivity checks of a session a second: browsers send one each 48 ms while they look for a way, and hardly any later.
const CHECKS: u64 = 50;
const CHECKS_SAVED: Micros = 4 * SECOND;
/// Replaced and stopped streams that are remembered, so that what comes late of them, or is played back, is not taken for a new one: a
/// camera of simulcast has six.
const MAX_FORMER: usize = 32;
/// Assumed until a receiver report tells the truth.
const DEFAULT_ROUND_TRIP: Micros = SECOND / 10;
/// Weight of a new clock offset that is larger than the known one: the offset is the least delay, and clocks drift.
const DRIFT_WEIGHT: i64 = 64;

/// Keys of both directions.
#[derive(Debug)]
pub(crate) struct Srtp {
    pub profile: SrtpProfile,
    pub inbound: InboundContext,
    pub outbound: OutboundContext,
}

/// What an SSRC of the client carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamRole {
    Media,
    Retransmission,
}

/// An SSRC of the client.
#[derive(Debug)]
pub(crate) struct ClientStream {
    pub ssrc: u32,
    pub track: Key,
    pub role: StreamRole,
    pub state: InboundStream,
}

/// A stream of which another has taken the place, or whose track has ended.
#[derive(Debug)]
pub(crate) struct FormerStream {
    pub stream: ClientStream,
    /// Since when.
    pub since: Micros,
    /// MID and RTP stream identifier of its track, which has ended; None: it goes on with another stream.
    pub ended: Option<(Arc<str>, Box<str>)>,
}

/// A session.
pub(crate) struct Session {
    pub key: SessionKey,
    pub subject: Subject,
    pub room: Key,
    pub state: SessionState,
    pub ice: Ice,
    /// Whether the node has been told that nothing comes from the client.
    pub told_silent: bool,
    pub handshake: Handshake,
    /// The path of its records; None: they came on several, and none began it.
    pub handshake_path: Option<Path>,
    pub srtp: Option<Srtp>,
    /// Data channels, where the offer has an m-line for them.
    pub channels: Option<Box<Channels>>,
    pub codecs: Vec<Codec>,
    pub extensions: ExtensionIds,
    pub sends_transport_cc: bool,
    pub cname: String,
    /// What it sends, by m-line.
    pub publications: Vec<Key>,
    /// All encodings of them.
    pub tracks: Vec<Key>,
    pub slots: Vec<Slot>,
    pub streams: Vec<ClientStream>,
    /// The latest that were replaced, the oldest first.
    pub former: VecDeque<FormerStream>,
    pub controls: Vec<(u32, InboundControl)>,
    pub control_out: OutboundControl,
    /// What its RTCP may still make the shard do, and its connectivity checks.
    pub control_work: Bucket,
    pub checks: Bucket,
    /// SSRC of feedback messages.
    pub control_ssrc: u32,
    /// Next transport-wide sequence number.
    pub transport_sequence: u16,
    pub arrivals: FeedbackRecorder,
    pub uplink: Uplink,
    /// What the way to the client carries.
    pub bandwidth: Estimator,
    pub pacer: Pacer,
    pub carried: Carried,
    pub next_report: Micros,
    /// When its bandwidth is divided again.
    pub next_allocation: Micros,
    /// It waits to be looked at before that, because an encoding has come or gone.
    pub awaits_layers: bool,
    /// What it was given then, in bits a second.
    pub allocated: u64,
    /// What everything that its layout can use would take, in bits a second.
    pub wanted: u64,
    /// Whether sound is repeated more often than its senders do, and what room that needs in bits a second; 0: no need of it.
    pub repeats_sound: bool,
    pub repetition: u64,
    /// What repairs take on the way from the client, and on the way to it.
    pub sender_wait: RepairWait,
    pub receiver_wait: RepairWait,
    pub sent: SentRate,
    measured_round_trip: Option<Micros>,
    /// What to add to the client's NTP time (microseconds) to get the shard's time.
    clock_offset: Option<i64>,
}

impl Session {
    pub(crate) fn new(
        now: Micros,
        clock: Clock,
        open: &OpenSession,
        room: Key,
        identity: Arc<Identity>,
        random: &mut dyn FnMut() -> u64,
    ) -> Self {
        let parameters = &open.parameters;
        let slots = parameters.slots.iter().map(|spec| Slot::new(spec, random())).collect();
        let numbers = random();
        Self {
            key: open.key,
            subject: Subject { room: Arc::clone(&open.room), session: Arc::clone(&open.session) },
            room,
            state: SessionState::Connecting,
            ice: Ice::new(
                now,
                open.credentials.clone(),
                &RemoteCredentials { ufrag: parameters.ice_ufrag.clone(), pwd: parameters.ice_pwd.clone() },
            ),
            told_silent: false,
            handshake: Handshake::new(identity, parameters.sha256_fingerprints()),
            handshake_path: None,
            srtp: None,
            channels: parameters.channels.as_ref().map(|channels| Box::new(Channels::new(now, clock, channels))),
            codecs: parameters.codecs.clone(),
            extensions: extension_ids(&parameters.extensions),
            sends_transport_cc: parameters.extensions.transport_cc.is_some(),
            cname: parameters.cname.clone(),
            publications: Vec::new(),
            tracks: Vec::new(),
            slots,
            streams: Vec::with_capacity(MAX_STREAMS),
            former: VecDeque::new(),
            controls: Vec::with_capacity(MAX_STREAMS),
            control_out: OutboundControl::default(),
            control_work: Bucket::new(now, CONTROL_WORK, CONTROL_SAVED),
            checks: Bucket::new(now, CHECKS, CHECKS_SAVED),
            control_ssrc: numbers as u32,
            transport_sequence: (numbers >> 32) as u16,
            arrivals: FeedbackRecorder::default(),
            uplink: Uplink::default(),
            bandwidth: Estimator::default(),
            pacer: Pacer::default(),
            carried: Carried::default(),
            next_report: now + SECOND,
            next_allocation: now,
            awaits_layers: false,
            allocated: 0,
            wanted: 0,
            repeats_sound: false,
            repetition: 0,
            sender_wait: RepairWait::default(),
            receiver_wait: RepairWait::default(),
            sent: SentRate::default(),
            measured_round_trip: None,
            clock_offset: None,
        }
    }

    /// Takes note of the path and the length of a record.
    pub(crate) fn note_handshake(&mut self, path: &Path, len: usize) {
        if !self.handshake.has_begun() {
            self.handshake_path = Some(*path);
        } else if self.handshake_path != Some(*path) {
            self.handshake_path = None;
        }
        self.ice.received(path, len);
    }

    /// Whether keys are agreed.
    pub(crate) fn is_connected(&self) -> bool {
        self.state == SessionState::Connected
    }

    /// Where to send.
    pub(crate) fn path(&self) -> Option<Path> {
        self.ice.path()
    }

    /// The slots of one kind, with their places.
    pub(crate) fn slots_of(&self, kind: MediaKind) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(move |(_, slot)| slot.kind == kind)
    }

    /// The slots that m-lines have.
    pub(crate) fn slots_in_use(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.is_vacant())
    }

    /// Puts a stream in its place, which another of its role may have had; None: there are too many. With it comes whether there
    /// was one.
    pub(crate) fn place_stream(&mut self, now: Micros, stream: ClientStream) -> Option<(usize, bool)> {
        let same = |other: &ClientStream| other.track == stream.track && other.role == stream.role;
        if let Some(place) = self.streams.iter().position(same) {
            let stream = std::mem::replace(&mut self.streams[place], stream);
            self.remember_stream(FormerStream { stream, since: now, ended: None });
            return Some((place, true));
        }
        if self.streams.len() >= MAX_STREAMS {
            return None;
        }
        self.streams.push(stream);
        Some((self.streams.len() - 1, false))
    }

    fn remember_stream(&mut self, former: FormerStream) {
        if self.former.len() == MAX_FORMER {
            self.former.pop_front();
        }
        self.former.push_back(former);
    }

    /// The streams of a track that has ended come to nothing, until an m-line has them again.
    pub(crate) fn end_streams(&mut self, now: Micros, key: Key, track: &Track) {
        while let Some(place) = self.streams.iter().position(|stream| stream.track == key) {
            let ended = Some((Arc::clone(&track.mid), track.rid.clone()));
            let stream = self.streams.remove(place);
            self.remember_stream(FormerStream { stream, since: now, ended });
        }
        for former in self.former.iter_mut().filter(|former| former.stream.track == key) {
            former.ended.get_or_insert_with(|| (Arc::clone(&track.mid), track.rid.clone()));
        }
    }

    /// Takes note of a stream that an offer names. One that has been there before goes on where it was: so does the client's counter.
    pub(crate) fn declare_stream(&mut self, ssrc: u32, track: Key, role: StreamRole) {
        if self.streams.len() >= MAX_STREAMS || self.streams.iter().any(|known| known.ssrc == ssrc) {
            return;
        }
        let former = self.former.iter().position(|former| former.stream.ssrc == ssrc);
        let former = former.and_then(|place| self.former.remove(place));
        let state = former.map_or_else(InboundStream::default, |former| former.stream.state);
        self.streams.push(ClientStream { ssrc, track, role, state });
    }

    /// The codec that is sent with a payload type, or whose retransmissions are.
    pub(crate) fn codec(&self, payload_type: u8) -> Option<(&Codec, StreamRole)> {
        self.codecs.iter().find_map(|codec| {
            if codec.payload_type == payload_type {
                Some((codec, StreamRole::Media))
            } else if codec.rtx_payload_type == Some(payload_type) {
                Some((codec, StreamRole::Retransmission))
            } else {
                None
            }
        })
    }

    /// Takes note of what a slot has sent with this transport-wide number of a picture's packet that arrived then, and until when
    /// it still comes in time if it is sent again, where the way loses so much that it is worth knowing.
    pub(crate) fn note_carried(&mut self, number: u16, slot: u16, sequence: u16, track: &Track, arrival: Micros) {
        if track.kind == MediaKind::Video && self.receiver_wait.is_lossy() {
            let until = arrival + track.repair_wait.with(self.receiver_wait);
            self.carried.note(number, slot, sequence, until.saturating_sub(self.round_trip() / 2));
        }
    }

    /// Round trip time: the measured one, or a guess.
    pub(crate) fn round_trip(&self) -> Micros {
        self.measured_round_trip.unwrap_or(DEFAULT_ROUND_TRIP)
    }

    /// Round trip time as far as it is known: zero before it has been measured.
    pub(crate) fn round_trip_if_measured(&self) -> Micros {
        self.measured_round_trip.unwrap_or(0)
    }

    /// Round trip time, if it has been measured.
    pub(crate) fn measured_round_trip(&self) -> Option<Duration> {
        self.measured_round_trip.map(Duration::from_micros)
    }

    /// Takes note of a measured round trip.
    pub(crate) fn note_round_trip(&mut self, measured: Micros) {
        let smoothed = self.measured_round_trip.map_or(measured, |known| (7 * known + measured) / 8);
        self.measured_round_trip = Some(smoothed);
        self.bandwidth.on_round_trip(smoothed);
    }

    /// The shard's time at which the client wrote `sent` (NTP, microseconds) into a report that came at `arrival`.
    pub(crate) fn translate_client_time(&mut self, sent: u64, arrival: Micros) -> Micros {
        let measured = arrival.cast_signed().wrapping_sub(sent.cast_signed());
        let offset = match self.clock_offset {
            Some(known) if measured > known => known + (measured - known) / DRIFT_WEIGHT,
            _ => measured,
        };
        self.clock_offset = Some(offset);
        sent.cast_signed().wrapping_add(offset).max(0).cast_unsigned()
    }
}

/// The identifiers that were agreed, as headers are read and written with them.
pub(crate) fn extension_ids(agreed: &HeaderExtensions) -> ExtensionIds {
    let pairs = [
        (ExtensionKind::Mid, agreed.mid),
        (ExtensionKind::Rid, agreed.rid),
        (ExtensionKind::RepairedRid, agreed.repaired_rid),
        (ExtensionKind::AudioLevel, agreed.audio_level),
        (ExtensionKind::TransportCc, agreed.transport_cc),
        (ExtensionKind::AbsSendTime, agreed.abs_send_time),
        (ExtensionKind::DependencyDescriptor, agreed.dependency_descriptor),
        (ExtensionKind::VideoOrientation, agreed.video_orientation),
        (ExtensionKind::PlayoutDelay, agreed.playout_delay),
        (ExtensionKind::LayersAllocation, agreed.layers_allocation),
    ];
    let mut ids = ExtensionIds::default();
    for (kind, id) in pairs {
        if let Some(id) = id {
            // Identifiers were validated with the parameters: a refusal is impossible.
            let _ = ids.set(kind, id);
        }
    }
    ids
}
