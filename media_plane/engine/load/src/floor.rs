//! What this machine can send at best, to set beside what the engine sends.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use parley_engine_core::srtp::{OutboundContext, OutboundStream, SrtpProfile, Written};
use parley_engine_core::wire::extension::{ExtensionIds, ExtensionKind, ExtensionValues};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};
use serde_json::json;

use crate::sys::{CpuTime, coalesce_received, keep_nothing, send_segments, thread_cpu_time};

struct Options {
    receivers: usize,
    segments: usize,
    bytes: usize,
    seconds: f64,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { receivers: 200, segments: 6, bytes: 1150, seconds: 1.0 };
        crate::parse_options(arguments, |name, value| {
            match name {
                "--receivers" => options.receivers = value.parse().ok().filter(|count| (1..=10_000).contains(count))?,
                "--segments" => options.segments = value.parse().ok().filter(|count| (1..=64).contains(count))?,
                "--bytes" => options.bytes = value.parse().ok().filter(|count| (1..=1400).contains(count))?,
                "--seconds" => options.seconds = value.parse().ok().filter(|seconds| *seconds > 0.0)?,
                _ => return None,
            }
            Some(())
        })?;
        if options.segments * (options.bytes + 64) > 65_000 {
            return Err("segments of this size do not fit one send".to_owned());
        }
        Ok(options)
    }
}

/// How packets leave.
#[derive(Clone, Copy)]
enum Sending {
    /// All packets of a frame in one call, and nobody cuts them up on this processor: receivers take them coalesced, as a
    /// network card takes them that segments by itself.
    Offloaded,
    /// All packets of a frame in one call, cut up by the kernel on its way to the receivers.
    Segmented,
    /// One call a packet.
    Single,
}

impl Sending {
    fn name(self) -> &'static str {
        match self {
            Self::Offloaded => "udp_segment_offloaded",
            Self::Segmented => "udp_segment",
            Self::Single => "send",
        }
    }
}

/// Prints one JSON line for each way of sending.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::parse(arguments)?;
    let sinks = bind_all(options.receivers)?;
    let sockets = connect_all(&sinks)?;
    for (sending, profile) in [
        (Sending::Offloaded, None),
        (Sending::Offloaded, Some(SrtpProfile::AeadAes128Gcm)),
        (Sending::Offloaded, Some(SrtpProfile::AeadAes256Gcm)),
        (Sending::Offloaded, Some(SrtpProfile::Aes128CmSha1_80)),
        (Sending::Segmented, None),
        (Sending::Segmented, Some(SrtpProfile::AeadAes256Gcm)),
        (Sending::Single, None),
        (Sending::Single, Some(SrtpProfile::AeadAes256Gcm)),
    ] {
        let coalesce = matches!(sending, Sending::Offloaded);
        sinks.iter().try_for_each(|sink| coalesce_received(sink, coalesce)).map_err(|error| error.to_string())?;
        let mut sender = Sender::new(&options, profile);
        let measured = measure(&options, &sockets, &mut sender, sending)?;
        println!("{}", report(&options, sending, profile, sender.packet_len(), &measured));
    }
    Ok(())
}

fn bind_all(count: usize) -> Result<Vec<UdpSocket>, String> {
    let bind = |_| {
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        keep_nothing(&sink).map(|()| sink)
    };
    (0..count).map(bind).collect::<std::io::Result<_>>().map_err(|error| error.to_string())
}

fn connect_all(sinks: &[UdpSocket]) -> Result<Vec<UdpSocket>, String> {
    let connect = |sink: &UdpSocket| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(sink.local_addr()?)?;
        Ok(socket)
    };
    sinks.iter().map(connect).collect::<std::io::Result<_>>().map_err(|error| error.to_string())
}

/// Builds one frame after the other with as little work as the result allows: a header that was written once is copied and
/// its numbers are changed, the payload is copied, and each receiver has keys of its own.
struct Sender {
    /// Header and payload.
    template: Vec<u8>,
    header_len: usize,
    /// Where the transport-wide sequence number stands.
    transport_sequence_at: usize,
    contexts: Vec<OutboundContext>,
    streams: Vec<OutboundStream>,
    sequence_number: u16,
    frame: Vec<u8>,
    packet_len: usize,
    segments: usize,
}

impl Sender {
    fn new(options: &Options, profile: Option<SrtpProfile>) -> Self {
        let (template, header_len, transport_sequence_at) = template(options.bytes);
        let context = |profile: SrtpProfile, receiver: usize| {
            let mut key = vec![1; profile.key_len()];
            key[..8].copy_from_slice(&receiver.to_be_bytes());
            OutboundContext::new(profile, &key, &vec![2; profile.salt_len()])
        };
        let contexts =
            profile.map(|profile| (0..options.receivers).filter_map(|receiver| context(profile, receiver)).collect());
        let mut sender = Self {
            template,
            header_len,
            transport_sequence_at,
            contexts: contexts.unwrap_or_default(),
            streams: vec![OutboundStream::default(); options.receivers],
            sequence_number: 0,
            frame: vec![0; 65_536],
            packet_len: 0,
            segments: options.segments,
        };
        sender.packet_len = sender.build_frame(0) / sender.segments;
        sender
    }

    fn packet_len(&self) -> usize {
        self.packet_len
    }

    /// Builds the frame for one receiver and returns its length; all packets are equally long.
    fn build_frame(&mut self, receiver: usize) -> usize {
        let mut at = 0;
        let len = self.template.len();
        for segment in 0..self.segments {
            let place = &mut self.frame[at..];
            let sequence_number = self.sequence_number.wrapping_add(segment as u16);
            place[..len].copy_from_slice(&self.template);
            place[2..4].copy_from_slice(&sequence_number.to_be_bytes());
            place[4..8].copy_from_slice(&u32::from(self.sequence_number).to_be_bytes());
            place[8..12].copy_from_slice(&(receiver as u32).to_be_bytes());
            let transport = self.transport_sequence_at..self.transport_sequence_at + 2;
            place[transport].copy_from_slice(&sequence_number.to_be_bytes());
            at += match (self.contexts.get(receiver), self.streams.get_mut(receiver)) {
                (Some(context), Some(stream)) => {
                    let written = Written { header_len: self.header_len, ssrc: receiver as u32, sequence_number };
                    context.protect_written(stream, place, len, written).unwrap_or_default()
                }
                _ => len,
            };
        }
        at
    }

    fn next_round(&mut self) {
        self.sequence_number = self.sequence_number.wrapping_add(self.segments as u16);
    }

    fn send(&self, socket: &UdpSocket, len: usize, sending: Sending) -> std::io::Result<()> {
        let frame = &self.frame[..len];
        match sending {
            Sending::Offloaded | Sending::Segmented if len > self.packet_len => {
                send_segments(socket, frame, self.packet_len as u16).map(|_| ())
            }
            _ => frame.chunks(self.packet_len).try_for_each(|packet| socket.send(packet).map(|_| ())),
        }
    }
}

/// A packet as the engine sends them, the length of its header, and the place of its transport-wide sequence number.
fn template(payload_len: usize) -> (Vec<u8>, usize, usize) {
    const MARK: u16 = 0xabcd;
    let mut ids = ExtensionIds::default();
    for (kind, id) in [(ExtensionKind::Mid, 4), (ExtensionKind::TransportCc, 3), (ExtensionKind::AbsSendTime, 2)] {
        ids.set(kind, id);
    }
    let header = OutgoingHeader { marker: false, payload_type: 96, sequence_number: 0, timestamp: 0, ssrc: 0 };
    let values = ExtensionValues {
        mid: Some(b"1"),
        transport_sequence_number: Some(MARK),
        abs_send_time: Some(7),
        ..ExtensionValues::default()
    };
    let mut packet = vec![0x55; 64 + payload_len];
    let header_len = write_header(&mut packet, &header, &ids, &values).unwrap_or_default();
    packet.truncate(header_len + payload_len);
    let place = packet.windows(2).position(|bytes| bytes == MARK.to_be_bytes()).unwrap_or(header_len);
    (packet, header_len, place)
}

struct Measured {
    packets: u64,
    cpu: CpuTime,
    wall: Duration,
}

fn measure(
    options: &Options,
    sockets: &[UdpSocket],
    sender: &mut Sender,
    sending: Sending,
) -> Result<Measured, String> {
    let start = Instant::now();
    let before = thread_cpu_time();
    let mut packets = 0;
    while start.elapsed().as_secs_f64() < options.seconds {
        for (receiver, socket) in sockets.iter().enumerate() {
            let len = sender.build_frame(receiver);
            sender.send(socket, len, sending).map_err(|error| error.to_string())?;
            packets += options.segments as u64;
        }
        sender.next_round();
    }
    let after = thread_cpu_time();
    Ok(Measured { packets, cpu: after.since(before), wall: start.elapsed() })
}

fn report(
    options: &Options,
    sending: Sending,
    profile: Option<SrtpProfile>,
    packet_len: usize,
    measured: &Measured,
) -> serde_json::Value {
    let cpu_seconds = (measured.cpu.user + measured.cpu.system).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "packet counts are far below 2^52")]
    let packets = measured.packets as f64;
    json!({
        "sending": sending.name(),
        "srtp_profile": profile.map(SrtpProfile::name),
        "packets_per_cpu_second": (packets / cpu_seconds).round(),
        "nanoseconds_per_packet": (cpu_seconds * 1e9 / packets).round(),
        "packets": measured.packets,
        "cpu_user_seconds": measured.cpu.user.as_secs_f64(),
        "cpu_system_seconds": measured.cpu.system.as_secs_f64(),
        "wall_seconds": measured.wall.as_secs_f64(),
        "conditions": {
            "interface": "loopback",
            "receivers": options.receivers,
            "receivers_read": false,
            "packets_per_send": if matches!(sending, Sending::Single) { 1 } else { options.segments },
            "payload_bytes": options.bytes,
            "datagram_bytes": packet_len,
            "cpu": "getrusage of the sending thread, user and system, with the kernel's receive path of loopback",
        },
    })
}
