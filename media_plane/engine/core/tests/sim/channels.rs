//! The data channels of a client: SCTP as the side that begins the association, and the channels it opens.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parley_engine_core::clock::{Clock, Micros};
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, StreamEvent, TransportConfig,
};

/// A message from the node, unwrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub label: String,
    pub participant: String,
    pub payload: Vec<u8>,
}

/// A client's data channels.
pub struct ChannelClient {
    clock: Clock,
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    next_stream: u16,
    to_open: Vec<(u16, Vec<u8>, bool)>,
    labels: HashMap<u16, String>,
    /// Streams whose opening the node has acknowledged.
    pub acknowledged: Vec<u16>,
    pub heard: Vec<Heard>,
    /// Labels of channels that the node has closed, in order.
    pub closed: Vec<String>,
    pub connected: bool,
    pub lost: bool,
    /// Whether it answers nothing, like a client whose network has gone.
    pub deaf: bool,
}

impl ChannelClient {
    pub fn new(clock: Clock) -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None);
        let transport = TransportConfig::default()
            .with_max_init_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_min_ms(400)
            .with_rto_max_ms(3_000);
        let mut config = ClientConfig::new();
        config.transport = Arc::new(transport);
        let (handle, association) = endpoint.connect(config, "10.0.0.1:5000".parse().unwrap()).unwrap();
        Self {
            clock,
            endpoint,
            handle,
            association,
            next_stream: 0,
            to_open: Vec::new(),
            labels: HashMap::new(),
            acknowledged: Vec::new(),
            heard: Vec::new(),
            closed: Vec::new(),
            connected: false,
            lost: false,
            deaf: false,
        }
    }

    /// Opens a channel as the web client does; returns its stream.
    pub fn open(&mut self, label: &str) -> u16 {
        let reliable = label != "pointer";
        let mut message = vec![0x03, if reliable { 0x00 } else { 0x81 }, 1, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, 0];
        message.extend(label.bytes());
        self.open_with(label, message, reliable)
    }

    /// Opens a stream with this message.
    pub fn open_with(&mut self, label: &str, message: Vec<u8>, reliable: bool) -> u16 {
        let id = self.next_stream;
        self.next_stream += 2;
        self.labels.insert(id, label.into());
        self.to_open.push((id, message, reliable));
        self.open_waiting();
        id
    }

    fn open_waiting(&mut self) {
        if !self.connected {
            return;
        }
        for (id, message, reliable) in std::mem::take(&mut self.to_open) {
            let mut stream = self.association.open_stream(id, PayloadProtocolIdentifier::Binary).unwrap();
            if !reliable {
                stream.set_reliability_params(true, ReliabilityType::Rexmit, 0).unwrap();
            }
            stream.write_with_ppi(&message, PayloadProtocolIdentifier::Dcep).unwrap();
        }
    }

    /// Sends a message; false when the channel is closed.
    pub fn say(&mut self, id: u16, payload: &[u8]) -> bool {
        self.say_as(id, payload, PayloadProtocolIdentifier::Binary)
    }

    /// The same for a message of another kind.
    pub fn say_as(&mut self, id: u16, payload: &[u8], kind: PayloadProtocolIdentifier) -> bool {
        self.association.stream(id).is_ok_and(|mut stream| stream.write_with_ppi(payload, kind).is_ok())
    }

    /// Closes a channel.
    pub fn close(&mut self, id: u16) {
        self.association.stream(id).unwrap().close().unwrap();
    }

    /// Payloads of a label from somebody, in the order of their arrival.
    pub fn payloads(&self, label: &str, participant: &str) -> Vec<&[u8]> {
        let of = |heard: &&Heard| heard.label == label && heard.participant == participant;
        self.heard.iter().filter(of).map(|heard| heard.payload.as_slice()).collect()
    }

    pub fn handle_input(&mut self, now: Micros, packet: &[u8]) {
        if self.deaf {
            return;
        }
        let address = "10.0.0.1:5000".parse().unwrap();
        let packet = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(self.clock.instant(now), address, None, None, packet) {
            Some((handle, DatagramEvent::AssociationEvent(event))) if handle == self.handle => {
                self.association.handle_event(event);
            }
            other => panic!("the node's packets belong to the association: {}", other.is_some()),
        }
        self.follow();
    }

    /// Packets to be sent.
    pub fn tick(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let instant = self.clock.instant(now);
        if self.deaf {
            return Vec::new();
        }
        if self.association.poll_timeout().is_some_and(|at| at <= instant) {
            self.association.handle_timeout(instant);
            self.follow();
        }
        let mut packets = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(instant) {
            let Payload::RawEncode(contents) = transmit.payload else { panic!("it is encoded") };
            packets.extend(contents.iter().map(|packet| packet.to_vec()));
        }
        packets
    }

    fn follow(&mut self) {
        while let Some(event) = self.association.poll() {
            match event {
                Event::Connected => {
                    self.connected = true;
                    self.open_waiting();
                }
                Event::AssociationLost { .. } | Event::HandshakeFailed { .. } => self.lost = true,
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => {
                    self.closed.extend(self.labels.remove(&id));
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, id: u16) {
        loop {
            let chunks = self.association.stream(id).ok().and_then(|mut stream| stream.read().ok().flatten());
            let Some(chunks) = chunks else { return };
            let mut message = vec![0; chunks.len()];
            chunks.read(&mut message).unwrap();
            match chunks.ppi {
                PayloadProtocolIdentifier::Dcep => {
                    assert_eq!(message, [0x02]);
                    self.acknowledged.push(id);
                }
                PayloadProtocolIdentifier::Binary => {
                    let (participant, payload) = unwrap(&message);
                    self.heard.push(Heard { label: self.labels[&id].clone(), participant, payload });
                }
                other => panic!("the node sends no {other:?}"),
            }
        }
    }
}

/// Reads `parley.signaling.v1.ChannelMessage`.
fn unwrap(mut message: &[u8]) -> (String, Vec<u8>) {
    let mut field = |tag: u8| {
        assert_eq!(message[0], tag);
        let (mut len, mut used) = (0, 1);
        loop {
            let byte = message[used];
            len |= usize::from(byte & 0x7f) << (7 * (used - 1));
            used += 1;
            if byte < 0x80 {
                break;
            }
        }
        let content = message[used..used + len].to_vec();
        message = &message[used + len..];
        content
    };
    let participant = String::from_utf8(field(0x0a)).unwrap();
    let payload = field(0x12);
    assert!(message.is_empty());
    (participant, payload)
}

const HEARTBEAT: u8 = 4;
const HEARTBEAT_INFO: u16 = 1;

/// A HEARTBEAT (RFC 9260 section 3.3.5) with the ports and the tag of another packet of its association, and so many bytes, a
/// multiple of four, to be sent back.
pub fn heartbeat(like: &[u8], info: usize) -> Vec<u8> {
    let mut chunk = vec![HEARTBEAT, 0];
    chunk.extend((8 + info as u16).to_be_bytes());
    chunk.extend(HEARTBEAT_INFO.to_be_bytes());
    chunk.extend((4 + info as u16).to_be_bytes());
    chunk.resize(chunk.len() + info, 7);
    with_chunks(like, &chunk)
}

/// A packet with these chunks, and with the ports and the tag of another packet of its association.
pub fn with_chunks(like: &[u8], chunks: &[u8]) -> Vec<u8> {
    let mut packet = [&like[..8], &[0; 4], chunks].concat();
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// `CRC32c` (RFC 9260 appendix A).
pub(super) fn crc32c(data: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !data.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}
