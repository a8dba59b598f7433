//! Where outgoing datagrams are put together: runs of equal size to one address become one send (`UDP_SEGMENT`).

use std::net::{IpAddr, SocketAddr};

use crate::clock::Micros;

/// What carries datagrams between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// The shard's UDP port.
    Udp,
    /// A TCP connection with this number, which no other has or had for a long time (RFC 6544).
    Tcp(u32),
}

/// The two ends of a datagram. The local address matters on a host with several: an answer has to leave from where the
/// question arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer.
    pub remote: SocketAddr,
    /// The address the peer sends to.
    pub local: IpAddr,
    /// What carries it.
    pub transport: Transport,
}

impl Path {
    /// A path over UDP.
    #[must_use]
    pub fn udp(remote: SocketAddr, local: IpAddr) -> Self {
        Self { remote, local, transport: Transport::Udp }
    }
}

/// Takes datagrams out of a shard: a socket, or a simulated network.
pub trait Transmit {
    /// Sends `bytes` as datagrams of `segment` bytes each; the last may be shorter. False when they were refused.
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool;

    /// A session's client has proven by a connectivity check that the path is its.
    fn confirm(&mut self, _now: Micros, _path: &Path) {}

    /// No session uses the path any more; what has been sent on it still goes out.
    fn retire(&mut self, _path: &Path) {}
}

/// The largest datagram that is sent; larger ones would be fragmented by the network.
pub const MAX_DATAGRAM: usize = 1_500;
/// The kernel takes at most this many segments a call in every version that has `UDP_SEGMENT`.
const MAX_SEGMENTS: usize = 64;
/// A run must fit an IP packet.
const CAPACITY: usize = 65_000;

/// What the outbox has sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    pub packets: u64,
    pub bytes: u64,
    pub calls: u64,
    pub refused: u64,
}

/// The run under construction.
pub(crate) struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    segment: usize,
    segments: usize,
    /// A datagram shorter than the run's segment ends the run.
    complete: bool,
    path: Option<Path>,
    pub sent: Sent,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; CAPACITY + MAX_DATAGRAM].into_boxed_slice(),
            used: 0,
            segment: 0,
            segments: 0,
            complete: false,
            path: None,
            sent: Sent::default(),
        }
    }

    /// Adds a datagram that `build` writes into the buffer it is given; None from `build` abandons it.
    pub(crate) fn datagram(
        &mut self,
        path: &Path,
        network: &mut dyn Transmit,
        build: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        if self.path.as_ref() != Some(path) || self.complete || self.segments >= MAX_SEGMENTS {
            self.flush(network);
        }
        let len = build(&mut self.arena[self.used..self.used + MAX_DATAGRAM])?;
        if self.segments > 0 && (len > self.segment || self.used + len > CAPACITY) {
            self.start_over_with(len, network);
        }
        self.path = Some(*path);
        if self.segments == 0 {
            self.segment = len;
        }
        self.complete = len < self.segment;
        self.used += len;
        self.segments += 1;
        Some(len)
    }

    /// Sends the run and moves the datagram behind it, which does not belong to it, to the front.
    fn start_over_with(&mut self, len: usize, network: &mut dyn Transmit) {
        let from = self.used;
        self.flush(network);
        self.arena.copy_within(from..from + len, 0);
    }

    /// Sends what is there.
    pub(crate) fn flush(&mut self, network: &mut dyn Transmit) {
        if let Some(path) = self.path.take().filter(|_| self.segments > 0) {
            self.sent.calls += 1;
            if network.transmit(&path, self.segment, &self.arena[..self.used]) {
                self.sent.packets += self.segments as u64;
                self.sent.bytes += self.used as u64;
            } else {
                self.sent.refused += self.segments as u64;
            }
        }
        self.used = 0;
        self.segments = 0;
        self.complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[derive(Default)]
    struct Log(Vec<(u16, usize, Vec<u8>)>);

    impl Transmit for Log {
        fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
            self.0.push((path.remote.port(), segment, bytes.to_vec()));
            true
        }
    }

    fn path(port: u16) -> Path {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path::udp(SocketAddr::new(local, port), local)
    }

    fn send(outbox: &mut Outbox, log: &mut Log, port: u16, bytes: &[u8]) {
        outbox.datagram(&path(port), log, |buffer| {
            buffer[..bytes.len()].copy_from_slice(bytes);
            Some(bytes.len())
        });
    }

    #[test]
    fn equal_sizes_to_one_address_are_one_run_and_a_shorter_one_ends_it() {
        let (mut outbox, mut log) = (Outbox::new(), Log::default());
        for bytes in [&b"aaaa"[..], b"bbbb", b"cc", b"dddd", b"eeeeee"] {
            send(&mut outbox, &mut log, 1, bytes);
        }
        send(&mut outbox, &mut log, 2, b"ffffff");
        outbox.flush(&mut log);
        let expected = [
            (1, 4, b"aaaabbbbcc".to_vec()),
            (1, 4, b"dddd".to_vec()),
            (1, 6, b"eeeeee".to_vec()),
            (2, 6, b"ffffff".to_vec()),
        ];
        assert_eq!(log.0, expected);
        assert_eq!((outbox.sent.packets, outbox.sent.calls, outbox.sent.bytes), (6, 4, 26));
    }

    #[test]
    fn runs_respect_the_limits_of_the_kernel() {
        let (mut outbox, mut log) = (Outbox::new(), Log::default());
        for _ in 0..200 {
            send(&mut outbox, &mut log, 1, &[0; 1_200]);
        }
        for _ in 0..200 {
            send(&mut outbox, &mut log, 2, &[0; 60]);
        }
        outbox.flush(&mut log);
        assert!(
            log.0.iter().all(|(_, segment, bytes)| bytes.len() <= CAPACITY && bytes.len() / segment <= MAX_SEGMENTS)
        );
        assert_eq!(log.0.iter().map(|(_, segment, bytes)| bytes.len() / segment).sum::<usize>(), 400);
    }

    #[test]
    fn an_abandoned_datagram_leaves_no_trace() {
        let (mut outbox, mut log) = (Outbox::new(), Log::default());
        send(&mut outbox, &mut log, 1, b"aaaa");
        assert_eq!(outbox.datagram(&path(1), &mut log, |_| None), None);
        send(&mut outbox, &mut log, 1, b"bbbb");
        outbox.flush(&mut log);
        assert_eq!(log.0, [(1, 4, b"aaaabbbb".to_vec())]);
    }
}
