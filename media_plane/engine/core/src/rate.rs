//! What an encoding's layers take: bits and frames a second over the last second, by spatial and temporal layer.

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::picture::{LayerMark, MAX_LAYERS};

/// Windows of which the last second consists.
const WINDOWS: usize = 4;
const WINDOW: Micros = 250 * MILLISECOND;
/// Windows that may have begun before it was noticed that nothing comes any more.
const PAUSE_WINDOWS: usize = 2;
const KEPT: usize = WINDOWS + PAUSE_WINDOWS;

type Grid = [[u32; MAX_LAYERS]; MAX_LAYERS];

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    bytes: Grid,
    frames: Grid,
    length: Micros,
}

/// What a layer takes together with those it depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub bits_per_second: u64,
    /// Thousandths of a frame a second.
    pub millifps: u32,
}

/// Counts by layer; the rates are those of the last full second of activity.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    current: Window,
    past: [Window; KEPT],
    place: usize,
    /// Windows measured since the encoding became active.
    filled: usize,
    since: Micros,
    /// Sums over the last full second, which outlive a pause: so much the encoding will take when it comes back.
    sums: Window,
    /// What all layers took together then.
    total: Rate,
    /// A full second has been measured at least once.
    is_known: bool,
    timestamps: [Option<u32>; MAX_LAYERS],
}

impl RateMeter {
    /// Counts a packet.
    pub(crate) fn count(&mut self, layer: LayerMark, timestamp: u32, len: usize) {
        let (spatial, temporal) = (usize::from(layer.spatial), usize::from(layer.temporal));
        self.current.bytes[spatial][temporal] += len as u32;
        if self.timestamps[spatial].replace(timestamp) != Some(timestamp) {
            self.current.frames[spatial][temporal] += 1;
        }
    }

    /// Begins to measure anew after a pause.
    pub(crate) fn restart(&mut self, now: Micros) {
        self.current = Window::default();
        self.filled = 0;
        self.since = now;
    }

    /// Closes the windows whose time is over. To be called while packets come.
    pub(crate) fn advance(&mut self, now: Micros) {
        if now.saturating_sub(self.since) < WINDOW {
            return;
        }
        // Called every 20 ms, so a window is a little longer than it should be.
        self.current.length = now - self.since;
        self.since = now;
        self.past[self.place] = std::mem::take(&mut self.current);
        self.place = (self.place + 1) % KEPT;
        self.filled = (self.filled + 1).min(KEPT);
        self.is_known |= self.filled >= WINDOWS;
        // Until a second has been measured for the first time, what there is stands for it.
        if self.filled >= WINDOWS || !self.is_known {
            self.sum_up(0);
        }
    }

    /// Nothing has come for a moment: what was measured meanwhile does not count.
    pub(crate) fn pause(&mut self) {
        if self.filled >= WINDOWS {
            self.sum_up((self.filled - WINDOWS).min(PAUSE_WINDOWS));
        }
    }

    /// Sums up a second of windows, without so many of the newest.
    fn sum_up(&mut self, newest: usize) {
        let mut sums = Window::default();
        for back in newest + 1..=(newest + WINDOWS).min(self.filled) {
            sums.add(&self.past[(self.place + KEPT - back) % KEPT]);
        }
        self.sums = sums;
        let (spatial, temporal) = self.top();
        self.total = self.rate(spatial, temporal);
    }

    /// What a layer takes with all layers below it.
    pub(crate) fn rate(&self, spatial: u8, temporal: u8) -> Rate {
        let sum = |grid: &Grid, spatial: usize| -> u64 {
            let rows = grid.iter().take(spatial + 1).map(|row| &row[..=usize::from(temporal)]);
            rows.flatten().map(|count| u64::from(*count)).sum()
        };
        let frames: u32 = self.sums.frames[usize::from(spatial)][..=usize::from(temporal)].iter().sum();
        let second = self.sums.length.max(1);
        let bytes = sum(&self.sums.bytes, spatial.into());
        Rate {
            bits_per_second: bytes * 8 * SECOND / second,
            millifps: (u64::from(frames) * 1_000 * SECOND / second) as u32,
        }
    }

    /// What all layers take together.
    pub(crate) fn total(&self) -> Rate {
        self.total
    }

    /// The highest spatial layer of the last second, and the highest temporal layer of it.
    pub(crate) fn top(&self) -> (u8, u8) {
        let spatial = (0..MAX_LAYERS).rev().find(|spatial| self.has_layer(*spatial, None)).unwrap_or(0);
        let temporal = (0..MAX_LAYERS).rev().find(|temporal| self.has_layer(spatial, Some(*temporal))).unwrap_or(0);
        (spatial as u8, temporal as u8)
    }

    /// Whether packets of a layer came in the last second; of None, of any temporal layer.
    pub(crate) fn has_layer(&self, spatial: usize, temporal: Option<usize>) -> bool {
        let row = &self.sums.bytes[spatial];
        temporal.map_or_else(|| row.iter().any(|bytes| *bytes > 0), |temporal| row[temporal] > 0)
    }
}

impl Window {
    fn add(&mut self, other: &Window) {
        for (sums, counts) in [(&mut self.bytes, &other.bytes), (&mut self.frames, &other.frames)] {
            for (sum, count) in sums.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
                *sum += count;
            }
        }
        self.length += other.length;
    }
}

/// What a session's slots send, from their counters.
#[derive(Debug, Default)]
pub(crate) struct SentRate {
    bytes: u64,
    since: Micros,
    bits_per_second: u64,
}

impl SentRate {
    /// Takes note of how many bytes have been sent in all; a rate needs a second.
    pub(crate) fn note(&mut self, now: Micros, bytes: u64) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= SECOND {
            self.bits_per_second = bytes.saturating_sub(self.bytes) * 8 * SECOND / elapsed;
            (self.bytes, self.since) = (bytes, now);
        }
    }

    /// Bits a second over the last second that is complete.
    pub(crate) fn rate(&self) -> u64 {
        self.bits_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(spatial: u8, temporal: u8) -> LayerMark {
        LayerMark { spatial, temporal, ..LayerMark::default() }
    }

    /// Thirty frames a second of two packets in three temporal layers.
    fn run(meter: &mut RateMeter, from: Micros, to: Micros) {
        for now in (from..to).step_by(20_000) {
            let frame = now / 20_000;
            let temporal = [0, 2, 1, 2][(frame % 4) as usize];
            meter.count(mark(0, temporal), frame as u32 * 1_800, 500);
            meter.count(mark(0, temporal), frame as u32 * 1_800, 500);
            meter.advance(now);
        }
    }

    #[test]
    fn rates_add_up_over_the_layers() {
        let mut meter = RateMeter::default();
        run(&mut meter, 0, 3 * SECOND);
        let rates: Vec<_> = (0..3).map(|temporal| meter.rate(0, temporal)).collect();
        let near = |value: u64, expected: u64| value.abs_diff(expected) <= expected / 25;
        assert!(near(rates[0].bits_per_second, 100_000) && near(rates[0].millifps.into(), 12_500), "{rates:?}");
        assert!(near(rates[1].bits_per_second, 200_000) && near(rates[2].bits_per_second, 400_000), "{rates:?}");
        assert_eq!(meter.total(), rates[2]);
        assert!(meter.has_layer(0, Some(2)) && !meter.has_layer(0, Some(3)) && !meter.has_layer(1, None));
    }

    #[test]
    fn a_pause_does_not_make_it_forget() {
        let mut meter = RateMeter::default();
        run(&mut meter, 0, 2 * SECOND);
        let before = meter.total();
        meter.restart(10 * SECOND);
        meter.count(mark(0, 0), 1, 10);
        meter.advance(10 * SECOND + WINDOW);
        assert_eq!(meter.total(), before);
        meter.advance(10 * SECOND + 2 * WINDOW);
        meter.pause();
        assert_eq!(meter.total(), before);
        run(&mut meter, 10 * SECOND + WINDOW, 12 * SECOND);
        assert!(meter.total().bits_per_second.abs_diff(before.bits_per_second) < 40_000);
    }

    #[test]
    fn the_end_of_a_stream_is_no_lower_rate() {
        let mut meter = RateMeter::default();
        run(&mut meter, 0, 3 * SECOND);
        for now in (3 * SECOND..3 * SECOND + 350_000).step_by(20_000) {
            meter.advance(now);
        }
        assert!(meter.total().bits_per_second < 350_000);
        meter.pause();
        assert!(meter.total().bits_per_second.abs_diff(400_000) < 16_000, "{:?}", meter.total());
    }

    #[test]
    fn the_first_quarter_second_stands_for_a_second() {
        let mut meter = RateMeter::default();
        run(&mut meter, 0, WINDOW + 20_000);
        assert!((300_000..500_000).contains(&meter.total().bits_per_second), "{:?}", meter.total());
    }
}
