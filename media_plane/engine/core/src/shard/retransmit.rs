//! Answering a receiver's NACK: the packet is made again from the ring of its source.

use super::Shard;
use super::fanout::{Departure, Envelope, Seal, send_time};
use crate::clock::{MILLISECOND, Micros};
use crate::outbox::Transmit;
use crate::track::Subscriber;
use crate::wire::rtp::OutgoingHeader;

/// The most packets one NACK message is answered with.
const MAX_RESENT: usize = 128;
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
            let sent = self.resend_packet(now, receiver, sequence, network);
            self.counters.retransmissions_sent += u64::from(sent.is_some());
        }
    }

    fn resend_packet(
        &mut self,
        now: Micros,
        receiver: Subscriber,
        sequence: u16,
        network: &mut dyn Transmit,
    ) -> Option<()> {
        let abs_send_time = send_time(now);
        let session = self.sessions.get_mut(receiver.session as usize)?.as_deref_mut()?;
        let interval = session.round_trip().max(LEAST_INTERVAL);
        let (path, srtp) = (session.path()?, session.srtp.as_ref()?);
        let slot = session.slots.get_mut(usize::from(receiver.slot))?;
        slot.figures.nacks += 1;
        let (segment, original) = slot.munger.find(sequence)?;
        let track = self.tracks.get(segment.source)?;
        let packet = track.ring.get(original)?;
        let format = slot.format.filter(|format| format.incoming == packet.info.payload_type)?;
        let outgoing = segment.outgoing(packet.info)?;
        if !slot.may_resend(now, sequence, interval) {
            return None;
        }
        let header = OutgoingHeader {
            marker: packet.info.marker,
            payload_type: format.outgoing,
            sequence_number: sequence,
            timestamp: outgoing.timestamp,
            ssrc: slot.ssrc,
        };
        let mut envelope = Envelope {
            header,
            original: None,
            numbers: outgoing.numbers,
            format: track.codec.as_ref().and_then(|(_, format)| *format),
        };
        let mut stream = &mut slot.stream;
        let mut transport_sequence = None;
        if let (Some(rtx_ssrc), Some(rtx_type)) = (slot.rtx_ssrc, format.rtx) {
            slot.rtx_sequence = slot.rtx_sequence.wrapping_add(1);
            envelope.header.ssrc = rtx_ssrc;
            envelope.header.payload_type = rtx_type;
            envelope.header.sequence_number = slot.rtx_sequence;
            envelope.original = Some(sequence);
            stream = &mut slot.rtx_stream;
            transport_sequence = session.sends_transport_cc.then_some(&mut session.transport_sequence);
        } else if slot.rtx_ssrc.is_some() {
            // The codec has no RTX although the slot has: its packets differ from one sending to the next.
            return None;
        }
        let seal = Seal { path, keys: &srtp.outbound, extensions: &session.extensions, stream, transport_sequence };
        let mut out = Departure { abs_send_time, outbox: &mut self.outbox, network };
        out.send(seal, &slot.mid, &envelope, &packet).map(|_| ())
    }
}
