//! What a session may say on its channels.

use crate::bucket::Bucket;
use crate::clock::{Micros, SECOND};

/// The longest message that is taken; the answer says so (`a=max-message-size`, RFC 8841 section 6). A minute of drawing at
/// 30 points a second and 8 bytes a point.
pub(crate) const MAX_MESSAGE: usize = 16 << 10;
/// Messages a session may send a second, on all channels: a pointer at 30, strokes at 30, captions, and as many again.
const MESSAGES: u64 = 100;
/// Bytes it may send a second: each goes to everyone else in the room.
const BYTES: u64 = 64 << 10;
/// Records a second that one participant's messages may become, each message one for everyone else in the room: a record costs the
/// shard 5 us or so. In a room of a thousand that is twenty messages a second.
const RECORDS: u64 = 20_000;
/// And those of all participants of a room together.
const ROOM_RECORDS: u64 = 40_000;
/// Units of work (`Guard::work`) that a session's SCTP may take a second: its messages, and an acknowledgement of every second one that
/// it gets in a lively room.
const WORK: u64 = 2_000;
/// Seconds for which what was not used may be saved up: a client that stalled, or four messages of the largest size.
const SAVED: Micros = 2 * SECOND;

/// What a session may still send.
#[derive(Debug)]
pub(crate) struct Allowance {
    work: Bucket,
    messages: Bucket,
    bytes: Bucket,
    records: Bucket,
}

impl Allowance {
    pub(crate) fn new(now: Micros) -> Self {
        let bucket = |rate| Bucket::new(now, rate, SAVED);
        Self { work: bucket(WORK), messages: bucket(MESSAGES), bytes: bucket(BYTES), records: bucket(RECORDS) }
    }

    /// Whether so much work may be done for a packet.
    pub(crate) fn take_work(&mut self, now: Micros, work: u64) -> bool {
        self.work.take(now, work)
    }

    /// Whether a message of this length may be passed on; one that may not costs nothing.
    pub(crate) fn take(&mut self, now: Micros, len: usize) -> bool {
        self.bytes.has(now, len as u64) && self.messages.take(now, 1) && self.bytes.take(now, len as u64)
    }

    /// Whether a message may go to so many; one that may not costs nothing.
    pub(crate) fn spread(&mut self, now: Micros, receivers: usize, room: &mut RoomAllowance) -> bool {
        let records = receivers as u64;
        self.records.has(now, records) && room.0.take(now, records) && self.records.take(now, records)
    }
}

/// What all participants of a room together may still send.
#[derive(Debug)]
pub(crate) struct RoomAllowance(Bucket);

impl RoomAllowance {
    pub(crate) fn new() -> Self {
        Self(Bucket::new(0, ROOM_RECORDS, SAVED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(allowance: &mut Allowance, now: Micros, len: usize) -> usize {
        (0..10_000).take_while(|_| allowance.take(now, len)).count()
    }

    #[test]
    fn small_messages_are_limited_by_number() {
        let mut allowance = Allowance::new(0);
        assert_eq!(taken(&mut allowance, 0, 20), 200);
        assert_eq!(taken(&mut allowance, SECOND / 2, 20), 50);
        assert_eq!(taken(&mut allowance, 3_600 * SECOND, 20), 200, "no more is saved up");
    }

    #[test]
    fn large_messages_are_limited_by_bytes() {
        let mut allowance = Allowance::new(0);
        assert_eq!(taken(&mut allowance, 0, MAX_MESSAGE), 8);
        assert_eq!(taken(&mut allowance, SECOND, MAX_MESSAGE), 4);
        assert!(!allowance.take(SECOND, MAX_MESSAGE));
        assert!(!allowance.take(SECOND, 1), "the bytes are used up");
        assert!(allowance.take(SECOND + SECOND / 1_000, 1), "what was refused has cost nothing");
    }

    #[test]
    fn what_a_room_gets_is_limited_for_each_sender_and_for_all() {
        let mut room = RoomAllowance::new();
        let mut spread =
            |now, sender: &mut Allowance| (0..10_000).take_while(|_| sender.spread(now, 1_000, &mut room)).count();
        let mut senders: Vec<_> = (0..3).map(|_| Allowance::new(0)).collect();
        let first: Vec<_> = senders.iter_mut().map(|sender| spread(0, sender)).collect();
        assert_eq!(first, [40, 40, 0], "one leaves room for another");
        let later: Vec<_> = senders.iter_mut().rev().map(|sender| spread(SECOND, sender)).collect();
        assert_eq!(later, [40, 0, 0]);
    }
}
