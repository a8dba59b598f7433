//! RTCP of a client: what it says and what it hears.

use std::collections::{HashMap, HashSet};

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::srtp::{MAX_OVERHEAD, rtcp_sender_ssrc};
use parley_engine_core::wire::rtcp::{ReportBlock, RtcpPacket, RtcpWriter, SenderInfo, packets};

use super::Client;
use crate::sim::{AUDIO_SLOTS, VIDEO_SLOTS};

const REPORT_INTERVAL: Micros = SECOND;
/// Those of all slots fit into a packet however far they lie apart.
const NACKED_AT_ONCE: usize = 100;

/// What the node told a client by RTCP.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    pub key_frame_requests: Vec<Micros>,
    pub nacked: usize,
    pub transport_feedback: usize,
    pub packets_reported: usize,
    /// Transport-wide sequence numbers of what has been reported to have come.
    pub arrived: HashSet<u16>,
    pub losses_reported: usize,
    pub receiver_reports: usize,
    pub sender_reports: Vec<(u32, SenderInfo)>,
    pub byes: usize,
    pub closed: bool,
}

impl Client {
    pub(super) fn send_control(&mut self, now: Micros) {
        let mut nacks = Vec::new();
        if self.repairs {
            for mid in VIDEO_SLOTS {
                let ssrc = self.slot_ssrc(mid);
                let lost = self.slots.get_mut(mid).map(|slot| slot.nacks(now)).unwrap_or_default();
                if !lost.is_empty() {
                    nacks.push((ssrc, lost));
                }
            }
        }
        let reports = now >= self.next_report;
        if reports {
            self.next_report = now + REPORT_INTERVAL;
            self.say_limit();
        }
        let audio = self.sender.audio_ssrc;
        let video: Vec<_> =
            self.sender.encodings.iter().map(|encoding| (encoding.ssrc, encoding.timestamp(now))).collect();
        let ntp_time = self.clock.ntp(now);
        let blocks = if reports { self.report_blocks(now) } else { Vec::new() };
        self.write_control(|writer| {
            if reports {
                let info = |rtp_timestamp| SenderInfo { ntp_time, rtp_timestamp, ..SenderInfo::default() };
                writer.sender_report(audio, &info((now * 48 / 1_000) as u32), &blocks).unwrap();
                for (ssrc, timestamp) in video {
                    writer.sender_report(ssrc, &info(timestamp), &[]).unwrap();
                }
            }
            for (ssrc, lost) in &nacks {
                writer.nack(1, *ssrc, lost.iter().copied().take(NACKED_AT_ONCE)).unwrap();
            }
        });
        for (ssrc, lost) in nacks {
            for part in lost.chunks(NACKED_AT_ONCE).skip(1) {
                self.write_control(|writer| writer.nack(1, ssrc, part.iter().copied()).unwrap());
            }
        }
    }

    /// Reports on what the node sends, so that it learns of losses and the round trip time.
    fn report_blocks(&mut self, now: Micros) -> Vec<ReportBlock> {
        let losses: HashMap<_, _> = AUDIO_SLOTS
            .iter()
            .chain(&VIDEO_SLOTS)
            .filter_map(|mid| Some((self.slot_ssrc(mid), self.slots.get_mut(*mid)?.report()?)))
            .collect();
        let block = |(ssrc, (middle, arrival)): (&u32, &(u32, Micros))| {
            let (fraction_lost, highest_sequence_number) = losses.get(ssrc).copied().unwrap_or_default();
            ReportBlock {
                ssrc: *ssrc,
                fraction_lost,
                highest_sequence_number,
                last_sender_report: *middle,
                delay_since_last_sender_report: (((now - arrival) << 16) / SECOND) as u32,
                ..ReportBlock::default()
            }
        };
        let mut blocks: Vec<_> = self.sender_reports.iter().map(block).collect();
        blocks.sort_unstable_by_key(|block| block.ssrc);
        blocks
    }

    /// Tells the node when its packets arrived, every 50 to 100 ms, and asks for key frames where the picture stands still.
    pub(super) fn report_arrivals(&mut self, now: Micros) {
        if now >= self.next_arrival_report {
            self.next_arrival_report = now + 50 * MILLISECOND + now / MILLISECOND % 51 * MILLISECOND;
            let mut arrivals = std::mem::take(&mut self.arrivals);
            self.write_control(|writer| _ = arrivals.write_report(writer, 1, 2, now));
            self.arrivals = arrivals;
        }
        for mid in VIDEO_SLOTS {
            if self.slots.get_mut(mid).is_some_and(|slot| slot.wants_key_frame(now)) {
                self.request_key_frame(mid);
            }
        }
    }

    /// Says how much it can take (REMB) from now on, with each report, as a client without transport-cc does.
    pub fn limit(&mut self, bits_per_second: u64) {
        self.limit = Some(bits_per_second);
        self.say_limit();
    }

    fn say_limit(&mut self) {
        let ssrc = self.slot_ssrc(VIDEO_SLOTS[0]);
        if let Some(limit) = self.limit {
            self.write_control(|writer| writer.receiver_estimated_max_bitrate(1, limit, &[ssrc]).unwrap());
        }
    }

    /// Asks for a key frame in a slot.
    pub fn request_key_frame(&mut self, mid: &str) {
        let ssrc = self.slot_ssrc(mid);
        self.write_control(|writer| writer.picture_loss_indication(1, ssrc).unwrap());
    }

    /// Says that it stops sending its camera.
    pub fn say_bye(&mut self) {
        let ssrc = self.sender.video_ssrc();
        self.write_control(|writer| writer.bye(&[ssrc]).unwrap());
    }

    fn write_control(&mut self, write: impl FnOnce(&mut RtcpWriter<'_>)) {
        let mut buffer = [0; 1_200];
        let mut writer = RtcpWriter::new(&mut buffer);
        write(&mut writer);
        self.send_control_packet(writer.written());
    }

    /// Encrypts and sends a compound RTCP packet; nothing when it is shorter than a header.
    pub fn send_control_packet(&mut self, compound: &[u8]) {
        let Some((_, keys)) = self.keys.as_ref().filter(|_| compound.len() >= 8) else { return };
        let mut buffer = [compound, &[0; MAX_OVERHEAD]].concat();
        let len = keys.protect_rtcp(&mut self.control_out, &mut buffer, compound.len()).unwrap();
        buffer.truncate(len);
        self.outgoing.push(buffer);
    }

    pub(super) fn receive_control(&mut self, now: Micros, datagram: &mut [u8]) {
        let Some((keys, _)) = &self.keys else { return };
        let state = self.control_in.entry(rtcp_sender_ssrc(datagram).unwrap()).or_default();
        let len = keys.unprotect_rtcp(state, datagram).expect("the node's RTCP is right");
        if !self.listens {
            return;
        }
        let mut again = Vec::new();
        for packet in packets(&datagram[..len]) {
            match packet.expect("well-formed") {
                RtcpPacket::PictureLossIndication { media_ssrc, .. } => {
                    self.heard.key_frame_requests.push(now);
                    self.sender.want_key_frame(media_ssrc);
                }
                RtcpPacket::Nack { media_ssrc, lost, .. } => {
                    again.extend(lost.map(|sequence| (media_ssrc, sequence)));
                }
                RtcpPacket::TransportFeedback(feedback) => {
                    self.heard.transport_feedback += 1;
                    let (came, lost): (Vec<_>, Vec<_>) =
                        feedback.packets().partition(|packet| packet.arrival_us.is_some());
                    self.heard.packets_reported += came.len();
                    self.heard.arrived.extend(came.iter().map(|packet| packet.sequence_number));
                    self.heard.losses_reported += lost.len();
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    self.heard.receiver_reports += 1;
                    for report in reports {
                        self.sender.take_report(report.ssrc);
                    }
                }
                RtcpPacket::SenderReport { sender_ssrc, info, .. } => {
                    self.heard.sender_reports.push((sender_ssrc, info));
                    self.sender_reports.insert(sender_ssrc, (info.ntp_time.middle(), now));
                }
                RtcpPacket::Bye(_) => self.heard.byes += 1,
                _ => {}
            }
        }
        self.heard.nacked += again.len();
        let packets: Vec<_> =
            again.into_iter().filter_map(|(ssrc, sequence)| self.sender.retransmission(ssrc, sequence)).collect();
        for packet in packets {
            self.send_media(packet);
        }
    }
}
