//! Which of a sender's losses are told to it.
//!
//! Senders take losses for congestion: libwebrtc's estimate falls to a few kilobits a second where radio loses a fifth of all
//! packets, and repairs then starve beside the pictures that they are to repair. A way that loses packets at a small rate while none
//! of them waits is not congested by this sender, and sending less would not help; so its reports leave out these losses. The larger
//! the rate, the more is told, so a way without a queue, which can only lose, still ends the growth (`docs/adr/0006-losses-by-chance.md`).

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::twcc::ALL;

/// Up to this rate of arrival, in bits a second, no losses are told: sound, a small picture and the repairs of both.
const UNTOLD: u64 = 300_000;
/// From this rate on all losses are told: there are pictures to do without.
const TOLD: u64 = 1_000_000;
/// All losses are told while even the least delayed packet waits for longer: that is a queue.
const QUEUED: Micros = 50 * MILLISECOND;
/// Time over which the rate and the least wait are taken: a few pictures.
const WINDOW: Micros = 250 * MILLISECOND;

/// What comes from a client: how much, and how long the least delayed packet waited on the way.
#[derive(Debug)]
pub(crate) struct Uplink {
    since: Micros,
    bytes: u64,
    least_wait: Option<Micros>,
    told: u16,
}

impl Default for Uplink {
    fn default() -> Self {
        Self { since: 0, bytes: 0, least_wait: None, told: ALL }
    }
}

impl Uplink {
    /// Counts a packet of so many bytes.
    pub(crate) fn arrived(&mut self, now: Micros, len: usize) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= WINDOW {
            let rate = self.bytes * 8 * SECOND / elapsed;
            let waits = self.least_wait.is_none_or(|wait| wait > QUEUED);
            self.told = if waits { ALL } else { share(rate) };
            *self = Self { since: now, told: self.told, ..Self::default() };
        }
        self.bytes += len as u64;
    }

    /// Notes how long a packet waited.
    pub(crate) fn waited(&mut self, wait: Micros) {
        self.least_wait = Some(self.least_wait.map_or(wait, |least| least.min(wait)));
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

    /// Two seconds of packets at a rate, each of which waits for so long; what is told then.
    fn told(bits_per_second: u64, wait: Option<Micros>) -> u16 {
        let mut uplink = Uplink::default();
        for now in (0..2 * SECOND).step_by(10_000) {
            uplink.arrived(now, (bits_per_second / 800) as usize);
            if let Some(wait) = wait {
                uplink.waited(wait);
            }
        }
        uplink.told()
    }

    #[test]
    fn losses_of_a_small_rate_that_does_not_wait_are_not_told() {
        assert_eq!(told(250_000, Some(0)), 0);
        assert_eq!(told(250_000, Some(QUEUED)), 0);
    }

    #[test]
    fn the_larger_the_rate_the_more_is_told() {
        let shares: Vec<_> = [400_000, 650_000, 900_000, 1_100_000].map(|rate| told(rate, Some(0))).into();
        assert!(shares.is_sorted() && shares[0] > 0 && shares[3] == ALL, "{shares:?}");
        assert!(shares[1].abs_diff(ALL / 2) < 8, "{shares:?}");
    }

    #[test]
    fn everything_is_told_of_a_queue_and_where_no_wait_is_known() {
        assert_eq!(told(250_000, Some(QUEUED + 1)), ALL);
        assert_eq!(told(250_000, None), ALL);
    }

    #[test]
    fn one_packet_that_did_not_wait_shows_that_there_is_no_queue() {
        let mut uplink = Uplink::default();
        for now in (0..SECOND).step_by(10_000) {
            uplink.arrived(now, 100);
            uplink.waited(if now % 200_000 == 0 { 0 } else { 100_000 });
        }
        assert_eq!(uplink.told(), 0);
    }
}
