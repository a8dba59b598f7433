//! What the shard has sealed under each number, so that every simulated test finds out when a number carries two packets.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use parley_engine_core::wire::demux::{DatagramKind, classify};
use parley_engine_core::wire::rtp::{RtpHeader, extend_sequence_number};

/// What has been sealed under each index of one stream, as a hash; 0: nothing.
#[derive(Debug, Default)]
struct Stream {
    highest: u64,
    first: u64,
    contents: Vec<u64>,
}

/// All streams and RTCP senders of the shard.
#[derive(Debug, Default)]
pub struct Sealed {
    streams: HashMap<(DatagramKind, u32), Stream>,
    /// Packets that have left a second time, bit by bit as before.
    pub repeated: u64,
}

impl Sealed {
    /// A client with new keys has these SSRCs.
    pub fn forget(&mut self, ssrcs: Range<u32>) {
        self.streams.retain(|(_, ssrc), _| !ssrcs.contains(ssrc));
    }

    /// Takes note of a datagram that leaves the shard.
    pub fn note(&mut self, datagram: &[u8]) {
        let kind = classify(datagram);
        match kind {
            DatagramKind::Rtp => {
                let header = RtpHeader::parse(datagram).unwrap();
                let stream = self.streams.entry((kind, header.ssrc)).or_default();
                let number = header.sequence_number;
                let index = match stream.contents[..] {
                    [] => number.into(),
                    _ => extend_sequence_number(number, stream.highest),
                };
                self.repeated += u64::from(stream.note(index, datagram));
            }
            // The flag and the index end the packet under AES-GCM (RFC 7714 section 9), which the clients agree on.
            DatagramKind::Rtcp => {
                let [ssrc, word] = [&datagram[4..8], &datagram[datagram.len() - 4..]]
                    .map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
                self.streams.entry((kind, ssrc)).or_default().note(u64::from(word & 0x7fff_ffff), datagram);
            }
            _ => {}
        }
    }
}

impl Stream {
    /// True when the packet has left before.
    fn note(&mut self, index: u64, datagram: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        datagram.hash(&mut hasher);
        let content = hasher.finish() | 1;
        if self.contents.is_empty() {
            // What left late may be older than the first.
            self.first = index.saturating_sub(2_000);
        }
        let place = usize::try_from(index.checked_sub(self.first).expect("far older than the first")).unwrap();
        if place >= self.contents.len() {
            self.contents.resize(place + 1, 0);
        }
        self.highest = self.highest.max(index);
        let before = std::mem::replace(&mut self.contents[place], content);
        assert!(before == 0 || before == content, "two packets under index {index}: {datagram:02x?}");
        before != 0
    }
}
