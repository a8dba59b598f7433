//! A histogram with buckets that grow with the value, so that percentiles are exact to three per cent.

use serde_json::{Value, json};

const SUB_BITS: u32 = 5;
const SUB_COUNT: u64 = 1 << SUB_BITS;
/// Enough buckets for 2^32 microseconds.
const BUCKETS: usize = 28 << SUB_BITS;

/// Counts durations in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, microseconds: u64) {
        let bucket = bucket_of(microseconds).min(BUCKETS - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(microseconds);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The value that the given share of all values does not exceed; None when there are none.
    fn percentile(&self, share: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts are far below 2^52")]
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        })?;
        Some(upper_bound(bucket).min(self.max))
    }

    pub(crate) fn summary(&self) -> Value {
        json!({
            "count": self.count,
            "p50": self.percentile(0.5),
            "p95": self.percentile(0.95),
            "p99": self.percentile(0.99),
            "max": (self.count > 0).then_some(self.max),
        })
    }
}

/// Values below `SUB_COUNT` have a bucket each; from there each doubling has `SUB_COUNT` buckets.
fn bucket_of(value: u64) -> usize {
    let exponent = (value | SUB_COUNT).ilog2() - SUB_BITS;
    ((u64::from(exponent) << SUB_BITS) + (value >> exponent)) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * SUB_COUNT {
        return bucket;
    }
    let exponent = (bucket >> SUB_BITS) - 1;
    (((bucket & (SUB_COUNT - 1) | SUB_COUNT) + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_bound_their_values() {
        let mut last = 0;
        for value in 0..100_000 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1);
            assert!(upper_bound(bucket) >= value);
            assert!(upper_bound(bucket) <= value + value / 32 + 1);
            last = bucket;
        }
    }

    #[test]
    fn percentiles_are_near_the_true_ones() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(0.5), None);
        for value in 1..=10_000 {
            histogram.record(value);
        }
        for (share, value) in [(0.5, 5000), (0.99, 9900), (1.0, 10_000)] {
            let measured = histogram.percentile(share).unwrap();
            assert!((value..=value + value / 30).contains(&measured), "{share}: {measured}");
        }
        let mut sum = Histogram::new();
        sum.add(&histogram);
        sum.record(u64::MAX);
        assert_eq!(sum.summary()["max"], u64::MAX);
    }
}
