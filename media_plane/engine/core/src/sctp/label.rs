//! The channels that there are: each is known by its label, which fixes what it promises.

use sctp_proto::ReliabilityType;

pub(crate) const LABELS: usize = 3;

/// A channel's purpose. What its messages mean is the clients' affair (`parley.signaling.v1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Where somebody points: only the latest matters, so nothing is sent again or waits for anything.
    Pointer,
    /// What somebody draws: each stroke counts.
    Strokes,
    /// What somebody says, in words: each counts, in order.
    Captions,
}

impl Label {
    const ALL: [Self; LABELS] = [Self::Pointer, Self::Strokes, Self::Captions];

    /// Every label.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    /// The label with this name, as it stands in `DATA_CHANNEL_OPEN`.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        Self::all().find(|label| label.name().as_bytes() == name)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pointer => "pointer",
            Self::Strokes => "strokes",
            Self::Captions => "captions",
        }
    }

    /// Whether every message arrives, in order; otherwise each is sent once, and they arrive in any order.
    pub(crate) fn is_reliable(self) -> bool {
        self != Self::Pointer
    }

    /// The same in the terms of SCTP (RFC 8832 section 5.1): unordered, how, and how often a message is sent again.
    pub(crate) fn reliability(self) -> (bool, ReliabilityType, u32) {
        if self.is_reliable() { (false, ReliabilityType::Reliable, 0) } else { (true, ReliabilityType::Rexmit, 0) }
    }
}
