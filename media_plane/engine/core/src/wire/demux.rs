//! Telling STUN, DTLS, RTP and RTCP apart on one port (RFC 7983 and RFC 5761).

/// What a datagram looks like from its first two bytes and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// A STUN message (first byte 0 to 3).
    Stun,
    /// A DTLS record (first byte 20 to 63).
    Dtls,
    /// An RTP or SRTP packet.
    Rtp,
    /// An RTCP or SRTCP packet.
    Rtcp,
    /// Nothing that the engine speaks, or too short to be it.
    Noise,
}

const STUN_HEADER_LEN: usize = 20;
const DTLS_RECORD_HEADER_LEN: usize = 13;
const RTP_HEADER_LEN: usize = 12;
const RTCP_HEADER_LEN: usize = 8;

/// Classifies a datagram. The answer is a guess good enough to choose a parser; the parser decides.
#[inline]
#[must_use]
pub fn classify(datagram: &[u8]) -> DatagramKind {
    let &[first, second, ..] = datagram else {
        return DatagramKind::Noise;
    };
    let (kind, least) = match first {
        0..=3 => (DatagramKind::Stun, STUN_HEADER_LEN),
        20..=63 => (DatagramKind::Dtls, DTLS_RECORD_HEADER_LEN),
        // RFC 5761 section 4: RTCP packet types occupy 192 to 223, which RTP payload types therefore leave free.
        128..=191 if matches!(second, 192..=223) => (DatagramKind::Rtcp, RTCP_HEADER_LEN),
        128..=191 => (DatagramKind::Rtp, RTP_HEADER_LEN),
        _ => return DatagramKind::Noise,
    };
    if datagram.len() < least { DatagramKind::Noise } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_rfc_7983() {
        let kind = |first: u8, second: u8| {
            let mut datagram = [0; 32];
            datagram[0] = first;
            datagram[1] = second;
            classify(&datagram)
        };
        assert_eq!(kind(0, 1), DatagramKind::Stun);
        assert_eq!(kind(3, 0), DatagramKind::Stun);
        assert_eq!(kind(4, 0), DatagramKind::Noise);
        assert_eq!(kind(16, 0), DatagramKind::Noise);
        assert_eq!(kind(20, 254), DatagramKind::Dtls);
        assert_eq!(kind(63, 0), DatagramKind::Dtls);
        assert_eq!(kind(64, 0), DatagramKind::Noise);
        assert_eq!(kind(0x80, 96), DatagramKind::Rtp);
        assert_eq!(kind(0x80, 0x80 + 63), DatagramKind::Rtp);
        assert_eq!(kind(0x80, 0x80 + 96), DatagramKind::Rtp);
        assert_eq!(kind(0x80, 200), DatagramKind::Rtcp);
        assert_eq!(kind(0xbf, 207), DatagramKind::Rtcp);
        assert_eq!(kind(0xc0, 200), DatagramKind::Noise);
    }

    #[test]
    fn too_short_is_noise() {
        for len in 0..2 {
            assert_eq!(classify(&[0x80, 200][..len]), DatagramKind::Noise);
        }
        assert_eq!(classify(&[0; 19]), DatagramKind::Noise);
        assert_eq!(classify(&[22; 12]), DatagramKind::Noise);
        assert_eq!(classify(&[0x80; 11]), DatagramKind::Noise);
        assert_eq!(classify(&[0x80, 201, 0, 1, 0, 0, 0]), DatagramKind::Noise);
    }
}
