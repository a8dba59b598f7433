//! What has to be looked at again when encodings come and go, and which encodings their senders need not send.

use super::Shard;
use crate::clock::Micros;
use crate::event::EventKind;
use crate::outbox::Transmit;
use crate::params::MediaKind;
use crate::publication::Publication;
use crate::slab::{Key, Slab};
use crate::slot::Slot;
use crate::track::{Subscriber, Track};

/// Sessions that are looked at again before the next packets are sent on, at most: 2 ms. Those behind them get their turn with
/// the next packets, and their pictures begin with the next key frame.
const MOST_AT_ONCE: usize = 1_024;

impl Shard {
    /// Has everyone who watches a track looked at again before the next packets are sent on, because one of its encodings has
    /// come or gone.
    pub(super) fn reconsider_viewers(&mut self, track: Key) {
        let found = self.tracks.get(track).filter(|track| track.kind == MediaKind::Video);
        let Some(key) = found.map(|track| track.publication) else { return };
        if let Some(publication) = self.publications.get_mut(key) {
            publication.offer = None;
        }
        if !self.layers.changed.contains(&key) {
            self.layers.changed.push(key);
        }
    }

    /// Looks again at those for whom something has changed, once at each.
    pub(super) fn follow_changed_encodings(&mut self, now: Micros, network: &mut dyn Transmit) {
        for place in (0..self.layers.changed.len()).rev() {
            let Some(publication) = self.publications.get_mut(self.layers.changed[place]) else {
                self.layers.changed.swap_remove(place);
                continue;
            };
            if !publication.looks.take(now, 1) {
                continue;
            }
            self.layers.changed.swap_remove(place);
            for viewer in publication.viewers.iter() {
                let session = self.sessions.get_mut(viewer.session as usize).and_then(Option::as_deref_mut);
                let Some(session) = session.filter(|session| !session.awaits_layers) else { continue };
                session.awaits_layers = true;
                self.layers.waiting.push_back(viewer.session);
            }
        }
        for _ in 0..MOST_AT_ONCE {
            let Some(index) = self.layers.waiting.pop_front() else { return };
            // A newer session in the same place may have been told already.
            let Some(session) = self.session_mut(index).filter(|session| session.awaits_layers) else { continue };
            session.awaits_layers = false;
            self.allocate_layers(now, index, network);
        }
    }

    /// Counts what each slot of a session needs now.
    pub(super) fn count_needs(&mut self, index: u32) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        for slot in session.slots.iter_mut().filter(|slot| slot.kind == MediaKind::Video) {
            count_need(slot, &mut self.publications);
        }
    }

    /// Counts what a slot needs now.
    pub(super) fn count_need_of(&mut self, receiver: Subscriber) {
        let session = self.sessions.get_mut(receiver.session as usize).and_then(Option::as_deref_mut);
        if let Some(slot) = session.and_then(|session| session.slots.get_mut(usize::from(receiver.slot))) {
            count_need(slot, &mut self.publications);
        }
    }

    /// Tells the sender of a track which of several encodings are needed, and in which codec, if that has changed.
    pub(super) fn tell_wanted(&mut self, now: Micros, key: Key) {
        let Some(publication) = self.publications.get(key) else { return };
        let several = Some(publication).filter(|publication| publication.encodings.len() > 1);
        let needed = several.and_then(|publication| self.needed_encodings(publication));
        let Some(publication) = self.publications.get_mut(key) else { return };
        let added = needed.and_then(|needed| publication.demand.update(now, needed));
        if !publication.codecs.update(now) && added.is_none() {
            return;
        }
        let added = added.unwrap_or_default();
        let publication = &*publication;
        let mut rids = Vec::new();
        for (place, key) in publication.encodings.iter().enumerate() {
            let Some(track) = self.tracks.get_mut(*key).filter(|_| publication.demand.includes(place)) else {
                continue;
            };
            track.expected |= added & 1 << place != 0 && !track.active;
            rids.push(track.rid.clone());
        }
        rids.retain(|rid| !rid.is_empty());
        let (owner, mid, codec) = (publication.owner, publication.mid.clone(), publication.codecs.told().cloned());
        let Some(session) = self.session(owner) else { return };
        self.emit(now, EventKind::EncodingsWanted { subject: session.subject.clone(), mid, rids, codec });
    }

    /// The encodings that somebody needs or carries, bit by place; None while nothing is known of their sizes.
    ///
    /// The smallest is always among them: with it the next who looks sees something at once.
    fn needed_encodings(&self, publication: &Publication) -> Option<u8> {
        let tracks =
            || publication.encodings.iter().enumerate().filter_map(|(n, key)| Some((n, self.tracks.get(*key)?)));
        let known = |track: &Track| track.height().is_some();
        let smallest = tracks().filter(|(_, track)| known(track)).min_by_key(|(_, track)| track.height())?;
        let need = publication.needs.any();
        let mut needed = 1 << smallest.0 | need.encodings;
        if need.more {
            // One that never came may be what is missing.
            tracks().filter(|(_, track)| !known(track)).for_each(|(place, _)| needed |= 1 << place);
        }
        Some(needed)
    }
}

fn count_need(slot: &mut Slot, publications: &mut Slab<Publication>) {
    let shown = slot.publication.and_then(|key| Some((key, publications.get(key)?.need_of(slot))));
    if shown == slot.counted {
        return;
    }
    let before = std::mem::replace(&mut slot.counted, shown);
    if let Some((key, need)) = before
        && let Some(publication) = publications.get_mut(key)
    {
        publication.needs.remove(need);
    }
    if let Some((key, need)) = shown
        && let Some(publication) = publications.get_mut(key)
    {
        publication.needs.add(need);
    }
}
