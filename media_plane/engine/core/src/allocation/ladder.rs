//! The steps from the least to the best that a source offers for a slot.

use super::SUFFICIENT_PERCENT;
use crate::picture::MAX_LAYERS;
use crate::rate::Rate;

/// Steps of a ladder: more layers than any sender has.
const MAX_STEPS: usize = 16;
/// Frames a second below which a larger picture is no better than a smaller one: it shows slides.
const LEAST_MILLIFPS: u32 = 10_000;

/// A layer of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LayerId {
    /// Place among the encodings of the publication.
    pub encoding: u8,
    pub spatial: u8,
    pub temporal: u8,
}

/// A layer as a source offers it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered {
    pub layer: LayerId,
    pub height: u16,
    pub rate: Rate,
    /// It arrives and has proven steady.
    pub usable: bool,
    /// It arrives, but not for long enough.
    pub settling: bool,
}

/// A step of the ladder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub layer: LayerId,
    pub height: u16,
    pub bits_per_second: u64,
    pub usable: bool,
    pub settling: bool,
}

impl Step {
    /// How good it is: higher pictures first, then more of them.
    pub(crate) fn rank(&self) -> (u16, u8) {
        (self.height, self.layer.temporal)
    }
}

/// Steps that a layout can use, each better and dearer than the one before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ladder {
    steps: [Step; MAX_STEPS],
    len: usize,
    /// The source has higher pictures than the layout can use.
    has_taller: bool,
}

impl Ladder {
    /// Everything that a source offers, whoever looks at it.
    pub(crate) fn of(offered: impl Iterator<Item = Offered>) -> Self {
        let mut ladder = Self::default();
        for layer in offered {
            ladder.insert(&layer);
        }
        ladder
    }

    /// The part of it for a slot that is shown `max_height` pixels high (0: any height) and carries an encoding already, which
    /// need not prove steady.
    ///
    /// A picture higher than needed is never on it while a lower one suffices, whether that one arrives now or not.
    pub(crate) fn fit(mut self, max_height: u32, carried: Option<usize>) -> Self {
        for step in self.steps_mut().iter_mut().filter(|step| carried == Some(usize::from(step.layer.encoding))) {
            step.usable |= std::mem::take(&mut step.settling);
        }
        self.crop(max_height);
        self.drop_dominated();
        self
    }

    /// The steps from the least to the best.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }

    /// The same, to be changed in what can be had of them.
    pub(crate) fn steps_mut(&mut self) -> &mut [Step] {
        &mut self.steps[..self.len]
    }

    /// Whether the source has higher pictures than the layout can use.
    pub(crate) fn has_taller(&self) -> bool {
        self.has_taller
    }

    /// The lowest step that can be had now.
    pub(crate) fn lowest_usable(&self) -> Option<&Step> {
        self.steps().iter().find(|step| step.usable)
    }

    fn insert(&mut self, offered: &Offered) {
        let step = Step {
            layer: offered.layer,
            height: offered.height,
            bits_per_second: offered.rate.bits_per_second,
            usable: offered.usable,
            settling: offered.settling,
        };
        if self.len == MAX_STEPS {
            return;
        }
        let place = self.steps().iter().position(|other| other.rank() > step.rank()).unwrap_or(self.len);
        self.steps.copy_within(place..self.len, place + 1);
        self.steps[place] = step;
        self.len += 1;
    }

    /// Takes away what is higher than needed; the lowest that can be had stays in any case.
    fn crop(&mut self, max_height: u32) {
        if max_height == 0 {
            return;
        }
        let suffices = |height: u16| u32::from(height) * 100 >= max_height * SUFFICIENT_PERCENT;
        let Some(enough) = self.steps().iter().map(|step| step.height).find(|height| suffices(*height)) else { return };
        let lowest = self.lowest_usable().map_or(0, |step| step.height);
        let limit = enough.max(lowest);
        let kept = self.steps().iter().take_while(|step| step.height <= limit).count();
        self.has_taller = kept < self.len;
        self.len = kept;
    }

    /// Takes away steps that cost as much as a better one: they are what a sender that adapts makes of its layers.
    fn drop_dominated(&mut self) {
        let mut kept = 0;
        for place in 0..self.len {
            let step = self.steps[place];
            let dominated = |better: &Step| {
                better.usable
                    && step.usable
                    && better.bits_per_second <= step.bits_per_second
                    && step.bits_per_second > 0
            };
            if !self.steps[place + 1..self.len].iter().any(dominated) {
                self.steps[kept] = step;
                kept += 1;
            }
        }
        self.len = kept;
    }
}

/// The temporal layers of a spatial layer that are worth a step: of the lowest picture all, of higher ones those that move.
/// The highest stands for whatever the sender may add, and for everything while nothing has been measured.
pub(crate) fn temporal_steps(
    rate: impl Fn(u8) -> Rate,
    has: impl Fn(u8) -> bool,
    is_lowest: bool,
) -> impl Iterator<Item = (u8, Rate)> {
    let top = (0..MAX_LAYERS as u8).rev().find(|temporal| has(*temporal)).unwrap_or(0);
    (0..=top).filter_map(move |temporal| {
        let step = rate(temporal);
        let moves = temporal == top || is_lowest || step.millifps >= LEAST_MILLIFPS;
        let layer = if temporal == top { MAX_LAYERS as u8 - 1 } else { temporal };
        (moves && (temporal == top || has(temporal))).then_some((layer, step))
    })
}
