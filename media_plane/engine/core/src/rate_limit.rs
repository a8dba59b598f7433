//! A bounded table of token buckets by source address: what an unknown address may cost.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;

use crate::clock::{Micros, SECOND};

/// Places in the table. Two addresses that share one share a bucket; which do is secret (keyed hash).
const PLACES: usize = 4_096;
/// Checks an address may make at once.
const BURST: u32 = 200;
/// Checks an address may make a second.
const RATE: u32 = 100;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    refilled: Micros,
}

/// Token buckets by source address.
pub(crate) struct RateLimit {
    hasher: RandomState,
    buckets: Box<[Bucket]>,
}

impl RateLimit {
    pub(crate) fn new() -> Self {
        let bucket = Bucket { tokens: BURST, refilled: 0 };
        Self { hasher: RandomState::new(), buckets: vec![bucket; PLACES].into_boxed_slice() }
    }

    fn bucket(&mut self, source: IpAddr) -> &mut Bucket {
        let hash = self.hasher.hash_one(source) as usize;
        &mut self.buckets[hash % PLACES]
    }

    /// Takes a token; false when the address has used them up.
    pub(crate) fn take(&mut self, now: Micros, source: IpAddr) -> bool {
        let bucket = self.bucket(source);
        let earned = now.saturating_sub(bucket.refilled) * Micros::from(RATE) / SECOND;
        if earned > 0 {
            bucket.tokens = u64::from(bucket.tokens).saturating_add(earned).min(BURST.into()) as u32;
            bucket.refilled = now;
        }
        let allowed = bucket.tokens > 0;
        bucket.tokens = bucket.tokens.saturating_sub(1);
        allowed
    }

    /// Gives a token back: the message proved to come from a participant, and many may share an address.
    pub(crate) fn give_back(&mut self, source: IpAddr) {
        let bucket = self.bucket(source);
        bucket.tokens = (bucket.tokens + 1).min(BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut limit = RateLimit::new();
        let passed = (0..1_000).filter(|_| limit.take(0, SOURCE)).count();
        assert_eq!(passed, BURST as usize);
        let passed = (0..1_000).filter(|_| limit.take(SECOND, SOURCE)).count();
        assert_eq!(passed, RATE as usize);
    }

    #[test]
    fn authenticated_messages_cost_nothing() {
        let mut limit = RateLimit::new();
        for _ in 0..10 * BURST {
            assert!(limit.take(0, SOURCE));
            limit.give_back(SOURCE);
        }
    }
}
