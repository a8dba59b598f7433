//! Time as a shard sees it: microseconds since the shard was made, so that a simulated meeting sets the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::wire::rtcp::NtpTime;

/// Microseconds since the epoch of the shard's [`Clock`].
pub type Micros = u64;

/// Microseconds in a millisecond.
pub const MILLISECOND: Micros = 1_000;
/// Microseconds in a second.
pub const SECOND: Micros = 1_000_000;

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

    /// The same moment in NTP's format (RFC 3550 section 4).
    #[must_use]
    pub fn ntp(&self, at: Micros) -> NtpTime {
        NtpTime::from_unix(Duration::from_nanos(self.unix_nanos(at)))
    }
}

/// Converts NTP's format to microseconds since 1900; only differences are of use.
#[must_use]
pub fn ntp_to_micros(NtpTime(ntp): NtpTime) -> u64 {
    (ntp >> 32) * SECOND + (((ntp & 0xffff_ffff) * SECOND) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_survive_ntp() {
        let clock = Clock { epoch: Instant::now(), unix_nanos: 1_500_000_000 };
        let difference = ntp_to_micros(clock.ntp(250_000)) - ntp_to_micros(clock.ntp(0));
        assert!(difference.abs_diff(250_000) <= 1, "{difference}");
    }
}
