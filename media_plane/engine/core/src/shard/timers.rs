//! Everything that waits for time to pass: each session is looked at every 20 ms, which is exact enough for all of it.

use std::ops::Range;

use super::Shard;
use crate::clock::{MILLISECOND, Micros};
use crate::event::EventKind;
use crate::outbox::Transmit;
use crate::slab::Key;

/// Time between two looks at a session.
const TICK: Micros = 20 * MILLISECOND;
/// Places of sessions looked at in one go, while packets wait: 8 us where all is in the cache, several times that where media has
/// taken its place.
const TOGETHER: usize = 64;

impl Shard {
    /// Does what is due. To be called at [`Shard::poll_timeout`] or later.
    pub fn handle_timeout(&mut self, now: Micros, network: &mut dyn Transmit) {
        self.bounded(|shard| shard.do_what_is_due(now, network));
    }

    fn do_what_is_due(&mut self, now: Micros, network: &mut dyn Transmit) {
        self.pace(now, network);
        self.ask_again(now, network);
        self.end_closing(now, network);
        if now < self.next_tick {
            if self.layers.is_waiting() {
                self.follow_changed_encodings(now, network);
                self.outbox.flush(network);
                self.count_sent();
            }
            return;
        }
        for index in self.sessions_due(now) {
            if self.session(index).is_some() && !self.end_if_expired(now, index, network) {
                self.tick_session(now, index, network);
            }
        }
        self.follow_changed_encodings(now, network);
        self.outbox.flush(network);
        self.count_sent();
    }

    /// The next sessions to look at; sets when those after them are due.
    fn sessions_due(&mut self, now: Micros) -> Range<u32> {
        let places = self.sessions.len();
        let parts = places.div_ceil(TOGETHER).max(1);
        let from = if self.next_looked_at < places { self.next_looked_at } else { 0 };
        let to = (from + places.div_ceil(parts)).min(places);
        self.next_looked_at = to;
        self.next_tick = now + TICK / parts as Micros;
        from as u32..to as u32
    }

    fn tick_session(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        self.check_paths(now, index, network);
        self.advance_handshake(now, index, network);
        let Some(session) = self.session(index).filter(|session| session.is_connected()) else { return };
        let (tracks, room) = (session.tracks.len(), session.room);
        self.tell_silence(now, index);
        for place in 0..tracks {
            let Some(key) = self.session(index).and_then(|session| session.tracks.get(place).copied()) else { return };
            self.tick_track(now, key, network);
        }
        self.send_transport_feedback(now, index, network);
        self.send_reports(now, index, network);
        self.tick_bandwidth(now, index);
        self.end_waits(now, index);
        self.tick_layers(now, index, network);
        self.update_audio(now, room);
        self.tick_channels(now, index, network);
    }

    /// Tells the node when nothing comes from a client any more, and when something does again.
    fn tell_silence(&mut self, now: Micros, index: u32) {
        let Some(session) = self.session_mut(index) else { return };
        let since = session.ice.silent_since(now);
        if session.told_silent == since.is_some() {
            return;
        }
        session.told_silent = since.is_some();
        let subject = session.subject.clone();
        let silent_since = since.map(|since| self.config.clock.unix_nanos(since));
        self.emit(now, EventKind::TransportActivity { subject, silent_since });
    }

    fn tick_track(&mut self, now: Micros, key: Key, network: &mut dyn Transmit) {
        self.request_due_key_frame(now, key, network);
        let goes_on = self.fastest_sibling(key);
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.active {
            track.rates.advance(now);
        }
        let paused = goes_on.is_some_and(|millifps| track.note_pause(now, millifps));
        if paused || track.note_silence(now) {
            self.end_encoding(now, key);
        }
    }

    /// Whether a sender's word that an encoding ends is taken.
    pub(super) fn may_stop(&mut self, now: Micros, key: Key) -> bool {
        let publication = self.tracks.get(key).and_then(|track| self.publications.get_mut(track.publication));
        publication.is_some_and(|publication| publication.stops.take(now, 1))
    }

    /// Follows up that an encoding has ceased to come.
    pub(super) fn end_encoding(&mut self, now: Micros, key: Key) {
        if let Some(track) = self.tracks.get_mut(key) {
            track.expected = false;
        }
        self.emit_activity_end(now, key);
        self.reconsider_viewers(key);
    }

    /// Frame rate (in thousandths) of the fastest other encoding of the same pictures that arrives.
    pub(super) fn fastest_sibling(&self, key: Key) -> Option<u32> {
        let publication = self.publications.get(self.tracks.get(key)?.publication)?;
        let siblings = publication.encodings.iter().filter(|other| **other != key);
        let rates = siblings.filter_map(|other| self.tracks.get(*other).filter(|track| track.active));
        rates.map(|track| track.rates.total().millifps).max().filter(|millifps| *millifps > 0)
    }

    /// A track has ended by its sender's word.
    pub(super) fn silence_track(&mut self, now: Micros, key: Key) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if std::mem::replace(&mut track.active, false) {
            self.emit_activity_end(now, key);
        }
    }

    /// An encoding has ceased to come: the node is told when it was the last of its track.
    fn emit_activity_end(&mut self, now: Micros, key: Key) {
        let Some(key) = self.tracks.get(key).map(|track| track.publication) else { return };
        let tracks = &self.tracks;
        let Some(publication) = self.publications.get_mut(key) else { return };
        let active = publication.encodings.iter().any(|key| tracks.get(*key).is_some_and(|track| track.active));
        if active || !std::mem::replace(&mut publication.active, false) {
            return;
        }
        let (owner, mid) = (publication.owner, publication.mid.clone());
        let Some(session) = self.session(owner) else { return };
        let kind = EventKind::TrackActivity { subject: session.subject.clone(), mid, active: false };
        self.emit(now, kind);
    }
}
