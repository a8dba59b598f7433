//! Answering a receiver's NACK: the packet is made again from the ring of its source.

use super::Shard;
use super::fanout::{Departure, Envelope, Seal};
use crate::bandwidth::{BandwidthState, MAX_REPORTED, PACKET_OVERHEAD};
use crate::clock::{MILLISECOND, Micros};
use crate::format::Format;
use crate::outbox::Transmit;
use crate::pacer::Repair;
use crate::picture::LayerMark;
use crate::session::Session;
use crate::slot::Slot;
use crate::track::Subscriber;
use crate::twcc::TransportFeedback;
use crate::wire::rtp::OutgoingHeader;
use crate::work;

/// The most packets one NACK message is answered with.
pub(super) const MAX_RESENT: usize = 128;
/// A packet is not sent twice within this time even on the shortest path.
const LEAST_INTERVAL: Micros = 10 * MILLISECOND;

impl Shard {
    pub(super) fn resend(
        &mut self,
        now: Micros,
        index: u32,
        ssrc: u32,
        lost: impl Iterator<Item = u16>,
        network: &mut dyn Transmit,
    ) {
        let Some(receiver) = self.slot_by_ssrc(index, ssrc) else { return };
        for sequence in lost.take(MAX_RESENT) {
            work::step();
            if let Some(slot) = self.slot_mut(receiver) {
                slot.figures.nacks += 1;
            }
            self.repair(now, receiver, sequence, network);
        }
    }

    /// Sends what feedback reports lost again without being asked, as long as it comes in time. Not where the way is short of room: there
    /// losses are not by chance, and more is not the answer to them.
    pub(super) fn repair_reported(
        &mut self,
        now: Micros,
        index: u32,
        report: &TransportFeedback<'_>,
        network: &mut dyn Transmit,
    ) {
        let Some(session) = self.session(index).filter(|session| session.receiver_wait.is_lossy()) else { return };
        if matches!(session.bandwidth.estimate(now).state, BandwidthState::Delayed | BandwidthState::Lossy) {
            return;
        }
        let (newest, remembered) = session.bandwidth.reportable();
        let packets = report.packets_among(newest, remembered).take(MAX_REPORTED);
        for packet in packets.filter(|packet| packet.arrival_us.is_none()) {
            let session = self.session_mut(index);
            let lost = session.and_then(|session| session.carried.take_lost(now, packet.sequence_number));
            if let Some((slot, sequence)) = lost {
                self.repair(now, Subscriber { session: index, slot }, sequence, network);
            }
        }
    }

    /// Sends a lost packet again, or lets it wait for its turn.
    fn repair(&mut self, now: Micros, receiver: Subscriber, sequence: u16, network: &mut dyn Transmit) {
        let Some(session) = self.session_mut(receiver.session) else { return };
        if session.pacer.is_active() {
            // Pictures that are about to be left are not worth the time that their repair would take from the next.
            if session.slots.get(usize::from(receiver.slot)).is_some_and(|slot| slot.target.is_none()) {
                session.pacer.push_repair(Repair { slot: receiver.slot, sequence, since: now });
            }
            return;
        }
        self.send_repair(now, receiver, sequence, network);
    }

    /// Sends repairs that wait for their turn and may leave now.
    pub(super) fn repair_waiting(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        while let Some(repair) = self.session_mut(index).and_then(|session| session.pacer.pop_repair(now)) {
            work::step();
            let receiver = Subscriber { session: index, slot: repair.slot };
            self.send_repair(now, receiver, repair.sequence, network);
        }
    }

    /// Sends a lost packet again, unless it was within a round trip.
    fn send_repair(&mut self, now: Micros, receiver: Subscriber, sequence: u16, network: &mut dyn Transmit) {
        let round_trip = self.session(receiver.session).map_or(0, Session::round_trip);
        let sent = self.repeat(now, receiver, sequence, Some(round_trip.max(LEAST_INTERVAL)), network);
        self.counters.retransmissions_sent += u64::from(sent.is_some());
    }

    /// Sends a packet of a slot once more, with a limit only when it has not been within that time, and not for ever.
    /// Returns its length.
    pub(super) fn repeat(
        &mut self,
        now: Micros,
        receiver: Subscriber,
        sequence: u16,
        limit: Option<Micros>,
        network: &mut dyn Transmit,
    ) -> Option<usize> {
        let session = self.sessions.get_mut(receiver.session as usize)?.as_deref_mut()?;
        let (path, srtp) = (session.path()?, session.srtp.as_ref()?);
        let slot = session.slots.get_mut(usize::from(receiver.slot))?;
        let (segment, original) = slot.munger.find(sequence)?;
        let (format, track) = (segment.format, self.tracks.get(segment.source)?);
        let packet = track.ring.get(original).filter(|packet| packet.info.payload_type == format.incoming)?;
        let left_out = slot.has_left_out(segment.source, packet.info);
        let packet = if left_out { packet.emptied() } else { packet };
        let envelope = Envelope {
            header: OutgoingHeader {
                marker: !left_out && slot.ends_picture(segment.source, packet.info),
                payload_type: format.outgoing,
                sequence_number: sequence,
                timestamp: segment.timestamp(packet.info.timestamp),
                ssrc: slot.ssrc,
            },
            original: None,
            numbers: segment.outgoing(packet.info)?.numbers.filter(|_| !left_out),
            format: track.codec.as_ref().and_then(|(_, format)| *format),
            redundancy: format.redundancy,
            frames: None,
            playout_delay: None,
        };
        if limit.is_some_and(|interval| !slot.may_resend(now, sequence, interval)) {
            return None;
        }
        let repaired = slot.rtx_ssrc.is_some();
        if !repaired && packet.info.picture.layer != LayerMark::default() {
            // What was left out or marked as a picture's end then may not be now: it cannot be repeated as it was.
            return None;
        }
        let envelope = if repaired { wrap(slot, format, envelope)? } else { envelope };
        let number = (repaired && session.sends_transport_cc).then_some(session.transport_sequence);
        let seal = Seal {
            path,
            keys: &srtp.outbound,
            extensions: &session.extensions,
            stream: if repaired { &mut slot.rtx_stream } else { &mut slot.stream },
            transport_sequence: number.is_some().then_some(&mut session.transport_sequence),
            may_vary: repaired,
        };
        let mut out = Departure::new(now, &mut self.outbox, network, &mut self.counters.dropped_reuse);
        let len = out.send(seal, &slot.mid, &envelope, &packet)?;
        if limit.is_some() && !left_out {
            // What it takes there the packet has taken, too.
            session.receiver_wait.note_repair(now.saturating_sub(packet.info.arrival));
        }
        if let Some(number) = number {
            session.bandwidth.on_sent(now, number, len + PACKET_OVERHEAD);
            if limit.is_some() {
                session.note_carried(number, receiver.slot, sequence, track, packet.info.arrival);
            }
        }
        session.pacer.spend(len + PACKET_OVERHEAD);
        Some(len)
    }
}

/// Makes an RTX packet of a packet (RFC 4588); None when the codec has no RTX although the slot has one: then its packets
/// differ from one sending to the next and cannot be repeated as they were.
fn wrap<'a>(slot: &mut Slot, format: Format, envelope: Envelope<'a>) -> Option<Envelope<'a>> {
    let (ssrc, payload_type) = (slot.rtx_ssrc?, format.rtx?);
    slot.rtx_sequence = slot.rtx_sequence.wrapping_add(1);
    let original = Some(envelope.header.sequence_number);
    let header = OutgoingHeader { ssrc, payload_type, sequence_number: slot.rtx_sequence, ..envelope.header };
    Some(Envelope { header, original, ..envelope })
}
