//! The dominant speaker after Volfin and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2013):
//! speech activity on three time scales, compared as likelihood ratios, so that short noises do not take the floor.

use super::loudness;
use crate::clock::{MILLISECOND, Micros};
use crate::slab::Key;
use crate::wire::extension::AudioLevel;

/// Time between two decisions.
const DECISION_INTERVAL: Micros = 300 * MILLISECOND;
/// A level stands for this much time.
const FRAME: Micros = 20 * MILLISECOND;
/// Levels kept: one second.
const FRAMES: usize = 50;
/// Sub-bands of a level (the paper's N1): loudness is cut into steps of this size.
const LEVEL_STEP: u8 = 13;
/// Frames in a medium block (N2), and steps from which a frame counts as active in it.
const MEDIUM_FRAMES: usize = 5;
const MEDIUM_THRESHOLD: u8 = 5;
/// Medium blocks in the long one (N3), and active frames from which a block counts.
const LONG_BLOCKS: usize = FRAMES / MEDIUM_FRAMES;
const LONG_THRESHOLD: u8 = 3;
/// Steps of the immediate scale.
const IMMEDIATE_STEPS: u8 = 127 / LEVEL_STEP;
/// Scale of the likelihood that a count is silence (lambda), a time scale each.
const IMMEDIATE_SILENCE: f64 = 0.78;
const MEDIUM_SILENCE: f64 = 24.0;
const LONG_SILENCE: f64 = 47.0;
/// By how much a challenger's scores must exceed the holder's (C1, C2, C3 of the paper, natural logarithms).
const MARGINS: [f64; 3] = [3.0, 2.0, 0.0];

#[derive(Debug)]
struct Speaker {
    track: Key,
    /// Loudness by frame, a ring.
    frames: [u8; FRAMES],
    next: usize,
    /// Up to when `frames` tells.
    until: Micros,
}

impl Speaker {
    fn push(&mut self, loudness: u8) {
        self.frames[self.next] = loudness;
        self.next = (self.next + 1) % FRAMES;
    }

    /// Fills the time without packets with silence.
    fn advance(&mut self, now: Micros) {
        let missing = (now.saturating_sub(self.until) / FRAME).min(FRAMES as u64);
        for _ in 0..missing {
            self.push(0);
        }
        if missing > 0 {
            self.until = now;
        }
    }

    /// The newest `count` frames from `back` frames ago.
    fn frames(&self, back: usize, count: usize) -> impl Iterator<Item = u8> {
        (back..back + count).map(|back| self.frames[(self.next + 2 * FRAMES - 1 - back) % FRAMES])
    }

    fn active_frames(&self, block: usize) -> u8 {
        let frames = self.frames(block * MEDIUM_FRAMES, MEDIUM_FRAMES);
        frames.filter(|loudness| loudness / LEVEL_STEP > MEDIUM_THRESHOLD).count() as u8
    }

    fn scores(&self) -> [f64; 3] {
        let newest = self.frames(0, 1).next().unwrap_or_default();
        let active_blocks = (0..LONG_BLOCKS).filter(|block| self.active_frames(*block) > LONG_THRESHOLD).count();
        [
            score(newest / LEVEL_STEP, IMMEDIATE_STEPS, IMMEDIATE_SILENCE),
            score(self.active_frames(0), MEDIUM_FRAMES as u8, MEDIUM_SILENCE),
            score(active_blocks as u8, LONG_BLOCKS as u8, LONG_SILENCE),
        ]
    }
}

/// Logarithm of how much likelier `active` of `all` is under speech (binomial) than under silence (exponential).
fn score(active: u8, all: u8, silence: f64) -> f64 {
    let binomial: f64 = (0..active).map(|k| (f64::from(all - k) / f64::from(k + 1)).ln()).sum();
    let speech = binomial + f64::from(all) * 0.5_f64.ln();
    let quiet = silence.ln() - silence * f64::from(active);
    (speech - quiet).max(1e-10)
}

/// Watches the audio sources of a room.
#[derive(Debug, Default)]
pub(crate) struct DominantSpeaker {
    speakers: Vec<Speaker>,
    dominant: Option<Key>,
    decide_at: Micros,
}

impl DominantSpeaker {
    pub(crate) fn add(&mut self, now: Micros, track: Key) {
        self.speakers.push(Speaker { track, frames: [0; FRAMES], next: 0, until: now });
    }

    pub(crate) fn remove(&mut self, track: Key) {
        self.speakers.retain(|speaker| speaker.track != track);
    }

    /// Notes a packet of a source; one that does not say its level takes no part.
    pub(crate) fn note(&mut self, now: Micros, track: Key, level: Option<AudioLevel>) {
        let speaker = self.speakers.iter_mut().find(|speaker| speaker.track == track);
        if let (Some(speaker), Some(level)) = (speaker, level) {
            speaker.advance(now.saturating_sub(FRAME));
            speaker.push(loudness(level.level));
            speaker.until = now;
        }
    }

    /// Who holds the floor.
    pub(crate) fn holder(&self) -> Option<Key> {
        self.dominant
    }

    /// Decides when it is time; true when the floor has passed to another, or to nobody because its holder has left.
    pub(crate) fn update(&mut self, now: Micros) -> bool {
        if now < self.decide_at {
            return false;
        }
        self.decide_at = now + DECISION_INTERVAL;
        for speaker in &mut self.speakers {
            speaker.advance(now);
        }
        let next = self.decide();
        std::mem::replace(&mut self.dominant, next) != next
    }

    fn decide(&self) -> Option<Key> {
        let holder = self.speakers.iter().find(|speaker| Some(speaker.track) == self.dominant);
        let Some(holder) = holder else {
            // Nobody holds the floor: the most active one gets it, if there is any speech.
            let active = self.speakers.iter().filter(|speaker| speaker.active_frames(0) > LONG_THRESHOLD);
            return active.max_by(|a, b| a.scores()[1].total_cmp(&b.scores()[1])).map(|speaker| speaker.track);
        };
        let held = holder.scores();
        let ratios = |speaker: &Speaker| {
            let scores = speaker.scores();
            [0, 1, 2].map(|scale| (scores[scale] / held[scale]).ln())
        };
        let challengers = self.speakers.iter().filter(|speaker| speaker.track != holder.track);
        let stronger = challengers
            .map(|speaker| (speaker.track, ratios(speaker)))
            .filter(|(_, ratios)| ratios.iter().zip(MARGINS).all(|(ratio, margin)| *ratio > margin));
        let best = stronger.max_by(|(_, a), (_, b)| a[1].total_cmp(&b[1]));
        Some(best.map_or(holder.track, |(track, _)| track))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn key(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    fn run(
        room: &mut DominantSpeaker,
        from: Micros,
        to: Micros,
        level: impl Fn(u32, Micros) -> u8,
    ) -> Vec<(Micros, Option<u32>)> {
        let mut changes = Vec::new();
        for now in (from..to).step_by(FRAME as usize) {
            for index in 0..3 {
                let level = AudioLevel { voice: false, level: level(index, now) };
                room.note(now, key(index), Some(level));
            }
            if room.update(now) {
                changes.push((now, room.holder().map(|track| track.index)));
            }
        }
        changes
    }

    fn room() -> DominantSpeaker {
        let mut room = DominantSpeaker::default();
        (0..3).for_each(|index| room.add(0, key(index)));
        room
    }

    #[test]
    fn nobody_speaks() {
        assert_eq!(run(&mut room(), 0, 5 * SECOND, |_, _| 127), []);
    }

    #[test]
    fn the_floor_passes_to_who_goes_on_speaking() {
        let mut room = room();
        let changes = run(&mut room, 0, 5 * SECOND, |index, _| if index == 1 { 25 } else { 120 });
        assert_eq!(changes.iter().map(|change| change.1).collect::<Vec<_>>(), [Some(1)]);
        let changes = run(&mut room, 5 * SECOND, 10 * SECOND, |index, _| if index == 2 { 25 } else { 120 });
        assert_eq!(changes.iter().map(|change| change.1).collect::<Vec<_>>(), [Some(2)]);
        assert!(changes[0].0 < 7 * SECOND, "{changes:?}");
    }

    #[test]
    fn a_cough_does_not_take_the_floor() {
        let mut room = room();
        run(&mut room, 0, 3 * SECOND, |index, _| if index == 0 { 25 } else { 120 });
        let cough = |index, now| match index {
            0 => 25,
            1 if (4 * SECOND..4 * SECOND + 100_000).contains(&now) => 5,
            _ => 120,
        };
        assert_eq!(run(&mut room, 3 * SECOND, 8 * SECOND, cough), []);
    }

    #[test]
    fn who_leaves_loses_the_floor() {
        let mut room = room();
        run(&mut room, 0, 3 * SECOND, |index, _| if index == 0 { 25 } else { 120 });
        room.remove(key(0));
        assert!(room.update(4 * SECOND));
        assert_eq!(room.holder(), None);
    }
}
