//! A short fuzz run of every parser: valid packets, mutated by a generator with a fixed seed.
//!
//! `PARLEY_FUZZ_ROUNDS=<n>` makes it n times as long. The same functions run under libFuzzer in `../fuzz`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parley_engine_core::fuzz;
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtcp::{ReportBlock, RtcpWriter, SenderInfo};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};
use parley_engine_core::wire::stun::{self, BindingRequest, ErrorCode, IntegrityKey};

/// Inputs for a parser that takes well under a microsecond, and for the targets that encrypt or keep state. Each runs about a second.
const QUICK: u32 = 2_000_000;
const ENCRYPTING: u32 = 250_000;
const STATEFUL: u32 = 40_000;
const MAX_LEN: usize = 1500;
/// Values at which parsers change their mind.
const INTERESTING: [u8; 16] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 0x3f, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/// xorshift64*: small, fast and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        match random.below(9) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = random.byte(),
            2 | 3 if !data.is_empty() => data[at] = INTERESTING[random.below(INTERESTING.len())],
            4 => data.truncate(at),
            5 => data.extend((0..random.below(40)).map(|_| random.byte())),
            6 => data.insert(at, INTERESTING[random.below(INTERESTING.len())]),
            7 if !data.is_empty() => {
                let end = (at + random.below(16)).min(data.len());
                data.drain(at..end);
            }
            _ => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                data.truncate(at);
                data.extend(&other[from..]);
            }
        }
    }
    data.truncate(MAX_LEN);
    data
}

fn run(seed: u64, inputs: u32, corpus: &[Vec<u8>], target: fn(&[u8])) {
    let rounds: u32 = std::env::var("PARLEY_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    for input in corpus {
        target(input);
    }
    for index in 0..inputs.saturating_mul(rounds) {
        let input = mutate(&mut random, corpus);
        let survived = catch_unwind(AssertUnwindSafe(|| target(&input))).is_ok();
        assert!(survived, "input {index} of seed {seed}: {input:02x?}");
    }
}

fn written(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut buffer = vec![0; MAX_LEN];
    let len = write(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn stun_corpus() -> Vec<Vec<u8>> {
    let key = IntegrityKey::new(fuzz::STUN_PASSWORD);
    let request = |use_candidate, controlling| BindingRequest {
        transaction_id: *b"0123456789ab",
        username: "node:client",
        priority: 0x6e00_01ff,
        use_candidate,
        controlling,
        tie_breaker: 77,
    };
    let address = "[2001:db8::7]:5000".parse().unwrap();
    // Without FINGERPRINT, mutations get past the checksum.
    let mut unprotected = written(|out| stun::write_binding_request(out, &request(true, true), &key));
    unprotected.truncate(unprotected.len() - 8);
    unprotected[3] -= 8;
    vec![
        unprotected,
        written(|out| stun::write_binding_request(out, &request(true, true), &key)),
        written(|out| stun::write_binding_request(out, &request(false, false), &key)),
        written(|out| stun::write_binding_success(out, b"0123456789ab", address, &key)),
        written(|out| stun::write_binding_error(out, b"0123456789ab", ErrorCode::UnknownAttribute(9), Some(&key))),
    ]
}

fn rtp_corpus() -> Vec<Vec<u8>> {
    let mut ids = ExtensionIds::default();
    for (kind, id) in [
        (ExtensionKind::AudioLevel, 1),
        (ExtensionKind::AbsSendTime, 2),
        (ExtensionKind::TransportCc, 3),
        (ExtensionKind::Mid, 4),
        (ExtensionKind::DependencyDescriptor, 8),
        (ExtensionKind::Rid, 10),
    ] {
        ids.set(kind, id).unwrap();
    }
    let header = OutgoingHeader { marker: true, payload_type: 96, sequence_number: 65_535, timestamp: 90_000, ssrc: 7 };
    let packet = |descriptor: &[u8], payload: &[u8]| {
        let values = ExtensionValues {
            mid: Some(b"0"),
            rid: Some(b"h"),
            audio_level: Some(AudioLevel { voice: true, level: 30 }),
            transport_sequence_number: Some(9),
            abs_send_time: Some(5),
            dependency_descriptor: (!descriptor.is_empty()).then_some(descriptor),
            ..ExtensionValues::default()
        };
        let mut packet = written(|out| write_header(out, &header, &ids, &values));
        packet.extend(payload);
        packet
    };
    let mut padded = packet(&[], b"payload\0\0\x03");
    padded[0] |= 0x20;
    vec![
        packet(&[], b"payload"),
        packet(&[0x85, 0x12, 0x34], &[1; 1100]),
        packet(&[7; 40], b"x"),
        padded,
        b"\x92\x60\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x03\xbe\xde\0\x02\x10\x07\0\x22\x01\x02\x03\0data"
            .to_vec(),
    ]
}

fn rtcp_corpus() -> Vec<Vec<u8>> {
    let block = ReportBlock { ssrc: 5, cumulative_lost: -1, jitter: 9, ..ReportBlock::default() };
    let write = |write: &dyn Fn(&mut RtcpWriter<'_>) -> Option<()>| {
        written(|out| {
            let mut writer = RtcpWriter::new(out);
            write(&mut writer)?;
            Some(writer.len())
        })
    };
    vec![
        write(&|writer| {
            writer.sender_report(1, &SenderInfo::default(), &[block, block])?;
            writer.canonical_name(1, "name")?;
            writer.bye(&[1, 2])
        }),
        write(&|writer| {
            writer.receiver_report(1, &[block])?;
            writer.nack(1, 2, [1, 2, 5, 17, 18, 900])?;
            writer.picture_loss_indication(1, 2)
        }),
        write(&|writer| {
            writer.receiver_estimated_max_bitrate(1, 2_500_000, &[3, 4])?;
            writer.full_intra_request(1, &[(2, 3), (4, 5)])
        }),
        b"\x8f\xcd\0\x06\0\0\0\x01\0\0\0\x02\0\x64\0\x09\0\0\x05\x01\xc9\x50\x20\x02\xff\xff\x01\x01\x01\x04\x04\0"
            .to_vec(),
        b"\xa0\xc9\0\x02\0\0\0\x05\0\0\0\x04".to_vec(),
    ]
}

#[test]
fn framing() {
    let corpus = [
        b"\0\x04\x80\x60\0\x01\0\x02\x16\xfe\0\0\0\x01\0".to_vec(),
        b"\0\0\0\0\0\x05abcde\x08\0".to_vec(),
        b"\x08\x01".to_vec(),
        [b"\x02\x58".to_vec(), vec![7; 600], b"\0\x64".to_vec(), vec![9; 60]].concat(),
    ];
    run(20, ENCRYPTING, &corpus, fuzz::framing);
}

#[test]
fn stun() {
    run(1, QUICK, &stun_corpus(), fuzz::stun);
}

#[test]
fn rtp() {
    run(2, QUICK, &rtp_corpus(), fuzz::rtp);
}

#[test]
fn rtcp() {
    run(3, QUICK, &rtcp_corpus(), fuzz::rtcp);
}

#[test]
fn srtp() {
    let short = |mut packet: Vec<u8>| {
        packet.truncate(200);
        packet
    };
    let corpus: Vec<_> = rtp_corpus().into_iter().chain(rtcp_corpus()).map(short).collect();
    run(4, ENCRYPTING, &corpus, fuzz::srtp);
}

#[test]
fn vp8() {
    let corpus = [
        b"\x90\xf0\x92\x34\x56\xa7\x10\x00\x00\x9d\x01\x2a\x80\x42\xe0\x01rest".to_vec(),
        b"\xb1\x80\x7f\x01data".to_vec(),
        b"\x10\x01data".to_vec(),
        b"\x90\x30\x5f\x01".to_vec(),
    ];
    run(5, QUICK, &corpus, fuzz::vp8);
}

#[test]
fn vp9() {
    let corpus = [
        b"\xaa\x81\x02\x10\x33\x38\x01\x40\x00\xb4\x02\x80\x01\x68\x02\x14\x01\x28\x02\x01data".to_vec(),
        b"\xf5\x05\x43\x03\x02data".to_vec(),
        b"\x08data".to_vec(),
    ];
    run(6, QUICK, &corpus, fuzz::vp9);
}

#[test]
fn h264() {
    let corpus =
        [b"\x78\0\x02\x67\x42\0\x01\x68\0\x03\x65\x88\x84".to_vec(), b"\x7c\x85\x01".to_vec(), b"\x65\x88".to_vec()];
    run(7, QUICK, &corpus, fuzz::h264);
}

#[test]
fn av1() {
    let corpus =
        [b"\x08\x02\x0a\xff\x01\x32".to_vec(), b"\x28\x01\x12\x0a\xff".to_vec(), b"\x85\x12\x34\x80\x01".to_vec()];
    run(8, QUICK, &corpus, fuzz::av1);
}

#[test]
fn twcc() {
    let reports = rtcp_corpus().into_iter().map(|packet| packet[4.min(packet.len())..].to_vec());
    let corpus: Vec<_> = reports.chain([(0..=255).collect(), vec![3; 400]]).collect();
    run(9, STATEFUL, &corpus, fuzz::twcc);
}

#[test]
fn redundant_audio() {
    let corpus = [b"\xef\x0f\x00\x02\x6f\x01\x02\x07\x08".to_vec(), b"\x6f\x05".to_vec(), vec![0xff; 12]];
    run(10, QUICK, &corpus, fuzz::redundant_audio);
}
