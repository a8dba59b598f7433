//! What a client gets in a slot: it asks again for what is missing and keeps everything for the test to look at.

use std::collections::BTreeMap;

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::wire::rtp::extend_sequence_number;

/// How long a gap is left alone, since the packet may only be late, and the time between two requests.
const PATIENCE: Micros = 30 * MILLISECOND;

/// A packet as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: Micros,
    pub timestamp: u32,
    pub payload_type: u8,
    pub marker: bool,
    pub mid: Option<String>,
    pub payload: Vec<u8>,
    pub by_retransmission: bool,
}

/// A slot's stream by extended sequence number.
#[derive(Debug, Default)]
pub struct SlotReceiver {
    pub packets: BTreeMap<u64, Received>,
    highest: Option<u64>,
    asked: BTreeMap<u64, Micros>,
    pub duplicates: usize,
}

impl SlotReceiver {
    pub fn insert(&mut self, sequence: u16, packet: Received) {
        let reference = self.highest.unwrap_or(0x1_0000 + u64::from(sequence));
        let sequence = extend_sequence_number(sequence, reference);
        self.highest = Some(self.highest.map_or(sequence, |highest| highest.max(sequence)));
        self.duplicates += usize::from(self.packets.insert(sequence, packet).is_some());
    }

    /// Sequence numbers that have not come between the first and the newest.
    pub fn missing(&self) -> Vec<u64> {
        let (Some((first, _)), Some(highest)) = (self.packets.first_key_value(), self.highest) else {
            return Vec::new();
        };
        (*first..highest).filter(|sequence| !self.packets.contains_key(sequence)).collect()
    }

    /// What to ask for now.
    pub fn nacks(&mut self, now: Micros) -> Vec<u16> {
        let due = |asked: Option<&Micros>| asked.is_some_and(|at| now >= *at + PATIENCE);
        let mut nacks = Vec::new();
        for sequence in self.missing() {
            let asked = self.asked.get(&sequence);
            if asked.is_none() {
                self.asked.insert(sequence, now);
            } else if due(asked) {
                self.asked.insert(sequence, now);
                nacks.push(sequence as u16);
            }
        }
        nacks
    }

    /// The packets in order.
    pub fn in_order(&self) -> impl Iterator<Item = &Received> {
        self.packets.values()
    }

    /// Packets that came in a stretch of time.
    pub fn count_between(&self, from: Micros, to: Micros) -> usize {
        self.packets.values().filter(|packet| (from..to).contains(&packet.at)).count()
    }
}
