//! Which of a sender's losses are told to it.
//!
//! Senders take losses for congestion: libwebrtc's estimate falls to a few kilobits a second where radio loses a fifth of all
//! packets, and repairs then starve beside the pictures that they are to repair. Sending less than a little would not help, so
//! reports leave out the losses of who sends little. A queue that fills shows in delay, which each arrival tells. The larger the
//! rate, the more is told, so a way without a queue, which can only lose, still ends the growth (`docs/adr/0006-losses-by-chance.md`).

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::twcc::ALL;

/// Up to this rate of arrival, in bits a second, no losses are told: sound, a small picture and the repairs of both.
const UNTOLD: u64 = 300_000;
/// From this rate on all losses are told: there are pictures to do without.
const TOLD: u64 = 1_000_000;
/// Time over which the rate is taken: a few pictures.
const WINDOW: Micros = 250 * MILLISECOND;

/// How much comes from a client.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    since: Micros,
    bytes: u64,
    told: u16,
}

impl Uplink {
    /// Counts a packet of so many bytes.
    pub(crate) fn arrived(&mut self, now: Micros, len: usize) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= WINDOW {
            *self = Self { since: now, bytes: 0, told: share(self.bytes * 8 * SECOND / elapsed) };
        }
        self.bytes += len as u64;
    }

    /// Which share of the losses is to be told, in 256ths.
    pub(crate) fn told(&self) -> u16 {
        self.told
    }
}

fn share(rate: u64) -> u16 {
    let above = rate.clamp(UNTOLD, TOLD) - UNTOLD;
    (above * u64::from(ALL) / (TOLD - UNTOLD)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_the_rate_the_more_is_told() {
        let told = |bits_per_second: u64| {
            let mut uplink = Uplink::default();
            for now in (0..2 * SECOND).step_by(10_000) {
                uplink.arrived(now, (bits_per_second / 800) as usize);
            }
            uplink.told()
        };
        let shares: Vec<_> = [250_000, 400_000, 650_000, 900_000, 1_100_000].map(told).into();
        assert!(shares.is_sorted() && shares[0] == 0 && shares[1] > 0 && shares[4] == ALL, "{shares:?}");
        assert!(shares[2].abs_diff(ALL / 2) < 8, "{shares:?}");
    }
}
