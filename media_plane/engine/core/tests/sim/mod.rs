//! A meeting in a simulated network: one shard, clients that speak real STUN, DTLS and SRTP, and a network that loses and
//! delays by a seeded generator. Time is a number that the meeting advances; nothing sleeps.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "several test programs share this module and use parts of it"
)]

pub mod association;
mod certificate;
mod channels;
mod client;
mod encoding;
mod link;
mod network;
pub mod participant;
pub mod peer;
mod picture;
mod receiver;
mod sealed;
mod sender;
pub mod stored;

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use parley_engine_core::clock::{Clock, MILLISECOND, Micros};
use parley_engine_core::command::{Command, OpenSession, SessionKey, SlotRequest};
use parley_engine_core::dtls::Identity;
use parley_engine_core::event::{CloseReason, Event, EventKind};
use parley_engine_core::explanation::SessionExplanation;
use parley_engine_core::outbox::Path;
use parley_engine_core::params::{ChannelParameters, SessionParameters};
use parley_engine_core::shard::{Shard, ShardConfig};
use parley_engine_core::stats::SessionStats;
use parley_engine_core::ufrag::LocalCredentials;

pub use channels::{ChannelClient, Heard as HeardOnChannel, heartbeat, with_chunks};
pub use client::Client;
pub use link::{Bursts, Link};
pub use network::{Conditions, Network, Random};
pub use picture::{Mark, decode};
pub use receiver::Received;
pub use sender::SCREEN_HEIGHT;
use sender::{Sender, VIDEO_TYPE};

pub const ROOM: &str = "room";
/// Where the shard is.
pub const NODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5_000);
/// What the simulated clients send and show: one microphone, one camera; three voices, two pictures.
pub const MICROPHONE: &str = "0";
pub const CAMERA: &str = "1";
/// And what a client may send besides, with m-lines that it may add.
pub const SCREEN: &str = "7";
pub const LATER_SLOTS: [&str; 2] = ["8", "9"];
pub const AUDIO_SLOTS: [&str; 3] = ["2", "3", "4"];
pub const VIDEO_SLOTS: [&str; 2] = ["5", "6"];

thread_local! {
    /// Whether this thread is inside the shard, and not in what simulates its surroundings.
    pub static IN_SHARD: Cell<bool> = const { Cell::new(false) };
}

/// A shard, its clients and the network between them.
pub struct Meeting {
    pub now: Micros,
    pub clock: Clock,
    pub shard: Shard,
    pub network: Network,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// Time that the word of what is wanted takes to its sender; None: it never comes.
    pub signalling: Option<Micros>,
    /// The most packets that left in one flush.
    pub longest_flush: u64,
    told: VecDeque<(Micros, usize, Vec<String>, Option<u8>)>,
    identity: Arc<Identity>,
}

impl Meeting {
    /// An empty room.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        let clock = Clock::start();
        let identity = Arc::new(Identity::generate().unwrap());
        let config = ShardConfig { index: 0, clock, identity: Arc::clone(&identity), audio_slots: 3 };
        let mut meeting = Self {
            now: 0,
            clock,
            shard: Shard::new(config),
            network: Network::new(seed, conditions),
            clients: Vec::new(),
            events: Vec::new(),
            signalling: Some(60 * MILLISECOND),
            longest_flush: 0,
            told: VecDeque::new(),
            identity,
        };
        meeting.command(Command::OpenRoom(ROOM.into()));
        meeting
    }

    /// Carries out a command.
    pub fn command(&mut self, command: Command) {
        IN_SHARD.set(true);
        self.shard.handle_command(self.now, command, &mut self.network.outgoing);
        IN_SHARD.set(false);
        self.network.accept(self.now);
    }

    /// A client joins; returns its number.
    pub fn join(&mut self) -> usize {
        self.join_with(|_| {})
    }

    /// A client joins that sends its camera in three encodings.
    pub fn join_with_simulcast(&mut self) -> usize {
        self.join_as(|client| client.sender.simulcast(), |_| {})
    }

    /// A client joins that has data channels, as a browser whose offer has an m-line for them.
    pub fn join_with_channels(&mut self) -> usize {
        let number = self.join_with(|open| {
            let participant_id = open.session.replace("client", "participant").into();
            open.parameters.channels = Some(ChannelParameters { participant_id, max_message_size: 262_144 });
        });
        self.clients[number].channels = Some(ChannelClient::new(self.clock));
        number
    }

    /// A client joins that has data channels, and opens one for captions.
    pub fn join_with_captions(&mut self) -> usize {
        let number = self.join_with_channels();
        self.clients[number].channels.as_mut().unwrap().open("captions");
        number
    }

    /// A client joins whose certificate is so many bytes longer than usual.
    pub fn join_with_long_certificate(&mut self, longer: usize) -> usize {
        let now = self.now;
        self.join_as(|client| client.lengthen_certificate(now, longer), |_| {})
    }

    /// A client joins with parameters that `change` has its way with.
    pub fn join_with(&mut self, change: impl FnOnce(&mut OpenSession)) -> usize {
        self.join_as(|_| {}, change)
    }

    fn join_as(&mut self, prepare: impl FnOnce(&mut Client), change: impl FnOnce(&mut OpenSession)) -> usize {
        let number = self.clients.len();
        let key = SessionKey { index: number as u32, generation: 0 };
        let credentials = LocalCredentials::generate(0, key.index);
        let mut client = Client::new(number, self.now, self.clock);
        self.network.sealed.forget(client.ssrcs());
        client.connect_to(&credentials);
        prepare(&mut client);
        let mut open = OpenSession {
            room: ROOM.into(),
            session: client.name.as_str().into(),
            key,
            credentials,
            parameters: client.parameters(),
        };
        change(&mut open);
        self.clients.push(client);
        self.command(Command::OpenSession(Box::new(open)));
        number
    }

    pub fn key(number: usize) -> SessionKey {
        SessionKey { index: number as u32, generation: 0 }
    }

    /// What carries a client's datagrams has ended, as a TCP connection does.
    pub fn disconnect(&mut self, number: usize) {
        let path = Path::udp(self.clients[number].address, NODE.ip());
        IN_SHARD.set(true);
        self.shard.handle_disconnect(&path);
        IN_SHARD.set(false);
    }

    pub fn leave(&mut self, number: usize) {
        self.command(Command::CloseSession(Self::key(number), CloseReason::Requested));
    }

    /// A client's next offer over the same connection, with parameters that `change` has its way with.
    pub fn renegotiate(&mut self, number: usize, change: impl FnOnce(&mut SessionParameters)) {
        let mut parameters = self.clients[number].parameters();
        change(&mut parameters);
        self.command(Command::ChangeMedia(Self::key(number), Box::new(parameters)));
    }

    /// Shows the camera of one client in a slot of another.
    pub fn show(&mut self, viewer: usize, slot: &str, sender: Option<usize>) {
        self.show_at(viewer, slot, sender, 0, 0);
    }

    /// The same at a height in pixels (0: any), with a priority.
    pub fn show_at(&mut self, viewer: usize, slot: &str, sender: Option<usize>, max_height: u32, priority: i32) {
        self.show_track(viewer, slot, sender.map(|sender| (sender, CAMERA)), max_height, priority);
    }

    /// Shows any track of a client, or nothing.
    pub fn show_track(
        &mut self,
        viewer: usize,
        slot: &str,
        track: Option<(usize, &str)>,
        max_height: u32,
        priority: i32,
    ) {
        let source = track.map(|(sender, mid)| (Self::key(sender), mid.into()));
        let request = SlotRequest { mid: slot.into(), source, max_height, priority };
        self.command(Command::UpdateSlots(Self::key(viewer), vec![request]));
    }

    pub fn mute(&mut self, number: usize, mid: &str, muted: bool) {
        self.command(Command::SetTrackMuted { key: Self::key(number), mid: mid.into(), muted });
    }

    pub fn stats(&mut self, number: usize) -> SessionStats {
        let (reply, answer) = sync_channel(1);
        self.command(Command::Stats(Self::key(number), reply));
        answer.try_recv().expect("the session is open")
    }

    pub fn explain(&mut self, number: usize) -> SessionExplanation {
        let (reply, answer) = sync_channel(1);
        self.command(Command::Explain(Self::key(number), reply));
        answer.try_recv().expect("the session is open")
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Micros) {
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
                IN_SHARD.set(true);
                self.shard.handle_datagram(now, &path, &mut datagram, &mut self.network.outgoing);
                IN_SHARD.set(false);
            } else if let Some(client) = self.clients.iter_mut().find(|client| client.address == to) {
                client.receive(now, &mut datagram);
            }
        }
        IN_SHARD.set(true);
        self.flush();
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, &mut self.network.outgoing);
        }
        IN_SHARD.set(false);
        assert_eq!(self.shard.counters().calls_over_limit, 0);
        for client in &mut self.clients {
            client.tick(now);
            for datagram in client.outgoing.drain(..) {
                self.network.send(now, client.address, NODE, datagram);
            }
        }
        self.network.accept(now);
        let events = self.shard.take_events();
        self.pass_on(&events);
        self.events.extend(events);
    }

    /// Has all media forwarded.
    fn flush(&mut self) {
        loop {
            let before = self.shard.counters().packets_sent;
            self.shard.flush(self.now, &mut self.network.outgoing);
            self.longest_flush = self.longest_flush.max(self.shard.counters().packets_sent - before);
            if !self.shard.has_media() {
                return;
            }
        }
    }

    /// Tells senders which encodings are wanted, as the control plane does.
    fn pass_on(&mut self, events: &[Event]) {
        for event in events {
            if let (EventKind::EncodingsWanted { subject, rids, codec, .. }, Some(delay)) =
                (&event.kind, self.signalling)
            {
                let rids = rids.iter().map(ToString::to_string).collect();
                let codec = codec.as_ref().map(|codec| codec.payload_type);
                self.told.push_back((self.now + delay, Client::number_of(&subject.session), rids, codec));
            }
        }
        while self.told.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, number, rids, codec)) = self.told.pop_front() else { return };
            let rids: Vec<_> = rids.iter().map(String::as_str).collect();
            self.clients[number].sender.set_wanted(&rids);
            self.clients[number].sender.set_codec(codec.unwrap_or(VIDEO_TYPE));
        }
    }

    /// Everyone is connected within a few seconds, or the test has failed.
    pub fn connect(&mut self) {
        for _ in 0..100 {
            if self.clients.iter().all(Client::is_connected) {
                return;
            }
            self.run(100 * MILLISECOND);
        }
        panic!("clients do not connect");
    }

    /// Events of one sort, in order.
    pub fn events<T>(&self, pick: impl Fn(&EventKind) -> Option<T>) -> Vec<T> {
        self.events.iter().filter_map(|event| pick(&event.kind)).collect()
    }

    /// What a slot has carried, in order: numbers of clients, None when it was emptied.
    pub fn sources_of(&self, viewer: usize, slot: &str) -> Vec<Option<usize>> {
        let viewer = Client::name_of(viewer);
        self.events(|kind| match kind {
            EventKind::SlotSource { subject, mid, source } if *subject.session == *viewer && **mid == *slot => {
                Some(source.as_ref().map(|source| Client::number_of(&source.session)))
            }
            _ => None,
        })
    }
}
