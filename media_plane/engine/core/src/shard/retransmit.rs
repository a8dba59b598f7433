//! Answering a receiver's NACK: the packet is made again from the ring of its source.

use super::Shard;
use super::fanout::{Departure, Envelope, Seal, send_time};
use crate::clock::{MILLISECOND, Micros};
use crate::format::Format;
use crate::outbox::Transmit;
use crate::slot::Slot;
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
        let session = self.sessions.get_mut(receiver.session as usize)?.as_deref_mut()?;
        let interval = session.round_trip().max(LEAST_INTERVAL);
        let (path, srtp) = (session.path()?, session.srtp.as_ref()?);
        let slot = session.slots.get_mut(usize::from(receiver.slot))?;
        slot.figures.nacks += 1;
        let (segment, original) = slot.munger.find(sequence)?;
        let (format, track) = (segment.format, self.tracks.get(segment.source)?);
        let packet = track.ring.get(original).filter(|packet| packet.info.payload_type == format.incoming)?;
        let envelope = Envelope {
            header: OutgoingHeader {
                marker: packet.info.marker,
                payload_type: format.outgoing,
                sequence_number: sequence,
                timestamp: segment.timestamp(packet.info.timestamp),
                ssrc: slot.ssrc,
            },
            original: None,
            numbers: segment.outgoing(packet.info)?.numbers,
            format: track.codec.as_ref().and_then(|(_, format)| *format),
        };
        if !slot.may_resend(now, sequence, interval) {
            return None;
        }
        let repaired = slot.rtx_ssrc.is_some();
        let envelope = if repaired { wrap(slot, format, envelope)? } else { envelope };
        let seal = Seal {
            path,
            keys: &srtp.outbound,
            extensions: &session.extensions,
            stream: if repaired { &mut slot.rtx_stream } else { &mut slot.stream },
            transport_sequence: (repaired && session.sends_transport_cc).then_some(&mut session.transport_sequence),
            may_vary: repaired,
        };
        let mut out = Departure { abs_send_time: send_time(now), outbox: &mut self.outbox, network };
        out.send(seal, &slot.mid, &envelope, &packet).map(|_| ())
    }
}

/// Makes an RTX packet of a packet (RFC 4588); None when the codec has no RTX although the slot has one: then its packets
/// differ from one sending to the next and cannot be repeated as they were.
fn wrap(slot: &mut Slot, format: Format, envelope: Envelope) -> Option<Envelope> {
    let (ssrc, payload_type) = (slot.rtx_ssrc?, format.rtx?);
    slot.rtx_sequence = slot.rtx_sequence.wrapping_add(1);
    let original = Some(envelope.header.sequence_number);
    let header = OutgoingHeader { ssrc, payload_type, sequence_number: slot.rtx_sequence, ..envelope.header };
    Some(Envelope { header, original, ..envelope })
}
