//! A session gets other m-lines while it runs: a later offer over the same connection (RFC 3264 section 8).

use super::{Shard, random};
use crate::clock::Micros;
use crate::command::SessionKey;
use crate::outbox::Transmit;
use crate::params::{ChannelParameters, MediaKind, SendTrack, SessionParameters, SlotSpec};
use crate::sctp::Channels;
use crate::session::extension_ids;
use crate::slab::Key;
use crate::slot::Slot;
use crate::track::Subscriber;

impl Shard {
    /// Brings a session to what its latest offer and answer agreed on. What goes on is not touched: neither its packets nor their
    /// numbers nor whoever watches.
    pub(super) fn change_media(
        &mut self,
        now: Micros,
        key: SessionKey,
        parameters: &SessionParameters,
        network: &mut dyn Transmit,
    ) {
        let Some(room) = self.session_by_key(key).map(|session| session.room) else { return };
        let index = key.index;
        self.end_tracks(now, index, &parameters.send_tracks);
        self.end_slots(index, &parameters.slots);
        self.change_formats(index, parameters);
        self.begin_tracks(now, index, &parameters.send_tracks);
        self.begin_slots(index, &parameters.slots);
        self.change_channels(now, index, parameters.channels.as_ref());
        self.choose_audio_for(now, index);
        self.update_audio_now(now, room);
        self.allocate_layers(now, index, network);
    }

    /// Ends the tracks that the offer has no more, or has in another way: other encodings or formats are another track.
    fn end_tracks(&mut self, now: Micros, index: u32, specs: &[SendTrack]) {
        let Some(session) = self.session(index) else { return };
        let (room, publications) = (session.room, session.publications.clone());
        for key in publications {
            if specs.iter().any(|spec| self.is_as_before(key, spec)) {
                continue;
            }
            let encodings = self.publications.get(key).map(|publication| publication.encodings.clone());
            self.remove_publication(key);
            if let Some(session) = self.session_mut(index) {
                session.publications.retain(|other| *other != key);
            }
            for key in encodings.unwrap_or_default() {
                let session = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut);
                if let (Some(session), Some(track)) = (session, self.tracks.get(key)) {
                    session.tracks.retain(|other| *other != key);
                    session.end_streams(now, key, track);
                }
                self.remove_track(now, room, key);
            }
        }
    }

    /// Whether a track is what an offer says. Its SSRCs do not count, since packets tell of them too; nor does muting, which is a
    /// command of its own.
    fn is_as_before(&self, key: Key, spec: &SendTrack) -> bool {
        let Some(publication) = self.publications.get(key) else { return false };
        let types = &publication.payload_types;
        let same_types =
            types.len() == spec.payload_types.len() && spec.payload_types.iter().all(|known| types.contains(known));
        let encodings = publication.encodings.iter().filter_map(|key| self.tracks.get(*key));
        let same_encodings = encodings.enumerate().all(|(place, track)| {
            let rid = spec.rids.get(place).map_or("", String::as_str);
            *track.rid == *rid && track.nack == spec.nack
        });
        (&publication.mid, publication.kind) == (&spec.mid, spec.kind)
            && publication.encodings.len() == spec.encodings()
            && same_types
            && same_encodings
    }

    fn begin_tracks(&mut self, now: Micros, index: u32, specs: &[SendTrack]) {
        let Some(mut session) = self.sessions.get_mut(index as usize).and_then(Option::take) else { return };
        let known = |spec: &&SendTrack| session.publications.iter().any(|key| self.is_as_before(*key, spec));
        let new: Vec<_> = specs.iter().filter(|spec| !known(spec)).collect();
        self.add_tracks(now, &mut session, new);
        self.sessions[index as usize] = Some(session);
    }

    /// Ends the slots that the offer has no more. Others keep their places, by which packets under way name them.
    fn end_slots(&mut self, index: u32, specs: &[SlotSpec]) {
        let places = self.session(index).map_or(0, |session| session.slots.len());
        for place in 0..places {
            let receiver = Subscriber { session: index, slot: place as u16 };
            let goes_on = |slot: &Slot| specs.iter().any(|spec| (&spec.mid, spec.ssrc) == (&slot.mid, slot.ssrc));
            if self.slot(receiver).is_none_or(|slot| slot.is_vacant() || goes_on(slot)) {
                continue;
            }
            self.unsubscribe_slot(receiver);
            self.count_need_of(receiver);
            if let Some(session) = self.session_mut(index) {
                session.pacer.drop_slot(receiver.slot, None);
                session.pacer.drop_repairs(receiver.slot);
                session.slots[place] = Slot::vacant();
            }
        }
    }

    fn begin_slots(&mut self, index: u32, specs: &[SlotSpec]) {
        let Some(session) = self.session_mut(index) else { return };
        for spec in specs {
            if session.slots.iter().any(|slot| slot.mid == spec.mid) {
                continue;
            }
            let slot = Slot::new(spec, random());
            match session.slots.iter().position(Slot::is_vacant) {
                Some(place) => session.slots[place] = slot,
                None => session.slots.push(slot),
            }
        }
    }

    /// Sets the codecs and the identifiers of header extensions. Those who send to the session count which codecs it knows.
    fn change_formats(&mut self, index: u32, parameters: &SessionParameters) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        for shown in session.slots.iter().filter_map(|slot| slot.publication) {
            if let Some(publication) = self.publications.get_mut(shown) {
                publication.codecs.remove(&session.codecs);
                publication.codecs.add(&parameters.codecs);
            }
        }
        session.codecs.clone_from(&parameters.codecs);
        session.extensions = extension_ids(&parameters.extensions);
        session.sends_transport_cc = parameters.extensions.transport_cc.is_some();
        for slot in session.slots.iter_mut().filter(|slot| slot.kind == MediaKind::Audio) {
            let sent = slot.munger.current().map(|segment| segment.format.outgoing);
            if sent.is_some_and(|sent| parameters.codecs.iter().all(|codec| codec.payload_type != sent)) {
                slot.resynchronize();
            }
        }
    }

    fn change_channels(&mut self, now: Micros, index: u32, parameters: Option<&ChannelParameters>) {
        let clock = self.config.clock;
        let Some(session) = self.session_mut(index) else { return };
        match parameters {
            Some(parameters) if session.channels.is_none() => {
                session.channels = Some(Box::new(Channels::new(now, clock, parameters)));
            }
            Some(_) => {}
            None => session.channels = None,
        }
    }
}
