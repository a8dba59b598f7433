//! A bounded table of token buckets by source address: what an unknown address may cost.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

use crate::clock::{Micros, SECOND};

/// Places in the table. Two addresses that share one share a bucket; which do is secret (keyed hash).
const PLACES: usize = 4_096;
/// Checks an address may make at once.
const BURST: u32 = 200;
/// Checks an address may make a second.
const RATE: u32 = 100;

/// Whom the traffic of an address is counted to: of IPv6 a customer has a /64, and so any number of addresses.
pub(crate) fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

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
        let hash = self.hasher.hash_one(source_of(source)) as usize;
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
    fn addresses_of_one_customer_count_as_one() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        let mut limit = RateLimit::new();
        let addresses = (0..1_000_u16).map(|number| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]));
        assert_eq!(addresses.filter(|address| limit.take(0, *address)).count(), BURST as usize);
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
