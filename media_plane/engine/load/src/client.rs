//! One WebRTC client with a socket of its own.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use crate::hostile::Mutator;
use crate::impair::{Loss, is_media};
use crate::profile;
use crate::protocol::{Kind, Offer, Publish};
use crate::publish::Publisher;
use crate::receive::{Receiver, Totals};
use crate::rtc;
use crate::sys;

/// Datagrams read before other clients get their turn.
const RECEIVE_BATCH: usize = 64;
/// Hostile datagrams sent before the client's own work gets its turn.
const HOSTILE_BATCH: u64 = 100;
const IDLE: Duration = Duration::from_secs(1);

/// A track that the offer announced.
struct SendTrack {
    kind: Kind,
    source: String,
    mid: Mid,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Connecting,
    Connected,
    Closed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Closed => "closed",
        }
    }
}

/// One client.
pub(crate) struct Client {
    id: String,
    number: u32,
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    send_tracks: Vec<SendTrack>,
    publishers: Vec<Publisher>,
    receivers: BTreeMap<Mid, Receiver>,
    mid_by_ssrc: BTreeMap<Ssrc, Mid>,
    state: State,
    deadline: Instant,
    answered: Option<Instant>,
    connected: Option<Duration>,
    first_packet: Option<Duration>,
    receive_loss: Loss,
    send_loss: Loss,
    mutator: Mutator,
    peer: Option<SocketAddr>,
    srtp_profile: Option<&'static str>,
    ignores_media: bool,
    hostile_left: u64,
    stopped: bool,
    hostile_sent: u64,
}

impl Client {
    /// Makes a client that has yet to offer or to accept.
    pub(crate) fn new(id: &str, number: u32, bind: IpAddr, feedback: bool, now: Instant) -> Result<Self, String> {
        let socket = UdpSocket::bind((bind, 0)).map_err(text)?;
        socket.set_nonblocking(true).map_err(text)?;
        sys::prepare_receiver(&socket).map_err(text)?;
        let address = socket.local_addr().map_err(text)?;
        let rtc = rtc::connection(address, feedback, now)?;
        Ok(Self {
            id: id.to_owned(),
            number,
            rtc,
            socket,
            address,
            pending: None,
            send_tracks: Vec::new(),
            publishers: Vec::new(),
            receivers: BTreeMap::new(),
            mid_by_ssrc: BTreeMap::new(),
            state: State::Offered,
            deadline: now + IDLE,
            answered: None,
            connected: None,
            first_packet: None,
            receive_loss: Loss::none(u64::from(number) * 2),
            send_loss: Loss::none(u64::from(number) * 2 + 1),
            mutator: Mutator::new(u64::from(number)),
            peer: None,
            srtp_profile: None,
            ignores_media: false,
            hostile_left: 0,
            stopped: false,
            hostile_sent: 0,
        })
    }

    /// Makes the client's offer; the reply to the operation.
    pub(crate) fn offer(&mut self, operation: &Offer) -> Result<Value, String> {
        let mut changes = self.rtc.sdp_api();
        for track in &operation.send {
            let (stream, source) = (Some(operation.id.clone()), Some(track.source.clone()));
            let mid = changes.add_media(track.kind.media(), Direction::SendOnly, stream, source, None);
            self.send_tracks.push(SendTrack { kind: track.kind, source: track.source.clone(), mid });
        }
        let mut slots = |kind: Kind, count: usize| -> Vec<Mid> {
            (0..count).map(|_| changes.add_media(kind.media(), Direction::RecvOnly, None, None, None)).collect()
        };
        let audio_slots = slots(Kind::Audio, operation.audio_slots);
        let video_slots = slots(Kind::Video, operation.video_slots);
        let (offer, pending) = changes.apply().ok_or("an offer needs at least one track or slot")?;
        self.pending = Some(pending);
        self.receivers.extend(audio_slots.iter().map(|mid| (*mid, Receiver::new(Kind::Audio))));
        self.receivers.extend(video_slots.iter().map(|mid| (*mid, Receiver::new(Kind::Video))));
        let send: Vec<Value> = self
            .send_tracks
            .iter()
            .map(|track| json!({"kind": track.kind, "source": track.source, "mid": track.mid.to_string()}))
            .collect();
        let names = |mids: &[Mid]| mids.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(json!({
            "op": "offer",
            "id": self.id,
            "number": self.number,
            "sdp": offer.to_sdp_string(),
            "mids": {"send": send, "audio_slots": names(&audio_slots), "video_slots": names(&video_slots)},
        }))
    }

    /// Takes the answer and begins to connect.
    pub(crate) fn answer(&mut self, sdp: &str, now: Instant, events: &mut Vec<Value>) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(text)?;
        let pending = self.pending.take().ok_or("there is no offer to answer")?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(text)?;
        self.state = State::Connecting;
        self.answered = Some(now);
        self.advance(now, events);
        Ok(())
    }

    /// Answers an offer and begins to connect, or to receive what is new; the reply to the operation.
    pub(crate) fn accept(&mut self, sdp: &str, now: Instant, events: &mut Vec<Value>) -> Result<Value, String> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(text)?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(text)?;
        if self.answered.is_none() {
            self.state = State::Connecting;
            self.answered = Some(now);
        }
        self.advance(now, events);
        Ok(json!({"op": "accept", "id": self.id, "number": self.number, "sdp": answer.to_sdp_string()}))
    }

    /// Takes a candidate of the peer that came after its description.
    pub(crate) fn add_candidate(&mut self, line: &str, now: Instant, events: &mut Vec<Value>) -> Result<(), String> {
        self.rtc.add_remote_candidate(Candidate::from_sdp_string(line).map_err(text)?);
        self.advance(now, events);
        Ok(())
    }

    /// Neither reads nor answers media from now on; connectivity checks go on.
    pub(crate) fn ignore_media(&mut self) -> Result<(), String> {
        // Runs of datagrams would be counted as one.
        self.coalesce(false)?;
        sys::drop_media(&self.socket).map_err(text)?;
        self.ignores_media = true;
        Ok(())
    }

    /// Whether the kernel hands over runs of datagrams as they were sent, which leaves the cutting to the client.
    pub(crate) fn coalesce(&self, coalesce: bool) -> Result<(), String> {
        sys::coalesce_received(&self.socket, coalesce).map_err(text)
    }

    /// Begins to send one of the offered tracks, or changes what it sends.
    pub(crate) fn publish(&mut self, operation: &Publish, now: Instant) -> Result<(), String> {
        let mid = self.mid_of(operation.kind, operation.source.as_deref())?;
        if let Some(publisher) = self.publishers.iter_mut().find(|publisher| publisher.mid == mid) {
            return publisher.change(operation);
        }
        let payload_type = self.payload_type(operation.kind).ok_or("the codec was not agreed on")?;
        self.publishers.push(Publisher::new(operation, mid, payload_type, self.number, now)?);
        Ok(())
    }

    pub(crate) fn unpublish(&mut self, kind: Kind, source: Option<&str>) -> Result<(), String> {
        let mid = self.mid_of(kind, source)?;
        self.publishers.retain(|publisher| publisher.mid != mid);
        Ok(())
    }

    pub(crate) fn set_level(&mut self, level: u8, voice: Option<bool>) {
        for publisher in self.publishers.iter_mut().filter(|publisher| publisher.kind == Kind::Audio) {
            publisher.set_level(level, voice);
        }
    }

    pub(crate) fn request_key_frame(&mut self, mid: &str, now: Instant, events: &mut Vec<Value>) -> Result<(), String> {
        let mid = *self.receivers.keys().find(|known| known.to_string() == mid).ok_or("no such receiving m-line")?;
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_rx_by_mid(mid, None).ok_or("nothing is received on this m-line")?;
        stream.request_keyframe(KeyframeRequestKind::Pli);
        self.advance(now, events);
        Ok(())
    }

    /// Loses a share of the media packets from now on.
    pub(crate) fn impair(&mut self, receive_loss: f64, send_loss: f64) {
        self.receive_loss.set_share(receive_loss);
        self.send_loss.set_share(send_loss);
    }

    /// Begins to send hostile datagrams, made from what the client has sent so far.
    pub(crate) fn begin_hostility(&mut self, count: u64) {
        self.hostile_left += count;
    }

    fn send_hostile_batch(&mut self) {
        let Some(peer) = self.peer else {
            return;
        };
        let batch = self.hostile_left.min(HOSTILE_BATCH);
        for _ in 0..batch {
            // A full buffer loses the datagram, as a network would.
            let _ = self.socket.send_to(&self.mutator.next(), peer);
        }
        self.hostile_left -= batch;
        self.hostile_sent += batch;
    }

    fn mid_of(&self, kind: Kind, source: Option<&str>) -> Result<Mid, String> {
        self.send_tracks
            .iter()
            .find(|track| track.kind == kind && source.is_none_or(|source| track.source == source))
            .map(|track| track.mid)
            .ok_or_else(|| "the offer has no such track".to_owned())
    }

    fn payload_type(&self, kind: Kind) -> Option<Pt> {
        self.rtc
            .codec_config()
            .params()
            .iter()
            .find(|params| params.spec().codec == kind.codec())
            .map(str0m::format::PayloadParams::pt)
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Stops reading and answering, as a suspended device does, for good. What it sends goes on.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        self.stopped = true;
        sys::keep_nothing(&self.socket).map_err(text)
    }

    /// When the client wants to be advanced even if nothing arrives.
    pub(crate) fn deadline(&self) -> Instant {
        if self.stopped && self.publishers.is_empty() {
            return self.deadline.max(Instant::now() + IDLE);
        }
        if self.hostile_left > 0 && self.peer.is_some() {
            // At once: the past is due.
            return self.answered.unwrap_or(self.deadline);
        }
        let frames = self.publishers.iter().filter(|_| self.state == State::Connected).map(Publisher::due).min();
        frames.map_or(self.deadline, |due| due.min(self.deadline))
    }

    /// Sends what is due and lets time pass.
    pub(crate) fn advance(&mut self, now: Instant, events: &mut Vec<Value>) {
        self.send_hostile_batch();
        if self.state == State::Connected {
            for publisher in &mut self.publishers {
                publisher.send_due(&mut self.rtc, now);
            }
        }
        let result = self.rtc.handle_input(Input::Timeout(now));
        self.settle(result.map_err(text), now, 0, events);
    }

    /// Reads what has arrived, up to a batch.
    pub(crate) fn receive(&mut self, now: Instant, buffer: &mut [u8], events: &mut Vec<Value>) {
        for _ in 0..RECEIVE_BATCH {
            let received = match sys::receive(&self.socket, buffer) {
                Ok(received) => received,
                // A node that was killed answers with ICMP; the client waits for it to come back.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            for datagram in buffer[..received.len].chunks(received.segment) {
                self.take(datagram, &received, now, events);
            }
        }
    }

    fn take(&mut self, datagram: &[u8], received: &sys::Received, now: Instant, events: &mut Vec<Value>) {
        self.srtp_profile = self.srtp_profile.or_else(|| profile::chosen(datagram));
        if self.receive_loss.takes(datagram) {
            return;
        }
        let Ok(receive) = Receive::new(Protocol::Udp, received.from, self.address, datagram) else {
            return;
        };
        let result = self.rtc.handle_input(Input::Receive(now, receive));
        self.settle(result.map_err(text), now, received.arrival, events);
    }

    fn settle(&mut self, result: Result<(), String>, now: Instant, arrival: u64, events: &mut Vec<Value>) {
        if let Err(reason) = result.and_then(|()| self.drain(now, arrival, events)) {
            self.end(&reason, now, events);
        }
    }

    fn drain(&mut self, now: Instant, arrival: u64, events: &mut Vec<Value>) -> Result<(), String> {
        if self.state == State::Closed {
            self.deadline = now + IDLE;
            return Ok(());
        }
        loop {
            match self.rtc.poll_output().map_err(text)? {
                Output::Timeout(deadline) => {
                    self.deadline = deadline.min(now + IDLE);
                    return Ok(());
                }
                Output::Transmit(datagram) => self.transmit(&datagram.contents, datagram.destination),
                Output::Event(event) => self.handle(event, now, arrival, events),
            }
        }
    }

    fn transmit(&mut self, datagram: &[u8], destination: SocketAddr) {
        self.srtp_profile = self.srtp_profile.or_else(|| profile::chosen(datagram));
        self.mutator.observe(datagram);
        self.peer = Some(destination);
        let silent = self.ignores_media && is_media(datagram);
        if !silent && !self.send_loss.takes(datagram) {
            // A full buffer loses the datagram, as a network would.
            let _ = self.socket.send_to(datagram, destination);
        }
    }

    fn handle(&mut self, event: Event, now: Instant, arrival: u64, events: &mut Vec<Value>) {
        match event {
            Event::Connected => {
                let after = self.answered.map(|answered| now.saturating_duration_since(answered));
                self.connected = self.connected.or(after);
                self.state = State::Connected;
                events.push(json!({"event": "connected", "id": self.id, "after_ms": milliseconds(self.connected)}));
            }
            Event::MediaAdded(media) if media.direction.is_receiving() => {
                self.receivers.entry(media.mid).or_insert_with(|| Receiver::new(media.kind.into()));
            }
            Event::KeyframeRequest(request) => {
                for publisher in self.publishers.iter_mut().filter(|publisher| publisher.mid == request.mid) {
                    publisher.request_key_frame();
                }
            }
            Event::RtpPacket(packet) => self.handle_packet(&packet, now, arrival, events),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                events.push(json!({"event": "disconnected", "id": self.id}));
            }
            Event::Closed => self.end("the peer closed", now, events),
            _ => {}
        }
    }

    fn handle_packet(&mut self, packet: &RtpPacket, now: Instant, arrival: u64, events: &mut Vec<Value>) {
        let ssrc = packet.header.ssrc;
        let known = self.mid_by_ssrc.get(&ssrc).copied();
        let Some(mid) = known.or_else(|| self.rtc.direct_api().stream_rx(&ssrc).map(|stream| stream.mid())) else {
            return;
        };
        self.mid_by_ssrc.insert(ssrc, mid);
        if self.first_packet.is_none() {
            self.first_packet = self.answered.map(|answered| now.saturating_duration_since(answered));
        }
        let Some(receiver) = self.receivers.get_mut(&mid) else {
            return;
        };
        if let Some(publisher) = receiver.record(packet, arrival) {
            let event = json!({"event": "source", "id": self.id, "mid": mid.to_string(), "publisher": publisher});
            events.push(event);
        }
    }

    fn end(&mut self, reason: &str, now: Instant, events: &mut Vec<Value>) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.deadline = now + IDLE;
            events.push(json!({"event": "closed", "id": self.id, "reason": reason}));
        }
    }

    /// Says goodbye to the peer.
    pub(crate) fn close(&mut self, now: Instant) {
        let mut unseen = Vec::new();
        if self.state != State::Closed && self.rtc.close().is_ok() {
            self.advance(now, &mut unseen);
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for receiver in self.receivers.values() {
            totals.add(&receiver.totals());
        }
        totals
    }

    pub(crate) fn reset_latency(&mut self) {
        self.receivers.values_mut().for_each(Receiver::reset_latency);
    }

    pub(crate) fn summary(&self) -> Value {
        let sent: BTreeMap<String, Value> = self
            .publishers
            .iter()
            .map(|publisher| {
                let figures =
                    json!({"packets": publisher.sent_packets, "key_frame_requests": publisher.key_frame_requests});
                (publisher.mid.to_string(), figures)
            })
            .collect();
        let mids: BTreeMap<String, Value> =
            self.receivers.iter().map(|(mid, receiver)| (mid.to_string(), receiver.summary())).collect();
        json!({
            "id": self.id,
            "number": self.number,
            "state": self.state.name(),
            "connected_ms": milliseconds(self.connected),
            "first_packet_ms": milliseconds(self.first_packet),
            "impairment": {"received_lost": self.receive_loss.lost(), "sent_lost": self.send_loss.lost()},
            "hostile_sent": self.hostile_sent,
            "srtp_profile": self.srtp_profile,
            "dropped": sys::dropped(&self.socket).ok(),
            "sent": sent,
            "mids": mids,
            "totals": self.totals().summary(),
        })
    }
}

fn milliseconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64() * 1000.0)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
