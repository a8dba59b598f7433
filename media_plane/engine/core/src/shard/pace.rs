//! Sending in steps of 5 ms: video that waits for its turn, and the padding of bursts that find out what would pass.

use super::Shard;
use super::fanout::{Departure, Seal};
use crate::bandwidth::PACKET_OVERHEAD;
use crate::clock::{MILLISECOND, Micros};
use crate::outbox::Transmit;
use crate::track::Subscriber;
use crate::wire::rtp::OutgoingHeader;
use crate::work;

/// Time between two steps: short enough for a burst to look even to a slow link, long enough to cost next to nothing.
const STEP: Micros = 5 * MILLISECOND;
/// Packets of a slot that are sent again as padding, the newest first: if one of them was lost, the padding repairs it.
const RECENT: u16 = 32;
/// Bytes due from which on a repeated packet is sent rather than an empty one.
const LARGE: usize = 800;
/// The most packets of padding in a step: ten times what 10 Mbit/s need.
const MAX_PADDING: usize = 64;

impl Shard {
    /// Sends what is due to sessions that are sent to in steps.
    pub(super) fn pace(&mut self, now: Micros, network: &mut dyn Transmit) {
        if self.paced.is_empty() || now < self.next_step {
            return;
        }
        self.next_step = now + STEP;
        let mut paced = std::mem::take(&mut self.paced);
        paced.retain(|index| self.pace_session(now, *index, network));
        self.paced = paced;
        self.outbox.flush(network);
        self.count_sent();
    }

    /// Sends what waits, and padding where a burst wants more; false when the session needs no steps any more.
    fn pace_session(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) -> bool {
        let Some(session) = self.session_mut(index) else { return false };
        session.pacer.fill(now);
        self.drop_overdue(now, index, network);
        self.repair_waiting(now, index, network);
        self.forward_waiting(now, index, network);
        self.pad(now, index, network);
        let Some(session) = self.session_mut(index) else { return false };
        session.pacer.set_rate(now, session.bandwidth.pacing_rate(now));
        session.pacer.is_active() || session.bandwidth.is_probing()
    }

    /// Drops the pictures of slots that have waited too long; they go on with the next key frame.
    fn drop_overdue(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        while let Some(waiting) = self.session(index).and_then(|session| session.pacer.overdue(now)) {
            work::step();
            let Some(session) = self.session_mut(index) else { return };
            session.pacer.drop_slot(waiting.slot, None);
            session.pacer.drop_repairs(waiting.slot);
            let Some(slot) = session.slots.get_mut(usize::from(waiting.slot)) else { continue };
            slot.resynchronize();
            // A slot that is about to change needs no key frame of what it leaves.
            let awaited = slot.target.or(slot.source);
            let leaves = slot.target.is_some();
            self.counters.paced_out += 1;
            let Some(key) = awaited else { continue };
            match self.tracks.get_mut(key) {
                Some(track) if leaves => track.key_frames.want_for_new_receiver(),
                Some(track) => track.key_frames.want(),
                None => continue,
            }
            self.request_due_key_frame(now, key, network);
        }
    }

    /// Sends the padding that a session's burst wants now.
    fn pad(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let mut recent = 0;
        for _ in 0..MAX_PADDING {
            let Some(session) = self.session_mut(index) else { return };
            let due = session.bandwidth.padding_due(now);
            if due == 0 {
                break;
            }
            // A large packet of a slow burst would be all of it.
            let repeated = if due >= LARGE { self.repeat_recent(now, index, recent, network) } else { None };
            let sent = repeated.or_else(|| self.send_padding(now, index, network));
            recent = (recent + 1) % RECENT;
            if sent.is_none() {
                break;
            }
        }
    }

    /// Repeats the packet of a video slot that was sent so many packets ago.
    fn repeat_recent(&mut self, now: Micros, index: u32, ago: u16, network: &mut dyn Transmit) -> Option<usize> {
        let session = self.session(index)?;
        let fits = |slot: &&crate::slot::Slot| slot.rtx_ssrc.is_some() && slot.figures.packets > u64::from(ago);
        let place = session.slots.iter().position(|slot| fits(&slot))?;
        let sequence = session.slots[place].munger.last_sequence().wrapping_sub(ago);
        self.repeat(now, Subscriber { session: index, slot: place as u16 }, sequence, None, network)
    }

    /// Sends an RTX packet that holds nothing but padding.
    fn send_padding(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) -> Option<usize> {
        let session =
            self.sessions.get_mut(index as usize)?.as_deref_mut().filter(|session| session.sends_transport_cc)?;
        let (path, srtp) = (session.path()?, session.srtp.as_ref()?);
        let payload_type = session.codecs.iter().find_map(|codec| codec.rtx_payload_type)?;
        let slot = session.slots.iter_mut().find(|slot| slot.rtx_ssrc.is_some())?;
        slot.rtx_sequence = slot.rtx_sequence.wrapping_add(1);
        let header = OutgoingHeader {
            marker: false,
            payload_type,
            sequence_number: slot.rtx_sequence,
            timestamp: slot.munger.last_timestamp(),
            ssrc: slot.rtx_ssrc?,
        };
        let number = session.transport_sequence;
        let seal = Seal {
            path,
            keys: &srtp.outbound,
            extensions: &session.extensions,
            stream: &mut slot.rtx_stream,
            transport_sequence: Some(&mut session.transport_sequence),
            may_vary: true,
        };
        let mut out = Departure::new(now, &mut self.outbox, network, &mut self.counters.dropped_reuse);
        let len = out.pad(seal, &slot.mid, &header)?;
        session.bandwidth.on_sent(now, number, len + PACKET_OVERHEAD);
        session.pacer.spend(len + PACKET_OVERHEAD);
        Some(len)
    }
}
