//! A bad network: loses a share of the packets, the same ones in every run.

/// Whether a datagram is RTP or RTCP, not STUN or DTLS (RFC 7983).
pub(crate) fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| matches!(first, 128..=191))
}

/// Decides which packets of one direction are lost.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    state: u64,
    /// A packet is lost when the random number is below this; `u32::MAX + 1` loses all.
    threshold: u64,
    lost: u64,
}

impl Loss {
    /// Loses nothing. The seed makes the choice of packets reproducible.
    pub(crate) fn none(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, threshold: 0, lost: 0 }
    }

    /// Loses this share of the packets from now on.
    pub(crate) fn set_share(&mut self, share: f64) {
        #[expect(clippy::cast_sign_loss, reason = "clamped to 0 to 1")]
        let threshold = (share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        self.threshold = threshold;
    }

    /// Whether this datagram is lost. STUN and DTLS never are: what is tested is media, not how long connecting takes.
    pub(crate) fn takes(&mut self, datagram: &[u8]) -> bool {
        if self.threshold == 0 || !is_media(datagram) {
            return false;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let taken = self.state >> 32 < self.threshold;
        self.lost += u64::from(taken);
        taken
    }

    /// How many packets have been lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of(share: f64, datagram: &[u8]) -> u64 {
        let mut loss = Loss::none(7);
        loss.set_share(share);
        (0..10_000).filter(|_| loss.takes(datagram)).count() as u64
    }

    #[test]
    fn the_share_is_kept_for_media_only() {
        assert_eq!(share_of(0.0, &[0x80]), 0);
        assert_eq!(share_of(1.0, &[0x80]), 10_000);
        assert!((900..1100).contains(&share_of(0.1, &[0x80])));
        assert_eq!(share_of(1.0, &[0]), 0);
        assert_eq!(share_of(1.0, &[22]), 0);
        assert_eq!(share_of(1.0, &[]), 0);
    }
}
