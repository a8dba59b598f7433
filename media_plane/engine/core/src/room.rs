//! A room: who is in it, and who is heard.

use std::sync::Arc;

use crate::audio::{DominantSpeaker, Loudest};
use crate::clock::Micros;
use crate::sctp::RoomAllowance;

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub name: Arc<str>,
    /// Places of its sessions.
    pub sessions: Vec<u32>,
    pub loudest: Loudest,
    pub dominant: DominantSpeaker,
    /// What its data channels may still carry.
    pub channels: RoomAllowance,
    /// When the audio choice is reconsidered.
    pub next_audio: Micros,
}

impl Room {
    pub(crate) fn new(name: Arc<str>, audio_slots: usize) -> Self {
        Self {
            name,
            sessions: Vec::new(),
            loudest: Loudest::new(audio_slots),
            dominant: DominantSpeaker::default(),
            channels: RoomAllowance::new(),
            next_audio: 0,
        }
    }
}
