//! Time as a shard sees it: microseconds since the shard was made, so that a simulated meeting sets the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the epoch of the shard's [`Clock`].
pub type Micros = u64;

/// Microseconds in a millisecond.
pub const MILLISECOND: Micros = 1_000;
/// Microseconds in a second.
pub const SECOND: Micros = 1_000_000;

/// Seconds from 1900 (NTP, RFC 5905) to 1970 (Unix).
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

/// Ties a shard's time to the monotonic clock and to the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Instant,
    unix_nanos: u64,
}

impl Clock {
    /// A clock whose time starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        let since_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Instant::now(), unix_nanos: since_unix.as_nanos() as u64 }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.epoch.elapsed().as_micros() as Micros
    }

    /// The same moment on the monotonic clock.
    #[must_use]
    pub fn instant(&self, at: Micros) -> Instant {
        self.epoch + Duration::from_micros(at)
    }

    /// The same moment in nanoseconds since 1970.
    #[must_use]
    pub fn unix_nanos(&self, at: Micros) -> u64 {
        self.unix_nanos + at * 1_000
    }

    /// The same moment as a 64-bit NTP timestamp (RFC 3550 section 4).
    #[must_use]
    pub fn ntp(&self, at: Micros) -> u64 {
        let nanos = self.unix_nanos(at);
        let seconds = nanos / 1_000_000_000 + NTP_TO_UNIX_SECONDS;
        let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
        (seconds << 32) | fraction
    }
}

/// Converts a 64-bit NTP timestamp to microseconds since 1900; only differences are of use.
#[must_use]
pub fn ntp_to_micros(ntp: u64) -> u64 {
    (ntp >> 32) * SECOND + (((ntp & 0xffff_ffff) * SECOND) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900_in_fractions_of_a_second() {
        let clock = Clock { epoch: Instant::now(), unix_nanos: 1_500_000_000 };
        assert_eq!(clock.ntp(0), ((1 + NTP_TO_UNIX_SECONDS) << 32) | (1 << 31));
        assert_eq!(ntp_to_micros(clock.ntp(250_000)) - ntp_to_micros(clock.ntp(0)), 250_000);
    }
}
