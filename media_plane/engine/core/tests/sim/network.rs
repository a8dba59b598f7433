//! A network that loses, delays and reorders datagrams by a seeded generator, with links of limited rate where a test wants them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::outbox::{MAX_DATAGRAM, Path, Transmit};

use super::link::Link;
use super::sealed::Sealed;
use super::{IN_SHARD, NODE};

/// A generator whose whole state is a number (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a thousand cases.
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }
}

/// What happens to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// How many of a thousand are lost.
    pub loss: u64,
    pub delay: Micros,
    /// Up to this much is added to the delay of each, which also reorders them.
    pub jitter: Micros,
}

impl Conditions {
    pub const IDEAL: Self = Self { loss: 0, delay: 2 * MILLISECOND, jitter: 0 };
}

/// Datagrams that the shard sends, still to be given to the network.
#[derive(Debug, Default)]
pub struct Outgoing(Vec<(SocketAddr, Vec<u8>)>);

impl Transmit for Outgoing {
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
        let inside = IN_SHARD.replace(false);
        assert_eq!(path.local, NODE.ip(), "answers leave from the address that was asked");
        assert!((1..=MAX_DATAGRAM).contains(&segment), "a datagram of {segment} bytes leaves the node");
        self.0.extend(bytes.chunks(segment).map(|datagram| (path.remote, datagram.to_vec())));
        IN_SHARD.set(inside);
        true
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    arrival: Micros,
    order: u64,
    from: SocketAddr,
    to: SocketAddr,
    datagram: Vec<u8>,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    pub outgoing: Outgoing,
    /// What has been sealed under each number.
    pub sealed: Sealed,
    pub conditions: Conditions,
    pub random: Random,
    /// Links from the node to clients, and from clients to the node, that are not perfect.
    pub down: HashMap<SocketAddr, Link>,
    pub up: HashMap<SocketAddr, Link>,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    /// Everything sent to the shard, when it is to be kept.
    pub recorded: Option<Vec<(SocketAddr, Vec<u8>)>>,
    /// Lengths of what the shard has sent to an address.
    pub watched: Option<SocketAddr>,
    pub seen: Vec<usize>,
}

impl Network {
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            outgoing: Outgoing::default(),
            sealed: Sealed::default(),
            conditions,
            random: Random(seed),
            down: HashMap::new(),
            up: HashMap::new(),
            flights: BinaryHeap::new(),
            order: 0,
            recorded: None,
            watched: None,
            seen: Vec::new(),
        }
    }

    pub fn send(&mut self, now: Micros, from: SocketAddr, to: SocketAddr, mut datagram: Vec<u8>) {
        if let Some(recorded) = self.recorded.as_mut().filter(|_| to == NODE) {
            recorded.push((from, datagram.clone()));
        }
        if self.random.permille(self.conditions.loss) {
            return;
        }
        let link = if to == NODE { self.up.get_mut(&from) } else { self.down.get_mut(&to) };
        let (mut departure, mut copies) = (now, 0);
        if let Some(link) = link {
            let Some(carried) = link.carry(now, &datagram, &mut self.random) else { return };
            departure = carried;
            copies = u64::from(self.random.permille(link.duplicates));
        }
        for copy in (0..=copies).rev() {
            let datagram = if copy == 0 { std::mem::take(&mut datagram) } else { datagram.clone() };
            let arrival = departure + self.conditions.delay + self.random.below(self.conditions.jitter + 1);
            self.order += 1;
            self.flights.push(Reverse(Flight { arrival, order: self.order, from, to, datagram }));
        }
    }

    /// Takes what the shard has sent.
    pub fn accept(&mut self, now: Micros) {
        for (to, datagram) in std::mem::take(&mut self.outgoing.0) {
            self.sealed.note(&datagram);
            if self.watched == Some(to) {
                self.seen.push(datagram.len());
            }
            self.send(now, NODE, to, datagram);
        }
    }

    /// What arrives by now: sender, receiver, datagram.
    pub fn due(&mut self, now: Micros) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut due = Vec::new();
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.arrival <= now) {
            let Some(Reverse(flight)) = self.flights.pop() else { break };
            due.push((flight.from, flight.to, flight.datagram));
        }
        due
    }
}
