//! What offers and answers of a session have agreed on so far, which bounds what a later one may.

use std::sync::Arc;

use crate::params::{MediaKind, SessionParameters, SlotSpec};

/// The most SSRCs that the slots of one session may have in its life: as many as 512 slots with retransmissions. Streams under one key
/// must never share one, so each is remembered for as long as the keys are in use.
const MAX_SSRCS: usize = 1_024;

/// Tracks and slots of a session, and all SSRCs that slots of it have ever had.
#[derive(Debug, Default)]
pub(crate) struct AgreedMedia {
    tracks: Vec<(Arc<str>, MediaKind)>,
    slots: Vec<SlotSpec>,
    ssrcs: Vec<u32>,
}

impl AgreedMedia {
    /// What the first offer and answer agreed on.
    pub(crate) fn of(parameters: &SessionParameters) -> Self {
        Self {
            tracks: parameters.send_tracks.iter().map(|track| (Arc::clone(&track.mid), track.kind)).collect(),
            slots: parameters.slots.clone(),
            ssrcs: parameters.slots.iter().flat_map(ssrcs).collect(),
        }
    }

    /// What holds once a later offer and answer have changed it; the error names the rule that they break.
    ///
    /// A slot goes on under its SSRCs or ends; one that is new has SSRCs that no slot had before. Otherwise two streams would be
    /// sealed under the same numbers, which reveals what AES-GCM protects (RFC 7714 section 8.4).
    pub(crate) fn followed_by(&self, parameters: &SessionParameters) -> Result<Self, &'static str> {
        let goes_on = |slot: &SlotSpec| self.slots.iter().any(|known| known == slot);
        let fresh = || parameters.slots.iter().filter(|slot| !goes_on(slot)).flat_map(ssrcs);
        if fresh().any(|ssrc| self.ssrcs.contains(&ssrc)) {
            return Err("a new slot needs SSRCs that no slot of the session had before");
        }
        let ssrcs: Vec<u32> = self.ssrcs.iter().copied().chain(fresh()).collect();
        if ssrcs.len() > MAX_SSRCS {
            return Err("too many slots in the life of a session");
        }
        Ok(Self { ssrcs, ..Self::of(parameters) })
    }

    /// The track with this MID and its kind.
    pub(crate) fn track(&self, mid: &str) -> Option<(Arc<str>, MediaKind)> {
        self.tracks.iter().find(|(known, _)| **known == *mid).cloned()
    }

    /// The slot with this MID.
    pub(crate) fn slot(&self, mid: &str) -> Option<&SlotSpec> {
        self.slots.iter().find(|slot| *slot.mid == *mid)
    }
}

fn ssrcs(slot: &SlotSpec) -> impl Iterator<Item = u32> + use<> {
    [Some(slot.ssrc), slot.rtx_ssrc].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::HeaderExtensions;

    fn parameters(slots: &[(&str, u32)]) -> SessionParameters {
        let slot = |(mid, ssrc): &(&str, u32)| SlotSpec {
            mid: (*mid).into(),
            kind: MediaKind::Video,
            ssrc: *ssrc,
            rtx_ssrc: Some(ssrc + 1),
        };
        SessionParameters {
            ice_ufrag: String::new(),
            ice_pwd: String::new(),
            fingerprints: Vec::new(),
            codecs: Vec::new(),
            extensions: HeaderExtensions::default(),
            send_tracks: Vec::new(),
            slots: slots.iter().map(slot).collect(),
            cname: String::new(),
            channels: None,
        }
    }

    #[test]
    fn a_slot_goes_on_under_its_ssrcs_or_ends() {
        let media = AgreedMedia::of(&parameters(&[("1", 10), ("2", 20)]));
        let media = media.followed_by(&parameters(&[("2", 20), ("3", 30)])).unwrap();
        assert!(media.slot("1").is_none() && media.slot("3").is_some());
        assert!(media.followed_by(&parameters(&[("2", 40)])).is_ok(), "one ends, and another begins in its m-line");
    }

    #[test]
    fn an_ssrc_serves_one_slot_in_the_life_of_a_session() {
        let first = AgreedMedia::of(&parameters(&[("1", 10)]));
        let media = first.followed_by(&parameters(&[])).unwrap();
        for again in [("1", 10), ("2", 10), ("2", 11), ("2", 9)] {
            assert!(media.followed_by(&parameters(&[again])).is_err(), "{again:?}");
        }
        assert!(first.followed_by(&parameters(&[("2", 10)])).is_err(), "nor another while it goes on");
    }

    #[test]
    fn the_slots_of_a_session_are_bounded() {
        let mut media = AgreedMedia::default();
        for slot in 0..MAX_SSRCS as u32 / 2 {
            media = media.followed_by(&parameters(&[("1", 2 * slot)])).unwrap();
        }
        assert!(media.followed_by(&parameters(&[("1", 90_000)])).is_err());
        assert!(media.followed_by(&parameters(&[])).is_ok());
    }
}
