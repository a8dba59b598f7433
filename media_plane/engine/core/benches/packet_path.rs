//! What the steps of forwarding one packet cost, in nanoseconds of this machine: `cargo bench -p parley-engine-core`.
//!
//! For ratios between the steps; wall time differs between machines and runs. Under callgrind the same program counts
//! instructions, which do not: `PARLEY_BENCH_ITERATIONS=1000 valgrind --tool=callgrind <this binary>`.

use std::hint::black_box;
use std::time::Instant;

use parley_engine_core::payload::vp8::{self, Vp8Descriptor, Vp8Numbers};
use parley_engine_core::srtp::{
    DtlsRole, InboundStream, MAX_OVERHEAD, OutboundStream, SrtpProfile, contexts_from_dtls,
};
use parley_engine_core::wire::demux::classify;
use parley_engine_core::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtp::{OutgoingHeader, RtpHeader, write_header};

const VIDEO_BYTES: usize = 1150;
const AUDIO_BYTES: usize = 80;
const DEFAULT_ITERATIONS: u32 = 200_000;

fn measure(name: &str, iterations: u32, mut step: impl FnMut(u32)) {
    for index in 0..iterations / 10 {
        step(index);
    }
    let start = Instant::now();
    for index in 0..iterations {
        step(index);
    }
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(iterations);
    println!("{name:<44} {nanoseconds:>8.1} ns");
}

fn extension_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (kind, id) in [(ExtensionKind::AbsSendTime, 2), (ExtensionKind::TransportCc, 3), (ExtensionKind::Mid, 4)] {
        ids.set(kind, id);
    }
    ids
}

fn packet(out: &mut [u8], sequence_number: u16, payload: &[u8], ids: &ExtensionIds) -> usize {
    let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number, timestamp: 90_000, ssrc: 7 };
    let values = ExtensionValues {
        mid: Some(b"1"),
        transport_sequence_number: Some(sequence_number),
        abs_send_time: Some(5),
        ..ExtensionValues::default()
    };
    let header_len = write_header(out, &header, ids, &values).unwrap_or_default();
    out[header_len..header_len + payload.len()].copy_from_slice(payload);
    header_len + payload.len()
}

fn headers(iterations: u32) {
    let ids = extension_ids();
    let mut buffer = [0; 2048];
    let payload = [b"\x90\xf0\x92\x34\x56\xa7\x10\x00", &[0x55; VIDEO_BYTES][..]].concat();
    let len = packet(&mut buffer, 1, &payload, &ids);
    let data = buffer[..len].to_vec();
    measure("classify", iterations, |_| {
        black_box(classify(black_box(&data)));
    });
    measure("parse header", iterations, |_| {
        black_box(RtpHeader::parse(black_box(&data)));
    });
    measure("parse header and extensions", iterations, |_| {
        let header = RtpHeader::parse(black_box(&data)).unwrap();
        black_box(ExtensionValues::read(&header, &data, &ids));
    });
    measure("write header and copy 1,150 bytes", iterations, |index| {
        black_box(packet(&mut buffer, index as u16, black_box(&payload), &ids));
    });
    let mut descriptor = payload.clone();
    measure("parse VP8 descriptor", iterations, |_| {
        black_box(Vp8Descriptor::parse(black_box(&descriptor)));
    });
    measure("rewrite VP8 descriptor", iterations, |index| {
        let numbers = Vp8Numbers { picture_id: index as u16, tl0_picture_index: index as u8, key_index: 1 };
        black_box(vp8::rewrite(black_box(&mut descriptor), &numbers));
    });
}

fn protection(iterations: u32) {
    let ids = extension_ids();
    for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80] {
        let material = vec![7; profile.keying_material_len()];
        let (_, outbound) = contexts_from_dtls(profile, &material, DtlsRole::Client).unwrap();
        let (inbound, _) = contexts_from_dtls(profile, &material, DtlsRole::Server).unwrap();
        for bytes in [AUDIO_BYTES, VIDEO_BYTES] {
            let payload = vec![0x55; bytes];
            let mut buffer = vec![0; bytes + 64 + MAX_OVERHEAD];
            let mut sending = OutboundStream::default();
            let name = profile.name();
            measure(&format!("protect {bytes} bytes, {name}"), iterations, |index| {
                let len = packet(&mut buffer, index as u16, &payload, &ids);
                black_box(outbound.protect_rtp(&mut sending, &mut buffer, len)).unwrap();
            });
            let len = packet(&mut buffer, 1, &payload, &ids);
            let len = outbound.protect_rtp(&mut OutboundStream::default(), &mut buffer, len).unwrap();
            let sealed = buffer[..len].to_vec();
            measure(&format!("unprotect {bytes} bytes, {name}"), iterations, |_| {
                buffer[..len].copy_from_slice(&sealed);
                black_box(inbound.unprotect_rtp(&mut InboundStream::default(), &mut buffer[..len])).unwrap();
            });
        }
    }
}

fn main() {
    let iterations = std::env::var("PARLEY_BENCH_ITERATIONS").ok().and_then(|text| text.parse().ok());
    let iterations = iterations.unwrap_or(DEFAULT_ITERATIONS);
    headers(iterations);
    protection(iterations);
}
