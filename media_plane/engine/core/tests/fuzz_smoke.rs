//! A short fuzz run of every parser: valid packets, mutated by a generator with a fixed seed.
//!
//! `PARLEY_FUZZ_ROUNDS=<n>` makes it n times as long. The same functions run under libFuzzer in `../fuzz`.

mod sim;

use std::panic::{AssertUnwindSafe, catch_unwind};

use parley_engine_core::fuzz;
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtcp::{ReportBlock, RtcpWriter, SenderInfo};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};
use parley_engine_core::wire::stun::{self, BindingRequest, ErrorCode, IntegrityKey};

/// Inputs for a parser that takes well under a microsecond, for the targets that encrypt or keep state, and for whole calls. Each
/// runs about a second.
const QUICK: u32 = 2_000_000;
const ENCRYPTING: u32 = 250_000;
const STATEFUL: u32 = 40_000;
const WHOLE_CALLS: u32 = 60;
const SYSTEM_CALLS: u32 = 2_000;
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

/// What long runs have found worth keeping: inputs that reach what others do not, in hexadecimal, one a line.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/../fuzz/corpus/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn run(name: &str, seed: u64, inputs: u32, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let corpus = &[seeds, &kept(name)].concat();
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
    run("framing", 20, ENCRYPTING, &corpus, fuzz::framing);
}

#[test]
fn stun() {
    run("stun", 1, QUICK, &stun_corpus(), fuzz::stun);
}

#[test]
fn rtp() {
    run("rtp", 2, QUICK, &rtp_corpus(), fuzz::rtp);
}

#[test]
fn rtcp() {
    run("rtcp", 3, QUICK, &rtcp_corpus(), fuzz::rtcp);
}

#[test]
fn srtp() {
    let short = |mut packet: Vec<u8>| {
        packet.truncate(200);
        packet
    };
    let corpus: Vec<_> = rtp_corpus().into_iter().chain(rtcp_corpus()).map(short).collect();
    run("srtp", 4, ENCRYPTING, &corpus, fuzz::srtp);
}

#[test]
fn vp8() {
    let corpus = [
        b"\x90\xf0\x92\x34\x56\xa7\x10\x00\x00\x9d\x01\x2a\x80\x42\xe0\x01rest".to_vec(),
        b"\xb1\x80\x7f\x01data".to_vec(),
        b"\x10\x01data".to_vec(),
        b"\x90\x30\x5f\x01".to_vec(),
    ];
    run("vp8", 5, QUICK, &corpus, fuzz::vp8);
}

#[test]
fn vp9() {
    let corpus = [
        b"\xaa\x81\x02\x10\x33\x38\x01\x40\x00\xb4\x02\x80\x01\x68\x02\x14\x01\x28\x02\x01data".to_vec(),
        b"\xf5\x05\x43\x03\x02data".to_vec(),
        b"\x08data".to_vec(),
    ];
    run("vp9", 6, QUICK, &corpus, fuzz::vp9);
}

#[test]
fn h264() {
    let corpus =
        [b"\x78\0\x02\x67\x42\0\x01\x68\0\x03\x65\x88\x84".to_vec(), b"\x7c\x85\x01".to_vec(), b"\x65\x88".to_vec()];
    run("h264", 7, QUICK, &corpus, fuzz::h264);
}

#[test]
fn av1() {
    let corpus =
        [b"\x08\x02\x0a\xff\x01\x32".to_vec(), b"\x28\x01\x12\x0a\xff".to_vec(), b"\x85\x12\x34\x80\x01".to_vec()];
    run("av1", 8, QUICK, &corpus, fuzz::av1);
}

#[test]
fn twcc() {
    let reports = rtcp_corpus().into_iter().map(|packet| packet[4.min(packet.len())..].to_vec());
    let corpus: Vec<_> = reports.chain([(0..=255).collect(), vec![3; 400]]).collect();
    run("twcc", 9, STATEFUL, &corpus, fuzz::twcc);
}

/// A form, the sender's and the receiver's identifiers, and a block.
fn extensions_corpus() -> Vec<Vec<u8>> {
    let (theirs, ours) = ([4, 10, 11, 1, 3, 2, 8, 13, 12], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let input = |form: u8, block: &[u8]| [&[form][..], &theirs, &ours, block].concat();
    vec![
        input(0, b"\x10\x9e\x22\x01\x02\x03\x31\0\x09\x400\xa0h\xc2\0\x10\0\x82\x85\x12\x34\0\0"),
        input(1, b"\x01\x01\x1e\x02\x03\x01\x02\x03\x03\x02\0\x07\x04\0\x0d\x01\x03\x08\x14abcdefghijklmnopqrst\0"),
    ]
}

#[test]
fn extensions() {
    run("extensions", 11, QUICK, &extensions_corpus(), fuzz::extensions);
}

/// The descriptors of a stream: a structure of two layers each way (L2T2), then frames that refer to it.
fn descriptor_corpus() -> Vec<Vec<u8>> {
    let structure = structure_of_two_layers();
    let frame = |wish: u8, descriptor: &[u8]| [&[wish, descriptor.len() as u8][..], descriptor].concat();
    let stream = [
        frame(0x0f, &structure),
        frame(0x0f, &[0xc6, 0, 8]),
        frame(0x00, &[0xc7, 0, 9]),
        frame(0x05, &[0xc8, 0, 10, 0x20, 0x20]),
        frame(0xaf, &[0xc5, 0, 11]),
    ];
    vec![stream.concat(), frame(0x8f, &structure), frame(3, &[0x85, 0x12, 0x34, 0x80, 1])]
}

/// As the tests of `payload::structure` have it, with 5 as the first template.
fn structure_of_two_layers() -> Vec<u8> {
    let mut bits = vec![(1, 1), (0, 1), (5, 6), (7, 16), (0b1_0000, 5), (5, 6), (3, 5)];
    bits.extend([(0, 2), (1, 2), (2, 2), (1, 2), (3, 2)]);
    bits.extend([2, 2, 2, 2, 0, 2, 0, 2, 0, 0, 2, 2, 0, 0, 0, 1].map(|indication| (indication, 2)));
    bits.extend([(0, 1), (1, 1), (0, 4), (0, 1), (1, 1), (1, 4), (1, 1), (3, 4), (0, 1), (0, 1)]);
    bits.extend([(1, 2), (1, 4), (1, 4), (1, 4), (1, 4), (1, 1)]);
    bits.extend([319, 179, 639, 359].map(|side| (side, 16)));
    let all: Vec<u32> =
        bits.iter().flat_map(|&(value, bits): &(u32, u32)| (0..bits).rev().map(move |bit| value >> bit & 1)).collect();
    all.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | (*bit as u8) << (7 - at))).collect()
}

#[test]
fn dependency_descriptor() {
    run("dependency_descriptor", 12, QUICK / 2, &descriptor_corpus(), fuzz::dependency_descriptor);
}

#[test]
fn srtp_order() {
    // In order, then with gaps, repetitions, reordering and damage, then over several turns, with each profile.
    let stream =
        [[0, 0, 7, 0].repeat(4), vec![1, 9, 7, 0, 4, 1, 6, 20, 0, 0, 0, 0, 4, 1, 4, 0], [2, 255, 7, 0].repeat(9)];
    let corpus: Vec<_> = (0..3).map(|profile| [vec![profile], stream.concat()].concat()).collect();
    run("srtp_order", 13, STATEFUL, &corpus, fuzz::srtp_order);
}

/// What a participant may say: a frame with extensions, sound, reports, a check that is none, and changes of what is shown.
fn participant_corpus() -> Vec<Vec<u8>> {
    let said = |what: u8, bytes: &[u8]| [&[what, bytes.len() as u8][..], bytes].concat();
    let key_frame = b"\x90\xf0\x92\x34\x56\xa7\x10\x00\x00\x9d\x01\x2a\x80\x42\xe0\x01rest";
    let named = [&b"\xbe\xde\0\x02\x20\x31\xd0h\xb1\0\x09\0"[..], key_frame].concat();
    let block = b"\0\0\x1e\xa5\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0";
    let media = [
        said(0x20, &[&[0xa1], &key_frame[..]].concat()),
        vec![5, 5],
        said(0x21, &[&[0x61], &named[..]].concat()),
        vec![6, 2, 14, 0, 22, 90, 5, 40],
        said(0x20, b"\x52\xff\xf0\x90\xf0rest"),
        said(0x20, b"\x03\x6f\x00\x02\x6fab"),
    ];
    let control = [
        said(3, &[&[1, 1, 7, 0, 0, 7, 0xd0], &block[..]].concat()),
        vec![5, 30],
        said(3, b"\x01\x05\x03\0\0\0\x01\0\x0d\xbf\xa5\xff\xdc\xff\xff\x01\x06\x02\0\0\0\x01\0\x0d\xbf\xa5"),
        said(
            3,
            b"\x0f\x05\x06\0\0\0\x01\0\0\0\x02\0\x64\0\x09\0\0\x05\x01\xc9\x50\x20\x02\xff\xff\x01\x01\x01\x04\x04\0",
        ),
        said(3, b"\x01\x03\x01\0\0\x07\xd1"),
        vec![4, 1, 0, 1, 0, 0, 0x21, 0x12],
    ];
    vec![media.concat(), control.concat(), [media.concat(), control.concat()].concat()]
}

#[test]
fn participant() {
    run("participant", 14, WHOLE_CALLS, &participant_corpus(), sim::participant::participant);
}

#[test]
fn sctp() {
    // A chunk (RFC 9260 section 3.2) behind the byte that chooses between packets and messages, and its length.
    let packet = |chunks: &[&[u8]]| -> Vec<u8> {
        let lengths = chunks.iter().flat_map(|chunk| [&[0, chunk.len() as u8][..], chunk].concat());
        std::iter::once(0).chain(lengths).collect()
    };
    let open = b"\x03\x81\x01\0\0\0\0\0\0\x07\0\0pointer";
    let data = |stream: u8, kind: u8, content: &[u8]| {
        let mut chunk = vec![0, 3, 0, 16 + content.len() as u8, 0, 0, 0, 0, 0, stream, 0, 0, 0, 0, 0, kind];
        chunk.extend(content);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    };
    let corpus = [
        packet(&[&data(0, 50, open), &data(0, 53, b"here")]),
        packet(&[&data(2, 50, b"\x03\0\x01\0\0\0\0\0\0\x07\0\0strokes"), &data(2, 51, b"text")]),
        // SACK, HEARTBEAT, ABORT, SHUTDOWN, ERROR, RE-CONFIG that resets a stream, FORWARD-TSN, INIT.
        packet(&[b"\x03\0\0\x10\0\0\0\0\0\x01\0\0\0\0\0\0", b"\x04\0\0\x0c\0\x01\0\x08abcd"]),
        packet(&[b"\x06\0\0\x04"]),
        packet(&[b"\x07\0\0\x08\0\0\0\0", b"\x09\0\0\x08\0\x06\0\x04"]),
        packet(&[b"\x82\0\0\x16\0\x0d\0\x12\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0"]),
        packet(&[b"\xc0\0\0\x0c\0\0\0\x02\0\0\0\x01"]),
        packet(&[b"\x01\0\0\x14\0\0\0\x07\0\x10\0\0\0\x10\0\x10\0\0\0\x01"]),
        [&[1, 50][..], open].concat(),
        b"\x01\x32\x03\0\x01\0\0\0\0\0\0\x08\0\0captions".to_vec(),
        b"\x01\x35message".to_vec(),
    ];
    run("sctp", 15, STATEFUL, &corpus, fuzz::sctp);
}

/// A chunk (RFC 9260 section 3.2), padded to units of eight bytes, behind what and its length.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(padded.len().next_multiple_of(8), 0);
    [&[0, (padded.len() / 8) as u8][..], &padded].concat()
}

#[test]
fn association() {
    let heartbeat = |info: u16| {
        let lengths = [(8 + info).to_be_bytes(), [0, 1], (4 + info).to_be_bytes()].concat();
        chunk(&[&[4, 0][..], &lengths, &vec![7; info.into()]].concat())
    };
    let data = |stream: u8, kind: u8, content: &[u8]| {
        let head = [0, 3, 0, 16 + content.len() as u8, 0, 0, 0, 0, 0, stream, 0, 0, 0, 0, 0, kind];
        chunk(&[&head[..], content].concat())
    };
    let corpus = [
        [heartbeat(100), heartbeat(1_444), heartbeat(1_900), vec![5, 5, 7, 40]].concat(),
        [data(2, 50, b"\x03\x81\x01\0\0\0\0\0\0\x07\0\0pointer"), data(2, 53, b"here"), vec![5, 9]].concat(),
        // DATA that is far ahead, whose SACK has many gaps; FORWARD-TSN; RE-CONFIG; a SACK of what was never sent.
        [data(0, 51, b"a"), vec![0, 1, 0, 3, 0, 17], data(0, 51, b"b"), chunk(b"\xc0\0\0\x0c\0\0\0\x02\0\0\0\x01")]
            .concat(),
        [chunk(b"\x82\0\0\x16\0\x0d\0\x12\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0"), vec![5, 30]].concat(),
        [chunk(b"\x03\0\0\x14\0\0\0\x09\0\0\x10\0\0\x01\0\0\0\x02\xff\xff"), vec![5, 30, 7, 9]].concat(),
        [chunk(b"\x01\0\0\x14\0\0\0\x07\0\x10\0\0\0\x10\0\x10\0\0\0\x01"), vec![6, 1, 1, 2, 3]].concat(),
        [chunk(b"\x06\0\0\x04"), chunk(b"\x07\0\0\x08\0\0\0\0"), chunk(b"\x08\0\0\x04"), vec![7, 3]].concat(),
    ];
    run("association", 16, WHOLE_CALLS, &corpus, sim::association::association);
}

#[test]
fn stored_packets() {
    let plain = [[0, 1, 0, 0], [0x40, 9, 0, 0], [0x40, 9, 0, 0], [5, 10, 0, 0]].concat();
    let corpus = [
        // Repairs of what came, of what is missing, of what has left, and of what is still to come.
        [&plain[..], &[0x40, 11, 0, 0, 3, 0, 0, 1, 3, 0, 0, 9, 3, 1, 4, 20, 3, 0, 0xff, 0xf0, 5, 20, 0, 0]].concat(),
        // A jump of almost as much as can be, again and again, with a late key frame.
        [&plain[..], &[0xc0, 8, 11, 180].repeat(9), &[3, 0, 11, 180, 5, 5, 0, 0]].concat(),
        // A new SSRC that begins behind the old numbers, and the old one again.
        [&plain[..], &[6, 1, 0, 1, 0, 9, 0, 0, 0x40, 9, 0, 0, 5, 9, 0, 0, 6, 0, 0xff, 0xf0, 0, 9, 0, 0]].concat(),
        // What the receiver asks for again, paced and with losses.
        [&plain[..], &[4, 3, 0, 3, 23, 5, 0, 0, 0x40, 9, 0, 0, 4, 90, 0, 60, 31, 250, 0, 0, 5, 60, 0, 0]].concat(),
        [&plain[..], &[7, 0, 0, 0, 0x40, 9, 0, 0, 7, 1, 0, 0, 15, 2, 0, 0, 15, 0, 0, 0, 0, 9, 0, 0, 5, 9, 0, 0]]
            .concat(),
    ];
    run("stored_packets", 17, WHOLE_CALLS, &corpus, sim::stored::stored_packets);
}

#[test]
fn tcp() {
    let corpus = [
        b"\x02\0\x04\x80\x60\0\x01\0\x02\x16\xfe\0\0\0\x01\0".to_vec(),
        b"\0\0\x05abcde\x08\0".to_vec(),
        b"\xff\x08\x01".to_vec(),
        [b"\x4f\x02\x58".to_vec(), vec![7; 600], b"\0\x64".to_vec(), vec![9; 60]].concat(),
    ];
    run("tcp", 18, SYSTEM_CALLS, &corpus, fuzz::tcp);
}

#[test]
fn redundant_audio() {
    let corpus = [b"\xef\x0f\x00\x02\x6f\x01\x02\x07\x08".to_vec(), b"\x6f\x05".to_vec(), vec![0xff; 12]];
    run("redundant_audio", 10, QUICK, &corpus, fuzz::redundant_audio);
}
