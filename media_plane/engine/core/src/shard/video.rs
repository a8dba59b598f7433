//! Video slots: subscribing, key frames, starting afresh.

use super::Shard;
use crate::clock::Micros;
use crate::command::{SessionKey, SlotRequest};
use crate::outbox::Transmit;
use crate::params::MediaKind;
use crate::slab::Key;
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
        for request in requests {
            let target = request.source.as_ref().and_then(|(owner, mid)| self.find_track(*owner, mid));
            self.update_slot(now, key.index, &request.mid, target, network);
        }
    }

    /// The track of a session with this MID.
    pub(super) fn find_track(&self, owner: SessionKey, mid: &str) -> Option<Key> {
        let session = self.session_by_key(owner)?;
        session.tracks.iter().copied().find(|key| self.tracks.get(*key).is_some_and(|track| *track.mid == *mid))
    }

    fn update_slot(&mut self, now: Micros, index: u32, mid: &str, target: Option<Key>, network: &mut dyn Transmit) {
        let Some(session) = self.session(index) else { return };
        let Some((place, slot)) = session.slots_of(MediaKind::Video).find(|(_, slot)| *slot.mid == *mid) else {
            return;
        };
        let receiver = Subscriber { session: index, slot: place as u16 };
        let (source, previous_target) = (slot.source, slot.target);
        let wanted = target.filter(|track| self.may_receive(index, *track));
        if wanted == previous_target.or(source) {
            return;
        }
        if let Some(previous) = previous_target.and_then(|previous| self.tracks.get_mut(previous)) {
            previous.unsubscribe(receiver);
        }
        match wanted {
            None => self.empty_slot(now, receiver),
            Some(track) if Some(track) == source => self.keep_source(receiver),
            Some(track) => self.aim_slot(now, receiver, track, network),
        }
    }

    /// A receiver gets video tracks of its room, never its own.
    fn may_receive(&self, index: u32, track: Key) -> bool {
        let Some(track) = self.tracks.get(track).filter(|track| track.kind == MediaKind::Video) else { return false };
        let rooms =
            (self.session(index).map(|session| session.room), self.session(track.owner).map(|session| session.room));
        track.owner != index && rooms.0 == rooms.1
    }

    fn slot_mut(&mut self, receiver: Subscriber) -> Option<&mut crate::slot::Slot> {
        self.session_mut(receiver.session)?.slots.get_mut(usize::from(receiver.slot))
    }

    /// The next source is no longer wanted; the present one stays.
    fn keep_source(&mut self, receiver: Subscriber) {
        if let Some(slot) = self.slot_mut(receiver) {
            slot.target = None;
        }
    }

    fn aim_slot(&mut self, now: Micros, receiver: Subscriber, target: Key, network: &mut dyn Transmit) {
        if let Some(slot) = self.slot_mut(receiver) {
            slot.aim(now, target);
        }
        let Some(track) = self.tracks.get_mut(target) else { return };
        track.subscribe(receiver);
        track.key_frames.want_for_new_receiver();
        let muted = track.muted;
        if muted {
            // No key frame will come for now: better nothing than the picture of somebody else.
            self.drop_source(now, receiver);
        }
        self.request_due_key_frame(now, target, network);
    }

    /// Takes the source out of a slot; what it waits for stays.
    pub(super) fn drop_source(&mut self, now: Micros, receiver: Subscriber) {
        let Some(slot) = self.slot_mut(receiver) else { return };
        let Some(source) = slot.source else { return };
        slot.source = None;
        if let Some(track) = self.tracks.get_mut(source) {
            track.unsubscribe(receiver);
        }
        self.emit_slot_source(now, receiver);
    }

    /// Empties a slot.
    pub(super) fn empty_slot(&mut self, now: Micros, receiver: Subscriber) {
        let Some(slot) = self.slot_mut(receiver) else { return };
        let target = slot.target.take();
        if let Some(track) = target.and_then(|target| self.tracks.get_mut(target)) {
            track.unsubscribe(receiver);
        }
        self.drop_source(now, receiver);
    }

    /// The session can receive now: whoever it waits for is asked for a key frame.
    pub(super) fn start_receiving(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let slots = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..slots {
            let Some(slot) = self.session(index).and_then(|session| session.slots.get(place)) else { return };
            let Some(key) = slot.target.or(slot.source).filter(|key| slot.needs_key_frame_of(*key)) else { continue };
            if let Some(track) = self.tracks.get_mut(key) {
                track.key_frames.want_for_new_receiver();
            }
            self.request_due_key_frame(now, key, network);
        }
        self.choose_audio_for(now, index);
    }

    /// Packets of a track are missing on purpose or it begins anew: its receivers start afresh.
    pub(super) fn resynchronize_receivers(&mut self, key: Key) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.kind == MediaKind::Video {
            track.key_frames.want_for_new_receiver();
        }
        for receiver in &track.subscribers {
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
            let waits = self.session(index).and_then(|session| session.slots.get(place));
            if waits.is_some_and(|slot| slot.has_waited_too_long(now)) {
                self.drop_source(now, Subscriber { session: index, slot: place as u16 });
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
        let Some(key) = self.find_track(owner, mid) else { return };
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.muted == muted {
            return;
        }
        track.muted = muted;
        track.loss.clear();
        self.resynchronize_receivers(key);
        if !muted {
            self.request_due_key_frame(now, key, network);
        }
    }
}
