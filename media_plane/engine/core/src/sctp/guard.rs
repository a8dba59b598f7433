//! What a packet of a client costs the library, found out before the library sees it: a few bytes can name thousands of numbers, and
//! what waits for other numbers is looked through with each that comes.

use crate::wire::bytes::{u16_at, u32_at};

/// Numbers ahead of the last one acknowledged for which data is taken: ten seconds' messages at once.
const WINDOW: u32 = 1_024;
/// Half of the circle of numbers: what is further ahead is behind.
const HALF: u32 = 1 << 31;
/// The common header (RFC 9260 section 3.1), and that of a chunk.
const HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;
const DATA: u8 = 0;
const SACK: u8 = 3;
/// What stands before the content of DATA, and before the blocks of SACK.
const DATA_HEADER: usize = 16;
const SACK_HEADER: usize = 16;
/// Flag of the last fragment of a message.
const ENDING: u8 = 1;
/// A fragment shorter than this, with more to follow, is rare: senders fill packets.
const SHORT_FRAGMENT: usize = 256;

/// Units of work of a chunk, and what comes on top of them.
const CHUNK_WORK: u64 = 1;
const DATA_WORK: u64 = 4;
const SHORT_FRAGMENT_WORK: u64 = 12;
/// Numbers that are acknowledged out of order, and bytes of a chunk that may list streams, for one unit.
const NUMBERS: u64 = 128;
const BYTES: u64 = 64;

/// Looks at packets before the library does.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The number up to which everything has come, as the client was told; None before the first time.
    acknowledged: Option<u32>,
}

impl Guard {
    /// Units of work that a packet takes; None when it is malformed, or brings data that is none or too far ahead.
    pub(super) fn work(&self, packet: &[u8]) -> Option<u64> {
        chunks(packet).map(|chunk| self.chunk_work(chunk?)).sum()
    }

    fn chunk_work(&self, chunk: &[u8]) -> Option<u64> {
        let more = match chunk[0] {
            DATA => self.data_work(chunk)?,
            SACK => out_of_order(chunk) / NUMBERS,
            _ => chunk.len() as u64 / BYTES,
        };
        Some(CHUNK_WORK + more)
    }

    fn data_work(&self, chunk: &[u8]) -> Option<u64> {
        let number = u32_at(chunk, CHUNK_HEADER)?;
        let ahead = self.acknowledged.map_or(0, |acknowledged| number.wrapping_sub(acknowledged));
        // Without content it would take no room, so that there could be any number of them (RFC 9260 section 3.3.1 forbids it).
        if chunk.len() <= DATA_HEADER || (WINDOW..HALF).contains(&ahead) {
            return None;
        }
        let is_short = chunk[1] & ENDING == 0 && chunk.len() < DATA_HEADER + SHORT_FRAGMENT;
        Some(if is_short { DATA_WORK + SHORT_FRAGMENT_WORK } else { DATA_WORK })
    }

    /// Takes note of a packet to the client.
    pub(super) fn note_sent(&mut self, packet: &[u8]) {
        let sacks = chunks(packet).flatten().filter(|chunk| chunk[0] == SACK);
        self.acknowledged = sacks.filter_map(|chunk| u32_at(chunk, CHUNK_HEADER)).last().or(self.acknowledged);
    }
}

/// The chunks of a packet with their headers; None for one that does not fit it, which is the last.
fn chunks(packet: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = u16_at(rest, 2).map(usize::from).filter(|len| *len >= CHUNK_HEADER);
        let chunk = len.and_then(|len| rest.get(..len));
        rest = chunk.and_then(|chunk| rest.get(chunk.len().next_multiple_of(4)..)).unwrap_or_default();
        Some(chunk)
    })
}

/// How many numbers a SACK says to have come out of order; each is looked for.
fn out_of_order(sack: &[u8]) -> u64 {
    let count = u16_at(sack, 12).map_or(0, usize::from);
    let blocks = sack.get(SACK_HEADER..).unwrap_or_default().chunks_exact(4).take(count);
    let numbers = |block: &[u8]| (u64::from(u16_at(block, 2)?) + 1).checked_sub(u64::from(u16_at(block, 0)?));
    blocks.filter_map(numbers).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[Vec<u8>]) -> Vec<u8> {
        [&[0; HEADER], chunks.concat().as_slice()].concat()
    }

    fn data(flags: u8, number: u32, content: usize) -> Vec<u8> {
        let mut chunk = vec![DATA, flags];
        chunk.extend(((DATA_HEADER + content) as u16).to_be_bytes());
        chunk.extend(number.to_be_bytes());
        chunk.resize((DATA_HEADER + content).next_multiple_of(4), 0);
        chunk
    }

    fn sack(acknowledged: u32, blocks: &[(u16, u16)]) -> Vec<u8> {
        let mut chunk = vec![SACK, 0];
        chunk.extend(((SACK_HEADER + 4 * blocks.len()) as u16).to_be_bytes());
        chunk.extend(acknowledged.to_be_bytes());
        chunk.extend([0; 4]);
        chunk.extend((blocks.len() as u16).to_be_bytes());
        chunk.extend([0; 2]);
        chunk.extend(blocks.iter().flat_map(|(from, to)| [from.to_be_bytes(), to.to_be_bytes()]).flatten());
        chunk
    }

    #[test]
    fn what_clients_send_costs_little() {
        let guard = Guard::default();
        assert_eq!(guard.work(&packet(&[sack(7, &[(2, 30), (40, 41)])])), Some(1));
        assert_eq!(guard.work(&packet(&[sack(7, &[]), data(3, 1, 5)])), Some(6));
        assert_eq!(guard.work(&packet(&[data(2, 1, 1_120)])), Some(5));
        assert_eq!(guard.work(&packet(&[])), Some(0));
    }

    #[test]
    fn numbers_that_are_only_named_cost_as_they_are_looked_for() {
        let guard = Guard::default();
        let all = packet(&[sack(7, &[(0, u16::MAX); 270])]);
        assert!(guard.work(&all).unwrap() > 130_000);
        assert_eq!(guard.work(&packet(&[sack(7, &[(9, 1)])])), Some(1), "a block that ends before it begins");
        assert_eq!(guard.work(&packet(&[data(0, 1, 1)])), Some(17), "a message in pieces of a byte");
    }

    #[test]
    fn data_is_taken_within_a_window_of_what_has_been_acknowledged() {
        let mut guard = Guard::default();
        assert!(guard.work(&packet(&[data(3, 1 << 30, 1)])).is_some(), "nothing is known yet");
        guard.note_sent(&packet(&[data(3, 5, 1), sack(u32::MAX, &[])]));
        guard.note_sent(&packet(&[data(3, 6, 1)]));
        for (number, is_taken) in [(0, true), (WINDOW - 2, true), (WINDOW - 1, false), (HALF - 2, false), (HALF, true)]
        {
            assert_eq!(guard.work(&packet(&[data(3, number, 1)])).is_some(), is_taken, "{number}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let guard = Guard::default();
        assert_eq!(guard.work(&packet(&[data(3, 1, 0)])), None, "data without content");
        assert_eq!(guard.work(&packet(&[vec![SACK, 0, 0, 3]])), None);
        assert_eq!(guard.work(&packet(&[vec![SACK, 0, 0, 40, 1]])), None);
        assert_eq!(guard.work(&packet(&[vec![SACK, 0]])), None);
    }
}
