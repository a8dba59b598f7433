//! Building compound packets.

use super::{
    FORMAT_APPLICATION, FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, FORMAT_TRANSPORT_CC, HEADER_LEN, MAX_COUNT,
    REMB_IDENTIFIER, ReportBlock, SDES_CNAME, SenderInfo, TYPE_BYE, TYPE_PAYLOAD_FEEDBACK, TYPE_RECEIVER_REPORT,
    TYPE_SDES, TYPE_SENDER_REPORT, TYPE_TRANSPORT_FEEDBACK,
};
use crate::wire::bytes::Writer;

/// Appends RTCP packets to a buffer of the caller.
///
/// Every method returns None when the packet does not fit into the buffer (or the format) and then leaves the buffer as
/// it was, so that what has been written remains a valid compound packet.
#[derive(Debug)]
pub struct RtcpWriter<'a>(Writer<'a>);

impl<'a> RtcpWriter<'a> {
    /// Writes to `buffer` from its beginning. Leave room for [`crate::srtp::MAX_OVERHEAD`] behind it.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self(Writer::new(buffer))
    }

    /// Length of the compound packet so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no packet yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The compound packet so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.0.written()
    }

    /// Appends SR with at most [`MAX_COUNT`] blocks.
    pub fn sender_report(&mut self, sender_ssrc: u32, info: &SenderInfo, reports: &[ReportBlock]) -> Option<()> {
        self.packet(TYPE_SENDER_REPORT, count(reports.len())?, |writer| {
            writer.put_u32(sender_ssrc)?;
            writer.put_u64(info.ntp_time.0)?;
            writer.put_u32(info.rtp_timestamp)?;
            writer.put_u32(info.packet_count)?;
            writer.put_u32(info.octet_count)?;
            put_reports(writer, reports)
        })
    }

    /// Appends RR with at most [`MAX_COUNT`] blocks.
    pub fn receiver_report(&mut self, sender_ssrc: u32, reports: &[ReportBlock]) -> Option<()> {
        self.packet(TYPE_RECEIVER_REPORT, count(reports.len())?, |writer| {
            writer.put_u32(sender_ssrc)?;
            put_reports(writer, reports)
        })
    }

    /// Appends SDES with one canonical name of at most 255 bytes.
    pub fn canonical_name(&mut self, ssrc: u32, cname: &str) -> Option<()> {
        self.packet(TYPE_SDES, 1, |writer| {
            writer.put_u32(ssrc)?;
            writer.put(&[SDES_CNAME, u8::try_from(cname.len()).ok()?])?;
            writer.put(cname.as_bytes())?;
            // The null item that ends the chunk.
            writer.put_u8(0)
        })
    }

    /// Appends SR without blocks and the name of its source, both or neither.
    pub fn named_sender_report(&mut self, sender_ssrc: u32, info: &SenderInfo, cname: &str) -> Option<()> {
        let start = self.0.len();
        let written = self.sender_report(sender_ssrc, info, &[]).and_then(|()| self.canonical_name(sender_ssrc, cname));
        if written.is_none() {
            self.0.truncate(start);
        }
        written
    }

    /// Appends BYE for at most [`MAX_COUNT`] streams.
    pub fn bye(&mut self, ssrcs: &[u32]) -> Option<()> {
        self.packet(TYPE_BYE, count(ssrcs.len())?, |writer| ssrcs.iter().try_for_each(|&ssrc| writer.put_u32(ssrc)))
    }

    /// Appends a generic NACK; `lost` is in ascending order.
    pub fn nack(&mut self, sender_ssrc: u32, media_ssrc: u32, lost: impl IntoIterator<Item = u16>) -> Option<()> {
        self.packet(TYPE_TRANSPORT_FEEDBACK, FORMAT_NACK, |writer| {
            writer.put_u32(sender_ssrc)?;
            writer.put_u32(media_ssrc)?;
            let mut entry: Option<(u16, u16)> = None;
            for sequence_number in lost {
                let distance = entry.map_or(0, |(first, _)| sequence_number.wrapping_sub(first));
                match &mut entry {
                    Some((_, mask)) if matches!(distance, 1..=16) => *mask |= 1 << (distance - 1),
                    _ => {
                        put_nack_entry(writer, entry)?;
                        entry = Some((sequence_number, 0));
                    }
                }
            }
            put_nack_entry(writer, entry)
        })
    }

    /// Appends PLI.
    pub fn picture_loss_indication(&mut self, sender_ssrc: u32, media_ssrc: u32) -> Option<()> {
        self.packet(TYPE_PAYLOAD_FEEDBACK, FORMAT_PLI, |writer| {
            writer.put_u32(sender_ssrc)?;
            writer.put_u32(media_ssrc)
        })
    }

    /// Appends FIR; each request is an SSRC and a number that the caller increases for each new request.
    pub fn full_intra_request(&mut self, sender_ssrc: u32, requests: &[(u32, u8)]) -> Option<()> {
        self.packet(TYPE_PAYLOAD_FEEDBACK, FORMAT_FIR, |writer| {
            writer.put_u32(sender_ssrc)?;
            writer.put_u32(0)?;
            requests.iter().try_for_each(|&(ssrc, number)| {
                writer.put_u32(ssrc)?;
                writer.put(&[number, 0, 0, 0])
            })
        })
    }

    /// Appends REMB; the bit rate is rounded down to 18 significant bits.
    pub fn receiver_estimated_max_bitrate(&mut self, sender_ssrc: u32, bitrate: u64, ssrcs: &[u32]) -> Option<()> {
        self.packet(TYPE_PAYLOAD_FEEDBACK, FORMAT_APPLICATION, |writer| {
            let exponent = 46_u32.saturating_sub(bitrate.leading_zeros());
            let mantissa = (bitrate >> exponent) as u32;
            writer.put_u32(sender_ssrc)?;
            writer.put_u32(0)?;
            writer.put(&REMB_IDENTIFIER)?;
            writer.put_u8(u8::try_from(ssrcs.len()).ok()?)?;
            writer.put_u24(exponent << 18 | mantissa)?;
            ssrcs.iter().try_for_each(|&ssrc| writer.put_u32(ssrc))
        })
    }

    /// Appends transport-cc feedback whose body, from the sender SSRC on, `write_body` writes.
    pub(crate) fn transport_feedback(&mut self, write_body: impl FnOnce(&mut Writer<'_>) -> Option<()>) -> Option<()> {
        self.packet(TYPE_TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC, write_body)
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count_or_format: u8,
        write_body: impl FnOnce(&mut Writer<'_>) -> Option<()>,
    ) -> Option<()> {
        let start = self.0.len();
        let written = self.try_packet(start, packet_type, count_or_format, write_body);
        if written.is_none() {
            self.0.truncate(start);
        }
        written
    }

    fn try_packet(
        &mut self,
        start: usize,
        packet_type: u8,
        count_or_format: u8,
        write_body: impl FnOnce(&mut Writer<'_>) -> Option<()>,
    ) -> Option<()> {
        self.0.put(&[0x80 | count_or_format, packet_type, 0, 0])?;
        write_body(&mut self.0)?;
        self.0.pad_to_word()?;
        let words = (self.0.len() - start - HEADER_LEN) / 4;
        self.0.patch_u16(start + 2, u16::try_from(words).ok()?)
    }
}

fn count(len: usize) -> Option<u8> {
    (len <= MAX_COUNT).then_some(len as u8)
}

fn put_reports(writer: &mut Writer<'_>, reports: &[ReportBlock]) -> Option<()> {
    reports.iter().try_for_each(|report| {
        let lost = report.cumulative_lost.clamp(-0x0080_0000, 0x007f_ffff);
        writer.put_u32(report.ssrc)?;
        writer.put_u8(report.fraction_lost)?;
        writer.put_u24(lost.cast_unsigned())?;
        writer.put_u32(report.highest_sequence_number)?;
        writer.put_u32(report.jitter)?;
        writer.put_u32(report.last_sender_report)?;
        writer.put_u32(report.delay_since_last_sender_report)
    })
}

fn put_nack_entry(writer: &mut Writer<'_>, entry: Option<(u16, u16)>) -> Option<()> {
    let Some((first, mask)) = entry else {
        return Some(());
    };
    writer.put_u16(first)?;
    writer.put_u16(mask)
}
