//! A simulated client on a real socket, for tests of the engine with its threads.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use parley_engine_core::clock::Clock;
use parley_engine_core::engine::{Engine, EngineConfig, NamedSlotRequest};

use super::{CAMERA, Client};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The slot that a peer looks at.
pub const SLOT: &str = "5";
/// Generous: the machine may be busy with anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What an engine is made with that has so many shards on free ports.
pub fn config(shards: usize) -> EngineConfig {
    EngineConfig {
        bind_address: LOOPBACK,
        ports: vec![0; shards],
        tcp_ports: Some(vec![0; shards]),
        pin_cores: false,
        audio_slots_per_room: 3,
        max_sessions_per_shard: 10,
        event_capacity: 1_000,
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Has a slot show another's camera.
pub fn show(session: usize) -> [NamedSlotRequest; 1] {
    let source = Some((Client::name_of(session), CAMERA.to_owned()));
    [NamedSlotRequest { mid: SLOT.to_owned(), source, max_height: 0, priority: 0 }]
}

/// A simulated client on a real socket.
pub struct Peer {
    pub client: Client,
    pub socket: UdpSocket,
    pub node: SocketAddr,
    clock: Clock,
}

impl Peer {
    pub fn join(engine: &Engine, room: &str, number: usize) -> Self {
        let clock = Clock::start();
        let mut client = Client::new(number, 0, clock);
        let local = engine.open_session(room, &client.name, client.parameters()).unwrap();
        client.connect_to(&local.credentials);
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Self { client, socket, node: SocketAddr::new(LOOPBACK, local.port), clock }
    }

    pub fn step(&mut self) {
        let mut buffer = [0; 2_000];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.client.receive(self.clock.now(), &mut buffer[..len]);
        }
        self.client.tick(self.clock.now());
        for datagram in self.client.outgoing.drain(..) {
            self.socket.send_to(&datagram, self.node).unwrap();
        }
    }

    pub fn pictures(&self) -> usize {
        self.client.slots.get(SLOT).map_or(0, |slot| slot.packets.len())
    }
}

pub fn run_until(peers: &mut [Peer], done: impl Fn(&[Peer]) -> bool) {
    let start = Instant::now();
    while !done(peers) {
        assert!(start.elapsed() < PATIENCE, "the engine does what it should within {PATIENCE:?}");
        peers.iter_mut().for_each(Peer::step);
    }
}
