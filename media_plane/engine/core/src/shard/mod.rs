//! A shard: rooms and sessions that share a port and a thread, without any I/O of its own. It is given datagrams,
//! commands and the time, and gives datagrams and events.

mod audio;
mod bandwidth;
mod channels;
mod commands;
mod control_in;
mod control_out;
mod explain;
mod fanout;
mod layers;
mod media_change;
mod media_in;
mod pace;
mod retransmit;
mod stats;
mod timers;
mod transport;
mod video;
mod wanted;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use aws_lc_rs::rand;

use crate::clock::{Clock, Micros};
use crate::command::SessionKey;
use crate::counters::Counters;
use crate::dtls::Identity;
use crate::event::{Event, EventKind};
use crate::outbox::{Outbox, Path, Transmit};
use crate::publication::Publication;
use crate::rate_limit::RateLimit;
use crate::room::Room;
use crate::session::Session;
use crate::slab::{Key, Slab};
use crate::track::Track;
use crate::wire::demux::{DatagramKind, classify};
use crate::work;
use fanout::FanOut;
use layers::Layers;

/// Steps that a call may take at least, and so many more for each open session and packet to be sent on.
const STEPS: u64 = 20_000;
const STEPS_PER_SESSION: u64 = 256;

/// What a shard is made with.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Its number, which its ICE fragments carry.
    pub index: u16,
    /// Its time.
    pub clock: Clock,
    /// Certificate of the engine.
    pub identity: Arc<Identity>,
    /// How many others a participant hears.
    pub audio_slots: usize,
}

/// A shard.
pub struct Shard {
    config: ShardConfig,
    sessions: Vec<Option<Box<Session>>>,
    open_sessions: usize,
    rooms: Slab<Room>,
    room_names: HashMap<Arc<str>, Key>,
    publications: Slab<Publication>,
    tracks: Slab<Track>,
    /// Addresses that sessions have proven to own.
    paths: HashMap<Path, u32>,
    limit: RateLimit,
    outbox: Outbox,
    fanout: FanOut,
    layers: Layers,
    counters: Counters,
    events: Vec<Event>,
    released: Vec<SessionKey>,
    /// Sessions of rooms that have been closed, which are still to be ended.
    closing: VecDeque<SessionKey>,
    /// When the next sessions are looked at, and the place of the first of them.
    next_tick: Micros,
    next_looked_at: usize,
    /// Tracks of which packets are missing, and when one of them wants to ask for some.
    losing: Vec<Key>,
    next_nack: Micros,
    /// Sessions to which padding is sent step by step.
    paced: Vec<u32>,
    next_step: Micros,
}

impl Shard {
    /// A shard without rooms.
    #[must_use]
    pub fn new(config: ShardConfig) -> Self {
        Self {
            config,
            sessions: Vec::new(),
            open_sessions: 0,
            rooms: Slab::new(),
            room_names: HashMap::new(),
            publications: Slab::new(),
            tracks: Slab::new(),
            paths: HashMap::new(),
            limit: RateLimit::new(),
            outbox: Outbox::new(),
            fanout: FanOut::with_room(),
            layers: Layers::with_room(),
            counters: Counters::default(),
            events: Vec::new(),
            released: Vec::new(),
            closing: VecDeque::new(),
            next_tick: 0,
            next_looked_at: 0,
            losing: Vec::new(),
            next_nack: Micros::MAX,
            paced: Vec::new(),
            next_step: 0,
        }
    }

    /// Takes one received datagram, which is decrypted in place. Media is forwarded by the next [`Shard::flush`], so that
    /// packets received together leave together.
    pub fn handle_datagram(&mut self, now: Micros, path: &Path, datagram: &mut [u8], network: &mut dyn Transmit) {
        self.bounded(|shard| shard.take_datagram(now, path, datagram, network));
    }

    fn take_datagram(&mut self, now: Micros, path: &Path, datagram: &mut [u8], network: &mut dyn Transmit) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        let kind = classify(datagram);
        if kind == DatagramKind::Stun {
            return self.handle_stun(now, path, datagram, network);
        }
        if kind == DatagramKind::Noise {
            self.counters.dropped_noise += 1;
            return;
        }
        let Some(&index) = self.paths.get(path) else {
            self.counters.dropped_unknown_source += 1;
            return;
        };
        match kind {
            DatagramKind::Rtp => self.handle_media(now, index, path, datagram),
            DatagramKind::Rtcp => self.handle_control(now, index, path, datagram, network),
            _ => self.handle_dtls(now, index, path, datagram, network),
        }
    }

    /// Whether a moment's patience before [`Shard::flush`] is worth it: packets of one frame that leave together leave in
    /// one call a receiver.
    #[must_use]
    pub fn expects_more(&self) -> bool {
        self.fanout.expects_more()
    }

    /// Whether there is media for [`Shard::flush`] to forward.
    #[must_use]
    pub fn has_media(&self) -> bool {
        self.fanout.has_media()
    }

    /// Forwards media of the datagrams since the last call, a few milliseconds' worth at most, and sends everything that is ready. To be
    /// called again while [`Shard::has_media`], before more datagrams are handed in: their packets would take the place of those
    /// that are still to be forwarded.
    pub fn flush(&mut self, now: Micros, network: &mut dyn Transmit) {
        self.bounded(|shard| {
            shard.follow_changed_encodings(now, network);
            shard.forward_pending(now, network);
            shard.ask_for_missing(now, network);
            shard.outbox.flush(network);
            shard.count_sent();
        });
    }

    /// Makes a call, of which a limit of steps is expected whatever it is about (see `work`).
    fn bounded(&mut self, call: impl FnOnce(&mut Self)) {
        let each = STEPS_PER_SESSION * (1 + self.fanout.pending() as u64);
        let limit = STEPS + each * self.open_sessions as u64;
        let made = self.outbox.made;
        work::begin(limit);
        call(self);
        work::end();
        self.counters.calls_over_limit += u64::from(self.outbox.made - made > limit);
    }

    /// When [`Shard::handle_timeout`] wants to be called; None: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        let next = if self.paced.is_empty() { self.next_tick } else { self.next_tick.min(self.next_step) };
        let waits = self.layers.is_waiting() || !self.closing.is_empty() || self.fanout.has_media();
        let next = if waits { 0 } else { next };
        (self.open_sessions > 0).then_some(next.min(self.next_nack))
    }

    /// Moves the counters of the outbox to those of the shard.
    fn count_sent(&mut self) {
        let sent = std::mem::take(&mut self.outbox.sent);
        self.counters.packets_sent += sent.packets;
        self.counters.bytes_sent += sent.bytes;
        self.counters.send_runs += sent.runs;
        self.counters.send_calls += sent.calls;
        self.counters.dropped_send_buffer += sent.refused;
        self.counters.dropped_send_oversized += sent.oversized;
    }

    /// Events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Places of sessions that have ended since the last call.
    pub fn take_released(&mut self) -> Vec<SessionKey> {
        std::mem::take(&mut self.released)
    }

    /// What has been counted; the caller adds what only it can count.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    fn emit(&mut self, now: Micros, kind: EventKind) {
        self.events.push(Event { kind, time_unix_nano: self.config.clock.unix_nanos(now) });
    }

    fn session(&self, index: u32) -> Option<&Session> {
        self.sessions.get(index as usize)?.as_deref()
    }

    fn session_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.sessions.get_mut(index as usize)?.as_deref_mut()
    }

    /// The session with this key, unless its place has been given to another.
    fn session_by_key(&self, key: SessionKey) -> Option<&Session> {
        self.session(key.index).filter(|session| session.key == key)
    }
}

/// Random numbers for streams to start with.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // A failure leaves zeros: predictable starting numbers weaken nothing that the keys protect.
    let _ = rand::fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
