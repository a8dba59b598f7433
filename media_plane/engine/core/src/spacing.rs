//! Whether the packets of a frame come at once, or spread over the time until the next frame, as senders choose.

use crate::clock::Micros;

/// How long the rest of a frame is waited for when many receive it and it is likely to come: packets that leave together leave
/// in one call a receiver. A fifth of what a node may add.
pub(crate) const GATHER: Micros = 200;
/// So many of the last eight packets must have come within that time of the one before.
const LIKELY: u32 = 4;

/// What the last packets show: a bit for each that followed another one of its frame, set where it came right after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spacing(u8);

impl Default for Spacing {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

impl Spacing {
    /// A packet came so long after the one before it in its frame.
    pub(crate) fn note(&mut self, gap: Micros) {
        self.0 = self.0 << 1 | u8::from(gap < GATHER);
    }

    /// Whether the next packet of a frame is likely to come right after this one.
    pub(crate) fn is_close(self) -> bool {
        self.0.count_ones() >= LIKELY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_packets_are_not_waited_for_and_bursts_are() {
        let mut spacing = Spacing::default();
        assert!(spacing.is_close());
        (0..8).for_each(|_| spacing.note(5_500));
        assert!(!spacing.is_close());
        (0..8).for_each(|n| spacing.note(if n % 3 == 0 { 5_000 } else { 30 }));
        assert!(spacing.is_close(), "two of three follow at once");
    }
}
