//! Choosing the loudest sources with hysteresis, so that a cough takes no slot and a pause between sentences loses none.

use super::loudness;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::slab::Key;
use crate::wire::extension::AudioLevel;

/// Loudness from which a packet counts as voice where the sender has no voice detection: -50 dBov.
const VOICE_LOUDNESS: u8 = 77;
/// Loudness assumed of a source that does not say.
const UNKNOWN: AudioLevel = AudioLevel { voice: true, level: 60 };
/// A source without voice for this long gives way to anyone who speaks.
const SILENT_AFTER: Micros = SECOND;
/// Between two who speak, the newcomer must be louder by this much (dB) ...
const MARGIN: f32 = 6.0;
/// ... and the other must have had its turn for this long.
const TURN: Micros = 500 * MILLISECOND;
/// Weight of a packet in the smoothed loudness when it rises, so that a first syllable is heard ...
const ATTACK: f32 = 0.5;
/// ... and when it falls.
const RELEASE: f32 = 0.05;

#[derive(Debug, Clone, Copy)]
struct Source {
    track: Key,
    /// Smoothed loudness of its voice: pauses do not count, or each would cost the place.
    loudness: f32,
    last_voice: Option<Micros>,
    selected_at: Micros,
}

impl Source {
    fn speaks(&self, now: Micros) -> bool {
        self.last_voice.is_some_and(|at| now.saturating_sub(at) < SILENT_AFTER)
    }
}

/// The audio sources of a room; those in front are heard.
///
/// Sources in places 0 to `heard - 1` are heard by everyone; the source in place `heard` (the spare) only by those who are
/// heard themselves, in place of their own voice. So everyone hears `heard` others.
#[derive(Debug)]
pub(crate) struct Loudest {
    sources: Vec<Source>,
    heard: usize,
    changed: bool,
}

impl Loudest {
    pub(crate) fn new(heard: usize) -> Self {
        Self { sources: Vec::new(), heard, changed: false }
    }

    /// Adds a source; it is heard at once if there is room.
    pub(crate) fn add(&mut self, track: Key) {
        self.sources.push(Source { track, loudness: 0.0, last_voice: None, selected_at: 0 });
        self.changed = true;
    }

    /// Removes a source; whoever was next takes its place.
    pub(crate) fn remove(&mut self, track: Key) {
        if let Some(index) = self.sources.iter().position(|source| source.track == track) {
            self.sources.remove(index);
            self.changed = true;
        }
    }

    /// Notes a packet of a source.
    pub(crate) fn note(&mut self, now: Micros, track: Key, level: Option<AudioLevel>) {
        let Some(source) = self.sources.iter_mut().find(|source| source.track == track) else { return };
        let level = level.unwrap_or(UNKNOWN);
        let loudness = loudness(level.level);
        if level.voice || loudness >= VOICE_LOUDNESS {
            let weight = if f32::from(loudness) > source.loudness { ATTACK } else { RELEASE };
            source.loudness += (f32::from(loudness) - source.loudness) * weight;
            source.last_voice = Some(now);
        }
    }

    /// Lets louder sources take the places of quieter ones; true when what is heard has changed since the last call.
    pub(crate) fn update(&mut self, now: Micros) -> bool {
        let heard = self.heard.min(self.sources.len());
        for _ in 0..heard {
            if !self.promote(now, 0..heard) {
                break;
            }
        }
        // The spare's own contest, among those who are not heard.
        let spare = (self.heard + 1).min(self.sources.len());
        self.promote(now, heard..spare);
        std::mem::take(&mut self.changed)
    }

    /// Swaps the best source behind `places` with the worst one in them, if it has earned it.
    fn promote(&mut self, now: Micros, places: std::ops::Range<usize>) -> bool {
        let Some(newcomer) = self.best_from(now, places.end) else { return false };
        let Some(victim) = self.worst_in(now, places) else { return false };
        let (new, old) = (self.sources[newcomer], self.sources[victim]);
        let earned =
            !old.speaks(now) || (new.loudness > old.loudness + MARGIN && now.saturating_sub(old.selected_at) >= TURN);
        if earned {
            self.sources.swap(newcomer, victim);
            self.sources[victim].selected_at = now;
            self.changed = true;
        }
        earned
    }

    fn best_from(&self, now: Micros, from: usize) -> Option<usize> {
        let speaking = (from..self.sources.len()).filter(|index| self.sources[*index].speaks(now));
        speaking.max_by(|a, b| self.sources[*a].loudness.total_cmp(&self.sources[*b].loudness))
    }

    fn worst_in(&self, now: Micros, places: std::ops::Range<usize>) -> Option<usize> {
        places.min_by(|a, b| {
            let (a, b) = (&self.sources[*a], &self.sources[*b]);
            match (a.speaks(now), b.speaks(now)) {
                (true, true) => a.loudness.total_cmp(&b.loudness),
                (false, false) => a.last_voice.cmp(&b.last_voice),
                (a_speaks, b_speaks) => a_speaks.cmp(&b_speaks),
            }
        })
    }

    /// The tracks that a receiver hears: the first `count` that are not its own.
    pub(crate) fn heard_by(&self, count: usize, own: impl Fn(Key) -> bool) -> impl Iterator<Item = Key> {
        let candidates = self.sources.iter().take(self.heard + 1).map(|source| source.track);
        candidates.filter(move |track| !own(*track)).take(count.min(self.heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: AudioLevel = AudioLevel { voice: true, level: 20 };
    const QUIET: AudioLevel = AudioLevel { voice: true, level: 45 };
    const SILENCE: AudioLevel = AudioLevel { voice: false, level: 127 };

    fn key(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    fn room(sources: u32) -> Loudest {
        let mut loudest = Loudest::new(3);
        for index in 0..sources {
            loudest.add(key(index));
        }
        loudest.update(0);
        loudest
    }

    /// Every source says its level each 20 ms; returns how often the choice changed.
    fn run(loudest: &mut Loudest, from: Micros, to: Micros, level: impl Fn(u32) -> AudioLevel) -> usize {
        let mut changes = 0;
        for now in (from..to).step_by(20_000) {
            for index in 0..loudest.sources.len() as u32 {
                loudest.note(now, key(index), Some(level(index)));
            }
            changes += usize::from(loudest.update(now));
        }
        changes
    }

    fn heard(loudest: &Loudest, listener: u32) -> Vec<u32> {
        let mut heard: Vec<_> = loudest.heard_by(3, |track| track == key(listener)).map(|track| track.index).collect();
        heard.sort_unstable();
        heard
    }

    #[test]
    fn in_a_small_room_everyone_hears_everyone_whoever_speaks() {
        let mut loudest = room(4);
        for talker in 0..4 {
            let from = u64::from(talker) * 3 * SECOND;
            run(&mut loudest, from, from + 3 * SECOND, |index| if index == talker { LOUD } else { SILENCE });
            for listener in 0..4 {
                assert_eq!(heard(&loudest, listener), (0..4).filter(|index| *index != listener).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn who_speaks_is_heard_by_all_within_two_updates_of_the_others_silence() {
        let mut loudest = room(10);
        run(&mut loudest, 0, 2 * SECOND, |index| if index == 8 { LOUD } else { SILENCE });
        for listener in (0..10).filter(|listener| *listener != 8) {
            assert!(heard(&loudest, listener).contains(&8));
            assert_eq!(heard(&loudest, listener).len(), 3);
        }
        assert_eq!(heard(&loudest, 8).len(), 3, "a speaker hears three others");
    }

    #[test]
    fn equally_loud_talkers_do_not_displace_each_other() {
        let mut loudest = room(10);
        run(&mut loudest, 0, 2 * SECOND, |_| LOUD);
        assert_eq!(run(&mut loudest, 2 * SECOND, 20 * SECOND, |_| LOUD), 0);
    }

    #[test]
    fn a_clearly_louder_talker_takes_a_place() {
        let mut loudest = room(10);
        run(&mut loudest, 0, 2 * SECOND, |_| QUIET);
        run(&mut loudest, 2 * SECOND, 4 * SECOND, |index| if index == 9 { LOUD } else { QUIET });
        assert!(heard(&loudest, 0).contains(&9));
    }

    #[test]
    fn a_pause_between_sentences_keeps_the_place() {
        let mut loudest = room(10);
        run(&mut loudest, 0, 2 * SECOND, |index| if index < 4 { LOUD } else { SILENCE });
        let before = heard(&loudest, 9);
        run(&mut loudest, 2 * SECOND, 2 * SECOND + 900 * MILLISECOND, |index| if index == 7 { QUIET } else { SILENCE });
        assert_eq!(heard(&loudest, 9), before);
    }

    #[test]
    fn leaving_makes_room() {
        let mut loudest = room(6);
        let first = heard(&loudest, 5)[0];
        loudest.remove(key(first));
        assert!(loudest.update(0));
        assert_eq!(heard(&loudest, 5).len(), 3);
    }
}
