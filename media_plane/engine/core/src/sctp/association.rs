//! A session's SCTP association and the channels that its client has opened in it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ServerConfig, StreamEvent, TransportConfig,
};

use super::dcep::{ACK, OpenMessage};
use super::guard::Guard;
use super::label::{LABELS, Label};
use super::limits::{Allowance, MAX_MESSAGE, RoomAllowance};
use crate::clock::{Clock, Micros, SECOND};
use crate::outbox::MAX_DATAGRAM;
use crate::params::ChannelParameters;
use crate::work;

/// Time from the first packet until the association stands; then the next attempt begins anew.
const SET_UP_LIMIT: Micros = 10 * SECOND;
/// Bytes that may wait for a slow receiver on a channel that repeats nothing: a third of a second of a full session's
/// messages; older positions of a pointer are of no use.
const MAX_WAITING_UNRELIABLE: usize = 8 << 10;
/// The same on a reliable channel: what a session may send at once, so that only a receiver that falls behind loses it.
const MAX_WAITING_RELIABLE: usize = 128 << 10;
/// Bytes of incomplete messages that are kept: four of the largest size.
const RECEIVE_BUFFER: u32 = 64 << 10;
/// Streams that a client may have in use: each of ours, the one before it, and some that are refused.
const MAX_STREAMS: usize = 16;
/// Payload of a DATA chunk, in bytes: with all headers down to DTLS a datagram stays below 1,200 bytes, like those of media.
const MAX_CHUNK: u32 = 1_120;
/// What DTLS 1.2 puts around a packet: header, explicit nonce and tag (RFC 5288).
const RECORD_OVERHEAD: usize = 13 + 8 + 16;
/// The longest packet that is sent: what a client has sent back or acknowledged could be longer than any datagram.
const MAX_PACKET: usize = MAX_DATAGRAM - RECORD_OVERHEAD;
/// First retransmission timeout, the least and the largest, in milliseconds. Receivers may wait 200 ms with their
/// acknowledgement, and RFC 9260 section 16 was written for longer ways (1 s, 1 s, 60 s); libwebrtc's are 500, 400 and 60,000.
const FIRST_TIMEOUT: u64 = 500;
const LEAST_TIMEOUT: u64 = 400;
const LARGEST_TIMEOUT: u64 = 3_000;

/// The settings of all associations. What ends an unreachable client's is that ICE gives it up, not a count of attempts.
static CONFIG: LazyLock<(Arc<EndpointConfig>, Arc<ServerConfig>)> = LazyLock::new(|| {
    let transport = TransportConfig::default()
        .with_max_init_retransmits(None)
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(FIRST_TIMEOUT)
        .with_rto_min_ms(LEAST_TIMEOUT)
        .with_rto_max_ms(LARGEST_TIMEOUT)
        .with_max_receive_buffer_size(RECEIVE_BUFFER)
        .with_max_receive_message_size(MAX_MESSAGE as u32);
    let mut server = ServerConfig::default();
    server.transport = Arc::new(transport);
    let mut endpoint = EndpointConfig::default();
    endpoint.max_payload_size(MAX_CHUNK);
    (Arc::new(endpoint), Arc::new(server))
});
// SCTP over DTLS knows no addresses (RFC 8261 section 3.3), but the library asks for one.
pub(super) const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5_000);

/// A message of the client.
#[derive(Debug)]
pub(crate) struct Received {
    pub label: Label,
    pub payload: Vec<u8>,
}

/// What became of a message to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way.
    Accepted,
    /// The client has no such channel open.
    NotOpen,
    /// Too much waits already, or it is too long for the client: dropped.
    Dropped,
    /// Too much waits already, and the channel promised to deliver everything: it is closed.
    Closed,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub received: u64,
    pub opened: u64,
    pub refused: u64,
    pub over_rate: u64,
    pub packets_over_rate: u64,
    pub malformed: u64,
    /// Packets that were not sent because no datagram holds them.
    pub oversized: u64,
    /// Associations that ended other than with their session.
    pub lost: u64,
}

struct Link {
    handle: AssociationHandle,
    association: Association,
    began: Micros,
    established: bool,
}

/// A session's data channels.
pub(crate) struct Channels {
    /// Whose messages these are, as receivers see it.
    pub participant_id: Arc<str>,
    clock: Clock,
    max_message: u32,
    endpoint: Endpoint,
    link: Option<Link>,
    /// Stream of each channel that is open.
    open: [Option<u16>; LABELS],
    allowance: Allowance,
    guard: Guard,
    received: Vec<Received>,
    tally: Tally,
}

impl Channels {
    pub(crate) fn new(now: Micros, clock: Clock, parameters: &ChannelParameters) -> Self {
        let (endpoint, server) = &*CONFIG;
        Self {
            participant_id: Arc::clone(&parameters.participant_id),
            clock,
            // Zero: any size (RFC 8841 section 6).
            max_message: if parameters.max_message_size == 0 { u32::MAX } else { parameters.max_message_size },
            endpoint: Endpoint::new(Arc::clone(endpoint), Some(Arc::clone(server))),
            link: None,
            open: [None; LABELS],
            allowance: Allowance::new(now),
            guard: Guard::default(),
            received: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes a packet that came in a DTLS record.
    pub(crate) fn handle_input(&mut self, now: Micros, packet: &[u8]) {
        let Some(work) = self.guard.work(packet) else {
            self.tally.malformed += 1;
            return;
        };
        if !self.allowance.take_work(now, work) {
            self.tally.packets_over_rate += 1;
            return;
        }
        let handled =
            self.endpoint.handle(self.clock.instant(now), NO_ADDRESS, None, None, Bytes::copy_from_slice(packet));
        match (handled, &mut self.link) {
            (Some((handle, DatagramEvent::NewAssociation(association))), link @ None) => {
                *link = Some(Link { handle, association, began: now, established: false });
            }
            (Some((handle, DatagramEvent::AssociationEvent(event))), Some(link)) if handle == link.handle => {
                link.association.handle_event(event);
            }
            // A client has one association in the life of its DTLS connection; what else it says is nothing we know.
            _ => {
                self.tally.malformed += 1;
                return;
            }
        }
        self.follow(now);
    }

    /// Does what is due; false when that was nothing.
    pub(crate) fn handle_timeout(&mut self, now: Micros) -> bool {
        let instant = self.clock.instant(now);
        let Some(link) = &mut self.link else { return false };
        if !link.established && now - link.began >= SET_UP_LIMIT {
            self.give_up();
            return true;
        }
        let due = link.association.poll_timeout().is_some_and(|at| at <= instant);
        if due {
            link.association.handle_timeout(instant);
            self.follow(now);
        }
        due
    }

    /// The next packets to be sent, each in a DTLS record of its own.
    pub(crate) fn poll_transmit(&mut self, now: Micros) -> Option<Vec<Bytes>> {
        let instant = self.clock.instant(now);
        let answer = self.endpoint.poll_transmit();
        let transmit = answer.or_else(|| self.link.as_mut()?.association.poll_transmit(instant))?;
        match transmit.payload {
            Payload::RawEncode(mut packets) => {
                for packet in &packets {
                    self.guard.note_sent(packet);
                }
                let made = packets.len();
                packets.retain(|packet| packet.len() <= MAX_PACKET);
                self.tally.oversized += (made - packets.len()) as u64;
                Some(packets)
            }
            Payload::PartialDecode(_) => None,
        }
    }

    /// Whether a message of the client may go to so many others in its room.
    pub(crate) fn may_spread(&mut self, now: Micros, receivers: usize, room: &mut RoomAllowance) -> bool {
        self.allowance.spread(now, receivers, room)
    }

    /// Messages of the client since the last call.
    pub(crate) fn take_received(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }

    /// What has been counted since the last call.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Sends the client a message.
    pub(crate) fn send(&mut self, label: Label, message: &[u8]) -> Sent {
        let stream = self.open[label as usize];
        let Some((link, id)) = self.link.as_mut().zip(stream) else { return Sent::NotOpen };
        let Ok(mut stream) = link.association.stream(id) else { return Sent::NotOpen };
        let waiting = stream.buffered_amount().unwrap_or_default();
        let limit = if label.is_reliable() { MAX_WAITING_RELIABLE } else { MAX_WAITING_UNRELIABLE };
        if waiting + message.len() > limit && waiting > 0 {
            if label.is_reliable() {
                // What waits is still delivered before the client learns of the end (RFC 8831 section 6.7).
                self.close(id);
                return Sent::Closed;
            }
            return Sent::Dropped;
        }
        match stream.write_with_ppi(message, PayloadProtocolIdentifier::Binary) {
            Ok(_) => Sent::Accepted,
            Err(_) => Sent::Dropped,
        }
    }

    /// Takes note of what the association says.
    fn follow(&mut self, now: Micros) {
        while let Some(event) = self.link.as_mut().and_then(|link| link.association.poll()) {
            work::step();
            match event {
                Event::Connected => self.establish(),
                Event::Stream(StreamEvent::Opened { .. }) => self.check_streams(),
                Event::Stream(StreamEvent::Readable { id }) => self.read(now, id),
                Event::Stream(StreamEvent::Finished { id }) => self.forget(id),
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => return self.give_up(),
                _ => {}
            }
        }
    }

    fn establish(&mut self) {
        if let Some(link) = &mut self.link {
            link.established = true;
            link.association.set_max_send_message_size(self.max_message);
        }
    }

    /// The library bounds what streams hold together, not how many there are.
    fn check_streams(&mut self) {
        let streams = self.link.as_ref().map_or(0, |link| link.association.stream_ids().len());
        if streams > MAX_STREAMS {
            self.tally.malformed += 1;
            self.give_up();
        }
    }

    fn read(&mut self, now: Micros, id: u16) {
        while let Some((kind, payload)) = self.next_message(id) {
            work::step();
            match (kind, self.label_of(id)) {
                (PayloadProtocolIdentifier::Dcep, None) => self.answer_open(id, &payload),
                (PayloadProtocolIdentifier::Binary, Some(label)) => self.take(now, label, payload),
                (_, label) => {
                    self.tally.malformed += 1;
                    if label.is_none() {
                        self.close(id);
                    }
                }
            }
        }
    }

    fn next_message(&mut self, id: u16) -> Option<(PayloadProtocolIdentifier, Vec<u8>)> {
        let chunks = self.link.as_mut()?.association.stream(id).ok()?.read().ok()??;
        let mut payload = vec![0; chunks.len()];
        chunks.read(&mut payload).ok()?;
        Some((chunks.ppi, payload))
    }

    fn take(&mut self, now: Micros, label: Label, payload: Vec<u8>) {
        if payload.len() > MAX_MESSAGE {
            self.tally.malformed += 1;
        } else if self.allowance.take(now, payload.len()) {
            self.tally.received += 1;
            self.received.push(Received { label, payload });
        } else {
            self.tally.over_rate += 1;
        }
    }

    /// A client opens a channel. One of the same label that it has open ends: it may not have seen yet that it lost it.
    fn answer_open(&mut self, id: u16, message: &[u8]) {
        let label = OpenMessage::parse(message).and_then(|open| open.known_label());
        let Some(label) = label.filter(|label| self.accept(id, *label)) else {
            self.tally.refused += 1;
            return self.close(id);
        };
        self.tally.opened += 1;
        if let Some(former) = self.open[label as usize].replace(id) {
            self.close(former);
            self.open[label as usize] = Some(id);
        }
    }

    fn accept(&mut self, id: u16, label: Label) -> bool {
        let stream = self.link.as_mut().and_then(|link| link.association.stream(id).ok());
        let Some(mut stream) = stream else { return false };
        let (unordered, kind, value) = label.reliability();
        stream.set_reliability_params(unordered, kind, value).is_ok()
            && stream.write_with_ppi(&ACK, PayloadProtocolIdentifier::Dcep).is_ok()
    }

    fn label_of(&self, id: u16) -> Option<Label> {
        Label::all().find(|label| self.open[*label as usize] == Some(id))
    }

    fn forget(&mut self, id: u16) {
        for open in &mut self.open {
            if *open == Some(id) {
                *open = None;
            }
        }
    }

    /// Ends a channel, or what was to become one.
    fn close(&mut self, id: u16) {
        self.forget(id);
        if let Some(mut stream) = self.link.as_mut().and_then(|link| link.association.stream(id).ok()) {
            // It fails only when the association is ending, and the stream with it.
            let _ = stream.close();
        }
    }

    /// Forgets the association; the client may begin another.
    fn give_up(&mut self) {
        let (endpoint, server) = &*CONFIG;
        self.endpoint = Endpoint::new(Arc::clone(endpoint), Some(Arc::clone(server)));
        self.link = None;
        self.guard = Guard::default();
        self.open = [None; LABELS];
        self.tally.lost += 1;
    }
}
