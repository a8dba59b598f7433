//! What a client gets in a slot: it asks again for what is missing, decodes what can be decoded, and keeps everything for the
//! test to look at.

use std::collections::BTreeMap;

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::wire::rtp::extend_sequence_number;

use super::picture::decode;
use super::sender::{RTX_TYPE, VIDEO_TYPE};

/// How long a gap is left alone, since the packet may only be late, and the time between two requests.
const PATIENCE: Micros = 30 * MILLISECOND;
/// How often a packet is asked for, as in browsers.
const TRIES: u32 = 10;
/// Without a new picture for this long a key frame is asked for, and again after as long.
const FROZEN: Micros = 300 * MILLISECOND;

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
    /// How long the node says that pictures shall wait.
    pub wait: Option<Micros>,
}

/// A packet that has not come.
#[derive(Debug, Clone, Copy)]
struct Gap {
    since: Micros,
    tries: u32,
}

/// A slot's stream by extended sequence number.
#[derive(Debug, Default)]
pub struct SlotReceiver {
    pub packets: BTreeMap<u64, Received>,
    highest: Option<u64>,
    /// The first that the next report tells of.
    unreported: Option<u64>,
    gaps: BTreeMap<u64, Gap>,
    pub duplicates: usize,
    /// Packets of nothing but padding.
    pub padding: usize,
    /// When pictures were shown, and their height.
    pub shown: Vec<(Micros, u16)>,
    /// The first packet of the picture that comes next.
    next: Option<u64>,
    /// First packets of key frames after it.
    key_starts: Vec<u64>,
    asked_for_key_frame: Option<Micros>,
}

impl SlotReceiver {
    pub fn insert(&mut self, sequence: u16, packet: Received) {
        let reference = self.highest.unwrap_or(0x1_0000 + u64::from(sequence));
        let sequence = extend_sequence_number(sequence, reference);
        let now = packet.at;
        for missing in self.highest.map_or(sequence, |highest| highest + 1)..sequence {
            self.gaps.insert(missing, Gap { since: now, tries: 0 });
        }
        self.gaps.remove(&sequence);
        self.highest = Some(self.highest.map_or(sequence, |highest| highest.max(sequence)));
        let is_video = [VIDEO_TYPE, RTX_TYPE].contains(&packet.payload_type);
        if is_video && !packet.payload.is_empty() {
            let (_, mark) = decode(&packet.payload);
            if mark.key && mark.part == 0 && self.next.is_none_or(|next| sequence > next) {
                self.key_starts.push(sequence);
            }
        }
        self.duplicates += usize::from(self.packets.insert(sequence, packet).is_some());
        if is_video {
            while self.show(now) {}
        }
    }

    /// Shows the next picture if it is whole, or a later key frame that is.
    fn show(&mut self, now: Micros) -> bool {
        let mut starts = self.key_starts.iter().rev().copied().chain(self.next);
        let Some((start, (end, height))) = starts.find_map(|start| Some((start, self.whole(start)?))) else {
            return false;
        };
        self.next = Some(end + 1);
        self.key_starts.retain(|key| *key > start);
        self.shown.push((now, height));
        true
    }

    /// The last packet and the height of the picture that starts with this packet, if all of it is there.
    fn whole(&self, start: u64) -> Option<(u64, u16)> {
        let mut sequence = start;
        loop {
            // An empty packet keeps the place of one that the node dropped on purpose: its picture will never be whole.
            let packet = self.packets.get(&sequence).filter(|packet| !packet.payload.is_empty())?;
            if packet.marker {
                return Some((sequence, decode(&packet.payload).1.height));
            }
            sequence += 1;
        }
    }

    /// Sequence numbers that have not come between the first and the newest.
    pub fn missing(&self) -> Vec<u64> {
        let Some((first, _)) = self.packets.first_key_value() else { return Vec::new() };
        self.gaps.keys().copied().filter(|gap| gap > first).collect()
    }

    /// The part, in 256ths, of the packets since the last report that did not come of their own, and the highest number of all.
    pub fn report(&mut self) -> Option<(u8, u32)> {
        let (highest, (first, _)) = (self.highest?, self.packets.first_key_value()?);
        let end = highest + 1;
        let from = self.unreported.replace(end).unwrap_or(*first);
        let came = self.packets.range(from..end).filter(|(_, packet)| !packet.by_retransmission).count() as u64;
        let expected = end - from;
        let lost = ((expected - came) * 256).checked_div(expected).unwrap_or_default().min(255) as u8;
        Some((lost, highest as u32))
    }

    /// What to ask for now.
    pub fn nacks(&mut self, now: Micros) -> Vec<u16> {
        let due = |gap: &&mut Gap| gap.tries < TRIES && now >= gap.since + PATIENCE;
        let mut nacks = Vec::new();
        for (sequence, gap) in &mut self.gaps {
            if due(&gap) {
                *gap = Gap { since: now, tries: gap.tries + 1 };
                nacks.push(*sequence as u16);
            }
        }
        nacks
    }

    /// Whether a key frame is to be asked for, because packets come and no picture can be shown.
    pub fn wants_key_frame(&mut self, now: Micros) -> bool {
        let last = self.shown.last().map_or(0, |(at, _)| *at).max(self.asked_for_key_frame.unwrap_or_default());
        let comes = self.packets.values().next_back().is_some_and(|packet| packet.at + FROZEN >= now);
        let wants = comes && now >= last + FROZEN && self.packets.len() > 1;
        if wants {
            self.asked_for_key_frame = Some(now);
        }
        wants
    }

    /// The height of the picture that was shown at a time.
    pub fn height_at(&self, at: Micros) -> u16 {
        self.shown.iter().rev().find(|(shown, _)| *shown <= at).map_or(0, |(_, height)| *height)
    }

    /// The longest time without a new picture in a stretch of time.
    pub fn longest_freeze(&self, from: Micros, to: Micros) -> Micros {
        let within = self.shown.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at));
        let ends = within.clone().chain([to]);
        [from].into_iter().chain(within).zip(ends).map(|(one, next)| next - one).max().unwrap_or_default()
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
