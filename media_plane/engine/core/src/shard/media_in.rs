//! RTP from clients: decrypted once, assigned to a track, put into the track's ring.

use super::Shard;
use crate::bandwidth::PACKET_OVERHEAD;
use crate::clock::Micros;
use crate::event::{Direction, EventKind};
use crate::outbox::Path;
use crate::params::{MAX_ENCODINGS, MediaKind};
use crate::payload::av1::DependencyDescriptor;
use crate::picture::inspect;
use crate::publication::Publication;
use crate::reception::Arrival;
use crate::ring::PacketInfo;
use crate::session::{ClientStream, Session, StreamRole};
use crate::slab::{Key, Slab};
use crate::srtp::{InboundStream, SrtpError};
use crate::track::{STRAGGLERS, TimestampAnchor, Track};
use crate::wire::bytes::u16_at;
use crate::wire::extension::ExtensionValues;
use crate::wire::layers_allocation::LayersAllocation;
use crate::wire::rtp::RtpHeader;

/// Why a packet is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Malformed,
    UnknownStream,
    /// Of a stream that another has taken the place of.
    Late,
    Srtp(SrtpError),
}

/// A packet assigned to its encoding, with what is told of it once it has been stored.
struct Accepted {
    track: Key,
    arrived: Arrived,
    /// How many packets of the whole session are missing just before this one; None: it came late itself.
    skipped: Option<u64>,
}

/// What a packet means for its track.
#[derive(Debug, Clone, Copy, Default)]
struct Arrived {
    /// In the ring and to be sent on.
    stored: Option<u64>,
    became_active: bool,
    /// How many packets of this encoding are missing just before it.
    gap: u64,
    recovered: bool,
    restarted: bool,
    /// Too late to be stored.
    late: bool,
    /// In another codec than before.
    recoded: bool,
    /// What the sender says of its encodings, where that is news.
    told: Option<LayersAllocation>,
}

impl Shard {
    pub(super) fn handle_media(&mut self, now: Micros, index: u32, path: &Path, datagram: &mut [u8]) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        match accept(now, session, &self.publications, &mut self.tracks, datagram) {
            Ok(accepted) => {
                session.ice.heard(now, path);
                self.follow(now, index, &accepted);
            }
            Err(Refusal::Malformed | Refusal::Srtp(SrtpError::Malformed)) => self.counters.dropped_rtp += 1,
            Err(Refusal::UnknownStream) => self.counters.dropped_unknown_ssrc += 1,
            Err(Refusal::Late) => self.counters.dropped_late += 1,
            Err(Refusal::Srtp(SrtpError::Replay)) => self.counters.dropped_srtp_replay += 1,
            Err(Refusal::Srtp(_)) => self.counters.dropped_srtp_auth += 1,
        }
    }

    fn follow(&mut self, now: Micros, index: u32, accepted: &Accepted) {
        let (key, arrived) = (accepted.track, accepted.arrived);
        self.counters.packets_recovered += u64::from(arrived.recovered);
        self.counters.dropped_late += u64::from(arrived.late);
        if arrived.restarted {
            self.resynchronize_receivers(key);
        }
        if arrived.gap > 0 && self.fanout.gaps.last() != Some(&key) {
            self.fanout.gaps.push(key);
        }
        match accepted.skipped {
            Some(skipped) if skipped > arrived.gap => self.fanout.skips.push(index),
            Some(_) => {}
            None => self.calm_tracks(index),
        }
        if let (Some(sequence), Some(track)) = (arrived.stored, self.tracks.get(key)) {
            self.fanout.push(key, track, sequence);
        }
        if arrived.became_active {
            self.tell_arrival(now, index, key);
            self.reconsider_viewers(key);
        }
        if arrived.recoded {
            self.reconsider_viewers(key);
        }
        if let Some(told) = arrived.told {
            self.follow_told(now, key, told);
        }
        let Some(track) = self.tracks.get(key).filter(|track| track.kind == MediaKind::Audio) else { return };
        if arrived.stored.is_some() {
            let level = track.audio_level;
            self.note_audio(now, index, key, level);
        }
    }

    /// Takes the sender's word for which encodings it sends: whoever watches one that has stopped gets another at once, and not when
    /// its silence has become noticeable.
    fn follow_told(&mut self, now: Micros, key: Key, told: LayersAllocation) {
        let publication = self.tracks.get(key).and_then(|track| self.publications.get(track.publication));
        let Some(encodings) = publication.map(|publication| &publication.encodings) else { return };
        let encodings: [_; MAX_ENCODINGS] = std::array::from_fn(|place| encodings.get(place).copied());
        // One that counts them in another order than its offer is not understood.
        if encodings.get(usize::from(told.place)) != Some(&Some(key)) {
            return;
        }
        for (place, other) in encodings.into_iter().enumerate() {
            let Some((other, track)) = other.and_then(|other| Some((other, self.tracks.get_mut(other)?))) else {
                return;
            };
            if told.includes(place) {
                track.note_sent();
            } else if !track.active {
                track.note_stopped(now);
            } else if self.may_stop(now, other) {
                if let Some(track) = self.tracks.get_mut(other) {
                    track.note_stopped(now);
                }
                self.end_encoding(now, other);
            }
        }
    }

    /// What seemed to be missing was only late.
    fn calm_tracks(&mut self, index: u32) {
        self.fanout.skips.retain(|skipping| *skipping != index);
        let Some(session) = self.sessions.get(index as usize).and_then(Option::as_deref) else { return };
        for key in &session.tracks {
            if let Some(track) = self.tracks.get_mut(*key) {
                track.loss.calm();
            }
        }
    }

    /// Packets of an encoding begin to come: the node is told when they are the first of its track.
    fn tell_arrival(&mut self, now: Micros, index: u32, key: Key) {
        let (Some(session), Some(track)) = (self.session(index), self.tracks.get(key)) else { return };
        let (subject, mid, publication) = (session.subject.clone(), track.mid.clone(), track.publication);
        let Some(publication) = self.publications.get_mut(publication) else { return };
        let first = !std::mem::replace(&mut publication.started, true);
        let became_active = !std::mem::replace(&mut publication.active, true);
        if first {
            let direction = Direction::In;
            self.emit(now, EventKind::FirstMedia { subject: subject.clone(), mid: mid.clone(), direction });
        }
        if became_active {
            self.emit(now, EventKind::TrackActivity { subject, mid, active: true });
        }
    }
}

/// Decrypts a packet and hands it to its track.
fn accept(
    now: Micros,
    session: &mut Session,
    publications: &Slab<Publication>,
    tracks: &mut Slab<Track>,
    datagram: &mut [u8],
) -> Result<Accepted, Refusal> {
    let header = RtpHeader::parse(datagram).ok_or(Refusal::Malformed)?;
    let srtp = session.srtp.as_ref().ok_or(Refusal::Srtp(SrtpError::Authentication))?;
    let known = session.streams.iter().position(|stream| stream.ssrc == header.ssrc);
    let former = || session.former.iter().position(|former| former.stream.ssrc == header.ssrc);
    let former = if known.is_none() { former() } else { None };
    let mut fresh = InboundStream::default();
    let state = match (known, former) {
        (Some(place), _) => &mut session.streams[place].state,
        (None, Some(place)) => &mut session.former[place].stream.state,
        (None, None) => &mut fresh,
    };
    let newest = state.highest();
    let len = srtp.inbound.unprotect_rtp(state, datagram).map_err(Refusal::Srtp)?;
    let is_newest = state.highest() > newest;
    let packet = &datagram[..len];
    let values = ExtensionValues::read(&header, packet, &session.extensions);
    let skipped = values.transport_sequence_number.map_or(Some(0), |number| session.arrivals.record(number, now));
    let place = match (known, former) {
        (Some(place), _) => place,
        (None, Some(place)) if session.former[place].ended.is_some() => {
            let place = if is_newest { revive(now, session, publications, tracks, place, &values) } else { None };
            place.ok_or(Refusal::Late)?
        }
        (None, Some(place)) => recall(now, session, tracks, place, is_newest).ok_or(Refusal::Late)?,
        (None, None) => {
            learn(now, session, publications, tracks, &header, &values, fresh).ok_or(Refusal::UnknownStream)?
        }
    };
    let payload = header.payload(packet).ok_or(Refusal::Malformed)?;
    let (track, role) = (session.streams[place].track, session.streams[place].role);
    let arrival = Incoming { now, header: &header, values: &values, payload, len, role };
    let track_entry = tracks.get_mut(track).ok_or(Refusal::UnknownStream)?;
    let publication = publications.get(track_entry.publication).ok_or(Refusal::UnknownStream)?;
    let arrived = arrival.deliver(session, publication, track_entry)?;
    session.uplink.arrived(now, len);
    if arrived.recovered && track_entry.kind == MediaKind::Video {
        let late = track_entry.reception.lateness(header.timestamp, now, track_entry.clock_rate);
        session.sender_wait.note_repair(late.unwrap_or_default());
    }
    Ok(Accepted { track, arrived, skipped })
}

/// Assigns a new SSRC to an encoding: its track is known by the MID, or where a client has none, by a payload type that only
/// one track uses; which of the track's encodings it is, the RTP stream identifier tells (RFC 8852).
///
/// An encoding has one stream of each role, so the table is as small as the offer; a new SSRC takes the place of the old one.
fn learn(
    now: Micros,
    session: &mut Session,
    publications: &Slab<Publication>,
    tracks: &mut Slab<Track>,
    header: &RtpHeader,
    values: &ExtensionValues<'_>,
    state: InboundStream,
) -> Option<usize> {
    let (codec, role) = session.codec(header.payload_type)?;
    let payload_type = codec.payload_type;
    let belongs = |publication: &&Publication| match values.mid {
        Some(mid) => publication.mid.as_bytes() == mid,
        None => publication.payload_types.contains(&payload_type),
    };
    let mut candidates = session.publications.iter().filter_map(|key| publications.get(*key)).filter(belongs);
    let publication = candidates.next().filter(|_| candidates.next().is_none())?;
    let rid = if role == StreamRole::Media { values.rid } else { values.repaired_rid };
    let named = |key: &&Key| tracks.get(**key).is_some_and(|track| rid.is_some_and(|rid| track.rid.as_bytes() == rid));
    let key = match publication.encodings[..] {
        [only] => only,
        ref several => *several.iter().find(named)?,
    };
    install(now, session, tracks, ClientStream { ssrc: header.ssrc, track: key, role, state })
}

/// Has a stream go on whose track has ended, where an m-line sends again that has the MID of the former one. Browsers leave MID and RTP
/// stream identifier out of a stream's packets for good once a report has shown that it is known.
///
/// What an m-line sent last before it stopped is not for what is left, even where a payload type would fit.
fn revive(
    now: Micros,
    session: &mut Session,
    publications: &Slab<Publication>,
    tracks: &mut Slab<Track>,
    place: usize,
    values: &ExtensionValues<'_>,
) -> Option<usize> {
    let (mid, rid) = session.former.get(place)?.ended.as_ref()?;
    if values.mid.is_some_and(|named| named != mid.as_bytes()) {
        return None;
    }
    let mut known = session.publications.iter().filter_map(|key| publications.get(*key));
    let publication = known.find(|publication| publication.mid == *mid)?;
    let mut encodings = publication.encodings.iter().copied();
    let track = encodings.find(|key| tracks.get(*key).is_some_and(|track| track.rid == *rid))?;
    let former = session.former.remove(place)?;
    install(now, session, tracks, ClientStream { track, ..former.stream })
}

/// Goes back to a stream that another had taken the place of. Packets that were overtaken by the other stream, or are repeated by
/// somebody, are no reason: it takes one that is newer than all of the stream, and comes when none is under way any more.
fn recall(
    now: Micros,
    session: &mut Session,
    tracks: &mut Slab<Track>,
    place: usize,
    is_newest: bool,
) -> Option<usize> {
    let since = session.former.get(place)?.since;
    if !is_newest || now.saturating_sub(since) < STRAGGLERS {
        return None;
    }
    let former = session.former.remove(place)?;
    install(now, session, tracks, former.stream)
}

/// Puts a stream in its place. Where another one was, its track begins anew, since the numbers of the two have nothing in common.
fn install(now: Micros, session: &mut Session, tracks: &mut Slab<Track>, stream: ClientStream) -> Option<usize> {
    let track = tracks.get_mut(stream.track)?;
    let (ssrc, role) = (stream.ssrc, stream.role);
    let (place, replaced) = session.place_stream(now, stream)?;
    if role == StreamRole::Media {
        track.ssrc = Some(ssrc);
        if replaced {
            track.reception.renew();
        }
    }
    Some(place)
}

/// A decrypted packet.
struct Incoming<'a> {
    now: Micros,
    header: &'a RtpHeader,
    values: &'a ExtensionValues<'a>,
    payload: &'a [u8],
    len: usize,
    role: StreamRole,
}

impl Incoming<'_> {
    fn deliver(&self, session: &Session, publication: &Publication, track: &mut Track) -> Result<Arrived, Refusal> {
        let (codec, role) = session.codec(self.header.payload_type).ok_or(Refusal::Malformed)?;
        let types = &publication.payload_types;
        let allowed = types.is_empty() || types.contains(&codec.payload_type);
        if role != self.role || !allowed {
            return Err(Refusal::Malformed);
        }
        let current = track.codec.as_ref().map(|(known, _)| known.payload_type);
        let is_other = current != Some(codec.payload_type);
        match role {
            StreamRole::Media => {
                if is_other {
                    track.set_codec(self.now, codec);
                }
                let arrived = self.deliver_media(track, codec.rtx_payload_type.is_some())?;
                Ok(Arrived { recoded: is_other && current.is_some(), ..arrived })
            }
            // A repair of what was sent in the codec before is of no use any more.
            StreamRole::Retransmission if is_other => Ok(Arrived::default()),
            StreamRole::Retransmission => Ok(self.deliver_retransmission(track)),
        }
    }

    fn deliver_media(&self, track: &mut Track, repairs_as_rtx: bool) -> Result<Arrived, Refusal> {
        let mut arrived = Arrived::default();
        let sequence = match track.reception.receive(self.header.sequence_number) {
            Arrival::Stray => return Err(Refusal::Malformed),
            Arrival::Late { sequence } => {
                arrived.recovered = track.loss.came(self.now, sequence, repairs_as_rtx);
                sequence
            }
            Arrival::Newest { sequence, gap } => {
                track.reception.time(self.header.timestamp, self.now, track.clock_rate);
                let packet = TimestampAnchor { timestamp: self.header.timestamp, at: self.now };
                let previous = track.last_packet.replace(packet).filter(|it| it.timestamp == packet.timestamp);
                if let Some(previous) = previous {
                    track.spacing.note(self.now.saturating_sub(previous.at));
                }
                arrived.gap = gap;
                track.went_on(self.now, sequence, gap, self.payload);
                sequence
            }
            Arrival::Restarted { sequence } => {
                track.restart(self.now);
                arrived.restarted = true;
                sequence
            }
        };
        if track.packets == 0 {
            track.loss.reserve();
        }
        track.packets += 1;
        track.bytes += self.len as u64;
        arrived.told = self.told(track, sequence);
        if arrived.told.is_some() {
            track.note_sent();
        }
        arrived.became_active = track.note_arrival(self.now);
        track.audio_level = self.values.audio_level;
        self.store(track, sequence, self.header.payload_type, self.payload, &mut arrived);
        Ok(arrived)
    }

    /// Unwraps an RTX packet (RFC 4588); one that repairs nothing is padding, as senders probe with.
    fn deliver_retransmission(&self, track: &mut Track) -> Arrived {
        let mut arrived = Arrived::default();
        let original = u16_at(self.payload, 0).and_then(|number| track.reception.extend(number));
        let (Some(sequence), Some(payload)) = (original, self.payload.get(2..)) else { return arrived };
        let payload_type = track.codec.as_ref().map(|(codec, _)| codec.payload_type);
        let (Some(payload_type), false) = (payload_type, payload.is_empty()) else { return arrived };
        let may_be_foreign = track.has_just_restarted(self.now);
        if track.reception.has_passed(sequence) {
            arrived.recovered = track.loss.repaired(self.now, sequence);
            if may_be_foreign && !arrived.recovered {
                return arrived;
            }
        } else {
            let ahead = if may_be_foreign { None } else { track.reception.receive_repair(sequence) };
            let Some(gap) = ahead else { return arrived };
            // Asked for on suspicion, or repeated to probe: it has come before anything else of its stream.
            arrived.recovered = true;
            arrived.gap = gap;
            track.went_on(self.now, sequence, gap, payload);
        }
        arrived.told = self.told(track, sequence);
        self.store(track, sequence, payload_type, payload, &mut arrived);
        arrived
    }

    /// What the sender says of its encodings; repairs may bring what has been said long ago.
    fn told(&self, track: &mut Track, sequence: u64) -> Option<LayersAllocation> {
        let told = self.values.layers_allocation.and_then(LayersAllocation::parse)?;
        let is_news = sequence > track.told_at;
        track.told_at = track.told_at.max(sequence);
        is_news.then_some(told)
    }

    /// Puts the packet into the ring unless it has been there, its place is a newer one's, or nobody may have it.
    fn store(&self, track: &mut Track, sequence: u64, payload_type: u8, payload: &[u8], arrived: &mut Arrived) {
        arrived.late = track.ring.has_passed(sequence);
        if track.muted || arrived.late || track.ring.has_stored(sequence) {
            return;
        }
        let Some(format) = track.codec.as_ref().map(|(_, format)| *format) else { return };
        let descriptor = self.values.dependency_descriptor;
        let brings_layers = descriptor.and_then(DependencyDescriptor::parse).is_some_and(|it| it.starts_key_frame());
        if let Some(descriptor) = descriptor.filter(|_| brings_layers) {
            track.note_structure(descriptor);
        }
        let picture = inspect(format, payload, descriptor, track.structure.as_deref());
        track.rates.count(picture.layer, self.header.timestamp, self.len + PACKET_OVERHEAD);
        if picture.starts_key_frame {
            track.note_key_frame(self.now, payload);
        }
        let info = PacketInfo {
            sequence,
            timestamp: self.header.timestamp,
            arrival: self.now,
            payload_type,
            marker: self.header.marker,
            audio_level: self.values.audio_level,
            orientation: self.values.video_orientation,
            picture,
        };
        let stored = track.ring.push(info, self.values.dependency_descriptor.unwrap_or_default(), payload);
        arrived.stored = stored.then_some(sequence);
    }
}
