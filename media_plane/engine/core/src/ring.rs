//! The last packets of one encoding, kept once and read by every receiver, for forwarding and for retransmission.

use crate::clock::Micros;
use crate::picture::Picture;
use crate::wire::extension::AudioLevel;

/// What is known of a stored packet besides its payload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PacketInfo {
    /// Sequence number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// When it came.
    pub arrival: Micros,
    /// Payload type as the sender numbers it.
    pub payload_type: u8,
    /// RTP marker bit.
    pub marker: bool,
    /// How loud the packet says it is (RFC 6464).
    pub audio_level: Option<AudioLevel>,
    /// Video orientation element as received.
    pub orientation: Option<u8>,
    /// What the payload says of the picture.
    pub picture: Picture,
}

/// A packet in the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredPacket<'a> {
    pub info: &'a PacketInfo,
    /// Dependency descriptor element, empty when there was none.
    pub descriptor: &'a [u8],
    pub payload: &'a [u8],
}

impl StoredPacket<'_> {
    /// The packet without what it carries: it keeps a place in a stream.
    pub(crate) fn emptied(&self) -> Self {
        Self { descriptor: &[], payload: &[], ..*self }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    info: PacketInfo,
    /// Absolute position in the stream of bytes ever written; the packet is gone once the writer is a lap ahead.
    position: u64,
    descriptor_len: u16,
    payload_len: u16,
    occupied: bool,
}

/// A ring of packets indexed by sequence number over a ring of bytes. It takes no memory before its first packet: many an
/// encoding that was offered is never sent.
#[derive(Debug)]
pub(crate) struct PacketRing {
    /// Packets and bytes it has room for once there is something to keep.
    capacity: (usize, usize),
    entries: Box<[Entry]>,
    bytes: Box<[u8]>,
    /// Absolute position of the next byte to write.
    written: u64,
    /// The highest sequence number stored, and the first that has not been forgotten.
    newest: u64,
    first: u64,
}

impl PacketRing {
    /// A ring for `packets` packets and `bytes` bytes, whichever is reached first. Both are powers of two.
    pub(crate) fn new(packets: usize, bytes: usize) -> Self {
        debug_assert!(packets.is_power_of_two() && bytes.is_power_of_two());
        Self {
            capacity: (packets, bytes),
            entries: Box::default(),
            bytes: Box::default(),
            written: 0,
            newest: 0,
            first: 0,
        }
    }

    #[cold]
    fn allocate(&mut self) {
        self.entries = vec![Entry::default(); self.capacity.0].into_boxed_slice();
        self.bytes = vec![0; self.capacity.1].into_boxed_slice();
    }

    /// Stores a packet; what is older than a lap is forgotten. False when the packet is too large for the ring.
    pub(crate) fn push(&mut self, info: PacketInfo, descriptor: &[u8], payload: &[u8]) -> bool {
        let len = descriptor.len() + payload.len();
        if self.entries.is_empty() {
            self.allocate();
        }
        if len > self.bytes.len() || descriptor.len() > usize::from(u16::MAX) || payload.len() > usize::from(u16::MAX) {
            return false;
        }
        let at = self.reserve(len);
        self.bytes[at..at + descriptor.len()].copy_from_slice(descriptor);
        self.bytes[at + descriptor.len()..at + len].copy_from_slice(payload);
        let index = self.index(info.sequence);
        self.entries[index] = Entry {
            info,
            position: self.written,
            descriptor_len: descriptor.len() as u16,
            payload_len: payload.len() as u16,
            occupied: true,
        };
        self.written += len as u64;
        self.newest = self.newest.max(info.sequence);
        true
    }

    /// Whether a packet is so late that its place belongs to a newer one, or to another stream.
    pub(crate) fn has_passed(&self, sequence: u64) -> bool {
        sequence < self.first || self.newest.saturating_sub(sequence) >= self.capacity.0 as u64
    }

    /// Whether a packet that the ring has not passed has been stored, also when newer ones have taken its bytes since.
    pub(crate) fn has_stored(&self, sequence: u64) -> bool {
        let entry = self.entries.get(self.index(sequence));
        entry.is_some_and(|entry| entry.occupied && entry.info.sequence == sequence)
    }

    /// Finds room for `len` contiguous bytes, skipping the rest of a lap where they would not fit.
    fn reserve(&mut self, len: usize) -> usize {
        let capacity = self.bytes.len() as u64;
        let at = self.written & (capacity - 1);
        if at + len as u64 <= capacity {
            return at as usize;
        }
        self.written += capacity - at;
        0
    }

    fn index(&self, sequence: u64) -> usize {
        (sequence & (self.capacity.0 as u64 - 1)) as usize
    }

    /// The packet with this sequence number, if it is still there.
    pub(crate) fn get(&self, sequence: u64) -> Option<StoredPacket<'_>> {
        let entry = self.entries.get(self.index(sequence))?;
        let alive = entry.occupied
            && entry.info.sequence == sequence
            && sequence >= self.first
            && self.written - entry.position <= self.bytes.len() as u64;
        if !alive {
            return None;
        }
        let at = (entry.position & (self.bytes.len() as u64 - 1)) as usize;
        let stored = &self.bytes[at..at + usize::from(entry.descriptor_len) + usize::from(entry.payload_len)];
        let (descriptor, payload) = stored.split_at(usize::from(entry.descriptor_len));
        Some(StoredPacket { info: &entry.info, descriptor, payload })
    }

    /// Numbers after this one, up to the newest, that the ring may hold.
    pub(crate) fn after(&self, sequence: u64, newest: u64) -> std::ops::RangeInclusive<u64> {
        sequence.max(newest.saturating_sub(self.capacity.0 as u64)) + 1..=newest
    }

    /// Forgets every packet: the sender has begun a new stream, with higher numbers.
    pub(crate) fn clear(&mut self) {
        self.first = self.newest + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(sequence: u64) -> PacketInfo {
        PacketInfo { sequence, ..PacketInfo::default() }
    }

    #[test]
    fn packets_are_found_until_a_lap_later() {
        let mut ring = PacketRing::new(8, 1024);
        for sequence in 0..20 {
            assert!(ring.push(info(sequence), &[], &[sequence as u8; 10]));
        }
        assert!(ring.get(11).is_none());
        for sequence in 12..20 {
            assert_eq!(ring.get(sequence).unwrap().payload, [sequence as u8; 10]);
        }
        assert!(ring.get(20).is_none());
    }

    #[test]
    fn bytes_are_never_those_of_another_packet() {
        let mut ring = PacketRing::new(64, 1024);
        for sequence in 0..500_u64 {
            let len = 1 + (sequence * 37 % 400) as usize;
            assert!(ring.push(info(sequence), &[7; 3], &vec![sequence as u8; len]));
            for back in 0..64 {
                let Some(packet) = sequence.checked_sub(back).and_then(|s| ring.get(s)) else { continue };
                assert_eq!(packet.descriptor, [7; 3]);
                assert!(packet.payload.iter().all(|byte| *byte == packet.info.sequence as u8));
            }
            assert!(ring.get(sequence).is_some());
        }
    }

    #[test]
    fn late_packets_take_their_place() {
        let mut ring = PacketRing::new(8, 1024);
        ring.push(info(5), &[], b"five");
        ring.push(info(7), &[], b"seven");
        assert!(ring.get(6).is_none());
        ring.push(info(6), &[], b"six");
        assert_eq!(ring.get(6).unwrap().payload, b"six");
        ring.clear();
        assert!(ring.get(6).is_none() && ring.has_passed(7));
        ring.push(info(8), &[], b"eight");
        assert_eq!(ring.get(8).unwrap().payload, b"eight");
    }

    #[test]
    fn a_packet_that_has_left_is_too_late_and_one_whose_bytes_have_gone_is_known() {
        let mut ring = PacketRing::new(8, 64);
        for sequence in (10..20).filter(|sequence| *sequence != 15) {
            ring.push(info(sequence), &[], &[sequence as u8; 30]);
        }
        assert!(ring.has_passed(11) && !ring.has_passed(12));
        assert!(ring.get(17).is_none() && ring.has_stored(17));
        assert!(!ring.has_stored(15) && !ring.has_passed(15));
        assert!(!ring.has_stored(20) && !ring.has_passed(20));
    }

    #[test]
    fn what_may_follow_a_packet_is_no_more_than_the_ring_holds() {
        let ring = PacketRing::new(8, 64);
        assert!(ring.after(5, 9).eq(6..=9));
        assert!(ring.after(9, 9).eq([]) && ring.after(12, 9).eq([]));
        assert!(ring.after(5, 1_000_000).eq(999_993..=1_000_000));
    }

    #[test]
    fn an_unused_ring_takes_no_memory() {
        let ring = PacketRing::new(8, 64);
        assert!(ring.entries.is_empty() && ring.bytes.is_empty() && ring.get(3).is_none());
    }

    #[test]
    fn a_packet_larger_than_the_ring_is_refused() {
        assert!(!PacketRing::new(8, 64).push(info(1), &[], &[0; 65]));
    }
}
