//! RTCP from clients.

use super::Shard;
use super::retransmit::MAX_RESENT;
use crate::bandwidth::MAX_REPORTED;
use crate::clock::{Micros, ntp_to_micros};
use crate::event::CloseReason;
use crate::outbox::{Path, Transmit};
use crate::session::{MAX_STREAMS, Session};
use crate::srtp::{InboundControl, SrtpError, rtcp_sender_ssrc};
use crate::track::{Subscriber, TimestampAnchor};
use crate::wire::rtcp::{ReportBlock, RtcpPacket, SenderInfo, packets};
use crate::work;

impl Shard {
    pub(super) fn handle_control(
        &mut self,
        now: Micros,
        index: u32,
        path: &Path,
        datagram: &mut [u8],
        network: &mut dyn Transmit,
    ) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if !session.control_work.has(now, RtcpPacket::MALFORMED_WORK) {
            self.counters.dropped_rtcp_rate += 1;
            return;
        }
        match open(session, datagram) {
            Ok(len) => {
                session.ice.heard(now, path);
                for packet in packets(&datagram[..len]) {
                    if !self.spend_on_control(now, index, packet.as_ref().ok()) {
                        self.counters.dropped_rtcp_rate += 1;
                        return;
                    }
                    work::step();
                    match packet {
                        Ok(packet) => self.handle_control_packet(now, index, packet, network),
                        Err(_) => self.counters.dropped_rtcp += 1,
                    }
                }
            }
            Err(SrtpError::Malformed) => self.counters.dropped_rtcp += 1,
            Err(SrtpError::Replay) => self.counters.dropped_srtp_replay += 1,
            Err(_) => self.counters.dropped_srtp_auth += 1,
        }
    }

    /// Whether a session's RTCP may make the shard do what this packet asks for.
    fn spend_on_control(&mut self, now: Micros, index: u32, packet: Option<&RtcpPacket<'_>>) -> bool {
        let work = packet.map_or(RtcpPacket::MALFORMED_WORK, |packet| packet.work(MAX_RESENT, MAX_REPORTED));
        let allowed = self.session_mut(index).is_some_and(|session| session.control_work.take(now, work));
        if allowed {
            self.counters.rtcp_work += work;
        }
        allowed
    }

    fn handle_control_packet(&mut self, now: Micros, index: u32, packet: RtcpPacket<'_>, network: &mut dyn Transmit) {
        match packet {
            RtcpPacket::SenderReport { sender_ssrc, info, reports } => {
                self.take_sender_report(now, index, sender_ssrc, &info);
                reports.for_each(|report| self.take_report(now, index, &report));
            }
            RtcpPacket::ReceiverReport { reports, .. } => {
                reports.for_each(|report| self.take_report(now, index, &report));
            }
            RtcpPacket::Nack { media_ssrc, lost, .. } => {
                self.counters.nacks_received += 1;
                self.resend(now, index, media_ssrc, lost, network);
            }
            RtcpPacket::PictureLossIndication { media_ssrc, .. } => {
                self.take_key_frame_request(now, index, media_ssrc, network);
            }
            RtcpPacket::FullIntraRequest { requests, .. } => {
                requests.for_each(|(ssrc, _)| self.take_key_frame_request(now, index, ssrc, network));
            }
            RtcpPacket::TransportFeedback(report) => self.take_feedback(now, index, &report, network),
            RtcpPacket::Bye(ssrcs) => self.take_bye(now, index, ssrcs),
            RtcpPacket::ReceiverEstimatedMaxBitrate { bitrate, .. } => self.take_remb(index, bitrate),
            // Names of sources have no use here.
            RtcpPacket::SourceDescription(_) | RtcpPacket::Other { .. } => {}
        }
    }

    fn take_sender_report(&mut self, now: Micros, index: u32, ssrc: u32, info: &SenderInfo) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Some(track) =
            session.tracks.iter().find(|key| self.tracks.get(**key).is_some_and(|track| track.ssrc == Some(ssrc)))
        else {
            return;
        };
        let Some(track) = self.tracks.get_mut(*track) else { return };
        track.last_sender_report = Some((info.ntp_time.middle(), now));
        let at = session.translate_client_time(ntp_to_micros(info.ntp_time), now);
        track.anchor = Some(TimestampAnchor { timestamp: info.rtp_timestamp, at });
    }

    /// A receiver's report about one of its slots.
    fn take_report(&mut self, now: Micros, index: u32, report: &ReportBlock) {
        let ntp = self.config.clock.ntp(now);
        let Some(session) = self.session_mut(index) else { return };
        let measured = session.round_trip_if_measured();
        let Some(slot) = session.slots.iter_mut().find(|slot| slot.ssrc == report.ssrc) else { return };
        slot.figures.fraction_lost = report.fraction_lost;
        let expected = slot.note_reported(report.highest_sequence_number);
        session.receiver_wait.note(now, expected, report.fraction_lost, measured);
        if let Some(round_trip) = report.round_trip_time(ntp) {
            session.note_round_trip(round_trip.as_micros() as Micros);
        }
    }

    /// A receiver lost a picture: the source of its slot is asked for a key frame, and what will follow it.
    fn take_key_frame_request(&mut self, now: Micros, index: u32, ssrc: u32, network: &mut dyn Transmit) {
        self.counters.key_frame_requests_received += 1;
        let Some(session) = self.session_mut(index) else { return };
        let Some(slot) = session.slots.iter_mut().find(|slot| slot.ssrc == ssrc) else { return };
        slot.figures.key_frames_requested += 1;
        let wanted = [slot.source, slot.target];
        for key in wanted.into_iter().flatten() {
            if let Some(track) = self.tracks.get_mut(key) {
                track.key_frames.want();
            }
            self.request_due_key_frame(now, key, network);
        }
    }

    /// Streams of the client end: until they begin anew their tracks are silent.
    fn take_bye(&mut self, now: Micros, index: u32, ssrcs: impl Iterator<Item = u32>) {
        for ssrc in ssrcs {
            work::step();
            let Some(session) = self.session(index) else { return };
            let stream = session.streams.iter().position(|stream| stream.ssrc == ssrc);
            let Some(key) = stream.map(|place| session.streams[place].track) else { continue };
            let ends = self.tracks.get(key).is_some_and(|track| track.ssrc == Some(ssrc) && track.active);
            if ends && self.may_stop(now, key) {
                self.silence_track(now, key);
            }
        }
    }

    /// Ends a session whose client has gone without a word.
    pub(super) fn end_if_expired(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) -> bool {
        let expired = self.session(index).is_some_and(|session| session.ice.has_expired(now));
        if expired {
            self.end_session(now, index, CloseReason::IceTimeout, network);
        }
        expired
    }

    /// The slot of a session that is sent with this SSRC.
    pub(super) fn slot_by_ssrc(&self, index: u32, ssrc: u32) -> Option<Subscriber> {
        let place = self.session(index)?.slots.iter().position(|slot| slot.ssrc == ssrc)?;
        Some(Subscriber { session: index, slot: place as u16 })
    }
}

/// Decrypts a compound packet in place.
fn open(session: &mut Session, datagram: &mut [u8]) -> Result<usize, SrtpError> {
    let srtp = session.srtp.as_ref().ok_or(SrtpError::Authentication)?;
    let sender = rtcp_sender_ssrc(datagram).ok_or(SrtpError::Malformed)?;
    let known = session.controls.iter().position(|(ssrc, _)| *ssrc == sender);
    let mut fresh = InboundControl::default();
    let state = known.map_or(&mut fresh, |place| &mut session.controls[place].1);
    let len = srtp.inbound.unprotect_rtcp(state, datagram)?;
    if known.is_none() && session.controls.len() < MAX_STREAMS {
        session.controls.push((sender, fresh));
    }
    Ok(len)
}
