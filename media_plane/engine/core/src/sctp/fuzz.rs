//! Any bytes as what a client's association brings: as chunks in packets whose header is right, or as messages.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "panicking is how a fuzz target tells of a bug")]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use sctp_proto::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload, PayloadProtocolIdentifier,
};

use super::association::{Channels, NO_ADDRESS};
use super::dcep::OpenMessage;
use super::limits::MAX_MESSAGE;
use super::message::wrap;
use crate::clock::{Clock, MILLISECOND, Micros, SECOND};
use crate::params::ChannelParameters;
use crate::sctp::Label;

static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::start);
/// Bytes of the common header (RFC 9260 section 3.1), of which the last four are the checksum.
const HEADER: usize = 12;
/// Where a DATA chunk has its TSN.
const TSN: std::ops::Range<usize> = 4..8;
const DATA: u8 = 0;
const STEP: Micros = 5 * MILLISECOND;

/// A client that behaves, up to where the input takes over.
struct Client {
    endpoint: Endpoint,
    association: Association,
    /// The common header of its packets.
    header: [u8; HEADER],
    next_tsn: u32,
}

/// The target.
pub(crate) fn run(data: &[u8]) {
    let _ = OpenMessage::parse(data).map(|open| open.known_label());
    let parameters = ChannelParameters { participant_id: "someone".into(), max_message_size: 0 };
    let mut channels = Channels::new(0, *CLOCK, &parameters);
    channels.handle_input(0, data);
    let mut client = connect(&mut channels);
    match data.split_first() {
        Some((0, chunks)) => client.send_chunks(&mut channels, chunks),
        Some((_, messages)) => client.send_message(&mut channels, messages),
        None => {}
    }
    for label in Label::all() {
        channels.send(label, &wrap("another", &data[..data.len().min(MAX_MESSAGE)]));
    }
    for step in 0..4 {
        settle(&mut channels, (1 + 5 * step) * SECOND);
    }
}

fn connect(channels: &mut Channels) -> Client {
    let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None);
    let (_, association) = endpoint.connect(ClientConfig::new(), NO_ADDRESS).unwrap();
    let mut client = Client { endpoint, association, header: [0; HEADER], next_tsn: 0 };
    for step in 0..4 {
        client.exchange(channels, step * STEP);
    }
    assert!(!client.association.is_handshaking(), "a client that behaves is let in");
    client
}

impl Client {
    fn exchange(&mut self, channels: &mut Channels, now: Micros) {
        while let Some(transmit) = self.association.poll_transmit(CLOCK.instant(now)) {
            let Payload::RawEncode(packets) = transmit.payload else { continue };
            for packet in packets {
                self.header.copy_from_slice(&packet[..HEADER]);
                if packet[HEADER] == 1 {
                    // INIT (section 3.3.2) ends with the first TSN.
                    self.next_tsn = u32::from_be_bytes(packet[28..32].try_into().unwrap());
                }
                channels.handle_input(now, &packet);
            }
        }
        while let Some(packets) = channels.poll_transmit(now) {
            for packet in packets {
                self.receive(now, packet);
            }
        }
        while self.association.poll().is_some() {}
    }

    fn receive(&mut self, now: Micros, packet: Bytes) {
        let handled = self.endpoint.handle(CLOCK.instant(now), NO_ADDRESS, None, None, packet);
        if let Some((_, DatagramEvent::AssociationEvent(event))) = handled {
            self.association.handle_event(event);
        }
    }

    /// Chunks behind their lengths, each in a packet of its own, as many as go into a second. TSNs are made such that they come near the expected one.
    fn send_chunks(&mut self, channels: &mut Channels, mut data: &[u8]) {
        let mut now = 0;
        while now < SECOND / 2
            && let Some(([high, low], rest)) = data.split_first_chunk()
        {
            let len = usize::from(u16::from_be_bytes([high & 7, *low])).min(rest.len());
            let (chunk, rest) = rest.split_at(len);
            data = rest;
            let mut packet = [&self.header[..], chunk].concat();
            if chunk.first() == Some(&DATA)
                && let Some(place) = packet[HEADER..].get_mut(TSN)
            {
                let tsn = self.next_tsn.wrapping_add(u32::from(place[3] & 7));
                place.copy_from_slice(&tsn.to_be_bytes());
                self.next_tsn = self.next_tsn.wrapping_add(1);
            }
            packet[8..HEADER].fill(0);
            let checksum = crc32c(&packet);
            packet[8..HEADER].copy_from_slice(&checksum.to_le_bytes());
            now += STEP;
            channels.handle_input(now, &packet);
            settle(channels, now);
        }
    }

    /// A message of the kind that the first byte names, on a stream of its own and on the channel `pointer`.
    fn send_message(&mut self, channels: &mut Channels, data: &[u8]) {
        let Some((kind, message)) = data.split_first() else { return };
        let kind = PayloadProtocolIdentifier::from(u32::from(*kind));
        for (id, first) in [(0, None), (2, Some(b"\x03\x81\x01\0\0\0\0\0\0\x07\0\0pointer"))] {
            let Ok(mut stream) = self.association.open_stream(id, kind) else { return };
            if let Some(first) = first {
                stream.write_with_ppi(first, PayloadProtocolIdentifier::Dcep).unwrap();
            }
            if !message.is_empty() {
                stream.write_with_ppi(message, kind).unwrap();
            }
        }
        for step in 1..6 {
            self.exchange(channels, step * STEP);
            settle(channels, step * STEP);
        }
    }
}

/// Lets time pass; what comes out is as it has to be.
fn settle(channels: &mut Channels, now: Micros) {
    channels.handle_timeout(now);
    while channels.poll_transmit(now).is_some() {}
    for received in channels.take_received() {
        assert!((1..=MAX_MESSAGE).contains(&received.payload.len()));
    }
    let _ = channels.take_tally();
}

/// `CRC32c` (RFC 9260 appendix A), bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !data.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}
