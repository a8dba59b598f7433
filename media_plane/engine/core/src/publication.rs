//! What a client sends on one m-line: one encoding, or several of the same pictures in different sizes (simulcast, RFC 8853).

use std::sync::Arc;

use crate::params::{MediaKind, SendTrack};
use crate::slab::Key;
use crate::track::Subscriber;

/// A track as the node knows it. Each of its encodings is a [`Track`](crate::track::Track) of its own in the engine.
#[derive(Debug)]
pub(crate) struct Publication {
    /// The session that sends it.
    pub owner: u32,
    pub mid: Arc<str>,
    pub kind: MediaKind,
    pub muted: bool,
    /// Payload types it may use.
    pub payload_types: Vec<u8>,
    /// Its encodings in the order of the offer; at least one.
    pub encodings: Vec<Key>,
    /// The video slots that show it or will.
    pub viewers: Vec<Subscriber>,
    /// Whether packets of any encoding arrive.
    pub active: bool,
    /// Whether a packet has ever come.
    pub started: bool,
}

impl Publication {
    pub(crate) fn new(owner: u32, track: &SendTrack) -> Self {
        Self {
            owner,
            mid: Arc::clone(&track.mid),
            kind: track.kind,
            muted: track.muted,
            payload_types: track.payload_types.clone(),
            encodings: Vec::new(),
            viewers: Vec::new(),
            active: false,
            started: false,
        }
    }

    /// Adds a slot that shows it.
    pub(crate) fn add_viewer(&mut self, viewer: Subscriber) {
        if !self.viewers.contains(&viewer) {
            self.viewers.push(viewer);
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove_viewer(&mut self, viewer: Subscriber) {
        self.viewers.retain(|known| *known != viewer);
    }
}
