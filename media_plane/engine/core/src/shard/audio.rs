//! Audio slots: the engine fills them with the loudest others.

use super::Shard;
use crate::clock::{MILLISECOND, Micros};
use crate::event::EventKind;
use crate::params::MediaKind;
use crate::slab::Key;
use crate::track::Subscriber;
use crate::wire::extension::AudioLevel;

/// How often it is reconsidered who is heard.
const AUDIO_INTERVAL: Micros = 40 * MILLISECOND;

impl Shard {
    /// Takes note of how loud a packet is.
    pub(super) fn note_audio(&mut self, now: Micros, index: u32, track: Key, level: Option<AudioLevel>) {
        let Some(room) = self.session(index).map(|session| session.room) else { return };
        let Some(room) = self.rooms.get_mut(room) else { return };
        room.loudest.note(now, track, level);
        room.dominant.note(now, track, level);
    }

    /// Reconsiders who is heard and who holds the floor.
    pub(super) fn update_audio(&mut self, now: Micros, key: Key) {
        let Some(room) = self.rooms.get_mut(key).filter(|room| now >= room.next_audio) else { return };
        room.next_audio = now + AUDIO_INTERVAL;
        let name = room.name.clone();
        let passed = room.dominant.update(now);
        let holder = room.dominant.holder();
        if room.loudest.update(now) {
            self.choose_audio(now, key);
        }
        if passed {
            let session = holder.and_then(|track| self.track_name(track)).map(|track| track.session);
            self.emit(now, EventKind::DominantSpeaker { room: name, session });
        }
    }

    /// Fills the audio slots of everyone in a room.
    pub(super) fn choose_audio(&mut self, now: Micros, room: Key) {
        let sessions = self.rooms.get(room).map_or(0, |room| room.sessions.len());
        for place in 0..sessions {
            let index = self.rooms.get(room).and_then(|room| room.sessions.get(place).copied());
            if let Some(index) = index {
                self.choose_audio_for(now, index);
            }
        }
    }

    /// Fills the audio slots of one session: whoever is still to be heard keeps the slot, the others take what is free.
    pub(super) fn choose_audio_for(&mut self, now: Micros, index: u32) {
        let mut wanted = [None; MAX_HEARD];
        let Some(count) = self.heard_by(index, &mut wanted) else { return };
        let wanted = &mut wanted[..count];
        let slots = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..slots {
            let Some(slot) = self.session(index).and_then(|session| session.slots.get(place)) else { return };
            let Some(source) = slot.source.filter(|_| slot.kind == MediaKind::Audio) else { continue };
            match wanted.iter_mut().find(|wanted| **wanted == Some(source)) {
                Some(kept) => *kept = None,
                None => self.assign_audio(now, Subscriber { session: index, slot: place as u16 }, None),
            }
        }
        let mut wanted = wanted.iter().flatten().copied();
        for place in 0..slots {
            let Some(slot) = self.session(index).and_then(|session| session.slots.get(place)) else { return };
            if slot.kind == MediaKind::Audio && slot.source.is_none() {
                let Some(source) = wanted.next() else { return };
                self.assign_audio(now, Subscriber { session: index, slot: place as u16 }, Some(source));
            }
        }
    }

    /// Writes the tracks that a session is to hear; returns how many.
    fn heard_by(&self, index: u32, wanted: &mut [Option<Key>]) -> Option<usize> {
        let session = self.session(index)?;
        let room = self.rooms.get(session.room)?;
        let slots = session.slots_of(MediaKind::Audio).count();
        let heard = room.loudest.heard_by(slots, |track| session.tracks.contains(&track));
        Some(wanted.iter_mut().zip(heard).map(|(place, track)| *place = Some(track)).count())
    }

    fn assign_audio(&mut self, now: Micros, receiver: Subscriber, source: Option<Key>) {
        let Some(session) = self.sessions.get_mut(receiver.session as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(slot) = session.slots.get_mut(usize::from(receiver.slot)) else { return };
        let previous = slot.source;
        slot.assign(source);
        if let Some(track) = previous.and_then(|previous| self.tracks.get_mut(previous)) {
            track.subscribers.remove(receiver);
        }
        if let Some(track) = source.and_then(|source| self.tracks.get_mut(source)) {
            track.subscribers.insert(receiver);
        }
        self.emit_slot_source(now, receiver);
    }
}

/// The most others that can be heard: as many as a session may have slots.
const MAX_HEARD: usize = crate::params::MAX_SLOTS;
