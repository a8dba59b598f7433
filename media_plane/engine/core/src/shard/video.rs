//! Video slots: subscribing, key frames, starting afresh.

use super::Shard;
use crate::clock::Micros;
use crate::command::{SessionKey, SlotRequest};
use crate::format::Format;
use crate::outbox::Transmit;
use crate::params::MediaKind;
use crate::publication::Publication;
use crate::session::Session;
use crate::slab::Key;
use crate::slot::{Share, Slot};
use crate::track::Subscriber;

impl Shard {
    pub(super) fn update_slots(
        &mut self,
        now: Micros,
        key: SessionKey,
        requests: &[SlotRequest],
        network: &mut dyn Transmit,
    ) {
        if self.session_by_key(key).is_none() {
            return;
        }
        let mut shows = false;
        for request in requests {
            shows |= self.update_slot(now, key.index, request);
        }
        if shows {
            self.allocate_layers(now, key.index, network);
        }
    }

    /// The track of a session with this MID.
    pub(super) fn find_publication(&self, owner: SessionKey, mid: &str) -> Option<(Key, &Publication)> {
        let session = self.session_by_key(owner)?;
        let mut known = session.publications.iter().filter_map(|key| Some((*key, self.publications.get(*key)?)));
        known.find(|(_, publication)| *publication.mid == *mid)
    }

    /// Sets what a slot shows; true when that is something.
    fn update_slot(&mut self, now: Micros, index: u32, request: &SlotRequest) -> bool {
        let Some(session) = self.session(index) else { return false };
        let Some((place, slot)) = session.slots_of(MediaKind::Video).find(|(_, slot)| slot.mid == request.mid) else {
            return false;
        };
        let receiver = Subscriber { session: index, slot: place as u16 };
        let shown = slot.publication;
        let wanted = request.source.as_ref().and_then(|(owner, mid)| Some(self.find_publication(*owner, mid)?.0));
        let wanted = wanted.filter(|publication| self.may_receive(index, *publication));
        let Some(slot) = self.slot_mut(receiver) else { return false };
        let layout = (request.max_height, request.priority);
        if (slot.max_height, slot.priority) != layout {
            (slot.max_height, slot.priority) = layout;
            // The user asked for another size: steadiness must not keep it from showing.
            slot.share.ceiling = None;
        }
        if wanted != shown {
            self.exchange(now, receiver, shown, wanted);
            self.count_need_of(receiver);
        }
        if let Some(key) = shown.filter(|_| wanted != shown) {
            self.tell_wanted(now, key);
        }
        wanted.is_some()
    }

    /// A slot shall show another track than before, or nothing.
    fn exchange(&mut self, now: Micros, receiver: Subscriber, shown: Option<Key>, wanted: Option<Key>) {
        let Some(slot) = self.slot_mut(receiver) else { return };
        slot.publication = wanted;
        slot.shown_since = now;
        slot.share = Share::default();
        if let Some(shown) = shown {
            self.remove_viewer(shown, receiver);
        }
        self.cancel_wait(receiver);
        let session = self.sessions.get(receiver.session as usize).and_then(Option::as_deref);
        let found = wanted.and_then(|wanted| self.publications.get_mut(wanted)).zip(session);
        let Some((publication, session)) = found else { return self.drop_source(now, receiver) };
        publication.viewers.insert(receiver);
        publication.codecs.add(&session.codecs);
        if publication.muted && !self.shows(receiver, wanted) {
            // No key frame will come for now: better nothing than the picture of somebody else.
            self.drop_source(now, receiver);
        }
    }

    /// A slot shows the track no longer.
    pub(super) fn remove_viewer(&mut self, publication: Key, receiver: Subscriber) {
        let session = self.sessions.get(receiver.session as usize).and_then(Option::as_deref);
        if let (Some(publication), Some(session)) = (self.publications.get_mut(publication), session) {
            publication.viewers.remove(receiver);
            publication.codecs.remove(&session.codecs);
        }
    }

    /// Whether a receiver knows the codec that a track comes in.
    pub(super) fn is_understood(&self, session: &Session, publication: &Publication) -> bool {
        let mut encodings = publication.encodings.iter().filter_map(|key| self.tracks.get(*key));
        let codec = encodings.find_map(|track| track.codec.as_ref().filter(|_| track.active));
        publication.codecs.suits_all() || codec.is_none_or(|(codec, _)| Format::find(codec, &session.codecs).is_some())
    }

    /// Slots show nothing of tracks whose codec their session does not know, until the sender takes another.
    pub(super) fn drop_what_is_not_understood(&mut self, now: Micros, index: u32) {
        let slots = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..slots {
            let receiver = Subscriber { session: index, slot: place as u16 };
            let Some(session) = self.session(index) else { return };
            let shown = session.slots.get(place).and_then(|slot| slot.publication);
            let publication = shown.and_then(|shown| self.publications.get(shown));
            if publication.is_none_or(|publication| self.is_understood(session, publication)) {
                continue;
            }
            if let Some(slot) = self.slot_mut(receiver) {
                slot.share = Share::default();
            }
            self.cancel_wait(receiver);
            if self.shows(receiver, shown) {
                self.drop_source(now, receiver);
            }
        }
    }

    /// Whether a slot carries an encoding of this track.
    fn shows(&self, receiver: Subscriber, publication: Option<Key>) -> bool {
        let source = self.slot(receiver).and_then(|slot| slot.source);
        source.and_then(|source| self.tracks.get(source)).is_some_and(|track| Some(track.publication) == publication)
    }

    /// A receiver gets video tracks of its room, never its own.
    fn may_receive(&self, index: u32, publication: Key) -> bool {
        let found = self.publications.get(publication).filter(|publication| publication.kind == MediaKind::Video);
        let Some(owner) = found.map(|publication| publication.owner) else { return false };
        let rooms = (self.session(index).map(|session| session.room), self.session(owner).map(|session| session.room));
        owner != index && rooms.0 == rooms.1
    }

    pub(super) fn slot(&self, receiver: Subscriber) -> Option<&Slot> {
        self.session(receiver.session)?.slots.get(usize::from(receiver.slot))
    }

    pub(super) fn slot_mut(&mut self, receiver: Subscriber) -> Option<&mut Slot> {
        self.session_mut(receiver.session)?.slots.get_mut(usize::from(receiver.slot))
    }

    /// The encodings that a slot waits for are no longer wanted; the present one stays.
    pub(super) fn cancel_wait(&mut self, receiver: Subscriber) {
        let Some(slot) = self.slot_mut(receiver) else { return };
        let awaited = [slot.target.take(), slot.stopgap.take()];
        for key in awaited.into_iter().flatten() {
            if let Some(track) = self.tracks.get_mut(key) {
                track.subscribers.remove(receiver);
            }
        }
    }

    /// Has a slot wait for an encoding's key frame.
    pub(super) fn aim_slot(&mut self, now: Micros, receiver: Subscriber, target: Key, network: &mut dyn Transmit) {
        if let Some(slot) = self.slot_mut(receiver) {
            slot.aim(now, target);
        }
        self.subscribe(now, receiver, target, network);
    }

    /// Has a slot that shows nothing wait for a smaller encoding besides its target: its key frame is the sooner here.
    pub(super) fn await_stopgap(&mut self, now: Micros, receiver: Subscriber, key: Key, network: &mut dyn Transmit) {
        let Some(slot) = self.slot_mut(receiver).filter(|slot| slot.stopgap != Some(key)) else { return };
        let previous = slot.stopgap.replace(key);
        if let Some(previous) = previous.and_then(|previous| self.tracks.get_mut(previous)) {
            previous.subscribers.remove(receiver);
        }
        self.subscribe(now, receiver, key, network);
    }

    fn subscribe(&mut self, now: Micros, receiver: Subscriber, key: Key, network: &mut dyn Transmit) {
        let can_receive = self.session(receiver.session).is_some_and(Session::is_connected);
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.subscribers.insert(receiver);
        // A key frame that has just come is still to be sent on. One that comes before the receiver has keys is lost on it, and
        // the next could only be asked for some time later: `start_receiving` asks.
        if !can_receive || track.key_frame_at == Some(now) {
            return;
        }
        track.key_frames.want_for_new_receiver();
        self.request_due_key_frame(now, key, network);
    }

    /// Takes the source out of a slot; what it waits for stays.
    pub(super) fn drop_source(&mut self, now: Micros, receiver: Subscriber) {
        let Some(slot) = self.slot_mut(receiver) else { return };
        let Some(source) = slot.source else { return };
        slot.source = None;
        if let Some(track) = self.tracks.get_mut(source) {
            track.subscribers.remove(receiver);
        }
        self.emit_slot_source(now, receiver);
    }

    /// The session can receive now: whoever it waits for is asked for a key frame.
    pub(super) fn start_receiving(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let slots = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..slots {
            let Some(slot) = self.session(index).and_then(|session| session.slots.get(place)) else { return };
            let awaited =
                [slot.source, slot.target, slot.stopgap].map(|key| key.filter(|key| slot.needs_key_frame_of(*key)));
            for key in awaited.into_iter().flatten() {
                if let Some(track) = self.tracks.get_mut(key) {
                    track.key_frames.want_for_new_receiver();
                }
                self.request_due_key_frame(now, key, network);
            }
        }
        self.choose_audio_for(now, index);
    }

    /// Packets of a track are missing on purpose or it begins anew: its receivers start afresh.
    pub(super) fn resynchronize_receivers(&mut self, key: Key) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.kind == MediaKind::Video && !track.subscribers.is_empty() {
            track.key_frames.want_for_new_receiver();
        }
        for receiver in track.subscribers.iter() {
            let session = self.sessions.get_mut(receiver.session as usize).and_then(Option::as_deref_mut);
            if let Some(slot) = session.and_then(|session| session.slots.get_mut(usize::from(receiver.slot))) {
                slot.resynchronize();
            }
        }
    }

    /// Ends the wait of slots whose next source does not come.
    pub(super) fn end_waits(&mut self, now: Micros, index: u32) {
        let slots = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..slots {
            let Some(slot) = self.session(index).and_then(|session| session.slots.get(place)) else { return };
            let receiver = Subscriber { session: index, slot: place as u16 };
            let publication = slot.publication;
            let (waited, outlived) = (slot.has_waited_too_long(now), slot.has_shown_too_long(now));
            if publication.is_none() || !(waited || outlived) {
                continue;
            }
            match self.shows(receiver, publication) {
                // The picture is there, only its size is not: the next allocation tries again.
                true if waited => self.cancel_wait(receiver),
                false if outlived => self.drop_source(now, receiver),
                _ => {}
            }
        }
    }

    /// Stops or resumes forwarding a track.
    pub(super) fn set_muted(
        &mut self,
        now: Micros,
        owner: SessionKey,
        mid: &str,
        muted: bool,
        network: &mut dyn Transmit,
    ) {
        let Some((key, _)) = self.find_publication(owner, mid) else { return };
        let Some(publication) = self.publications.get_mut(key).filter(|publication| publication.muted != muted) else {
            return;
        };
        publication.muted = muted;
        for place in 0..publication.encodings.len() {
            let encodings = self.publications.get(key).map(|publication| &publication.encodings);
            let Some(encoding) = encodings.and_then(|encodings| encodings.get(place).copied()) else { return };
            if let Some(track) = self.tracks.get_mut(encoding) {
                track.muted = muted;
                track.loss.clear();
            }
            self.resynchronize_receivers(encoding);
            if !muted {
                self.request_due_key_frame(now, encoding, network);
            }
            self.reconsider_viewers(encoding);
        }
    }
}
