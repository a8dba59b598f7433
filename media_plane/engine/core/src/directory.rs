//! What the node has opened, so that a command is checked when it is given: the names of rooms, sessions, tracks and slots,
//! and where each lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::agreed_media::AgreedMedia;
use crate::command::SessionKey;
use crate::engine::CommandError;
use crate::event::Subject;
use crate::incarnation::Incarnation;
use crate::params::{MediaKind, SessionParameters};

/// Where a session lives, and what it has.
#[derive(Debug, Clone)]
pub(crate) struct SessionEntry {
    pub shard: usize,
    pub key: SessionKey,
    pub room: Arc<str>,
    media: Arc<AgreedMedia>,
}

impl SessionEntry {
    /// The track with this MID and its kind.
    pub(crate) fn track(&self, mid: &str) -> Result<(Arc<str>, MediaKind), CommandError> {
        self.media.track(mid).ok_or(CommandError::UnknownTrack)
    }

    /// The video slot with this MID.
    pub(crate) fn video_slot(&self, mid: &str) -> Result<Arc<str>, CommandError> {
        let slot = self.media.slot(mid).ok_or(CommandError::UnknownTrack)?;
        if slot.kind == MediaKind::Video {
            Ok(Arc::clone(&slot.mid))
        } else {
            Err(CommandError::Invalid("audio slots belong to the engine"))
        }
    }
}

/// The places of a shard's sessions.
#[derive(Debug, Default)]
struct Places {
    /// How many sessions each place has had.
    generations: Vec<u32>,
    free: Vec<u32>,
    taken: usize,
}

impl Places {
    fn take(&mut self, max: usize) -> Option<SessionKey> {
        if self.taken >= max {
            return None;
        }
        self.taken += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        Some(SessionKey { index, generation: self.generations[index as usize] })
    }

    /// Frees every place; keys of the sessions that had them fit no later one.
    fn clear(&mut self) {
        for generation in &mut self.generations {
            *generation = generation.wrapping_add(1);
        }
        self.free = (0..self.generations.len() as u32).collect();
        self.taken = 0;
    }

    fn give_back(&mut self, key: SessionKey) {
        let generation = &mut self.generations[key.index as usize];
        if *generation == key.generation {
            *generation = generation.wrapping_add(1);
            self.free.push(key.index);
            self.taken -= 1;
        }
    }
}

#[derive(Debug, Default)]
struct Contents {
    /// Shard of each room.
    rooms: HashMap<Arc<str>, usize>,
    sessions: HashMap<Arc<str>, SessionEntry>,
    places: Vec<Places>,
    /// Whether each shard takes rooms.
    serves: Vec<bool>,
}

/// What was on a shard that failed.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub rooms: Vec<Arc<str>>,
    /// The sessions, by name, with their rooms.
    pub sessions: Vec<Subject>,
}

/// Rooms and sessions by name.
#[derive(Debug)]
pub(crate) struct Directory {
    contents: Mutex<Contents>,
    max_sessions: usize,
}

impl Directory {
    pub(crate) fn new(shards: usize, max_sessions: usize) -> Self {
        let places = (0..shards).map(|_| Places::default()).collect();
        let serves = vec![true; shards];
        Self { contents: Mutex::new(Contents { places, serves, ..Contents::default() }), max_sessions }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a room on the shard with the fewest sessions of those that serve.
    pub(crate) fn open_room(&self, room: &str) -> Result<(usize, Arc<str>), CommandError> {
        let mut contents = self.lock();
        if contents.rooms.contains_key(room) {
            return Err(CommandError::RoomExists);
        }
        let rooms_of = |shard| contents.rooms.values().filter(|other| **other == shard).count();
        let shards = (0..contents.places.len()).filter(|shard| contents.serves[*shard]);
        let shard = shards.min_by_key(|shard| (contents.places[*shard].taken, rooms_of(*shard)));
        let shard = shard.ok_or(CommandError::NoShard)?;
        let name: Arc<str> = room.into();
        contents.rooms.insert(Arc::clone(&name), shard);
        Ok((shard, name))
    }

    /// Removes a room and its sessions.
    pub(crate) fn close_room(&self, room: &str) -> Result<(usize, Arc<str>), CommandError> {
        let mut contents = self.lock();
        let (name, shard) = contents.rooms.remove_entry(room).ok_or(CommandError::UnknownRoom)?;
        contents.sessions.retain(|_, session| session.room != name);
        Ok((shard, name))
    }

    /// Adds a session to a room.
    pub(crate) fn open_session(
        &self,
        room: &str,
        session: &str,
        parameters: &SessionParameters,
    ) -> Result<(Arc<str>, SessionEntry), CommandError> {
        let mut contents = self.lock();
        let (room, shard) = contents.rooms.get_key_value(room).ok_or(CommandError::UnknownRoom)?;
        let (room, shard) = (Arc::clone(room), *shard);
        if contents.sessions.contains_key(session) {
            return Err(CommandError::SessionExists);
        }
        let key = contents.places[shard].take(self.max_sessions).ok_or(CommandError::TooMany)?;
        let entry = SessionEntry { shard, key, room, media: Arc::new(AgreedMedia::of(parameters)) };
        let name: Arc<str> = session.into();
        contents.sessions.insert(Arc::clone(&name), entry.clone());
        Ok((name, entry))
    }

    /// Takes note of what a session's latest offer and answer agreed on; with its entry comes what holds until then.
    pub(crate) fn change_media(
        &self,
        session: &str,
        parameters: &SessionParameters,
    ) -> Result<(SessionEntry, Arc<AgreedMedia>), CommandError> {
        let mut contents = self.lock();
        let entry = contents.sessions.get_mut(session).ok_or(CommandError::UnknownSession)?;
        let after = entry.media.followed_by(parameters).map_err(CommandError::Invalid)?;
        let before = std::mem::replace(&mut entry.media, Arc::new(after));
        Ok((entry.clone(), before))
    }

    /// The shard never learnt of the last change.
    pub(crate) fn restore_media(&self, session: &str, before: Arc<AgreedMedia>) {
        if let Some(entry) = self.lock().sessions.get_mut(session) {
            entry.media = before;
        }
    }

    /// Removes a session's name; its place is free once the shard has released it.
    pub(crate) fn close_session(&self, session: &str) -> Result<SessionEntry, CommandError> {
        self.lock().sessions.remove(session).ok_or(CommandError::UnknownSession)
    }

    pub(crate) fn session(&self, session: &str) -> Result<SessionEntry, CommandError> {
        self.lock().sessions.get(session).cloned().ok_or(CommandError::UnknownSession)
    }

    /// A shard has failed: removes its rooms and sessions, and places no room there until [`Directory::restore_shard`].
    pub(crate) fn fail_shard(&self, shard: usize) -> Lost {
        let mut contents = self.lock();
        contents.serves[shard] = false;
        contents.places[shard].clear();
        let rooms = contents.rooms.extract_if(|_, place| *place == shard).map(|(room, _)| room).collect();
        let sessions = contents.sessions.extract_if(|_, entry| entry.shard == shard);
        let sessions = sessions.map(|(session, entry)| Subject { room: entry.room, session }).collect();
        Lost { rooms, sessions }
    }

    /// A shard takes rooms again.
    pub(crate) fn restore_shard(&self, shard: usize) {
        self.lock().serves[shard] = true;
    }

    /// How many shards take rooms.
    pub(crate) fn serving_shards(&self) -> usize {
        self.lock().serves.iter().filter(|serves| **serves).count()
    }

    /// Frees the places of sessions that have ended on a shard, by the word of its thread. One that has been fenced has no say:
    /// its sessions have ended already.
    pub(crate) fn release_of(&self, thread: &Incarnation, shard: usize, keys: &[SessionKey]) {
        let mut contents = self.lock();
        if !thread.is_fenced() {
            contents.release(shard, keys);
        }
    }

    /// Frees the places of sessions that have ended on a shard, and their names where they ended by themselves.
    pub(crate) fn release(&self, shard: usize, keys: &[SessionKey]) {
        self.lock().release(shard, keys);
    }
}

impl Contents {
    fn release(&mut self, shard: usize, keys: &[SessionKey]) {
        let contents = self;
        contents.sessions.retain(|_, session| session.shard != shard || !keys.contains(&session.key));
        for key in keys {
            contents.places[shard].give_back(*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{HeaderExtensions, SlotSpec};

    fn parameters() -> SessionParameters {
        SessionParameters {
            ice_ufrag: String::new(),
            ice_pwd: String::new(),
            fingerprints: Vec::new(),
            codecs: Vec::new(),
            extensions: HeaderExtensions::default(),
            send_tracks: Vec::new(),
            slots: [("0", MediaKind::Audio), ("1", MediaKind::Video)]
                .map(|(mid, kind)| SlotSpec { mid: mid.into(), kind, ssrc: 1, rtx_ssrc: None })
                .to_vec(),
            cname: String::new(),
            channels: None,
        }
    }

    fn open(directory: &Directory, room: &str, session: &str) -> SessionEntry {
        directory.open_session(room, session, &parameters()).unwrap().1
    }

    #[test]
    fn a_room_goes_where_the_fewest_sessions_are() {
        let directory = Directory::new(2, 10);
        assert_eq!(directory.open_room("a").unwrap().0, 0);
        assert_eq!(directory.open_room("b").unwrap().0, 1, "as many sessions, fewer rooms");
        open(&directory, "b", "1");
        assert_eq!(directory.open_room("c").unwrap().0, 0);
        assert_eq!(directory.open_room("a").unwrap_err(), CommandError::RoomExists);
    }

    #[test]
    fn a_place_is_taken_again_only_after_its_release_and_with_a_new_generation() {
        let directory = Directory::new(1, 1);
        directory.open_room("a").unwrap();
        let first = open(&directory, "a", "1");
        directory.close_session("1").unwrap();
        assert_eq!(directory.open_session("a", "1", &parameters()).unwrap_err(), CommandError::TooMany);
        directory.release(0, &[first.key]);
        directory.release(0, &[first.key]);
        let second = open(&directory, "a", "1");
        assert_eq!((second.key.index, second.key.generation), (first.key.index, first.key.generation + 1));
    }

    #[test]
    fn a_session_that_ended_by_itself_loses_its_name() {
        let directory = Directory::new(1, 10);
        directory.open_room("a").unwrap();
        let entry = open(&directory, "a", "1");
        assert_eq!(directory.open_session("a", "1", &parameters()).unwrap_err(), CommandError::SessionExists);
        directory.release(0, &[entry.key]);
        assert_eq!(directory.session("1").unwrap_err(), CommandError::UnknownSession);
    }

    #[test]
    fn closing_a_room_takes_its_sessions_along() {
        let directory = Directory::new(1, 10);
        directory.open_room("a").unwrap();
        directory.open_room("b").unwrap();
        open(&directory, "a", "1");
        open(&directory, "b", "2");
        directory.close_room("a").unwrap();
        assert_eq!(directory.session("1").unwrap_err(), CommandError::UnknownSession);
        assert!(directory.session("2").is_ok());
        assert_eq!(directory.close_room("a").unwrap_err(), CommandError::UnknownRoom);
    }

    #[test]
    fn a_shard_that_failed_gets_no_room_until_it_serves_again() {
        let directory = Directory::new(2, 10);
        directory.open_room("a").unwrap();
        directory.open_room("b").unwrap();
        let old = open(&directory, "a", "1");
        open(&directory, "b", "2");
        let lost = directory.fail_shard(0);
        assert_eq!((lost.rooms.len(), &*lost.rooms[0]), (1, "a"));
        assert_eq!((lost.sessions.len(), &*lost.sessions[0].session), (1, "1"));
        assert_eq!(directory.session("1").unwrap_err(), CommandError::UnknownSession);
        assert!(directory.session("2").is_ok());
        assert_eq!(directory.open_room("c").unwrap().0, 1, "the other one is emptier, but does not serve");
        directory.restore_shard(0);
        assert_eq!(directory.open_room("a").unwrap().0, 0);
        let new = open(&directory, "a", "1");
        assert_eq!((new.key.index, new.key.generation), (old.key.index, old.key.generation + 1));
        directory.release(0, &[old.key]);
        assert!(directory.session("1").is_ok(), "the old session's key fits no other");
    }

    #[test]
    fn without_a_shard_that_serves_there_is_no_room() {
        let directory = Directory::new(1, 10);
        directory.fail_shard(0);
        assert_eq!(directory.serving_shards(), 0);
        assert_eq!(directory.open_room("a").unwrap_err(), CommandError::NoShard);
    }

    #[test]
    fn a_fenced_thread_frees_no_place() {
        let directory = Directory::new(1, 10);
        directory.open_room("a").unwrap();
        let entry = open(&directory, "a", "1");
        let thread = Incarnation::new().unwrap();
        thread.fence();
        directory.release_of(&thread, 0, &[entry.key]);
        assert!(directory.session("1").is_ok());
    }

    #[test]
    fn only_video_slots_are_the_nodes() {
        let directory = Directory::new(1, 10);
        directory.open_room("a").unwrap();
        let entry = open(&directory, "a", "1");
        assert!(entry.video_slot("1").is_ok());
        assert!(matches!(entry.video_slot("0"), Err(CommandError::Invalid(_))));
        assert_eq!(entry.video_slot("9").unwrap_err(), CommandError::UnknownTrack);
    }
}
