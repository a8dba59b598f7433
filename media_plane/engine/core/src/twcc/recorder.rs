//! The receiver's side: remembering arrivals and reporting them.

use super::{Symbol, TICK_US, TICKS_PER_REFERENCE};
use crate::wire::bytes::Writer;
use crate::wire::rtcp::RtcpWriter;
use crate::wire::rtp::extend_sequence_number;

/// How many sequence numbers back an arrival is remembered: two seconds of 1,000 packets a second, were no report sent.
const CAPACITY: u64 = 2048;
/// The most packets that one report covers; with two bytes a packet it stays below 1,200 bytes.
const MAX_PACKETS: usize = 512;
/// How often a report is due. libwebrtc's senders expect 50 to 250 ms; the shorter, the faster they find their rate.
const INTERVAL_US: u64 = 50_000;
/// The format's chunks (draft-holmer-rmcat-transport-wide-cc-extensions-01 sections 3.1.3 and 3.1.4): flags, symbols in a
/// vector of one or two bits each, and the longest run.
const VECTOR_FLAG: u16 = 0x8000;
const TWO_BIT_FLAG: u16 = 0x4000;
const ONE_BIT_CAPACITY: usize = 14;
const TWO_BIT_CAPACITY: usize = 7;
const MAX_RUN: usize = 0x1fff;
/// In so many turns of reports each arrival is told where reports are lost: of 20 % lost, 1 % of the arrivals are never known.
const TELLINGS: usize = 3;
/// All missing packets, in the measure of [`FeedbackRecorder::tell`].
pub(crate) const ALL: u16 = 256;

/// Remembers when the packets of one session arrived, by transport-wide sequence number, and reports it.
///
/// Allocates once, with the first packet: most sessions of a large meeting never send one. Times are microseconds of any steady clock; the same clock throughout.
#[derive(Debug)]
pub struct FeedbackRecorder {
    /// Arrival of sequence number n at n modulo the capacity; empty until the first packet.
    arrivals: Vec<Arrival>,
    range: Option<Range>,
    unreported: bool,
    last_report_us: u64,
    feedback_count: u8,
    /// Which share of the losses is told, in 256ths, and what has come together of it since one was told.
    told: u16,
    owed: u16,
    repeats: bool,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// Extended sequence number, to tell a packet from its predecessor one capacity earlier.
    sequence_number: u64,
    ticks: i64,
}

impl Arrival {
    const NONE: Self = Self { sequence_number: u64::MAX, ticks: 0 };
}

/// What is to be reported: from `next` to `highest`, both included.
#[derive(Debug, Clone, Copy)]
struct Range {
    next: u64,
    highest: u64,
    /// What lies below has been reported before.
    fresh: u64,
    /// What `fresh` was in the turns before, the oldest first.
    turns: [u64; TELLINGS - 1],
}

impl Range {
    fn of(first: u64) -> Self {
        Self { next: first, highest: first, fresh: first, turns: [first; TELLINGS - 1] }
    }

    /// All has been reported: the next turn begins with what is new, or with what has been told too seldom.
    fn turn(&mut self, repeats: bool) {
        self.turns.rotate_left(1);
        self.turns[TELLINGS - 2] = self.fresh;
        self.fresh = self.next;
        if repeats {
            self.next = self.turns[0];
        }
    }
}

/// The packets of one report, in order.
struct Report {
    base: u64,
    reference: i64,
    symbols: [Symbol; MAX_PACKETS],
    deltas: [i16; MAX_PACKETS],
    len: usize,
    /// Where the next report begins.
    next: u64,
}

impl Default for FeedbackRecorder {
    fn default() -> Self {
        Self::new()
    }
}

impl FeedbackRecorder {
    /// Starts with nothing received.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arrivals: Vec::new(),
            range: None,
            unreported: false,
            last_report_us: 0,
            feedback_count: 0,
            told: ALL,
            owed: 0,
            repeats: false,
        }
    }

    /// From now on reports tell so many 256ths of the missing packets, and leave out the others as if they had never been sent.
    ///
    /// To report them as received would be worse than a lie: libwebrtc's senders drop what is acknowledged from their history, so
    /// that a NACK finds nothing.
    pub fn tell(&mut self, share: u16) {
        self.told = share.min(ALL);
    }

    /// From now on each arrival is told in several turns of reports, for a way that loses reports, or in one only.
    ///
    /// libwebrtc's estimate does not grow above one and a half times what its sender knows to have arrived; where a fifth is lost each way that
    /// is less than what it sends. It passes over what it knows already.
    pub fn repeat(&mut self, repeats: bool) {
        self.repeats = repeats;
    }

    /// Records that the packet with this transport-wide sequence number arrived; returns how many just before it have not, None when it is not
    /// the newest itself.
    pub fn record(&mut self, sequence_number: u16, arrival_us: u64) -> Option<u64> {
        // The first number is moved up one turn, so that earlier ones that arrive late stay above zero.
        let first = u64::from(sequence_number) + 0x1_0000;
        let mut range = self.range.unwrap_or(Range::of(first));
        let extended = extend_sequence_number(sequence_number, range.highest);
        let skipped = if self.range.is_none() { Some(0) } else { extended.checked_sub(range.highest + 1) };
        range.highest = range.highest.max(extended);
        let oldest = (range.highest + 1).saturating_sub(CAPACITY);
        if extended < oldest {
            return None;
        }
        // A packet that was reported missing and arrives late is reported again, with all that followed it.
        range.next = range.next.min(extended).max(oldest);
        range.fresh = range.fresh.min(extended).max(oldest);
        if self.arrivals.is_empty() {
            self.arrivals = vec![Arrival::NONE; CAPACITY as usize];
        }
        let place = &mut self.arrivals[(extended % CAPACITY) as usize];
        if place.sequence_number == extended {
            return None;
        }
        *place = Arrival { sequence_number: extended, ticks: arrival_us.cast_signed() / TICK_US };
        self.range = Some(range);
        self.unreported = true;
        skipped
    }

    /// When the next report is due; None: nothing to report.
    #[must_use]
    pub fn due_us(&self) -> Option<u64> {
        self.unreported.then_some(self.last_report_us + INTERVAL_US)
    }

    /// Appends one report; None when there is nothing to report or it does not fit.
    ///
    /// One report covers 512 packets, or what lies between two that are left out: call again until None to report everything.
    pub fn write_report(
        &mut self,
        writer: &mut RtcpWriter<'_>,
        sender_ssrc: u32,
        media_ssrc: u32,
        now_us: u64,
    ) -> Option<()> {
        let mut range = self.range.filter(|_| self.unreported)?;
        let report = self.collect(range)?;
        let feedback_count = self.feedback_count;
        writer.transport_feedback(|writer| {
            writer.put_u32(sender_ssrc)?;
            writer.put_u32(media_ssrc)?;
            report.write(writer, feedback_count)
        })?;
        range.next = report.next;
        self.unreported = range.next <= range.highest;
        if !self.unreported {
            range.turn(self.repeats);
        }
        self.range = Some(range);
        self.feedback_count = feedback_count.wrapping_add(1);
        self.last_report_us = now_us;
        Some(())
    }

    fn ticks(&self, sequence_number: u64) -> Option<i64> {
        let arrival = self.arrivals.get((sequence_number % CAPACITY) as usize)?;
        (arrival.sequence_number == sequence_number).then_some(arrival.ticks)
    }

    /// Whether a missing packet is told: only once, since senders would count it again.
    fn is_told(&mut self, number: u64, range: Range) -> bool {
        if number < range.fresh {
            return false;
        }
        self.owed += self.told;
        let told = self.owed >= ALL;
        if told {
            self.owed -= ALL;
        }
        told
    }

    /// Collects as many packets as fit one report. None only if nothing in the range has arrived, which cannot be.
    fn collect(&mut self, range: Range) -> Option<Report> {
        let (first, ticks) = (range.next..=range.highest).find_map(|number| Some((number, self.ticks(number)?)))?;
        // Of those that are missing at the beginning, the last ones stand for as many as are told.
        let base = first - (range.next..first).filter(|number| self.is_told(*number, range)).count() as u64;
        let reference = ticks.div_euclid(TICKS_PER_REFERENCE);
        let mut previous = reference * TICKS_PER_REFERENCE;
        let (symbols, deltas) = ([Symbol::NotReceived; MAX_PACKETS], [0; MAX_PACKETS]);
        let mut report = Report { base, reference, symbols, deltas, len: 0, next: base };
        let places = report.symbols.iter_mut().zip(&mut report.deltas);
        for ((symbol, delta), number) in places.zip(base..=range.highest) {
            if let Some(ticks) = self.ticks(number) {
                // A gap of more than eight seconds does not fit; the next report has its own reference time.
                let Ok(difference) = i16::try_from(ticks - previous) else { break };
                *delta = difference;
                *symbol = if (0..=0xff).contains(&difference) { Symbol::SmallDelta } else { Symbol::LargeDelta };
                previous = ticks;
            } else if number > first && !self.is_told(number, range) {
                // What is left out parts two reports.
                report.next = number + 1;
                break;
            }
            report.len += 1;
            report.next = number + 1;
        }
        Some(report)
    }
}

impl Report {
    fn write(&self, writer: &mut Writer<'_>, feedback_count: u8) -> Option<()> {
        let symbols = self.symbols.get(..self.len)?;
        writer.put_u16(self.base as u16)?;
        writer.put_u16(self.len as u16)?;
        writer.put_u24(self.reference.cast_unsigned() as u32)?;
        writer.put_u8(feedback_count)?;
        let mut rest = symbols;
        while !rest.is_empty() {
            let (chunk, covered) = next_chunk(rest);
            writer.put_u16(chunk)?;
            rest = rest.get(covered..)?;
        }
        for (symbol, delta) in symbols.iter().zip(&self.deltas) {
            match symbol {
                Symbol::NotReceived => {}
                Symbol::SmallDelta => writer.put_u8(delta.cast_unsigned() as u8)?,
                Symbol::LargeDelta => writer.put_u16(delta.cast_unsigned())?,
            }
        }
        Some(())
    }
}

/// Encodes the beginning of `symbols` (not empty) as one chunk: returns it and how many it covers.
fn next_chunk(symbols: &[Symbol]) -> (u16, usize) {
    let first = symbols.first().copied().unwrap_or(Symbol::NotReceived);
    let run = symbols.iter().take(MAX_RUN).take_while(|symbol| **symbol == first).count();
    let one_bit = symbols.iter().take(ONE_BIT_CAPACITY).all(|symbol| *symbol != Symbol::LargeDelta);
    let (capacity, flags, bits) =
        if one_bit { (ONE_BIT_CAPACITY, VECTOR_FLAG, 1) } else { (TWO_BIT_CAPACITY, VECTOR_FLAG | TWO_BIT_FLAG, 2) };
    if run >= capacity || run == symbols.len() {
        return ((first as u16) << 13 | run as u16, run);
    }
    let covered = symbols.len().min(capacity);
    let vector = symbols
        .iter()
        .take(capacity)
        .enumerate()
        .fold(0, |vector, (index, symbol)| vector | (*symbol as u16) << ((capacity - 1 - index) * bits));
    (flags | vector, covered)
}
