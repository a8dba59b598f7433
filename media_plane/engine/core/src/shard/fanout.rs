//! Sending media on: for each receiver in turn all packets of the received batch, so that they leave in one call. The room whose
//! packets came first is served first, since a batch may take longer than its packets have waited.

use std::time::Duration;

use super::Shard;
use crate::bandwidth::PACKET_OVERHEAD;
use crate::clock::Micros;
use crate::event::{Direction, EventKind, TrackName};
use crate::format::{Format, Redundancy};
use crate::outbox::{MAX_DATAGRAM, Outbox, Path, Transmit};
use crate::pacer::Waiting;
use crate::params::MediaKind;
use crate::payload::VideoFormat;
use crate::payload::red::Frames;
use crate::picture::PictureNumbers;
use crate::ring::StoredPacket;
use crate::session::Session;
use crate::slab::{Key, Slab};
use crate::slot::{Decision, Started};
use crate::srtp::{MAX_OVERHEAD, OutboundContext, OutboundStream, SrtpError, Written};
use crate::track::{Subscriber, Track};
use crate::wire::extension::{ExtensionIds, ExtensionValues, PlayoutDelay, abs_send_time};
use crate::wire::rtp::{OutgoingHeader, write_header};
use crate::work;

/// A received packet that is to be sent on.
#[derive(Debug, Clone, Copy)]
struct Pending {
    track: Key,
    sequence: u64,
}

/// All pending packets of one track for one of its receivers.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Place of the room in the order of arrival.
    room: u16,
    receiver: Subscriber,
    /// Range of `planned`.
    first: u32,
    end: u32,
}

/// A slot that has begun to carry a track.
#[derive(Debug, Clone, Copy)]
struct Switched {
    receiver: Subscriber,
    previous: Option<Key>,
    abandoned: Option<Key>,
}

/// Packets between reception and sending, and room to sort them. Nothing here is freed, so nothing is allocated again.
#[derive(Debug, Default)]
pub(super) struct FanOut {
    pending: Vec<Pending>,
    /// Rooms of which packets are pending, in the order of their arrival.
    rooms: Vec<Key>,
    /// Packets that `work` is about.
    planned: Vec<Pending>,
    work: Vec<Work>,
    /// How much of `work` is done.
    done: usize,
    switched: Vec<Switched>,
    first_sent: Vec<Subscriber>,
    /// Tracks that have to start afresh somewhere.
    leapt: Vec<Key>,
    /// Tracks of which packets are missing.
    pub(super) gaps: Vec<Key>,
    /// Sessions of which packets are missing, but nobody knows of which track.
    pub(super) skips: Vec<u32>,
    /// The newest packet is one of a frame whose rest is still to come, and many wait for it.
    expects_more: bool,
}

/// Bytes of padding in a packet: as many as its last byte can count.
const PADDING: usize = 255;
/// The bit of an RTP header's first byte that announces padding.
const PADDING_FLAG: u8 = 0x20;
/// Receivers from which a frame is worth waiting for: fewer calls save more than the wait costs.
const GATHER_FROM: usize = 8;

/// Packets of a batch for which there is room from the beginning: more than a socket's receive calls bring at once.
const ROOM: usize = 1_024;
/// Packets written for receivers in one go: 2 ms of sealing. A batch may hold ten times as many where hundreds look at ten cameras, and
/// commands, timers and the keeper's look at the shard don't wait for all of it.
const FORWARDED_AT_ONCE: usize = 4_096;

impl FanOut {
    /// Room for what usually comes, so that no allocation falls into the first busy moments.
    pub(super) fn with_room() -> Self {
        Self {
            pending: Vec::with_capacity(ROOM),
            rooms: Vec::with_capacity(ROOM),
            planned: Vec::with_capacity(ROOM),
            work: Vec::with_capacity(ROOM),
            gaps: Vec::with_capacity(ROOM),
            ..Self::default()
        }
    }

    /// Adds a packet that stands in its track's ring.
    pub(super) fn push(&mut self, key: Key, track: &Track, sequence: u64) {
        self.pending.push(Pending { track: key, sequence });
        if self.rooms.last() != Some(&track.room) && !self.rooms.contains(&track.room) {
            self.rooms.push(track.room);
        }
        let is_last = track.ring.get(sequence).is_none_or(|packet| packet.info.marker);
        let is_expected = track.kind == MediaKind::Video && !is_last && track.spacing.is_close();
        self.expects_more = is_expected && track.subscribers.len() >= GATHER_FROM;
    }

    pub(super) fn has_media(&self) -> bool {
        !self.pending.is_empty() || self.done < self.work.len()
    }

    /// How many packets are to be sent on.
    pub(super) fn pending(&self) -> usize {
        self.pending.len() + self.planned.len()
    }

    /// Whether the rest of a frame that many wait for is about to come.
    pub(super) fn expects_more(&self) -> bool {
        self.expects_more
    }

    /// What is to be done next; None: all is done.
    fn next(&mut self, tracks: &Slab<Track>) -> Option<Work> {
        if self.done == self.work.len() {
            self.plan(tracks);
        }
        let next = self.work.get(self.done).copied()?;
        self.done += 1;
        Some(next)
    }

    /// Finds out who gets what of the pending packets, ordered by receiver.
    fn plan(&mut self, tracks: &Slab<Track>) {
        self.work.clear();
        self.done = 0;
        self.planned.clear();
        std::mem::swap(&mut self.pending, &mut self.planned);
        self.expects_more = false;
        // A stable order within a track; the sort is stable only up to equal keys, so the sequence number decides.
        self.planned.sort_unstable_by_key(|pending| (pending.track, pending.sequence));
        let mut first = 0;
        let mut runs = 0;
        while let Some(pending) = self.planned.get(first) {
            let len = self.planned[first..].iter().take_while(|other| other.track == pending.track).count();
            let (start, end) = (first as u32, (first + len) as u32);
            if let Some(track) = tracks.get(pending.track) {
                let room = self.rooms.iter().position(|room| *room == track.room).unwrap_or_default() as u16;
                let entry = |receiver: &Subscriber| Work { room, receiver: *receiver, first: start, end };
                self.work.extend(track.subscribers.iter().map(entry));
            }
            first += len;
            runs += 1;
        }
        if runs > 1 {
            self.work.sort_unstable_by_key(|work| (work.room, work.receiver.session, work.first));
        }
        self.rooms.clear();
    }
}

/// Where the datagrams of a batch go, and the time they carry.
pub(super) struct Departure<'a> {
    pub(super) now: Micros,
    pub(super) abs_send_time: u32,
    pub(super) outbox: &'a mut Outbox,
    pub(super) network: &'a mut dyn Transmit,
    /// Counts packets whose number had been used.
    pub(super) reused: &'a mut u64,
}

/// What tells two sendings of a packet apart: its stream, and what stands before its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope<'a> {
    pub(super) header: OutgoingHeader,
    /// The sequence number that a retransmission repairs.
    pub(super) original: Option<u16>,
    /// Numbers to write into the payload, and its format.
    pub(super) numbers: Option<PictureNumbers>,
    pub(super) format: Option<VideoFormat>,
    pub(super) redundancy: Redundancy,
    /// What is sent instead of the payload.
    pub(super) frames: Option<&'a Frames<'a>>,
    pub(super) playout_delay: Option<PlayoutDelay>,
}

/// What sealing a packet for a receiver needs of its session.
pub(super) struct Seal<'a> {
    pub(super) path: Path,
    pub(super) keys: &'a OutboundContext,
    pub(super) extensions: &'a ExtensionIds,
    pub(super) stream: &'a mut OutboundStream,
    /// Transport-wide sequence number, where agreed.
    pub(super) transport_sequence: Option<&'a mut u16>,
    /// Whether the packet may say when it was sent.
    pub(super) may_vary: bool,
}

impl Seal<'_> {
    /// Seals a packet; None when its number has been used, or the keys are.
    fn protect(&mut self, buffer: &mut [u8], plain: usize, written: Written, reused: &mut u64) -> Option<usize> {
        let sealed = self.keys.protect_written(self.stream, buffer, plain, written);
        *reused += u64::from(sealed == Err(SrtpError::Reuse));
        sealed.ok()
    }
}

impl<'a> Departure<'a> {
    pub(super) fn new(now: Micros, outbox: &'a mut Outbox, network: &'a mut dyn Transmit, reused: &'a mut u64) -> Self {
        Self { now, abs_send_time: send_time(now), outbox, network, reused }
    }

    /// Writes, seals and sends one packet; returns the length of the RTP packet.
    pub(super) fn send(
        &mut self,
        mut seal: Seal<'_>,
        mid: &str,
        envelope: &Envelope<'_>,
        packet: &StoredPacket<'_>,
    ) -> Option<usize> {
        let values = ExtensionValues {
            mid: Some(mid.as_bytes()),
            audio_level: packet.info.audio_level,
            transport_sequence_number: seal.transport_sequence.as_ref().map(|number| **number),
            abs_send_time: seal.may_vary.then_some(self.abs_send_time),
            dependency_descriptor: Some(packet.descriptor).filter(|descriptor| !descriptor.is_empty()),
            frame_number: envelope.numbers.and_then(|numbers| numbers.frame_number),
            video_orientation: packet.info.orientation,
            playout_delay: envelope.playout_delay,
            ..ExtensionValues::default()
        };
        let (path, mut header_len, mut plain) = (seal.path, 0, 0);
        let sent = self.outbox.datagram(&path, self.network, |buffer| {
            header_len = write_header(buffer, &envelope.header, seal.extensions, &values)?;
            let mut at = header_len;
            if let Some(original) = envelope.original {
                buffer.get_mut(at..at + 2)?.copy_from_slice(&original.to_be_bytes());
                at += 2;
            }
            plain = at + envelope.redundancy.write(envelope.frames, packet.payload, buffer.get_mut(at..)?)?;
            let payload = buffer.get_mut(at..plain)?;
            if let Some(numbers) = envelope.numbers {
                numbers.write_to(envelope.format, payload);
            }
            let OutgoingHeader { ssrc, sequence_number, .. } = envelope.header;
            seal.protect(buffer, plain, Written { header_len, ssrc, sequence_number }, self.reused)
        });
        // What a sender just fits into a datagram may be too long with what receivers get besides.
        if sent.is_none() && header_len + packet.payload.len() + MAX_OVERHEAD > MAX_DATAGRAM {
            self.outbox.sent.oversized += 1;
        }
        sent?;
        if let Some(number) = seal.transport_sequence {
            *number = number.wrapping_add(1);
        }
        Some(plain)
    }

    /// Sends a packet that is all padding (RFC 3550 section 5.1); returns its length.
    pub(super) fn pad(&mut self, mut seal: Seal<'_>, mid: &str, header: &OutgoingHeader) -> Option<usize> {
        let values = ExtensionValues {
            mid: Some(mid.as_bytes()),
            transport_sequence_number: seal.transport_sequence.as_ref().map(|number| **number),
            abs_send_time: Some(self.abs_send_time),
            ..ExtensionValues::default()
        };
        let (path, mut plain) = (seal.path, 0);
        self.outbox.datagram(&path, self.network, |buffer| {
            let at = write_header(buffer, header, seal.extensions, &values)?;
            plain = at + PADDING;
            let padding = buffer.get_mut(at..plain)?;
            padding.fill(0);
            *padding.last_mut()? = PADDING as u8;
            *buffer.first_mut()? |= PADDING_FLAG;
            let OutgoingHeader { ssrc, sequence_number, .. } = *header;
            let written = Written { header_len: at, ssrc, sequence_number };
            seal.protect(buffer, plain, written, self.reused)
        })?;
        if let Some(number) = seal.transport_sequence {
            *number = number.wrapping_add(1);
        }
        Some(plain)
    }
}

impl Session {
    /// Sends a packet of a track in a slot; tells what became of it.
    fn forward(
        &mut self,
        slot: usize,
        key: Key,
        track: &Track,
        packet: &StoredPacket<'_>,
        out: &mut Departure<'_>,
    ) -> Decision {
        let (Some(path), Some(srtp)) = (self.ice.path(), &self.srtp) else { return Decision::Skip };
        let repeats_more = track.kind == MediaKind::Audio && self.repeats_sound;
        let place = slot as u16;
        let Some(slot) = self.slots.get_mut(slot) else { return Decision::Skip };
        let codecs = &self.codecs;
        let captured = track.captured(packet.info.timestamp, packet.info.arrival);
        let find = || track.codec.as_ref().and_then(|(codec, _)| Format::find(codec, codecs));
        let decision = slot.accept(key, packet.info, captured, find);
        let (outgoing, packet) = match decision {
            Decision::Forward(outgoing) | Decision::Start(outgoing, _) => (outgoing, *packet),
            Decision::Fill(outgoing) => (outgoing, packet.emptied()),
            Decision::Skip | Decision::Leap => return decision,
        };
        let Some(format) = slot.munger.current().map(|segment| segment.format) else { return Decision::Skip };
        let header = OutgoingHeader {
            marker: outgoing.marker,
            payload_type: format.outgoing,
            sequence_number: outgoing.sequence as u16,
            timestamp: outgoing.timestamp,
            ssrc: slot.ssrc,
        };
        let may_vary = slot.may_vary();
        let number = (self.sends_transport_cc && may_vary).then_some(self.transport_sequence);
        let playout_delay = slot.playout_delay(out.now, track.repair_wait, self.receiver_wait);
        let seal = Seal {
            path,
            keys: &srtp.outbound,
            extensions: &self.extensions,
            stream: &mut slot.stream,
            transport_sequence: number.is_some().then_some(&mut self.transport_sequence),
            may_vary,
        };
        let frames =
            (repeats_more && format.redundancy.may_repeat_more()).then(|| track.with_earlier(&packet)).flatten();
        let video_format = track.codec.as_ref().and_then(|(_, format)| *format);
        let envelope = Envelope {
            header,
            original: None,
            numbers: outgoing.numbers,
            format: video_format,
            redundancy: format.redundancy,
            frames: frames.as_ref(),
            playout_delay,
        };
        let sent = out.send(seal, &slot.mid, &envelope, &packet);
        if let Some(len) = sent {
            slot.figures.packets += 1;
            slot.figures.bytes += len as u64;
            slot.figures.octets += packet.payload.len() as u64;
            if let Some(number) = number {
                self.bandwidth.on_sent(out.now, number, len + PACKET_OVERHEAD);
                self.note_carried(number, place, header.sequence_number, track, packet.info.arrival);
            }
            if self.pacer.is_active() {
                self.pacer.spend(len + PACKET_OVERHEAD);
            }
        }
        decision
    }

    /// Lets a packet wait for its turn.
    fn hold(&mut self, now: Micros, place: u16, key: Key, track: &Track, sequence: u64) {
        let Some(slot) = self.slots.get_mut(usize::from(place)) else { return };
        let Some(packet) = track.ring.get(sequence) else { return };
        if packet.info.picture.starts_key_frame && slot.needs_key_frame_of(key) {
            // The slot is about to start with this picture: what waits of its present source would only hold it up.
            self.pacer.drop_slot(place, slot.source.filter(|source| *source != key).or(Some(key)));
            self.pacer.drop_repairs(place);
        }
        if !self.pacer.push(Waiting { slot: place, track: key, sequence, since: now }) {
            slot.resynchronize();
        }
    }
}

/// A slot has begun to carry something.
fn note_start(switched: &mut Vec<Switched>, receiver: Subscriber, started: Started) {
    if let Started::New { previous, abandoned } = started {
        switched.push(Switched { receiver, previous, abandoned });
    }
}

/// The value of abs-send-time.
pub(super) fn send_time(now: Micros) -> u32 {
    abs_send_time(Duration::from_micros(now))
}

impl Shard {
    /// Sends on what has been received since the last call, or as much of it as may be sent in one go.
    pub(super) fn forward_pending(&mut self, now: Micros, network: &mut dyn Transmit) {
        if !self.fanout.has_media() {
            return;
        }
        let mut fanout = std::mem::take(&mut self.fanout);
        let mut forwarded = 0;
        while forwarded < FORWARDED_AT_ONCE
            && let Some(next) = fanout.next(&self.tracks)
        {
            work::step();
            forwarded += (next.end - next.first) as usize;
            self.forward_work(now, next, &mut fanout, network);
        }
        self.settle(now, &mut fanout, network);
        self.fanout = fanout;
    }

    /// Follows up what sending has brought about.
    fn settle(&mut self, now: Micros, fanout: &mut FanOut, network: &mut dyn Transmit) {
        for switched in fanout.switched.drain(..) {
            self.finish_switch(now, switched);
        }
        for receiver in fanout.first_sent.drain(..) {
            self.emit_first_sent(now, receiver);
        }
        for key in fanout.leapt.drain(..) {
            if let Some(track) = self.tracks.get_mut(key).filter(|track| track.kind == MediaKind::Video) {
                track.key_frames.want_for_new_receiver();
                self.request_due_key_frame(now, key, network);
            }
        }
    }

    /// Sends what waits for its turn and may leave now.
    pub(super) fn forward_waiting(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let mut fanout = std::mem::take(&mut self.fanout);
        while let Some(waiting) = self.session_mut(index).and_then(|session| session.pacer.pop()) {
            work::step();
            self.forward_one(now, index, waiting, &mut fanout, network);
        }
        self.settle(now, &mut fanout, network);
        self.fanout = fanout;
    }

    fn forward_one(
        &mut self,
        now: Micros,
        index: u32,
        waiting: Waiting,
        fanout: &mut FanOut,
        network: &mut dyn Transmit,
    ) -> Option<()> {
        let session = self.sessions.get_mut(index as usize)?.as_deref_mut()?;
        let track = self.tracks.get(waiting.track)?;
        let packet = track.ring.get(waiting.sequence)?;
        let receiver = Subscriber { session: index, slot: waiting.slot };
        let mut out = Departure::new(now, &mut self.outbox, network, &mut self.counters.dropped_reuse);
        let place = usize::from(waiting.slot);
        let decision = session.forward(place, waiting.track, track, &packet, &mut out);
        if decision == Decision::Leap {
            fanout.leapt.push(waiting.track);
        }
        if let Decision::Start(_, started) = decision {
            note_start(&mut fanout.switched, receiver, started);
            // What came before the start in time follows it, and nothing is sent twice: see `forward_work`.
            session.pacer.drop_slot(waiting.slot, Some(waiting.track));
            session.pacer.drop_repairs(waiting.slot);
            for sequence in track.ring.after(waiting.sequence, track.reception.highest()) {
                work::step();
                if track.ring.get(sequence).is_some() {
                    session.pacer.push(Waiting { sequence, ..waiting });
                }
            }
        }
        let is_first = session.slots.get(place).is_some_and(|slot| slot.figures.packets == 1);
        if is_first && matches!(decision, Decision::Start(..)) {
            fanout.first_sent.push(receiver);
        }
        Some(())
    }

    fn forward_work(&mut self, now: Micros, entry: Work, fanout: &mut FanOut, network: &mut dyn Transmit) {
        let receiver = entry.receiver;
        let run = &fanout.planned[entry.first as usize..entry.end as usize];
        let session = self.sessions.get_mut(receiver.session as usize).and_then(Option::as_deref_mut);
        let (Some(session), Some(key)) = (session, run.first().map(|pending| pending.track)) else { return };
        let Some(track) = self.tracks.get(key) else { return };
        let mut out = Departure::new(now, &mut self.outbox, network, &mut self.counters.dropped_reuse);
        let slot = usize::from(receiver.slot);
        if session.pacer.is_active() && track.kind == MediaKind::Video {
            for pending in run {
                session.hold(now, receiver.slot, key, track, pending.sequence);
            }
            return;
        }
        let before = session.slots.get(slot).map_or(0, |slot| slot.figures.packets);
        for pending in run {
            work::step();
            let Some(packet) = track.ring.get(pending.sequence) else { continue };
            let decision = session.forward(slot, key, track, &packet, &mut out);
            if decision == Decision::Leap {
                fanout.leapt.push(key);
            }
            if let Decision::Start(_, started) = decision {
                note_start(&mut fanout.switched, receiver, started);
                // The start may have been late, sent again after loss: what came before it in time follows it now.
                for sequence in track.ring.after(pending.sequence, track.reception.highest()) {
                    work::step();
                    if let Some(packet) = track.ring.get(sequence) {
                        session.forward(slot, key, track, &packet, &mut out);
                    }
                }
                break;
            }
        }
        let after = session.slots.get(slot).map_or(0, |slot| slot.figures.packets);
        if before == 0 && after > 0 {
            fanout.first_sent.push(receiver);
        }
    }

    /// The slot has changed: its previous encoding no longer needs to be sent there, and the node is told when it is not
    /// one of the same pictures.
    fn finish_switch(&mut self, now: Micros, switched: Switched) {
        let shown = |key: Key| self.tracks.get(key).map(|track| track.publication);
        let source = self
            .session(switched.receiver.session)
            .and_then(|session| session.slots.get(usize::from(switched.receiver.slot)).and_then(|slot| slot.source));
        let changed = switched.previous.and_then(shown) != source.and_then(shown);
        for left in [switched.previous, switched.abandoned].into_iter().flatten() {
            if let Some(left) = self.tracks.get_mut(left) {
                left.subscribers.remove(switched.receiver);
            }
        }
        self.count_need_of(switched.receiver);
        if changed {
            self.emit_slot_source(now, switched.receiver);
        }
    }

    /// Tells the node what a slot carries.
    pub(super) fn emit_slot_source(&mut self, now: Micros, receiver: Subscriber) {
        // In a room that has been closed nobody looks any more.
        let session = self.session(receiver.session).filter(|session| self.rooms.get(session.room).is_some());
        let Some(session) = session else { return };
        let Some(slot) = session.slots.get(usize::from(receiver.slot)) else { return };
        let kind = EventKind::SlotSource {
            subject: session.subject.clone(),
            mid: slot.mid.clone(),
            source: slot.source.and_then(|track| self.track_name(track)),
        };
        self.emit(now, kind);
    }

    /// A track as the node names it.
    pub(super) fn track_name(&self, track: Key) -> Option<TrackName> {
        let track = self.tracks.get(track)?;
        let owner = self.session(track.owner)?;
        Some(TrackName { session: owner.subject.session.clone(), mid: track.mid.clone() })
    }

    fn emit_first_sent(&mut self, now: Micros, receiver: Subscriber) {
        let Some(session) = self.session(receiver.session) else { return };
        let Some(slot) = session.slots.get(usize::from(receiver.slot)) else { return };
        let kind = EventKind::FirstMedia {
            subject: session.subject.clone(),
            mid: slot.mid.clone(),
            direction: Direction::Out,
        };
        self.emit(now, kind);
    }
}
