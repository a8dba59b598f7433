//! Where outgoing datagrams are put together: runs of equal size to one address become one send (`UDP_SEGMENT`).

use std::net::{IpAddr, SocketAddr};

use crate::clock::Micros;
use crate::work;

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

/// Datagrams of equal size on one path; the last may be shorter.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Where they go.
    pub path: Path,
    /// Size of each.
    pub segment: usize,
    /// Where they stand in the arena they were built in.
    pub start: usize,
    /// Bytes of all of them.
    pub len: usize,
}

impl Run {
    /// Its bytes.
    #[must_use]
    pub fn bytes<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        arena.get(self.start..self.start + self.len).unwrap_or_default()
    }

    fn datagrams(&self) -> u64 {
        self.len.div_ceil(self.segment.max(1)) as u64
    }
}

/// Takes datagrams out of a shard: a socket, or a simulated network.
pub trait Transmit {
    /// Sends `bytes` as datagrams of `segment` bytes each; the last may be shorter. False when they were refused.
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool;

    /// Sends runs in their order and counts them. What can send several in one call does it here.
    fn transmit_runs(&mut self, runs: &[Run], arena: &[u8], sent: &mut Sent) {
        for run in runs {
            sent.calls += 1;
            let accepted = self.transmit(&run.path, run.segment, run.bytes(arena));
            sent.note(run, accepted);
        }
    }

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
/// Runs that leave together. A system call costs as much as two packets; beyond sixteen there is nothing left to save, and
/// what was written first would leave the processor's cache before the kernel reads it.
pub(crate) const MAX_RUNS: usize = 16;
/// Sixteen frames of six packets. Before it is full there is always room for a whole datagram.
const ARENA: usize = 128 << 10;

/// What has been sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// Datagrams that were accepted.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Runs that were accepted, each a datagram or several of equal size to one address.
    pub runs: u64,
    /// System calls.
    pub calls: u64,
    /// Datagrams that were refused.
    pub refused: u64,
    /// Datagrams that were not sent because they are longer than [`MAX_DATAGRAM`].
    pub oversized: u64,
}

impl Sent {
    /// Counts a run.
    pub fn note(&mut self, run: &Run, accepted: bool) {
        if accepted {
            self.packets += run.datagrams();
            self.runs += 1;
            self.bytes += run.len as u64;
        } else {
            self.refused += run.datagrams();
        }
    }
}

/// Runs that are complete, and the one under construction.
pub(crate) struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
    segments: usize,
    /// A datagram shorter than the run's segment ends the run.
    complete: bool,
    pub sent: Sent,
    /// Datagrams made since the start, and such as were abandoned.
    pub made: u64,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; ARENA + MAX_DATAGRAM].into_boxed_slice(),
            used: 0,
            runs: Vec::with_capacity(MAX_RUNS),
            segments: 0,
            complete: false,
            sent: Sent::default(),
            made: 0,
        }
    }

    /// Adds a datagram that `build` writes into the buffer it is given; None from `build` abandons it.
    pub(crate) fn datagram(
        &mut self,
        path: &Path,
        network: &mut dyn Transmit,
        build: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        work::step();
        self.made += 1;
        let goes_on = |run: &Run| run.path == *path && !self.complete && self.segments < MAX_SEGMENTS;
        let mut goes_on = self.runs.last().is_some_and(goes_on);
        if self.used >= ARENA || (!goes_on && self.runs.len() == MAX_RUNS) {
            self.flush(network);
            goes_on = false;
        }
        let len = build(&mut self.arena[self.used..self.used + MAX_DATAGRAM])?;
        debug_assert!((1..=MAX_DATAGRAM).contains(&len), "what was built stands in the buffer: {len} bytes");
        if !(1..=MAX_DATAGRAM).contains(&len) {
            self.sent.oversized += 1;
            return None;
        }
        match self.runs.last_mut() {
            Some(run) if goes_on && len <= run.segment && run.len + len <= CAPACITY => {
                self.complete = len < run.segment;
                run.len += len;
                self.segments += 1;
            }
            _ => self.begin(*path, len, network),
        }
        self.used += len;
        Some(len)
    }

    /// Adds a datagram that exists already; one that is too long is counted and dropped.
    pub(crate) fn copy(&mut self, path: &Path, network: &mut dyn Transmit, datagram: &[u8]) {
        let copied = self.datagram(path, network, |buffer| {
            buffer.get_mut(..datagram.len())?.copy_from_slice(datagram);
            Some(datagram.len())
        });
        self.sent.oversized += u64::from(copied.is_none());
    }

    /// Begins a run with the datagram that has just been written.
    fn begin(&mut self, path: Path, len: usize, network: &mut dyn Transmit) {
        if self.runs.len() == MAX_RUNS {
            // It was to continue the last run and does not fit it.
            let from = self.used;
            self.flush(network);
            self.arena.copy_within(from..from + len, 0);
        }
        self.runs.push(Run { path, segment: len, start: self.used, len });
        self.segments = 1;
        self.complete = false;
    }

    /// Sends what is there.
    pub(crate) fn flush(&mut self, network: &mut dyn Transmit) {
        if !self.runs.is_empty() {
            network.transmit_runs(&self.runs, &self.arena, &mut self.sent);
        }
        self.runs.clear();
        self.used = 0;
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

    /// Calls, and the runs of each.
    #[derive(Default)]
    struct Batches(Vec<usize>, u64);

    impl Transmit for Batches {
        fn transmit(&mut self, _: &Path, _: usize, _: &[u8]) -> bool {
            false
        }

        fn transmit_runs(&mut self, runs: &[Run], arena: &[u8], sent: &mut Sent) {
            sent.calls += 1;
            self.0.push(runs.len());
            for run in runs {
                self.1 += run.bytes(arena).iter().map(|byte| u64::from(*byte)).sum::<u64>();
                sent.note(run, true);
            }
        }
    }

    #[test]
    fn runs_to_many_leave_together_and_whole() {
        let (mut outbox, mut batches) = (Outbox::new(), Batches::default());
        for port in 0..200 {
            for _ in 0..6 {
                outbox.datagram(&path(port), &mut batches, |buffer| {
                    buffer[..1_190].fill(1);
                    Some(1_190)
                });
            }
        }
        outbox.flush(&mut batches);
        assert_eq!(batches.0.iter().sum::<usize>(), 200);
        assert!(batches.0.iter().all(|runs| *runs <= MAX_RUNS), "{:?}", batches.0);
        assert_eq!(batches.0.len(), 200_usize.div_ceil(MAX_RUNS));
        assert_eq!((outbox.sent.packets, batches.1), (1_200, 1_200 * 1_190));
    }

    #[test]
    fn a_datagram_too_large_for_the_last_run_that_fits_is_sent_by_itself() {
        let (mut outbox, mut log) = (Outbox::new(), Log::default());
        for port in 0..MAX_RUNS as u16 {
            send(&mut outbox, &mut log, port, b"aa");
        }
        send(&mut outbox, &mut log, MAX_RUNS as u16 - 1, b"bbbb");
        outbox.flush(&mut log);
        assert_eq!(log.0.len(), MAX_RUNS + 1);
        assert_eq!(log.0[MAX_RUNS], (MAX_RUNS as u16 - 1, 4, b"bbbb".to_vec()));
    }

    #[test]
    fn a_datagram_of_any_length_is_sent_whole_or_counted() {
        let (mut outbox, mut log) = (Outbox::new(), Log::default());
        for len in [1, MAX_DATAGRAM - 1, MAX_DATAGRAM, MAX_DATAGRAM + 1, 2_048, 70_000] {
            outbox.copy(&path(1), &mut log, &vec![1; len]);
        }
        outbox.flush(&mut log);
        let lengths: Vec<usize> = log.0.iter().map(|(_, _, bytes)| bytes.len()).collect();
        assert_eq!(lengths, [1, MAX_DATAGRAM - 1, MAX_DATAGRAM]);
        assert_eq!((outbox.sent.packets, outbox.sent.oversized), (3, 3));
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
