//! Datagrams that a node must survive: valid ones of every protocol on its port, mutated, and noise.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use parley_engine_core::wire::demux::classify;
use parley_engine_core::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtcp::{RtcpWriter, SenderInfo};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};
use parley_engine_core::wire::stun::{BindingRequest, IntegrityKey, write_binding_request};
use serde_json::json;

const MAX_LEN: usize = 1500;
const MAX_MUTATIONS: usize = 6;
/// Values at which parsers change their mind.
const INTERESTING: [u8; 12] = [0, 1, 3, 4, 15, 16, 31, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
/// How many of a client's own datagrams of each kind are kept to be mutated.
const SAMPLES_PER_KIND: usize = 8;
/// Kinds of datagrams, noise included.
const KINDS: usize = 5;

/// The beginning of a DTLS 1.2 `ClientHello`: record header, handshake header, version and random.
const CLIENT_HELLO: &[u8] = b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\
    \x01\x00\x00\x34\x00\x00\x00\x00\x00\x00\x00\x34\xfe\xfd\
    0123456789abcdef0123456789abcdef\x00\x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00\x00\x06\x00\x17\x00\x00\xff\x01";

/// Makes hostile datagrams, the same ones for the same seed and samples.
pub(crate) struct Mutator {
    state: u64,
    samples: Vec<Vec<u8>>,
    kept: [usize; KINDS],
}

impl Mutator {
    /// Starts without samples: noise only.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, samples: Vec::new(), kept: [0; KINDS] }
    }

    /// Keeps a valid datagram as a sample, unless there are enough of its kind.
    pub(crate) fn observe(&mut self, datagram: &[u8]) {
        let kept = &mut self.kept[classify(datagram) as usize];
        if *kept < SAMPLES_PER_KIND {
            *kept += 1;
            self.samples.push(datagram.to_vec());
        }
    }

    fn random(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % limit.max(1)
    }

    /// Makes the next datagram.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        if self.samples.is_empty() || self.random(8) == 0 {
            let len = self.random(200);
            return (0..len).map(|_| self.random(256) as u8).collect();
        }
        let chosen = self.random(self.samples.len());
        let mut datagram = self.samples[chosen].clone();
        for _ in 0..=self.random(MAX_MUTATIONS) {
            self.mutate(&mut datagram);
        }
        datagram.truncate(MAX_LEN);
        datagram
    }

    fn mutate(&mut self, datagram: &mut Vec<u8>) {
        let at = self.random(datagram.len());
        let kind = self.random(7);
        if datagram.is_empty() {
            datagram.push(self.random(256) as u8);
            return;
        }
        match kind {
            0 => datagram[at] ^= 1 << self.random(8),
            1 => datagram[at] = self.random(256) as u8,
            2 | 3 => datagram[at] = INTERESTING[self.random(INTERESTING.len())],
            4 => datagram.truncate(at),
            5 => {
                let len = self.random(64);
                datagram.extend((0..len).map(|_| self.random(256) as u8));
            }
            _ => {
                let chosen = self.random(self.samples.len());
                let from = self.random(self.samples[chosen].len());
                datagram.truncate(at);
                datagram.extend_from_slice(&self.samples[chosen][from..]);
            }
        }
    }
}

struct Options {
    target: Option<SocketAddr>,
    count: u64,
    sources: usize,
    seed: u64,
    rate: u64,
}

/// Sends hostile datagrams from addresses that belong to no session, and prints one JSON line.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut options = Options { target: None, count: 1_000_000, sources: 8, seed: 1, rate: 200_000 };
    crate::parse_options(arguments, |name, value| {
        match name {
            "--target" => options.target = Some(value.parse().ok()?),
            "--count" => options.count = value.parse().ok()?,
            "--sources" => options.sources = value.parse().ok().filter(|count| (1..=1000).contains(count))?,
            "--seed" => options.seed = value.parse().ok()?,
            "--rate" => options.rate = value.parse().ok().filter(|rate| *rate > 0)?,
            _ => return None,
        }
        Some(())
    })?;
    let target = options.target.ok_or("--target address:port is needed")?;
    let (sent, wall) = send_all(&options, target).map_err(|error| error.to_string())?;
    println!("{}", json!({"sent": sent, "seed": options.seed, "wall_seconds": wall.as_secs_f64()}));
    Ok(())
}

fn send_all(options: &Options, target: SocketAddr) -> std::io::Result<(u64, Duration)> {
    let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sockets: Vec<UdpSocket> = (0..options.sources).map(|_| UdpSocket::bind(local)).collect::<Result<_, _>>()?;
    let mut mutator = Mutator::new(options.seed);
    for sample in samples() {
        mutator.observe(&sample);
    }
    let start = Instant::now();
    for (sent, socket) in (0..options.count).zip(sockets.iter().cycle()) {
        if sent % 64 == 0 {
            let due = Duration::from_nanos(sent * 1_000_000_000 / options.rate);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        // An ICMP error for an earlier datagram is reported on the next: what counts is that this one was tried.
        let _ = socket.send_to(&mutator.next(), target);
    }
    Ok((options.count, start.elapsed()))
}

/// A valid datagram of each protocol.
fn samples() -> Vec<Vec<u8>> {
    vec![stun_sample(), CLIENT_HELLO.to_vec(), rtp_sample(), rtcp_sample()]
}

fn written(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut buffer = vec![0; MAX_LEN];
    let len = write(&mut buffer).unwrap_or_default();
    buffer.truncate(len);
    buffer
}

fn stun_sample() -> Vec<u8> {
    let request = BindingRequest {
        transaction_id: *b"0123456789ab",
        username: "nobody:nobody",
        priority: 1,
        use_candidate: true,
        controlling: true,
        tie_breaker: 1,
    };
    written(|out| write_binding_request(out, &request, &IntegrityKey::new("a password of nobody")))
}

fn rtp_sample() -> Vec<u8> {
    let mut ids = ExtensionIds::default();
    ids.set(ExtensionKind::Mid, 4);
    ids.set(ExtensionKind::TransportCc, 3);
    let header = OutgoingHeader { marker: true, payload_type: 96, sequence_number: 1, timestamp: 2, ssrc: 3 };
    let values = ExtensionValues { mid: Some(b"0"), transport_sequence_number: Some(1), ..ExtensionValues::default() };
    written(|out| Some(write_header(out, &header, &ids, &values)? + 200))
}

fn rtcp_sample() -> Vec<u8> {
    written(|out| {
        let mut writer = RtcpWriter::new(out);
        writer.sender_report(3, &SenderInfo::default(), &[])?;
        writer.canonical_name(3, "nobody")?;
        writer.nack(3, 4, [1, 2, 30])?;
        Some(writer.len() + 20)
    })
}

#[cfg(test)]
mod tests {
    use parley_engine_core::wire::demux::DatagramKind;

    use super::*;

    #[test]
    fn samples_are_of_all_kinds() {
        let kinds: Vec<DatagramKind> = samples().iter().map(|sample| classify(sample)).collect();
        assert_eq!(kinds, [DatagramKind::Stun, DatagramKind::Dtls, DatagramKind::Rtp, DatagramKind::Rtcp]);
    }

    #[test]
    fn the_same_seed_gives_the_same_datagrams_of_all_kinds() {
        let make = |seed| {
            let mut mutator = Mutator::new(seed);
            for sample in samples() {
                mutator.observe(&sample);
            }
            (0..5000).map(|_| mutator.next()).collect::<Vec<_>>()
        };
        let datagrams = make(7);
        assert_eq!(datagrams, make(7));
        assert_ne!(datagrams, make(8));
        for kind in [DatagramKind::Stun, DatagramKind::Dtls, DatagramKind::Rtp, DatagramKind::Rtcp, DatagramKind::Noise]
        {
            assert!(datagrams.iter().filter(|datagram| classify(datagram) == kind).count() > 100, "{kind:?}");
        }
        assert!(Mutator::new(1).next().len() <= 200, "noise without samples");
    }
}
