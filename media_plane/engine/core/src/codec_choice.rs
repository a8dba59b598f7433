//! Which codec a sender is asked for: one that all who watch know, where there is one.

use crate::clock::{Micros, SECOND};
use crate::format::Format;
use crate::params::Codec;

/// A codec that is preferred is gone back to after this time: whoever did not know it may return, and a change costs a key frame.
const RETURN_AFTER: Micros = 3 * SECOND;

/// The codecs of a publication, the preferred first, and how many of its viewers do not know each.
#[derive(Debug)]
pub(crate) struct CodecChoice {
    codecs: Vec<(Codec, u32)>,
    /// Place of the one that the sender was last asked for, at first the preferred.
    told: usize,
    /// Since when another has been better without being more urgent.
    better_since: Option<Micros>,
}

impl CodecChoice {
    pub(crate) fn new(codecs: impl Iterator<Item = Codec>) -> Self {
        Self { codecs: codecs.map(|codec| (codec, 0)).collect(), told: 0, better_since: None }
    }

    /// Counts a viewer that knows these codecs.
    pub(crate) fn add(&mut self, known: &[Codec]) {
        self.codecs.iter_mut().for_each(|(codec, lacking)| *lacking += u32::from(Format::find(codec, known).is_none()));
    }

    /// Counts a viewer no longer, which was counted with the same.
    pub(crate) fn remove(&mut self, known: &[Codec]) {
        self.codecs.iter_mut().for_each(|(codec, lacking)| *lacking -= u32::from(Format::find(codec, known).is_none()));
    }

    /// Whether all viewers know all of its codecs, as nearly always.
    pub(crate) fn suits_all(&self) -> bool {
        self.codecs.iter().all(|(_, lacking)| *lacking == 0)
    }

    /// The codec to ask the sender for; None: the preferred one.
    pub(crate) fn told(&self) -> Option<&Codec> {
        self.codecs.get(self.told).filter(|_| self.told > 0).map(|(codec, _)| codec)
    }

    /// Decides anew; true when the sender must be told. What fewer viewers lack is asked for at once.
    pub(crate) fn update(&mut self, now: Micros) -> bool {
        let best = self.codecs.iter().enumerate().min_by_key(|(_, (_, lacking))| *lacking);
        let Some((place, (_, lacking))) = best.filter(|(place, _)| *place != self.told) else {
            self.better_since = None;
            return false;
        };
        let is_urgent = *lacking < self.codecs[self.told].1;
        if !is_urgent && now.saturating_sub(*self.better_since.get_or_insert(now)) < RETURN_AFTER {
            return false;
        }
        (self.told, self.better_since) = (place, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str) -> Codec {
        Codec {
            name: name.into(),
            payload_type: 96,
            clock_rate: 90_000,
            channels: 1,
            rtx_payload_type: None,
            fmtp: String::new(),
        }
    }

    fn told(choice: &CodecChoice) -> &str {
        choice.told().map_or("", |codec| &codec.name)
    }

    #[test]
    fn the_sender_is_asked_for_what_all_know_and_for_what_it_prefers_once_it_may() {
        let all = ["VP8", "H264", "AV1"].map(codec);
        let mut choice = CodecChoice::new(all.iter().cloned());
        choice.add(&all);
        assert!(!choice.update(0) && choice.suits_all());
        choice.add(&all[1..]);
        assert!(choice.update(SECOND) && !choice.suits_all());
        assert_eq!(told(&choice), "H264");
        assert!(!choice.update(SECOND));
        choice.add(&all[2..]);
        assert!(choice.update(SECOND));
        assert_eq!(told(&choice), "AV1");
        choice.remove(&all[2..]);
        choice.remove(&all[1..]);
        assert!(!choice.update(2 * SECOND));
        assert!(!choice.update(2 * SECOND + RETURN_AFTER - 1));
        assert!(choice.update(2 * SECOND + RETURN_AFTER));
        assert_eq!(told(&choice), "");
    }

    #[test]
    fn where_nothing_suits_all_it_suits_most() {
        let [vp8, h264] = ["VP8", "H264"].map(codec);
        let mut choice = CodecChoice::new([vp8.clone(), h264.clone()].into_iter());
        choice.add(&[vp8]);
        choice.add(std::slice::from_ref(&h264));
        assert!(!choice.update(0), "one each: the preferred stays");
        choice.add(&[h264]);
        assert!(choice.update(0));
        assert_eq!(told(&choice), "H264");
        assert!(!CodecChoice::new(std::iter::empty()).update(0));
    }
}
