//! Who gets which layer: a receiver's bandwidth divided among its video slots. Pure: numbers in, numbers out.
//!
//! The order is Jitsi's: what is on stage first up to [`STAGE_HEIGHT`], then everyone one step at a time, nobody beyond what
//! the layout can show. The steadiness is mediasoup's: after a step down no step up for a while ([`Ceiling`]), and a layer counts
//! when it has been there for [`SETTLED`].

mod ceiling;
mod ladder;

pub(crate) use ceiling::Ceiling;
pub(crate) use ladder::{Ladder, LayerId, Offered, Step, temporal_steps};

use crate::clock::{Micros, SECOND};

/// What is on stage gets this height before anyone else gets more than nothing (Jitsi's `onstage-preferred-height-px`).
pub(crate) const STAGE_HEIGHT: u16 = 360;
/// A layer counts once it has been active for so long (mediasoup's `StreamMinActiveMs`).
pub(crate) const SETTLED: Micros = 2 * SECOND;
/// A layer whose height is at least this share of what the layout shows suffices, in percent: the difference is not seen.
pub(crate) const SUFFICIENT_PERCENT: u32 = 85;
/// What a layer is taken to need until it has been measured: bits a second for each pixel of a picture, about what Chromium's
/// encodings take (720 lines at 1.7 Mbit/s).
pub(crate) const UNMEASURED_BITS_PER_PIXEL: u64 = 2;
/// A layer above the present one must fit with this margin, in percent, since its rate varies.
const UPGRADE_MARGIN_PERCENT: u64 = 10;

/// Why a slot gets no better layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Limit {
    /// It carries the best that the sender has.
    #[default]
    Best,
    /// It is shown too small for more.
    Viewport,
    /// There is no bandwidth for more.
    Bandwidth,
    /// The sender does not send more.
    Sender,
    /// More is held back after a step down, or until a layer has proven steady.
    Steadiness,
}

/// A video slot that wants a picture.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    /// Its place in the session.
    pub slot: u16,
    /// Larger comes first.
    pub priority: i32,
    pub on_stage: bool,
    /// Steps that the layout can use, from the least to the best.
    pub ladder: Ladder,
    /// The step it has now, as a height and a temporal layer.
    pub present: Option<(u16, u8)>,
    /// No step above this one for the time being.
    pub ceiling: Option<(u16, u8)>,
    /// The result: a place in the ladder; None: nothing.
    pub chosen: Option<usize>,
    /// What keeps it from the next step, and the bits a second that are missing for it.
    pub limit: Limit,
    pub missing: u64,
}

impl Demand {
    fn steps(&self) -> &[Step] {
        self.ladder.steps()
    }

    /// Bits a second of what was chosen.
    pub(crate) fn cost(&self) -> u64 {
        self.chosen.map_or(0, |place| self.steps()[place].bits_per_second)
    }

    /// The next step that may be taken now.
    fn next(&self) -> Option<usize> {
        let from = self.chosen.map_or(0, |place| place + 1);
        let steps = self.steps().iter().enumerate().skip(from);
        let allowed = |step: &Step| self.ceiling.is_none_or(|ceiling| step.rank() <= ceiling);
        steps.filter(|(_, step)| step.usable && allowed(step)).map(|(place, _)| place).next()
    }

    /// What a step needs to be taken, beyond what the slot has.
    fn price(&self, place: usize) -> u64 {
        let step = &self.steps()[place];
        let is_new = self.present.is_none_or(|present| step.rank() > present);
        let margin = if is_new { step.bits_per_second * UPGRADE_MARGIN_PERCENT / 100 } else { 0 };
        (step.bits_per_second + margin).saturating_sub(self.cost())
    }

    /// Takes the next step if it can be paid; false when there is none or it cannot.
    fn raise(&mut self, budget: &mut u64) -> bool {
        let Some(place) = self.next() else { return false };
        if self.price(place) > *budget {
            return false;
        }
        *budget = budget.saturating_sub(self.steps()[place].bits_per_second.saturating_sub(self.cost()));
        self.chosen = Some(place);
        true
    }

    fn height(&self) -> u16 {
        self.chosen.map_or(0, |place| self.steps()[place].height)
    }

    /// Says what keeps the slot from more, once all is divided.
    fn explain(&mut self, budget: u64) {
        let from = self.chosen.map_or(0, |place| place + 1);
        let rest = &self.steps()[from.min(self.steps().len())..];
        let comes = |step: &Step| step.usable || step.settling;
        let missing = rest.iter().position(comes).map(|place| self.price(from + place).saturating_sub(budget));
        self.limit = match missing {
            Some(0) => Limit::Steadiness,
            Some(_) => Limit::Bandwidth,
            None if !rest.is_empty() => Limit::Sender,
            None if self.ladder.has_taller() => Limit::Viewport,
            None => Limit::Best,
        };
        self.missing = missing.unwrap_or(0);
    }
}

/// Divides a budget (bits a second; None: as much as anyone wants) among demands and writes the results into them.
pub(crate) fn allocate(budget: Option<u64>, demands: &mut [Demand]) {
    let mut budget = budget.unwrap_or(u64::MAX / 4);
    for demand in demands.iter_mut() {
        demand.chosen = None;
    }
    demands.sort_unstable_by_key(|demand| (std::cmp::Reverse((demand.on_stage, demand.priority)), demand.slot));
    for demand in demands.iter_mut().filter(|demand| demand.on_stage) {
        while demand.height() < STAGE_HEIGHT && demand.raise(&mut budget) {}
    }
    loop {
        let mut raised = false;
        for demand in demands.iter_mut() {
            raised |= demand.raise(&mut budget);
        }
        if !raised {
            break;
        }
    }
    for demand in demands.iter_mut() {
        demand.explain(budget);
    }
}

#[cfg(test)]
mod tests;
