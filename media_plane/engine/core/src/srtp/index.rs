//! Packet indices: extending sequence numbers by the rollover counter, and refusing replays (RFC 3711 section 3.3).

use super::SrtpError;
use crate::wire::rtp::extend_sequence_number;

/// How far behind the newest packet an older one is still accepted.
const WINDOW: u64 = 128;
/// RTP indices have 48 bits: 32 of rollover counter, 16 of sequence number.
pub(super) const RTP_INDEX_END: u64 = 1 << 48;
/// RTCP indices have 31 bits.
const RTCP_INDEX_END: u32 = 1 << 31;

/// Which of the newest indices have been received.
#[derive(Debug, Clone, Copy, Default)]
struct ReplayWindow {
    highest: u64,
    /// Bit n: `highest - n` has been received. Zero until the first packet.
    received: u128,
}

impl ReplayWindow {
    #[inline]
    fn check(&self, index: u64) -> Result<(), SrtpError> {
        if self.received == 0 || index > self.highest {
            return Ok(());
        }
        let age = self.highest - index;
        if age >= WINDOW || self.received >> age & 1 == 1 { Err(SrtpError::Replay) } else { Ok(()) }
    }

    #[inline]
    fn accept(&mut self, index: u64) {
        if self.received == 0 {
            *self = Self { highest: index, received: 1 };
        } else if index > self.highest {
            let advance = index - self.highest;
            let kept = if advance < WINDOW { self.received << advance } else { 0 };
            *self = Self { highest: index, received: kept | 1 };
        } else {
            self.received |= 1 << (self.highest - index).min(WINDOW - 1);
        }
    }
}

/// Rollover counter and replay window of one SSRC that the peer sends. Starts as `default()`.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboundStream(ReplayWindow);

impl InboundStream {
    /// The packet index of a sequence number: the one nearest to the newest packet.
    #[inline]
    pub(super) fn index_of(&self, sequence_number: u16) -> Result<u64, SrtpError> {
        let index = match self.0.received {
            0 => u64::from(sequence_number),
            _ => extend_sequence_number(sequence_number, self.0.highest),
        };
        if index >= RTP_INDEX_END {
            return Err(SrtpError::KeysExhausted);
        }
        self.0.check(index)?;
        Ok(index)
    }

    #[inline]
    pub(super) fn accept(&mut self, index: u64) {
        self.0.accept(index);
    }

    /// The highest index received.
    pub(crate) fn highest(&self) -> u64 {
        self.0.highest
    }
}

/// Replay window of the RTCP packets of one sender SSRC. Starts as `default()`.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboundControl(ReplayWindow);

impl InboundControl {
    pub(super) fn check(&self, index: u32) -> Result<(), SrtpError> {
        self.0.check(u64::from(index))
    }

    pub(super) fn accept(&mut self, index: u32) {
        self.0.accept(u64::from(index));
    }
}

/// Packet counter of the RTCP that we send. Starts as `default()`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutboundControl {
    last: u32,
}

impl OutboundControl {
    pub(super) fn advance(&mut self) -> Result<u32, SrtpError> {
        let next = self.last + 1;
        if next >= RTCP_INDEX_END {
            return Err(SrtpError::KeysExhausted);
        }
        self.last = next;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_accepts_each_index_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for index in [1000, 1005, 1001, 1004, 1127, 1002] {
            assert_eq!(window.check(index), Ok(()), "{index}");
            window.accept(index);
            assert_eq!(window.check(index), Err(SrtpError::Replay), "{index}");
        }
        assert_eq!(window.check(1000), Err(SrtpError::Replay));
        assert_eq!(window.check(999), Err(SrtpError::Replay), "older than the window");
        assert_eq!(window.check(1003), Ok(()));
        window.accept(5000);
        assert_eq!(window.check(5000 - 127), Ok(()));
        assert_eq!(window.check(5000 - 128), Err(SrtpError::Replay));
    }

    #[test]
    fn index_zero_is_remembered() {
        let mut window = ReplayWindow::default();
        window.accept(0);
        assert_eq!(window.check(0), Err(SrtpError::Replay));
    }

    #[test]
    fn rollover_is_counted_both_ways() {
        let mut inbound = InboundStream::default();
        for (sequence_number, index) in [
            (65_534, 65_534),
            (65_535, 65_535),
            (1, 65_537),
            (0, 65_536),
            (65_533, 65_533),
            (40_000, 105_536),
            (7, 131_079),
        ] {
            // A jump of more than half the circle is not possible in one step.
            assert_eq!(inbound.index_of(sequence_number), Ok(index));
            inbound.accept(index);
            if index == 65_533 {
                inbound.accept(90_000);
            }
        }
    }

    #[test]
    fn counters_end_instead_of_repeating() {
        let mut control = OutboundControl { last: RTCP_INDEX_END - 2 };
        assert_eq!(control.advance(), Ok(RTCP_INDEX_END - 1));
        assert_eq!(control.advance(), Err(SrtpError::KeysExhausted));
        assert_eq!(control.advance(), Err(SrtpError::KeysExhausted));
    }
}
