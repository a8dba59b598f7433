//! What the node asks for.

use std::sync::Arc;

use super::{Shard, random};
use crate::clock::Micros;
use crate::command::{Command, OpenSession, SessionKey};
use crate::event::CloseReason;
use crate::outbox::Transmit;
use crate::params::{MediaKind, SendTrack};
use crate::publication::Publication;
use crate::room::Room;
use crate::session::{Session, StreamRole};
use crate::slab::Key;
use crate::track::{Subscriber, Track};
use crate::wire::extension::ExtensionKind;

/// Sessions of a closed room that are ended in one go: each says goodbye, which takes some 20 us.
const ENDED_AT_ONCE: usize = 32;

impl Shard {
    /// Carries out a command.
    pub fn handle_command(&mut self, now: Micros, command: Command, network: &mut dyn Transmit) {
        self.bounded(|shard| shard.carry_out(now, command, network));
    }

    fn carry_out(&mut self, now: Micros, command: Command, network: &mut dyn Transmit) {
        match command {
            Command::OpenRoom(name) => self.open_room(name),
            Command::CloseRoom(name) => self.close_room(now, &name, network),
            Command::OpenSession(open) => self.open_session(now, &open, network),
            Command::CloseSession(key, reason) => {
                if self.session_by_key(key).is_some() {
                    self.end_session(now, key.index, reason, network);
                }
            }
            Command::ChangeMedia(key, parameters) => self.change_media(now, key, &parameters, network),
            Command::RestartIce(key, local, remote) => self.restart_ice(now, key, local, &remote),
            Command::SetTrackMuted { key, mid, muted } => self.set_muted(now, key, &mid, muted, network),
            Command::UpdateSlots(key, requests) => self.update_slots(now, key, &requests, network),
            Command::RequestKeyFrame(key, mid) => self.request_key_frame(now, key, &mid, network),
            Command::Stats(key, reply) => {
                if let Some(stats) = self.session_stats(now, key) {
                    // The caller may have stopped waiting.
                    let _ = reply.try_send(stats);
                }
            }
            Command::Explain(key, reply) => {
                if let Some(explanation) = self.explain(now, key) {
                    let _ = reply.try_send(explanation);
                }
            }
            Command::Fault(fault) => fault.happen(),
            Command::Stop => self.end_all(now, network),
        }
        self.outbox.flush(network);
        self.count_sent();
    }

    fn open_room(&mut self, name: Arc<str>) {
        if !self.room_names.contains_key(&name) {
            let room = self.rooms.insert(Room::new(Arc::clone(&name), self.config.audio_slots));
            self.room_names.insert(name, room);
        }
    }

    fn close_room(&mut self, now: Micros, name: &str, network: &mut dyn Transmit) {
        let Some(room) = self.room_names.remove(name).and_then(|key| self.rooms.remove(key)) else { return };
        for index in room.sessions {
            let key = self.session(index).map(|session| session.key);
            self.closing.extend(key);
        }
        self.end_closing(now, network);
    }

    /// Ends some of the sessions of rooms that have been closed: packets of others wait meanwhile.
    pub(super) fn end_closing(&mut self, now: Micros, network: &mut dyn Transmit) {
        for _ in 0..ENDED_AT_ONCE {
            let Some(key) = self.closing.pop_front() else { return };
            if self.session_by_key(key).is_some() {
                self.end_session(now, key.index, CloseReason::Requested, network);
            }
        }
    }

    fn end_all(&mut self, now: Micros, network: &mut dyn Transmit) {
        for index in 0..self.sessions.len() as u32 {
            if self.session(index).is_some() {
                self.end_session(now, index, CloseReason::Requested, network);
            }
        }
    }

    fn open_session(&mut self, now: Micros, open: &OpenSession, network: &mut dyn Transmit) {
        let Some(room) = self.room_names.get(&open.room).copied() else {
            // The room was closed before the command came: the place is free again.
            self.released.push(open.key);
            return;
        };
        let index = open.key.index;
        if self.session(index).is_some() {
            self.end_session(now, index, CloseReason::Replaced, network);
        }
        let identity = Arc::clone(&self.config.identity);
        let mut session = Box::new(Session::new(now, self.config.clock, open, room, identity, &mut random));
        self.add_tracks(now, &mut session, &open.parameters.send_tracks);
        let place = index as usize;
        if self.sessions.len() <= place {
            self.sessions.resize_with(place + 1, || None);
        }
        self.sessions[place] = Some(session);
        self.open_sessions += 1;
        self.counters.sessions_opened += 1;
        self.next_tick = self.next_tick.max(now);
        if let Some(room) = self.rooms.get_mut(room) {
            room.sessions.push(index);
        }
        self.emit_state(now, index, None);
    }

    pub(super) fn add_tracks<'a>(
        &mut self,
        now: Micros,
        session: &mut Session,
        specs: impl IntoIterator<Item = &'a SendTrack>,
    ) {
        for spec in specs {
            let owner = session.key.index;
            let publication = self.publications.insert(Publication::new(now, owner, spec, &session.codecs));
            session.publications.push(publication);
            for place in 0..spec.encodings() {
                let rid = spec.rids.get(place).map_or("", String::as_str);
                let key = self.tracks.insert(Track::new(owner, session.room, publication, spec, rid));
                session.tracks.push(key);
                if let Some(publication) = self.publications.get_mut(publication) {
                    publication.encodings.push(key);
                }
                self.declare_streams(session, spec, place, key);
            }
            let first = self.publications.get(publication).and_then(|publication| publication.encodings.first());
            if let (MediaKind::Audio, Some(key), Some(room)) = (spec.kind, first, self.rooms.get_mut(session.room)) {
                room.loudest.add(*key);
                room.dominant.add(now, *key);
            }
        }
    }

    /// Takes note of an encoding's SSRCs where the offer names them.
    fn declare_streams(&mut self, session: &mut Session, spec: &SendTrack, place: usize, key: Key) {
        if spec.rids.len() > 1 && session.extensions.id(ExtensionKind::Rid).is_some() {
            // Which SSRC is which encoding only the packets tell: neither list has to follow the other.
            return;
        }
        let declared = [(StreamRole::Media, &spec.ssrcs), (StreamRole::Retransmission, &spec.rtx_ssrcs)];
        for (role, ssrcs) in declared {
            if let Some(ssrc) = ssrcs.get(place) {
                session.declare_stream(*ssrc, key, role);
            }
        }
        if let Some(track) = self.tracks.get_mut(key) {
            track.ssrc = spec.ssrcs.get(place).copied();
        }
    }

    /// Takes a session's tracks and slots out of its room.
    pub(super) fn leave_room(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let Some(session) = self.session_mut(index) else { return };
        let room = session.room;
        let tracks = std::mem::take(&mut session.tracks);
        let publications = std::mem::take(&mut session.publications);
        let slots = session.slots.len();
        if let Some(room) = self.rooms.get_mut(room) {
            room.sessions.retain(|other| *other != index);
        }
        for place in 0..slots {
            let receiver = Subscriber { session: index, slot: place as u16 };
            self.unsubscribe_slot(receiver);
            self.count_need_of(receiver);
        }
        for key in publications {
            self.remove_publication(key);
        }
        for key in tracks {
            self.remove_track(now, room, key);
        }
        self.update_audio_now(now, room);
        self.outbox.flush(network);
    }

    pub(super) fn unsubscribe_slot(&mut self, receiver: Subscriber) {
        let Some(session) = self.session(receiver.session) else { return };
        let Some(slot) = session.slots.get(usize::from(receiver.slot)) else { return };
        let publication = slot.publication;
        for key in [slot.source, slot.target, slot.stopgap].into_iter().flatten() {
            if let Some(track) = self.tracks.get_mut(key) {
                track.subscribers.remove(receiver);
            }
        }
        if let Some(publication) = publication {
            self.remove_viewer(publication, receiver);
        }
        if let Some(slot) = self.slot_mut(receiver) {
            slot.publication = None;
        }
    }

    /// What slots were to show is gone.
    pub(super) fn remove_publication(&mut self, key: Key) {
        let Some(publication) = self.publications.remove(key) else { return };
        for viewer in publication.viewers.iter().copied() {
            if let Some(slot) = self.slot_mut(viewer) {
                slot.publication = None;
            }
        }
    }

    pub(super) fn remove_track(&mut self, now: Micros, room: Key, key: Key) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.loudest.remove(key);
            room.dominant.remove(key);
        }
        let subscribers = self.tracks.get_mut(key).map(|track| std::mem::take(&mut track.subscribers));
        for receiver in subscribers.unwrap_or_default().iter().copied() {
            self.forget_source(now, receiver, key);
        }
        self.tracks.remove(key);
    }

    /// A track that a slot carries, or waits for, is gone.
    fn forget_source(&mut self, now: Micros, receiver: Subscriber, key: Key) {
        let Some(session) = self.session_mut(receiver.session) else { return };
        let Some(slot) = session.slots.get_mut(usize::from(receiver.slot)) else { return };
        for awaited in [&mut slot.target, &mut slot.stopgap] {
            if *awaited == Some(key) {
                *awaited = None;
            }
        }
        if slot.source == Some(key) {
            slot.source = None;
            self.emit_slot_source(now, receiver);
        }
    }

    /// Reconsiders at once who is heard, because somebody left.
    pub(super) fn update_audio_now(&mut self, now: Micros, room: Key) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.next_audio = now;
        }
        self.update_audio(now, room);
    }

    fn request_key_frame(&mut self, now: Micros, owner: SessionKey, mid: &str, network: &mut dyn Transmit) {
        let encodings = self.find_publication(owner, mid).map_or(0, |(_, publication)| publication.encodings.len());
        for place in 0..encodings {
            let found = self.find_publication(owner, mid);
            let Some(key) = found.and_then(|(_, publication)| publication.encodings.get(place).copied()) else {
                return;
            };
            if let Some(track) = self.tracks.get_mut(key).filter(|track| track.active) {
                track.key_frames.want();
            }
            self.request_due_key_frame(now, key, network);
        }
    }
}
