//! RTCP to clients: what was lost, key-frame requests, congestion feedback, reports.

use super::Shard;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::loss::LossTracker;
use crate::outbox::{Outbox, Transmit};
use crate::params::MediaKind;
use crate::session::Session;
use crate::slab::{Key, Slab};
use crate::slot::Slot;
use crate::srtp::MAX_OVERHEAD;
use crate::track::Track;
use crate::wire::rtcp::{MAX_COUNT, NtpTime, ReportBlock, RtcpWriter, SenderInfo};
use crate::work;

/// RTCP packets stay below this, with room for IP, UDP and SRTCP.
const MAX_COMPOUND: usize = 1_200;
/// Time between reports; a browser's own interval for video.
const REPORT_INTERVAL: Micros = SECOND;
/// What a client without transport-cc may send: more than any of them does, since nothing is estimated for it.
const REMB_CEILING: u64 = 10_000_000;

impl Shard {
    /// Asks the senders for what has turned out to be missing.
    pub(super) fn ask_for_missing(&mut self, now: Micros, network: &mut dyn Transmit) {
        while let Some(track) = self.fanout.gaps.pop() {
            work::step();
            self.send_nacks(now, track, network);
        }
        while let Some(index) = self.fanout.skips.pop() {
            work::step();
            self.suspect_tracks(now, index);
        }
    }

    /// Asks again for what is still missing.
    pub(super) fn ask_again(&mut self, now: Micros, network: &mut dyn Transmit) {
        if now < self.next_nack {
            return;
        }
        self.next_nack = Micros::MAX;
        for place in 0..self.losing.len() {
            work::step();
            let key = self.losing[place];
            match self.tracks.get(key).and_then(|track| track.loss.next_due()) {
                Some(due) if now < due => self.next_nack = due.min(self.next_nack),
                _ => self.send_nacks(now, key, network),
            }
        }
        let tracks = &self.tracks;
        self.losing.retain(|key| tracks.get(*key).is_some_and(|track| !track.loss.is_empty()));
        self.outbox.flush(network);
        self.count_sent();
    }

    /// Sends the NACKs of a track that are due.
    fn send_nacks(&mut self, now: Micros, key: Key, network: &mut dyn Transmit) {
        let Some(track) = self.tracks.get_mut(key).filter(|track| !track.loss.is_empty()) else { return };
        let Some(session) = self.sessions.get_mut(track.owner as usize).and_then(Option::as_deref_mut) else { return };
        let Some(ssrc) = track.ssrc else { return };
        let round_trip = session.round_trip_if_measured();
        let mut asked = [0_u16; MAX_NACKED];
        let mut count = 0;
        let lost = track.loss.poll(now, round_trip, |sequence| {
            if let Some(place) = asked.get_mut(count) {
                *place = sequence as u16;
                count += 1;
            }
        });
        self.counters.packets_lost += lost;
        if lost > 0 {
            track.note_loss();
        }
        wait_for(key, &track.loss, &mut self.losing, &mut self.next_nack);
        if count > 0 {
            self.counters.nacks_sent += 1;
            let sender = session.control_ssrc;
            send_control(session, &mut self.outbox, network, |writer, _| {
                writer.nack(sender, ssrc, asked[..count].iter().copied())
            });
        }
    }

    /// Something of a session is missing, and nobody knows what: it may be the packet after the newest of a video stream that is
    /// under way.
    fn suspect_tracks(&mut self, now: Micros, index: u32) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        for key in &session.tracks {
            let Some(track) = self.tracks.get_mut(*key) else { continue };
            let under_way = track.last_arrival.is_some_and(|at| now.saturating_sub(at) < SUSPECTED_WITHIN);
            if under_way && track.kind == MediaKind::Video && track.nack && !track.muted {
                track.loss.suspect(now, track.reception.highest() + 1);
                wait_for(*key, &track.loss, &mut self.losing, &mut self.next_nack);
            }
        }
    }

    /// Sends a key-frame request to the sender of a track if one is wanted and it is not too early.
    ///
    /// Not of an encoding that is suspended while another one of the same pictures goes on: the sender would answer with key frames
    /// of all that it does send, which only fill its way.
    pub(super) fn request_due_key_frame(&mut self, now: Micros, key: Key, network: &mut dyn Transmit) {
        let is_suspended =
            self.tracks.get(key).is_some_and(|track| !track.active) && self.fastest_sibling(key).is_some();
        if is_suspended {
            return;
        }
        let Some(track) = self.tracks.get_mut(key).filter(|track| !track.muted) else { return };
        let Some(session) = self.sessions.get_mut(track.owner as usize).and_then(Option::as_deref_mut) else { return };
        let Some(ssrc) = track.ssrc.filter(|_| session.is_connected()) else { return };
        if !track.key_frames.is_due(now) {
            return;
        }
        self.counters.key_frame_requests_sent += 1;
        let sender = session.control_ssrc;
        send_control(session, &mut self.outbox, network, |writer, _| writer.picture_loss_indication(sender, ssrc));
    }

    /// Tells the sender when its packets arrived.
    pub(super) fn send_transport_feedback(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        while session.arrivals.due_us().is_some_and(|due| now >= due) {
            work::step();
            let media = session.tracks.iter().find_map(|key| self.tracks.get(*key)?.ssrc).unwrap_or_default();
            let sender = session.control_ssrc;
            let sent = send_control(session, &mut self.outbox, network, |writer, session| {
                session.arrivals.tell(session.uplink.told());
                session.arrivals.repeat(session.receiver_wait.is_lossy());
                session.arrivals.write_report(writer, sender, media, now)?;
                while session.arrivals.write_report(writer, sender, media, now).is_some() {}
                Some(())
            });
            if !sent {
                return;
            }
        }
    }

    /// Sends reports about everything received and everything sent.
    pub(super) fn send_reports(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let ntp = self.config.clock.ntp(now);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if now < session.next_report {
            return;
        }
        session.next_report = now + REPORT_INTERVAL;
        let tracks = &mut self.tracks;
        send_control(session, &mut self.outbox, network, |writer, session| {
            write_receiver_report(writer, session, tracks, now)
        });
        let tracks = &self.tracks;
        let slots = session.slots.len();
        let mut from = 0;
        while from < slots {
            work::step();
            // Without a path nothing is written, and a report that does not fit an empty packet never will: it is passed over.
            let mut next = from + 1;
            send_control(session, &mut self.outbox, network, |writer, session| {
                let rest = session.slots.get(from..)?;
                next = next.max(from + write_sender_reports(writer, rest, &session.cname, tracks, now, ntp));
                Some(())
            });
            from = next;
        }
    }

    /// Tells a client that everything sent to it ends.
    pub(super) fn send_bye(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let tracks = &mut self.tracks;
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        send_control(session, &mut self.outbox, network, |writer, session| {
            write_receiver_report(writer, session, tracks, now)?;
            let mut ssrcs = [0; MAX_COUNT];
            let sent = session.slots.iter().filter(|slot| slot.figures.packets > 0);
            let count = ssrcs.iter_mut().zip(sent).map(|(place, slot)| *place = slot.ssrc).count();
            writer.bye(&ssrcs[..count])
        });
    }
}

/// A stream that has been silent for longer has a pause, and its next packet is not missing.
const SUSPECTED_WITHIN: Micros = 500 * MILLISECOND;
/// NACKs of one message: as many as a track waits for at most.
const MAX_NACKED: usize = 256;

/// Lets the shard look at a track again when it has something to ask for.
fn wait_for(key: Key, loss: &LossTracker, losing: &mut Vec<Key>, next_nack: &mut Micros) {
    if let Some(due) = loss.next_due() {
        *next_nack = due.min(*next_nack);
        if !losing.contains(&key) {
            losing.push(key);
        }
    }
}

/// Writes a compound packet, seals it and sends it; false when nothing was written or the session is not connected.
fn send_control(
    session: &mut Session,
    outbox: &mut Outbox,
    network: &mut dyn Transmit,
    write: impl FnOnce(&mut RtcpWriter<'_>, &mut Session) -> Option<()>,
) -> bool {
    let Some(path) = session.path().filter(|_| session.srtp.is_some()) else { return false };
    let sent = outbox.datagram(&path, network, |buffer| {
        let mut writer = RtcpWriter::new(buffer.get_mut(..MAX_COMPOUND)?);
        write(&mut writer, session)?;
        let len = writer.len();
        let srtp = session.srtp.as_ref().filter(|_| len > 0)?;
        srtp.outbound.protect_rtcp(&mut session.control_out, buffer.get_mut(..len + MAX_OVERHEAD)?, len).ok()
    });
    sent.is_some()
}

fn write_receiver_report(
    writer: &mut RtcpWriter<'_>,
    session: &mut Session,
    tracks: &mut Slab<Track>,
    now: Micros,
) -> Option<()> {
    let round_trip = session.round_trip_if_measured();
    let mut blocks = [ReportBlock::default(); MAX_COUNT];
    let mut ssrcs = [0; MAX_COUNT];
    let mut count = 0;
    for key in session.tracks.iter().take(MAX_COUNT) {
        let Some(track) = tracks.get_mut(*key) else { continue };
        track.repair_wait = session.sender_wait;
        let Some((block, expected)) = report_block(track, now) else { continue };
        session.sender_wait.note(now, expected, block.fraction_lost, round_trip);
        (blocks[count], ssrcs[count]) = (block, block.ssrc);
        count += 1;
    }
    writer.receiver_report(session.control_ssrc, &blocks[..count])?;
    writer.canonical_name(session.control_ssrc, &session.cname)?;
    if !session.sends_transport_cc && count > 0 {
        writer.receiver_estimated_max_bitrate(session.control_ssrc, REMB_CEILING, &ssrcs[..count])?;
    }
    Some(())
}

/// Writes the reports of as many of these slots as fit; returns how many.
fn write_sender_reports(
    writer: &mut RtcpWriter<'_>,
    slots: &[Slot],
    cname: &str,
    tracks: &Slab<Track>,
    now: Micros,
    ntp: NtpTime,
) -> usize {
    let fits = |slot: &&Slot| match sender_report(slot, tracks, now, ntp) {
        Some(report) => writer.named_sender_report(slot.ssrc, &report, cname).is_some(),
        None => true,
    };
    slots.iter().take_while(fits).count()
}

/// What is reported of a track, and the packets expected since the report before.
fn report_block(track: &mut Track, now: Micros) -> Option<(ReportBlock, u32)> {
    let ssrc = track.ssrc?;
    let report = track.reception.report()?;
    track.fraction_lost = report.fraction_lost;
    let (last_sender_report, delay_since_last_sender_report) = match track.last_sender_report {
        Some((middle, arrival)) => (middle, ((now.saturating_sub(arrival) << 16) / SECOND) as u32),
        None => (0, 0),
    };
    let block = ReportBlock {
        ssrc,
        fraction_lost: report.fraction_lost,
        cumulative_lost: report.cumulative_lost,
        highest_sequence_number: report.extended_highest,
        jitter: report.jitter,
        last_sender_report,
        delay_since_last_sender_report,
    };
    Some((block, report.expected))
}

/// The report of a slot that carries something: the source's timestamp of now, in the slot's numbering.
fn sender_report(slot: &Slot, tracks: &Slab<Track>, now: Micros, ntp_time: NtpTime) -> Option<SenderInfo> {
    let segment = slot.munger.current().filter(|_| slot.figures.packets > 0)?;
    let track = tracks.get(segment.source).filter(|_| slot.source == Some(segment.source))?;
    let anchor = track.timestamp_anchor()?;
    let elapsed = now.saturating_sub(anchor.at) * Micros::from(track.clock_rate) / SECOND;
    Some(SenderInfo {
        ntp_time,
        rtp_timestamp: segment.timestamp(anchor.timestamp.wrapping_add(elapsed as u32)),
        packet_count: slot.figures.packets as u32,
        octet_count: slot.figures.octets as u32,
    })
}
