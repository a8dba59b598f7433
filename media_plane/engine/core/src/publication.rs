//! What a client sends on one m-line: one encoding, or several of the same pictures in different sizes (simulcast, RFC 8853).

use std::sync::Arc;

use crate::allocation::Ladder;
use crate::bucket::Bucket;
use crate::clock::{Micros, SECOND};
use crate::codec_choice::CodecChoice;
use crate::params::{Codec, MAX_ENCODINGS, MediaKind, SendTrack};
use crate::slab::Key;
use crate::slot::Slot;
use crate::track::Subscribers;

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
    pub viewers: Subscribers,
    /// Whether packets of any encoding arrive.
    pub active: bool,
    /// Whether a packet has ever come.
    pub started: bool,
    pub demand: EncodingDemand,
    pub codecs: CodecChoice,
    /// How often its sender may still say that encodings end, and how often all who watch may be looked at again because encodings
    /// come and go.
    pub stops: Bucket,
    pub looks: Bucket,
    /// What the slots that show it need of it.
    pub needs: Needs,
    /// What it offers to all of them, and when that was found out.
    pub offer: Option<(Micros, Ladder)>,
}

/// What one slot needs of a publication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// The encodings that it carries, waits for or would have if they were sent, bit by place.
    pub encodings: u8,
    /// It could use higher pictures than are known of.
    pub more: bool,
}

/// How many slots need each encoding of a publication: counted as slots change, since hundreds may look at the same camera.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    encodings: [u32; MAX_ENCODINGS],
    more: u32,
}

impl Needs {
    /// Counts a slot.
    pub(crate) fn add(&mut self, need: Need) {
        for (place, count) in self.encodings.iter_mut().enumerate() {
            *count += u32::from(need.encodings >> place & 1);
        }
        self.more += u32::from(need.more);
    }

    /// Counts a slot no longer, which was counted with the same.
    pub(crate) fn remove(&mut self, need: Need) {
        for (place, count) in self.encodings.iter_mut().enumerate() {
            *count -= u32::from(need.encodings >> place & 1);
        }
        self.more -= u32::from(need.more);
    }

    /// What is needed by any slot.
    pub(crate) fn any(&self) -> Need {
        let bits = self.encodings.iter().enumerate().map(|(place, count)| u8::from(*count > 0) << place);
        Need { encodings: bits.fold(0, |all, bit| all | bit), more: self.more > 0 }
    }
}

/// An encoding that nobody needs is given up after this time: layouts change back and forth, and to start again costs the
/// sender a key frame.
const RELEASE_AFTER: Micros = 3 * SECOND;

/// A sender's word that encodings end is taken so often a second; when it says so more often, their silence tells. Looking at all who watch
/// costs with their number: changes that come more often are followed together.
const STOPS: u64 = 4;
const STOPS_SAVED: Micros = 2 * SECOND;
const LOOKS: u64 = 8;
const LOOKS_SAVED: Micros = 2 * SECOND;

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
    /// A track of a session that has these codecs.
    pub(crate) fn new(now: Micros, owner: u32, track: &SendTrack, codecs: &[Codec]) -> Self {
        let of_type = |payload_type: &u8| codecs.iter().find(|codec| codec.payload_type == *payload_type).cloned();
        Self {
            owner,
            mid: Arc::clone(&track.mid),
            kind: track.kind,
            muted: track.muted,
            payload_types: track.payload_types.clone(),
            encodings: Vec::new(),
            viewers: Subscribers::default(),
            active: false,
            started: false,
            demand: EncodingDemand::new(track.encodings()),
            codecs: CodecChoice::new(track.payload_types.iter().filter_map(of_type)),
            stops: Bucket::new(now, STOPS, STOPS_SAVED),
            looks: Bucket::new(now, LOOKS, LOOKS_SAVED),
            needs: Needs::default(),
            offer: None,
        }
    }

    /// The place of an encoding.
    pub(crate) fn place_of(&self, encoding: Key) -> Option<usize> {
        self.encodings.iter().position(|other| *other == encoding)
    }

    /// What a slot that shows it needs of it.
    pub(crate) fn need_of(&self, slot: &Slot) -> Need {
        let wanted = [slot.share.desired, slot.source, slot.target].into_iter().flatten();
        let places = wanted.filter_map(|key| self.place_of(key));
        Need { encodings: places.fold(0, |all, place| all | 1 << place), more: slot.share.wants_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_needed_while_one_slot_needs_it() {
        let mut needs = Needs::default();
        let (small, large) = (Need { encodings: 0b001, more: false }, Need { encodings: 0b101, more: true });
        for need in [small, large, large] {
            needs.add(need);
        }
        needs.remove(large);
        assert_eq!(needs.any(), large);
        needs.remove(large);
        assert_eq!(needs.any(), small);
        needs.remove(small);
        assert_eq!(needs.any(), Need::default());
    }

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
