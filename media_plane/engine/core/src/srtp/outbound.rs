//! Packet indices of what we send, and what has been sealed under each of them.
//!
//! Two different packets under one index would reveal their content in every profile, and under AES-GCM the authentication key, too (NIST
//! SP 800-38D, appendix A). So an index that has been used is refused, and so is one of which that is no longer known.

use super::SrtpError;
use super::index::RTP_INDEX_END;
use crate::wire::bytes::array_at;
use crate::wire::rtp::extend_sequence_number;

/// How far behind the newest packet an older one is still sealed: as far as a source's ring reaches.
pub(crate) const WINDOW: u64 = 1_024;
const WORD: u64 = u64::BITS as u64;
const WORDS: usize = (WINDOW / WORD) as usize;

/// Rollover counter of one SSRC that we send, and which of its newest indices have been used. Starts as `default()`, which seals each
/// index once, or as [`OutboundStream::repeating`].
#[derive(Debug, Clone, Default)]
pub struct OutboundStream {
    /// None until the first packet.
    highest: Option<u64>,
    /// Bit by index, modulo the window.
    used: [u64; WORDS],
    /// Beginnings of the tags of what was sealed, by index modulo the window; empty where nothing is sealed again. A tag authenticates
    /// all of its packet, so packets of one index with equal tags are equal.
    tags: Box<[u64]>,
}

impl OutboundStream {
    /// A stream whose packets may be sent again, as long as they are the same to the last bit.
    #[must_use]
    pub fn repeating() -> Self {
        Self { tags: vec![0; WINDOW as usize].into_boxed_slice(), ..Self::default() }
    }

    /// The packet index of a sequence number, unless it may not be used.
    #[inline]
    pub(super) fn index_of(&self, sequence_number: u16) -> Result<u64, SrtpError> {
        let Some(highest) = self.highest else { return Ok(u64::from(sequence_number)) };
        let index = extend_sequence_number(sequence_number, highest);
        if index >= RTP_INDEX_END {
            return Err(SrtpError::KeysExhausted);
        }
        let is_over = index <= highest && (highest - index >= WINDOW || (self.tags.is_empty() && self.is_used(index)));
        if is_over { Err(SrtpError::Reuse) } else { Ok(index) }
    }

    /// Takes note that a packet has been sealed with this tag. An error tells that another one has been before: it must not leave.
    #[inline]
    pub(super) fn accept(&mut self, index: u64, tag: &[u8]) -> Result<(), SrtpError> {
        let is_repeated = self.highest.is_some_and(|highest| index <= highest) && self.is_used(index);
        if !self.tags.is_empty() {
            let tag = array_at(tag, 0).map_or(0, u64::from_be_bytes);
            let known = &mut self.tags[(index % WINDOW) as usize];
            if is_repeated && *known != tag {
                return Err(SrtpError::Reuse);
            }
            *known = tag;
        }
        self.note(index);
        Ok(())
    }

    #[inline]
    fn note(&mut self, index: u64) {
        let newest = self.highest.unwrap_or(index).max(index);
        if let Some(highest) = self.highest {
            // What lies between has not been used; its bits are those of a turn ago.
            for skipped in (highest + 1).max(newest.saturating_sub(WINDOW - 1))..newest {
                self.used[Self::word(skipped)] &= !Self::bit(skipped);
            }
        }
        self.highest = Some(newest);
        self.used[Self::word(index)] |= Self::bit(index);
    }

    fn is_used(&self, index: u64) -> bool {
        self.used[Self::word(index)] & Self::bit(index) != 0
    }

    fn word(index: u64) -> usize {
        (index / WORD % WORDS as u64) as usize
    }

    fn bit(index: u64) -> u64 {
        1 << (index % WORD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(stream: &mut OutboundStream, index: u64, content: u64) -> Result<u64, SrtpError> {
        let index = stream.index_of(index as u16)?;
        stream.accept(index, &content.to_be_bytes()).map(|()| index)
    }

    #[test]
    fn each_index_is_used_once_in_any_order() {
        let mut stream = OutboundStream::default();
        for index in [1_000, 1_005, 1_001, 1_004, 2_023, 1_002] {
            assert_eq!(seal(&mut stream, index, 7), Ok(index));
            assert_eq!(seal(&mut stream, index, 7), Err(SrtpError::Reuse), "{index}");
        }
        assert_eq!(seal(&mut stream, 999, 7), Err(SrtpError::Reuse), "of what is behind the window nothing is known");
        assert_eq!(seal(&mut stream, 1_003, 7), Ok(1_003));
    }

    #[test]
    fn what_is_skipped_may_still_be_used_a_turn_later() {
        let mut stream = OutboundStream::default();
        for index in 0..WINDOW {
            seal(&mut stream, index, 7).unwrap();
        }
        seal(&mut stream, WINDOW + 500, 7).unwrap();
        for index in (WINDOW..WINDOW + 500).rev() {
            assert_eq!(seal(&mut stream, index, 7), Ok(index));
        }
        assert_eq!(seal(&mut stream, 501, 7), Err(SrtpError::Reuse));
        seal(&mut stream, 30_000, 7).unwrap();
        for index in 30_001 - WINDOW..30_000 {
            assert_eq!(seal(&mut stream, index, 7), Ok(index));
        }
    }

    #[test]
    fn only_the_same_packet_is_sealed_again() {
        let mut stream = OutboundStream::repeating();
        assert_eq!(seal(&mut stream, 65_535, 1), Ok(65_535));
        assert_eq!(seal(&mut stream, 65_536, 2), Ok(65_536));
        assert_eq!(seal(&mut stream, 65_535, 1), Ok(65_535));
        assert_eq!(seal(&mut stream, 65_535, 2), Err(SrtpError::Reuse));
        assert_eq!(seal(&mut stream, 65_535, 1), Ok(65_535), "a refusal changes nothing");
        assert_eq!(seal(&mut stream, 65_535 + WINDOW, 3), Ok(65_535 + WINDOW));
        assert_eq!(seal(&mut stream, 65_535, 1), Err(SrtpError::Reuse), "behind the window");
    }

    #[test]
    fn rollover_is_counted_both_ways() {
        let mut stream = OutboundStream::default();
        for (sequence_number, index) in [
            (65_534, 65_534),
            (65_535, 65_535),
            (1, 65_537),
            (0, 65_536),
            (65_533, 65_533),
            (30_000, 95_536),
            (60_000, 125_536),
            (7, 131_079),
        ] {
            assert_eq!(stream.index_of(sequence_number), Ok(index));
            stream.accept(index, &[]).unwrap();
        }
    }

    #[test]
    fn the_counter_ends_instead_of_repeating() {
        let stream = OutboundStream { highest: Some(RTP_INDEX_END - 1), ..OutboundStream::default() };
        assert_eq!(stream.index_of(0), Err(SrtpError::KeysExhausted));
    }

    /// Seeded random streams: reordered, repeated, jumping ahead and over turns of the sequence number. A model that forgets nothing says
    /// what may pass.
    #[test]
    fn no_index_ever_carries_two_packets() {
        for seed in 0..50_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let repeats = seed % 2 == 0;
            let mut stream = if repeats { OutboundStream::repeating() } else { OutboundStream::default() };
            let mut highest = next(1 << 15);
            seal(&mut stream, highest, 0).unwrap();
            let mut sealed = std::collections::HashMap::from([(highest, 0)]);
            for _ in 0..20_000 {
                let ahead = [1, 1, 1 + next(20), 1 + next(3_000)][next(4) as usize];
                let index = if next(3) == 0 { highest.saturating_sub(next(2 * WINDOW)) } else { highest + ahead };
                let content = next(2);
                let passes = seal(&mut stream, index, content).is_ok();
                let known = sealed.get(&index);
                let may_pass = index + WINDOW > highest && known.is_none_or(|known| repeats && *known == content);
                assert_eq!(passes, may_pass, "seed {seed}: {index} after {highest}");
                if passes {
                    highest = highest.max(index);
                    sealed.insert(index, content);
                }
            }
        }
    }
}
