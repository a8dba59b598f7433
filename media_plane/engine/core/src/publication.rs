//! What a client sends on one m-line: one encoding, or several of the same pictures in different sizes (simulcast, RFC 8853).

use std::sync::Arc;

use crate::clock::{Micros, SECOND};
use crate::params::{MAX_ENCODINGS, MediaKind, SendTrack};
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
    pub demand: EncodingDemand,
}

/// An encoding that nobody needs is given up after this time: layouts change back and forth, and to start again costs the
/// sender a key frame.
const RELEASE_AFTER: Micros = 3 * SECOND;

/// Which encodings the sender was told to be needed.
#[derive(Debug)]
pub(crate) struct EncodingDemand {
    /// Bit by place.
    told: u8,
    idle_since: [Option<Micros>; MAX_ENCODINGS],
}

impl EncodingDemand {
    /// At first all of them.
    fn new(encodings: usize) -> Self {
        Self { told: ((1_u16 << encodings) - 1) as u8, idle_since: [None; MAX_ENCODINGS] }
    }

    /// Whether an encoding counts as needed.
    pub(crate) fn includes(&self, place: usize) -> bool {
        self.told & 1 << place != 0
    }

    /// Takes note of what is needed now (bit by place). When the sender must be told, returns what is needed anew: of that it
    /// is told at once, of what is not needed after a while.
    pub(crate) fn update(&mut self, now: Micros, needed: u8) -> Option<u8> {
        let before = self.told;
        for (place, idle_since) in self.idle_since.iter_mut().enumerate() {
            let bit = 1 << place;
            if needed & bit != 0 {
                *idle_since = None;
                self.told |= bit;
            } else if now.saturating_sub(*idle_since.get_or_insert(now)) >= RELEASE_AFTER {
                self.told &= !bit;
            }
        }
        (self.told != before).then_some(self.told & !before)
    }
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
            demand: EncodingDemand::new(track.encodings()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_told_at_once_and_what_is_not_after_a_while() {
        let mut demand = EncodingDemand::new(3);
        assert_eq!(demand.update(0, 0b001), None, "all are needed at first");
        assert_eq!(demand.update(RELEASE_AFTER - 1, 0b001), None);
        assert_eq!(demand.update(RELEASE_AFTER, 0b001), Some(0));
        assert_eq!([0, 1, 2].map(|place| demand.includes(place)), [true, false, false]);
        assert_eq!(demand.update(RELEASE_AFTER + 1, 0b101), Some(0b100));
        assert!(demand.includes(2) && !demand.includes(1));
        assert_eq!(demand.update(RELEASE_AFTER + 2, 0b001), None);
        assert_eq!(demand.update(RELEASE_AFTER + SECOND, 0b101), None, "needed again in time");
        assert_eq!(demand.update(2 * RELEASE_AFTER, 0b001), None);
        assert!(demand.includes(2));
    }
}
