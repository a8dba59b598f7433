//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, RFC 5506 and the REMB and transport-cc drafts).
//!
//! [`packets`] walks a compound packet; [`RtcpWriter`] builds one.

#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use super::bytes::{array_at, u8_at, u16_at, u24_at, u32_at, u64_at};
use crate::twcc::TransportFeedback;
pub use write::RtcpWriter;

/// Length of the part that all packets share.
const HEADER_LEN: usize = 4;
const SENDER_INFO_LEN: usize = 20;
const REPORT_BLOCK_LEN: usize = 24;
/// The most report blocks, chunks or sources that one packet can count.
pub const MAX_COUNT: usize = 31;

const TYPE_SENDER_REPORT: u8 = 200;
const TYPE_RECEIVER_REPORT: u8 = 201;
const TYPE_SDES: u8 = 202;
const TYPE_BYE: u8 = 203;
const TYPE_TRANSPORT_FEEDBACK: u8 = 205;
const TYPE_PAYLOAD_FEEDBACK: u8 = 206;

const FORMAT_NACK: u8 = 1;
const FORMAT_TRANSPORT_CC: u8 = 15;
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;
const FORMAT_APPLICATION: u8 = 15;
const REMB_IDENTIFIER: [u8; 4] = *b"REMB";
const SDES_CNAME: u8 = 1;

/// A packet whose length or structure is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedRtcp;

/// A time in the format of NTP: seconds since 1900 in the upper 32 bits, their fraction in the lower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds from the epoch of NTP to that of Unix.
    const UNIX_EPOCH: u64 = 2_208_988_800;

    /// Converts a duration since the Unix epoch.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(since_epoch.as_secs().wrapping_add(Self::UNIX_EPOCH) << 32 | fraction)
    }

    /// The middle 32 bits, by which reception reports refer to a sender report; units of 2^-16 s.
    #[must_use]
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What a sender report says about its sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp_time: NtpTime,
    /// The same instant on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far; wraps.
    pub packet_count: u32,
    /// Payload bytes sent so far; wraps.
    pub octet_count: u32,
}

/// What a receiver says about one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Loss since the previous report in units of 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far; negative when duplicates came. 24 bits on the wire, clamped when written.
    pub cumulative_lost: i32,
    /// Highest sequence number received, below a count of its rollovers.
    pub highest_sequence_number: u32,
    /// Interarrival jitter in units of the RTP clock.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report; 0: none came yet.
    pub last_sender_report: u32,
    /// Time since that report in units of 2^-16 s.
    pub delay_since_last_sender_report: u32,
}

impl ReportBlock {
    fn parse(block: &[u8]) -> Option<Self> {
        Some(Self {
            ssrc: u32_at(block, 0)?,
            fraction_lost: u8_at(block, 4)?,
            // Shifting up and down again extends the sign of the 24-bit field.
            cumulative_lost: (u24_at(block, 5)? << 8).cast_signed() >> 8,
            highest_sequence_number: u32_at(block, 8)?,
            jitter: u32_at(block, 12)?,
            last_sender_report: u32_at(block, 16)?,
            delay_since_last_sender_report: u32_at(block, 20)?,
        })
    }

    /// The round-trip time, if the block refers to a sender report of ours and arrived at `now` (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn round_trip_time(&self, now: NtpTime) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let elapsed = now.middle().wrapping_sub(self.last_sender_report);
        let units = elapsed.wrapping_sub(self.delay_since_last_sender_report);
        // Clocks that disagree by a little give a small negative number, which is a large one here.
        let units = if units >= 0x8000_0000 { 0 } else { units };
        Some(Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16))
    }
}

/// One packet of a compound packet. Lists are iterators over the datagram.
#[derive(Debug, Clone)]
pub enum RtcpPacket<'a> {
    /// SR.
    SenderReport {
        /// The reporting stream.
        sender_ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// What it has received.
        reports: ReportBlocks<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        sender_ssrc: u32,
        /// What it has received.
        reports: ReportBlocks<'a>,
    },
    /// SDES.
    SourceDescription(SdesChunks<'a>),
    /// BYE: these streams end.
    Bye(Ssrcs<'a>),
    /// Generic NACK (RFC 4585 section 6.2.1).
    Nack {
        /// Who asks.
        sender_ssrc: u32,
        /// The stream that lost packets.
        media_ssrc: u32,
        /// Sequence numbers of the lost packets.
        lost: NackedPackets<'a>,
    },
    /// PLI (RFC 4585 section 6.3.1): a key frame is wanted.
    PictureLossIndication {
        /// Who asks.
        sender_ssrc: u32,
        /// The stream it wants one of.
        media_ssrc: u32,
    },
    /// FIR (RFC 5104 section 4.3.1): a key frame is wanted.
    FullIntraRequest {
        /// Who asks.
        sender_ssrc: u32,
        /// The streams it wants one of, with a number that changes for each new request.
        requests: FirRequests<'a>,
    },
    /// REMB (draft-alvestrand-rmcat-remb): the receiver's estimate of what it can receive.
    ReceiverEstimatedMaxBitrate {
        /// Who estimates.
        sender_ssrc: u32,
        /// Bits a second.
        bitrate: u64,
        /// The streams that share it.
        ssrcs: Ssrcs<'a>,
    },
    /// Transport-wide congestion control feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// A well-formed packet of a type that the engine does not use.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

/// Units of work for a packet of RTCP as such, for a report block, whose stream is looked for, for a packet that is asked for again,
/// and for a stream that ends. A status of transport-cc is one. All count for about 20 ns.
const PACKET_WORK: usize = 8;
const BLOCK_WORK: usize = 4;
const NACKED_WORK: usize = 4;
const BYE_WORK: usize = 2;

impl RtcpPacket<'_> {
    /// What acting upon the packet costs, if no more than so many lost packets and statuses of it are looked at.
    pub(crate) fn work(&self, most_lost: usize, most_statuses: usize) -> u64 {
        let items = match self {
            Self::SenderReport { reports, .. } | Self::ReceiverReport { reports, .. } => {
                BLOCK_WORK * (reports.0.len() / REPORT_BLOCK_LEN)
            }
            Self::Nack { lost, .. } => NACKED_WORK * lost.count_up_to(most_lost),
            Self::FullIntraRequest { requests, .. } => PACKET_WORK * requests.0.len() / 8,
            Self::TransportFeedback(report) => report.work(most_statuses),
            Self::Bye(ssrcs) => BYE_WORK * ssrcs.0.len() / 4,
            Self::SourceDescription(_)
            | Self::PictureLossIndication { .. }
            | Self::ReceiverEstimatedMaxBitrate { .. }
            | Self::Other { .. } => 0,
        };
        (PACKET_WORK + items) as u64
    }

    /// What a malformed packet costs.
    pub(crate) const MALFORMED_WORK: u64 = PACKET_WORK as u64;
}

/// Iterates over the packets of a decrypted compound (or reduced-size, RFC 5506) packet. It ends after an error.
#[must_use]
pub fn packets(compound: &[u8]) -> RtcpPackets<'_> {
    RtcpPackets { rest: compound }
}

/// See [`packets`].
#[derive(Debug, Clone)]
pub struct RtcpPackets<'a> {
    rest: &'a [u8],
}

impl<'a> RtcpPackets<'a> {
    fn read(&mut self) -> Option<RtcpPacket<'a>> {
        let [flags, packet_type] = array_at(self.rest, 0)?;
        let len = HEADER_LEN + usize::from(u16_at(self.rest, 2)?) * 4;
        let (packet, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        if flags >> 6 != 2 {
            return None;
        }
        let mut body = packet.get(HEADER_LEN..)?;
        if flags & 0x20 != 0 {
            // RFC 3550 lets only the last packet be padded, but libwebrtc and str0m pad transport-cc feedback anywhere.
            let padding = usize::from(*body.last()?);
            body = body.get(..body.len().checked_sub(padding).filter(|_| padding > 0)?)?;
        }
        parse_body(packet_type, flags & 0x1f, body)
    }
}

impl<'a> Iterator for RtcpPackets<'a> {
    type Item = Result<RtcpPacket<'a>, MalformedRtcp>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.read().ok_or(MalformedRtcp);
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

fn parse_body(packet_type: u8, count: u8, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let count_len = usize::from(count);
    Some(match packet_type {
        TYPE_SENDER_REPORT => RtcpPacket::SenderReport {
            sender_ssrc: u32_at(body, 0)?,
            info: SenderInfo {
                ntp_time: NtpTime(u64_at(body, 4)?),
                rtp_timestamp: u32_at(body, 12)?,
                packet_count: u32_at(body, 16)?,
                octet_count: u32_at(body, 20)?,
            },
            reports: ReportBlocks::new(body, 4 + SENDER_INFO_LEN, count_len)?,
        },
        TYPE_RECEIVER_REPORT => RtcpPacket::ReceiverReport {
            sender_ssrc: u32_at(body, 0)?,
            reports: ReportBlocks::new(body, 4, count_len)?,
        },
        TYPE_SDES => RtcpPacket::SourceDescription(SdesChunks::new(body, count)?),
        TYPE_BYE => RtcpPacket::Bye(Ssrcs::new(body, 0, count_len)?),
        TYPE_TRANSPORT_FEEDBACK => match count {
            FORMAT_NACK => RtcpPacket::Nack {
                sender_ssrc: u32_at(body, 0)?,
                media_ssrc: u32_at(body, 4)?,
                lost: NackedPackets::new(body.get(8..)?)?,
            },
            FORMAT_TRANSPORT_CC => RtcpPacket::TransportFeedback(TransportFeedback::parse(body)?),
            _ => RtcpPacket::Other { packet_type },
        },
        TYPE_PAYLOAD_FEEDBACK => parse_payload_feedback(count, body)?,
        _ => RtcpPacket::Other { packet_type },
    })
}

fn parse_payload_feedback(format: u8, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let sender_ssrc = u32_at(body, 0)?;
    let media_ssrc = u32_at(body, 4)?;
    Some(match format {
        FORMAT_PLI => RtcpPacket::PictureLossIndication { sender_ssrc, media_ssrc },
        FORMAT_FIR => {
            let requests = body.get(8..)?;
            (requests.len() % 8 == 0).then_some(())?;
            RtcpPacket::FullIntraRequest { sender_ssrc, requests: FirRequests(requests) }
        }
        FORMAT_APPLICATION if array_at(body, 8) == Some(REMB_IDENTIFIER) => {
            let exponent = u32::from(u8_at(body, 13)? >> 2);
            let mantissa = u64::from(u24_at(body, 13)? & 0x0003_ffff);
            let bitrate = if mantissa.leading_zeros() >= exponent { mantissa << exponent } else { u64::MAX };
            let ssrcs = Ssrcs::new(body, 16, usize::from(u8_at(body, 12)?))?;
            RtcpPacket::ReceiverEstimatedMaxBitrate { sender_ssrc, bitrate, ssrcs }
        }
        _ => RtcpPacket::Other { packet_type: TYPE_PAYLOAD_FEEDBACK },
    })
}

/// The report blocks of a sender or receiver report.
#[derive(Debug, Clone, Default)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl<'a> ReportBlocks<'a> {
    fn new(body: &'a [u8], at: usize, count: usize) -> Option<Self> {
        Some(Self(body.get(at..at + count * REPORT_BLOCK_LEN)?))
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<Self::Item> {
        let (block, rest) = self.0.split_at_checked(REPORT_BLOCK_LEN)?;
        self.0 = rest;
        ReportBlock::parse(block)
    }
}

/// A list of SSRCs.
#[derive(Debug, Clone, Default)]
pub struct Ssrcs<'a>(&'a [u8]);

impl<'a> Ssrcs<'a> {
    fn new(body: &'a [u8], at: usize, count: usize) -> Option<Self> {
        Some(Self(body.get(at..at + count * 4)?))
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<Self::Item> {
        let (&ssrc, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(ssrc))
    }
}

/// The sequence numbers that a generic NACK asks for: each entry names one and, in a bit mask, up to 16 after it.
#[derive(Debug, Clone, Default)]
pub struct NackedPackets<'a> {
    entries: &'a [u8],
    next: u16,
    mask: u32,
}

impl<'a> NackedPackets<'a> {
    fn new(entries: &'a [u8]) -> Option<Self> {
        entries.len().is_multiple_of(4).then_some(Self { entries, next: 0, mask: 0 })
    }

    /// How many there are, or so many when there are more.
    fn count_up_to(&self, most: usize) -> usize {
        let masks = self.entries.chunks_exact(4).map(|entry| u16::from_be_bytes([entry[2], entry[3]]));
        masks.take(most).map(|mask| 1 + mask.count_ones() as usize).sum::<usize>().min(most)
    }
}

impl Iterator for NackedPackets<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<Self::Item> {
        if self.mask == 0 {
            let (&[a, b, c, d], rest) = self.entries.split_first_chunk()?;
            self.entries = rest;
            self.next = u16::from_be_bytes([a, b]);
            self.mask = u32::from(u16::from_be_bytes([c, d])) << 1 | 1;
        }
        let skipped = self.mask.trailing_zeros();
        let sequence_number = self.next.wrapping_add(skipped as u16);
        self.next = sequence_number.wrapping_add(1);
        self.mask = self.mask >> skipped >> 1;
        Some(sequence_number)
    }
}

/// The entries of a full intra request: SSRC and request number.
#[derive(Debug, Clone, Default)]
pub struct FirRequests<'a>(&'a [u8]);

impl Iterator for FirRequests<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d, number, ..], rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some((u32::from_be_bytes([a, b, c, d]), number))
    }
}

/// The chunks of a source description: SSRC and canonical name, where it has one.
#[derive(Debug, Clone, Default)]
pub struct SdesChunks<'a> {
    rest: &'a [u8],
    count: u8,
}

impl<'a> SdesChunks<'a> {
    /// Walks all chunks once, so that iterating cannot fail.
    fn new(body: &'a [u8], count: u8) -> Option<Self> {
        let chunks = Self { rest: body, count };
        let mut walk = chunks.clone();
        for _ in 0..count {
            walk.read()?;
        }
        Some(chunks)
    }

    fn read(&mut self) -> Option<(u32, Option<&'a [u8]>)> {
        let ssrc = u32_at(self.rest, 0)?;
        let mut at = 4;
        let mut cname = None;
        loop {
            let kind = u8_at(self.rest, at)?;
            if kind == 0 {
                break;
            }
            let value_at = at + 2;
            at = value_at + usize::from(u8_at(self.rest, at + 1)?);
            let value = self.rest.get(value_at..at)?;
            if kind == SDES_CNAME {
                cname = Some(value);
            }
        }
        // A chunk ends in one to four zero bytes, at a word boundary.
        self.rest = self.rest.get((at + 1).next_multiple_of(4)..)?;
        Some((ssrc, cname))
    }
}

impl<'a> Iterator for SdesChunks<'a> {
    type Item = (u32, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        self.read()
    }
}
