//! One continuous RTP stream out of whatever sources a slot carries: sequence numbers, timestamps and picture numbers run
//! on across every switch and around every dropped packet. What lies between two of these is a segment, a set of constant
//! offsets, so that a retransmission finds its source packet again by subtraction and nothing is kept a packet.

use crate::clock::{Micros, SECOND};
use crate::format::Format;
use crate::picture::PictureNumbers;
use crate::reception::MAX_JUMP;
use crate::ring::PacketInfo;
use crate::slab::Key;

/// Segments remembered for retransmissions while nothing is dropped.
const HISTORY: usize = 4;
/// The same once temporal layers are dropped: each dropped frame ends a segment, and 15 frames a second are dropped at most
/// of 30, so this is eight seconds, longer than any packet stays in a ring.
const DROPPING_HISTORY: usize = 128;
/// A stream that went on with a number further ahead than this would leave its receiver in doubt about the rollover counter (RFC 3711
/// section 3.3.1), and nothing before it could be repaired.
const MAX_LEAP: u64 = MAX_JUMP as u64;
/// Bits of a VP8 key frame index.
const KEY_INDEX_MASK: u8 = 0x1f;

/// The stretch of the outgoing stream that came from one source without interruption.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    /// The track it comes from.
    pub source: Key,
    /// Its payload types.
    pub format: Format,
    first_in: u64,
    first_out: u64,
    /// It begins with a key frame; what came before is not to be sent any more.
    is_start: bool,
    timestamp_offset: u32,
    picture_id_offset: u16,
    tl0_offset: u8,
    key_index_offset: u8,
    frame_number_offset: u16,
}

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub sequence: u64,
    pub timestamp: u32,
    pub numbers: Option<PictureNumbers>,
    pub marker: bool,
}

impl Segment {
    /// The outgoing form of a packet; None when it belongs to the time before the segment.
    pub(crate) fn outgoing(&self, info: &PacketInfo) -> Option<Outgoing> {
        let sequence = self.sequence(info.sequence)?;
        let (timestamp, numbers) = (self.timestamp(info.timestamp), self.numbers(info));
        Some(Outgoing { sequence, timestamp, numbers, marker: info.marker })
    }

    fn sequence(&self, incoming: u64) -> Option<u64> {
        Some(self.first_out + incoming.checked_sub(self.first_in)?)
    }

    /// The outgoing form of a timestamp.
    pub(crate) fn timestamp(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.timestamp_offset)
    }

    fn numbers(&self, info: &PacketInfo) -> Option<PictureNumbers> {
        let numbers = info.picture.numbers?;
        let mask = if numbers.wide { 0x7fff } else { 0x7f };
        Some(PictureNumbers {
            picture_id: numbers.picture_id.map(|id| id.wrapping_add(self.picture_id_offset) & mask),
            wide: numbers.wide,
            tl0_index: numbers.tl0_index.map(|index| index.wrapping_add(self.tl0_offset)),
            key_index: numbers.key_index.map(|index| index.wrapping_add(self.key_index_offset) & KEY_INDEX_MASK),
            frame_number: numbers.frame_number.map(|number| number.wrapping_add(self.frame_number_offset)),
            contiguous: numbers.contiguous,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u64,
    timestamp: u32,
    captured: Micros,
    numbers: PictureNumbers,
}

/// The outgoing stream of a slot.
#[derive(Debug)]
pub(crate) struct Munger {
    segments: Box<[Option<Segment>]>,
    newest: usize,
    last: Last,
    started: bool,
    clock_rate: u32,
    /// Least distance of timestamps across a switch: a frame.
    step: u32,
}

impl Munger {
    /// A stream that begins after the given (random) numbers.
    pub(crate) fn new(sequence: u16, timestamp: u32, clock_rate: u32, step: u32) -> Self {
        let last = Last { sequence: sequence.into(), timestamp, captured: 0, numbers: PictureNumbers::default() };
        Self { segments: Box::new([None; HISTORY]), newest: 0, last, started: false, clock_rate, step }
    }

    /// Begins a segment with this packet, which was captured at `captured`.
    pub(crate) fn switch(&mut self, source: Key, format: Format, info: &PacketInfo, captured: Micros) {
        let first_out = self.last.sequence + 1;
        let elapsed = captured.saturating_sub(self.last.captured);
        let advance =
            if self.started { ((elapsed * Micros::from(self.clock_rate) / SECOND) as u32).max(self.step) } else { 0 };
        let timestamp = self.last.timestamp.wrapping_add(advance);
        let (next, first) = (self.last.numbers, info.picture.numbers.unwrap_or_default());
        let picture_id = next.picture_id.unwrap_or_default().wrapping_add(1);
        let tl0_index = next.tl0_index.unwrap_or_default().wrapping_add(1);
        let key_index = next.key_index.unwrap_or_default().wrapping_add(1);
        let frame_number = next.frame_number.unwrap_or_default().wrapping_add(1);
        self.begin(Segment {
            source,
            format,
            first_in: info.sequence,
            first_out,
            is_start: true,
            timestamp_offset: timestamp.wrapping_sub(info.timestamp),
            picture_id_offset: picture_id.wrapping_sub(first.picture_id.unwrap_or_default()),
            tl0_offset: tl0_index.wrapping_sub(first.tl0_index.unwrap_or_default()),
            key_index_offset: key_index.wrapping_sub(first.key_index.unwrap_or_default()) & KEY_INDEX_MASK,
            frame_number_offset: frame_number.wrapping_sub(first.frame_number.unwrap_or_default()),
        });
    }

    fn begin(&mut self, segment: Segment) {
        self.newest = (self.newest + 1) % self.segments.len();
        self.segments[self.newest] = Some(segment);
    }

    /// Leaves the newest packet of the source out: the packets after it close up. `is_new_frame` says that it is the first of
    /// its frame to come. Does nothing for a packet that is late.
    pub(crate) fn drop_packet(&mut self, info: &PacketInfo, is_new_frame: bool) {
        let Some(mut segment) = self.current().copied() else { return };
        let Some(first_out) = segment.sequence(info.sequence) else { return };
        if first_out <= self.last.sequence {
            return;
        }
        let is_empty = segment.first_in == info.sequence;
        (segment.first_in, segment.first_out) = (info.sequence + 1, first_out);
        if is_new_frame && info.picture.numbers.is_some_and(|numbers| numbers.contiguous) {
            segment.picture_id_offset = segment.picture_id_offset.wrapping_sub(1);
        }
        if is_empty {
            self.segments[self.newest] = Some(segment);
            return;
        }
        if self.segments.len() < DROPPING_HISTORY {
            self.grow();
        }
        self.begin(Segment { is_start: false, ..segment });
    }

    #[cold]
    fn grow(&mut self) {
        let mut segments = vec![None; DROPPING_HISTORY].into_boxed_slice();
        let mut count = 0;
        for segment in self.by_age().rev() {
            segments[count] = Some(*segment);
            count += 1;
        }
        self.newest = count.saturating_sub(1);
        self.segments = segments;
    }

    /// The segments, the newest first.
    fn by_age(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        let (newer, older) = self.segments.split_at(self.newest + 1);
        older.iter().chain(newer).rev().flatten()
    }

    /// The segment that a packet of the current source belongs to; None when it was dropped or comes from before the start.
    fn segment_of(&self, sequence: u64) -> Option<&Segment> {
        let newest = self.current()?;
        if sequence >= newest.first_in {
            return Some(newest);
        }
        let mut next = newest;
        for segment in self.by_age() {
            if segment.first_in <= sequence {
                return segment.sequence(sequence).filter(|out| *out < next.first_out).map(|_| segment);
            }
            if segment.is_start {
                return None;
            }
            next = segment;
        }
        None
    }

    /// The source goes on in another format.
    pub(crate) fn change_format(&mut self, format: Format) {
        if let Some(segment) = &mut self.segments[self.newest] {
            segment.format = format;
        }
    }

    /// The segment being sent.
    pub(crate) fn current(&self) -> Option<&Segment> {
        self.segments[self.newest].as_ref()
    }

    /// The outgoing form of a packet of which only the place is sent: its picture does not count.
    pub(crate) fn fill(&mut self, info: &PacketInfo, captured: Micros) -> Option<Outgoing> {
        let numbers = self.last.numbers;
        let outgoing = self.forward(info, captured)?;
        self.last.numbers = numbers;
        Some(Outgoing { numbers: None, marker: false, ..outgoing })
    }

    /// Whether a packet is so far ahead of the last one that its source has to start afresh.
    pub(crate) fn leaps_to(&self, info: &PacketInfo) -> bool {
        let sequence = self.current().and_then(|segment| segment.sequence(info.sequence));
        sequence.is_some_and(|sequence| sequence > self.last.sequence + MAX_LEAP)
    }

    /// The outgoing form of a packet of the current segment; None when it comes from before or from too far ahead.
    pub(crate) fn forward(&mut self, info: &PacketInfo, captured: Micros) -> Option<Outgoing> {
        let outgoing = self.segment_of(info.sequence)?.outgoing(info)?;
        if outgoing.sequence > self.last.sequence + MAX_LEAP {
            return None;
        }
        if outgoing.sequence > self.last.sequence {
            let numbers = outgoing.numbers.unwrap_or(self.last.numbers);
            self.last = Last { sequence: outgoing.sequence, timestamp: outgoing.timestamp, captured, numbers };
            self.started = true;
        }
        Some(outgoing)
    }

    /// The number of the newest packet, as far as it goes on the wire.
    pub(crate) fn last_sequence(&self) -> u16 {
        self.last.sequence as u16
    }

    /// The timestamp of the newest packet.
    pub(crate) fn last_timestamp(&self) -> u32 {
        self.last.timestamp
    }

    /// Finds the segment and the source's sequence number of a packet that has been sent.
    pub(crate) fn find(&self, sequence: u16) -> Option<(&Segment, u64)> {
        let back = (self.last.sequence as u16).wrapping_sub(sequence);
        let sequence = self.last.sequence.checked_sub(back.into())?;
        let segment = self.by_age().find(|segment| segment.first_out <= sequence)?;
        Some((segment, segment.first_in + (sequence - segment.first_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Redundancy;
    use crate::picture::Picture;

    const FORMAT: Format = Format { incoming: 96, outgoing: 97, rtx: None, redundancy: Redundancy::None };
    const A: Key = Key { index: 1, generation: 0 };
    const B: Key = Key { index: 2, generation: 0 };

    fn packet(sequence: u64, timestamp: u32, picture: u16) -> PacketInfo {
        let numbers = PictureNumbers {
            picture_id: Some(picture),
            wide: true,
            tl0_index: Some(picture as u8),
            key_index: Some(3),
            frame_number: Some(picture),
            contiguous: true,
        };
        PacketInfo {
            sequence,
            timestamp,
            picture: Picture { numbers: Some(numbers), ..Picture::default() },
            ..PacketInfo::default()
        }
    }

    fn munger() -> Munger {
        Munger::new(65_530, 1_000, 90_000, 3_000)
    }

    #[test]
    fn numbers_run_on_across_a_switch() {
        let mut munger = munger();
        let first = packet(100, 5_000, 0x7ffe);
        munger.switch(A, FORMAT, &first, 1_000_000);
        let outs: Vec<_> = (0..10)
            .map(|n| {
                munger
                    .forward(
                        &packet(100 + n, 5_000 + 3_000 * n as u32, (0x7ffe + n as u16) & 0x7fff),
                        1_000_000 + n * 33_333,
                    )
                    .unwrap()
            })
            .collect();
        assert_eq!(outs[0].sequence, 65_531);
        assert_eq!(outs[9].sequence, 65_540);
        let last = outs[9];

        munger.switch(B, FORMAT, &packet(7, 77, 12), 1_000_000 + 9 * 33_333 + 100_000);
        let next = munger.forward(&packet(7, 77, 12), 1_400_000).unwrap();
        assert_eq!(next.sequence, last.sequence + 1);
        assert_eq!(next.timestamp, last.timestamp.wrapping_add(9_000));
        let (next, last) = (next.numbers.unwrap(), last.numbers.unwrap());
        assert_eq!(next.picture_id.unwrap(), (last.picture_id.unwrap() + 1) & 0x7fff);
        assert_eq!(next.tl0_index.unwrap(), last.tl0_index.unwrap().wrapping_add(1));
        assert_eq!(next.key_index.unwrap(), (last.key_index.unwrap() + 1) & 31);
    }

    #[test]
    fn timestamps_never_stand_still_at_a_switch() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(1, 10, 1), 500);
        let last = munger.forward(&packet(1, 10, 1), 500).unwrap();
        munger.switch(B, FORMAT, &packet(9, 4_000_000_000, 1), 0);
        let next = munger.forward(&packet(9, 4_000_000_000, 1), 0).unwrap();
        assert_eq!(next.timestamp, last.timestamp.wrapping_add(3_000));
    }

    #[test]
    fn late_packets_keep_their_number_and_those_before_the_segment_are_left_out() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(100, 0, 1), 0);
        assert_eq!(munger.forward(&packet(100, 0, 1), 0).unwrap().sequence, 65_531);
        assert_eq!(munger.forward(&packet(103, 0, 2), 0).unwrap().sequence, 65_534);
        assert_eq!(munger.forward(&packet(101, 0, 1), 0).unwrap().sequence, 65_532);
        assert_eq!(munger.forward(&packet(99, 0, 1), 0), None);
        munger.switch(A, FORMAT, &packet(110, 0, 5), 0);
        assert_eq!(munger.forward(&packet(110, 0, 5), 0).unwrap().sequence, 65_535);
    }

    /// Sends packets of which each makes a picture, and leaves out those of even number from `from` on.
    fn drop_even(munger: &mut Munger, from: u64, to: u64) -> Vec<(u64, u16)> {
        let mut sent = Vec::new();
        for sequence in from..to {
            let info = packet(sequence, sequence as u32 * 3_000, sequence as u16);
            if sequence % 2 == 0 {
                munger.drop_packet(&info, true);
            } else {
                let outgoing = munger.forward(&info, 0).unwrap();
                sent.push((outgoing.sequence, outgoing.numbers.unwrap().picture_id.unwrap()));
            }
        }
        sent
    }

    #[test]
    fn what_follows_a_dropped_packet_closes_up_and_is_found_again() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(101, 0, 101), 0);
        let sent = drop_even(&mut munger, 101, 301);
        let expected: Vec<_> = (0..100).map(|n| (65_531 + n, sent[0].1 + n as u16)).collect();
        assert_eq!(sent, expected);
        for (n, (out, _)) in sent.iter().enumerate() {
            let (segment, sequence) = munger.find(*out as u16).unwrap();
            assert_eq!((segment.source, sequence), (A, 101 + 2 * n as u64));
        }
        munger.switch(B, FORMAT, &packet(900, 0, 7), 0);
        assert_eq!(munger.forward(&packet(900, 0, 7), 0).unwrap().sequence, 65_631);
        assert_eq!(munger.find(65_630_u32 as u16).unwrap().1, 299);
    }

    #[test]
    fn a_late_packet_finds_its_place_between_dropped_ones() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(100, 0, 1), 0);
        let mut forward = |sequence| munger.forward(&packet(sequence, 0, 1), 0).map(|outgoing| outgoing.sequence);
        assert_eq!((forward(100), forward(102)), (Some(65_531), Some(65_533)));
        // 101 and 104 are late; 103 and 105 are dropped.
        munger.drop_packet(&packet(103, 0, 1), true);
        munger.drop_packet(&packet(105, 0, 1), true);
        let mut forward = |sequence| munger.forward(&packet(sequence, 0, 1), 0).map(|outgoing| outgoing.sequence);
        assert_eq!(forward(106), Some(65_535));
        assert_eq!((forward(104), forward(101)), (Some(65_534), Some(65_532)));
        assert_eq!((forward(103), forward(105), forward(99)), (None, None, None));
    }

    #[test]
    fn a_frame_of_several_packets_counts_as_one_picture() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(100, 0, 50), 0);
        let first = munger.forward(&packet(100, 0, 50), 0).unwrap().numbers.unwrap();
        for part in 0..3 {
            munger.drop_packet(&packet(101 + part, 3_000, 51), part == 0);
        }
        let next = munger.forward(&packet(104, 6_000, 52), 0).unwrap();
        assert_eq!(next.sequence, 65_532);
        assert_eq!(next.numbers.unwrap().picture_id.unwrap(), first.picture_id.unwrap() + 1);
        assert_eq!(
            next.numbers.unwrap().frame_number.unwrap(),
            first.frame_number.unwrap() + 2,
            "gaps are allowed there"
        );
    }

    #[test]
    fn a_sent_packet_is_found_again_in_its_segment() {
        let mut munger = munger();
        munger.switch(A, FORMAT, &packet(100, 0, 1), 0);
        for sequence in 100..110 {
            munger.forward(&packet(sequence, 0, 1), 0);
        }
        munger.switch(B, FORMAT, &packet(500, 0, 1), 0);
        for sequence in 500..505 {
            munger.forward(&packet(sequence, 0, 1), 0);
        }
        let (segment, sequence) = munger.find(65_535).unwrap();
        assert_eq!((segment.source, sequence), (A, 104));
        let (segment, sequence) = munger.find(65_541_u32 as u16).unwrap();
        assert_eq!((segment.source, sequence), (B, 500));
        assert!(munger.find(65_530).is_none(), "before the first segment");
    }
}
