//! Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! [`FeedbackRecorder`] is the receiver: it remembers when packets arrived and reports it to their sender.
//! [`TransportFeedback`] is such a report as it arrives at the sender.

mod recorder;
#[cfg(test)]
mod tests;

use crate::wire::bytes::{u8_at, u16_at, u24_at, u32_at};
pub(crate) use recorder::ALL;
pub use recorder::FeedbackRecorder;

/// Arrival times are counted in ticks of 250 microseconds.
const TICK_US: i64 = 250;
/// The reference time of a report is counted in units of 64 ms.
const TICKS_PER_REFERENCE: i64 = 256;
const FIXED_LEN: usize = 16;

/// What a report says about one packet; the two-bit symbols of section 3.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    NotReceived,
    SmallDelta,
    LargeDelta,
}

impl Symbol {
    fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => Some(Self::NotReceived),
            1 => Some(Self::SmallDelta),
            2 => Some(Self::LargeDelta),
            _ => None,
        }
    }

    fn delta_len(self) -> usize {
        match self {
            Self::NotReceived => 0,
            Self::SmallDelta => 1,
            Self::LargeDelta => 2,
        }
    }
}

/// A report about the packets from `base_sequence_number` on, already checked for consistency.
#[derive(Debug, Clone)]
pub struct TransportFeedback<'a> {
    /// Who reports.
    pub sender_ssrc: u32,
    /// A stream of the transport reported on.
    pub media_ssrc: u32,
    /// Transport-wide sequence number of the first packet reported on.
    pub base_sequence_number: u16,
    /// How many packets are reported on.
    pub packet_count: u16,
    /// The receiver's clock in units of 64 ms; 24 bits, signed.
    pub reference_time: i32,
    /// Counts reports; wraps. A gap means that a report was lost.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What a report says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketArrival {
    /// Transport-wide sequence number.
    pub sequence_number: u16,
    /// When it arrived, in microseconds of the receiver's clock (which wraps after 12 days); None: it did not, yet.
    pub arrival_us: Option<i64>,
}

impl<'a> TransportFeedback<'a> {
    /// Parses the body of an RTCP packet, from the sender SSRC on.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let packet_count = u16_at(body, 10)?;
        let after_header = body.get(FIXED_LEN..)?;
        let (mut deltas, mut remaining, mut deltas_len) = (after_header, packet_count, 0);
        // A chunk at a time: one of two bytes speaks of up to 8,191 packets.
        while remaining > 0 {
            let (&word, rest) = deltas.split_first_chunk()?;
            deltas = rest;
            let chunk = Chunk::parse(u16::from_be_bytes(word));
            let spoken_of = chunk.left.min(remaining);
            deltas_len += chunk.deltas_len(spoken_of)?;
            remaining -= spoken_of;
        }
        let chunks = after_header.get(..after_header.len() - deltas.len())?;
        Some(Self {
            sender_ssrc: u32_at(body, 0)?,
            media_ssrc: u32_at(body, 4)?,
            base_sequence_number: u16_at(body, 8)?,
            packet_count,
            reference_time: (u24_at(body, 12)? << 8).cast_signed() >> 8,
            feedback_count: u8_at(body, 15)?,
            chunks,
            deltas: deltas.get(..deltas_len)?,
        })
    }

    /// Units of work (see [`RtcpPacket::work`](crate::wire::rtcp::RtcpPacket::work)) to look at so many statuses, and past those before them,
    /// of which a chunk of two bytes may have fourteen, twice.
    pub(crate) fn work(&self, most: usize) -> usize {
        usize::from(self.packet_count).min(most) + 2 * self.chunks.len()
    }

    /// The packets reported on that are among the newest `count` up to `newest`, in the order of their sequence numbers: a report
    /// may go back further than anything is remembered, and claim what was never sent.
    pub(crate) fn packets_among(&self, newest: u16, count: usize) -> impl Iterator<Item = PacketArrival> + use<'a> {
        let (before, wanted) =
            (newest.wrapping_sub(self.base_sequence_number), count.min(usize::from(u16::MAX / 2)) as u16);
        // What begins after the newest looks like something from long ago.
        let (skipped, read) = match before {
            before if before > u16::MAX / 2 => (0, 0),
            before if before < wanted => (0, before + 1),
            before => (before + 1 - wanted, wanted),
        };
        self.packets().without_first(skipped).take(usize::from(read))
    }

    /// The packets reported on, in the order of their sequence numbers.
    #[must_use]
    pub fn packets(&self) -> PacketArrivals<'a> {
        PacketArrivals {
            symbols: Symbols { chunks: self.chunks, remaining: self.packet_count, chunk: Chunk::default() },
            deltas: self.deltas,
            sequence_number: self.base_sequence_number,
            ticks: i64::from(self.reference_time) * TICKS_PER_REFERENCE,
        }
    }
}

/// See [`TransportFeedback::packets`].
#[derive(Debug, Clone)]
pub struct PacketArrivals<'a> {
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    sequence_number: u16,
    ticks: i64,
}

impl PacketArrivals<'_> {
    /// Leaves out so many packets; those of a run that did not come all at once.
    fn without_first(mut self, mut count: u16) -> Self {
        while count > 0 {
            let missing = self.symbols.skip_missing(count);
            self.sequence_number = self.sequence_number.wrapping_add(missing);
            count -= missing;
            if missing == 0 {
                if self.next().is_none() {
                    break;
                }
                count -= 1;
            }
        }
        self
    }
}

impl Iterator for PacketArrivals<'_> {
    type Item = PacketArrival;

    fn next(&mut self) -> Option<Self::Item> {
        let symbol = self.symbols.take()?;
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        let delta = match symbol {
            Symbol::NotReceived => return Some(PacketArrival { sequence_number, arrival_us: None }),
            Symbol::SmallDelta => i64::from(u8_at(self.deltas, 0)?),
            Symbol::LargeDelta => i64::from(u16_at(self.deltas, 0)?.cast_signed()),
        };
        self.deltas = self.deltas.get(symbol.delta_len()..)?;
        self.ticks += delta;
        Some(PacketArrival { sequence_number, arrival_us: Some(self.ticks * TICK_US) })
    }
}

/// One status chunk, as far as it has not been read.
#[derive(Debug, Clone, Copy, Default)]
struct Chunk {
    /// Symbols left.
    left: u16,
    /// Width of a symbol in a vector; 0: all are the same.
    bits: u16,
    /// A vector's symbols, the next one on top of 16 bits; or the symbol of a run.
    value: u16,
}

impl Chunk {
    fn parse(word: u16) -> Self {
        match word >> 14 {
            // Run length: two bits of symbol, thirteen of length.
            0 | 1 => Self { left: word & 0x1fff, bits: 0, value: word >> 13 & 3 },
            2 => Self { left: 14, bits: 1, value: word << 2 },
            _ => Self { left: 7, bits: 2, value: word << 2 },
        }
    }

    /// Length of the deltas of its first symbols; None when one of them is no symbol.
    fn deltas_len(self, symbols: u16) -> Option<usize> {
        if self.bits == 0 {
            return if symbols == 0 {
                Some(0)
            } else {
                Some(usize::from(symbols) * Symbol::from_bits(self.value)?.delta_len())
            };
        }
        let taken = self.value & !(u16::MAX.checked_shr(u32::from(self.bits * symbols)).unwrap_or(0));
        if self.bits == 1 {
            return Some(taken.count_ones() as usize);
        }
        let (small, large) = (taken & 0x5555, taken >> 1 & 0x5555);
        (small & large == 0).then_some((small.count_ones() + 2 * large.count_ones()) as usize)
    }

    fn take(&mut self) -> Option<Symbol> {
        self.left = self.left.checked_sub(1)?;
        if self.bits == 0 {
            return Symbol::from_bits(self.value);
        }
        let symbol = Symbol::from_bits(self.value >> (16 - self.bits));
        self.value <<= self.bits;
        symbol
    }
}

/// Reads symbols from status chunks.
#[derive(Debug, Clone)]
struct Symbols<'a> {
    chunks: &'a [u8],
    remaining: u16,
    chunk: Chunk,
}

impl Symbols<'_> {
    fn take(&mut self) -> Option<Symbol> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.fill()?;
        self.chunk.take()
    }

    /// Reads the next chunk once the present one is used up.
    fn fill(&mut self) -> Option<()> {
        // An empty run is allowed and says nothing; the input is finite, so is this loop.
        while self.chunk.left == 0 {
            let (&word, rest) = self.chunks.split_first_chunk()?;
            self.chunks = rest;
            self.chunk = Chunk::parse(u16::from_be_bytes(word));
        }
        Some(())
    }

    /// Leaves out up to so many packets of a run that did not come; returns how many.
    fn skip_missing(&mut self, most: u16) -> u16 {
        if self.remaining == 0 || self.fill().is_none() || (self.chunk.bits, self.chunk.value) != (0, 0) {
            return 0;
        }
        let skipped = self.chunk.left.min(self.remaining).min(most);
        self.chunk.left -= skipped;
        self.remaining -= skipped;
        skipped
    }
}
