//! What a shard tells the node: state changes, never packets.

use std::sync::Arc;

use crate::params::Codec;

/// Life of a session's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Waiting for ICE and DTLS.
    Connecting,
    /// Keys are agreed: media can flow.
    Connected,
    /// Over.
    Closed,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The node asked for it.
    Requested,
    /// The participant has a newer session.
    Replaced,
    /// No authenticated connectivity check for 30 seconds (RFC 7675).
    IceTimeout,
    /// The handshake failed or the certificate is not the one that was signalled.
    DtlsFailed,
    /// The client closed it.
    PeerClosed,
    /// Its shard failed.
    ShardFailed,
}

/// How a shard failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// Its thread panicked.
    Panicked,
    /// Its thread made no turn any more.
    Stalled,
}

impl FailureCause {
    /// A word that does not change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Stalled => "stalled",
        }
    }
}

/// Direction of media as the engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a client.
    In,
    /// To a client.
    Out,
}

/// Which session of which room an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The room.
    pub room: Arc<str>,
    /// The session.
    pub session: Arc<str>,
}

/// A track, as the node names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackName {
    /// The session that sends it.
    pub session: Arc<str>,
    /// Its MID there.
    pub mid: Arc<str>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A session's transport changed state.
    SessionState {
        /// Whose.
        subject: Subject,
        /// The new state.
        state: SessionState,
        /// Why it was closed.
        reason: Option<CloseReason>,
        /// The SRTP profile, once connected.
        srtp_profile: Option<&'static str>,
    },
    /// The first RTP packet of a track or to a slot.
    FirstMedia {
        /// Whose.
        subject: Subject,
        /// The m-line.
        mid: Arc<str>,
        /// From or to the client.
        direction: Direction,
    },
    /// The slot carries another track from now on.
    SlotSource {
        /// Whose slot.
        subject: Subject,
        /// The m-line.
        mid: Arc<str>,
        /// The track it carries; None: empty.
        source: Option<TrackName>,
    },
    /// Another participant speaks.
    DominantSpeaker {
        /// Where.
        room: Arc<str>,
        /// Who; None: nobody.
        session: Option<Arc<str>>,
    },
    /// Packets of a track began to arrive, or stopped.
    TrackActivity {
        /// Whose track.
        subject: Subject,
        /// The m-line.
        mid: Arc<str>,
        /// Whether packets arrive.
        active: bool,
    },
    /// Nothing comes from a connected session's client any more, or something does again. The session goes on.
    TransportActivity {
        /// Whose.
        subject: Subject,
        /// When the last authentic datagram came (nanoseconds since 1970); None: one has come just now.
        silent_since: Option<u64>,
    },
    /// Other encodings of a simulcast track are needed than before, or a track is needed in another codec.
    EncodingsWanted {
        /// Whose track.
        subject: Subject,
        /// The m-line.
        mid: Arc<str>,
        /// RTP stream identifiers of those that somebody needs, in the order of the offer; the sender may stop the others. Empty: without
        /// simulcast.
        rids: Vec<Box<str>>,
        /// What to send it in, because it is what those who watch have in common; None: what the answer names first.
        codec: Option<Codec>,
    },
    /// A shard failed. Its rooms are not open any more and its sessions have ended; each session is told by an event of its
    /// own, too, which follows. Another thread takes its place.
    ShardFailed {
        /// Its number.
        shard: usize,
        /// How.
        cause: FailureCause,
        /// What its thread was doing: a kind of datagram, a command, timers.
        activity: &'static str,
        /// The rooms that it had.
        rooms: Vec<Arc<str>>,
        /// How many sessions it had.
        sessions: usize,
    },
}

/// What an event is about. Of two events of one topic the later one makes the earlier one worthless.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// The state of an open session.
    Opening(Arc<str>),
    /// The end of a session. No later session of the same name makes up for it.
    End(Arc<str>),
    FirstMedia(Arc<str>, Arc<str>, Direction),
    SlotSource(Arc<str>, Arc<str>),
    Speaker(Arc<str>),
    TrackActivity(Arc<str>, Arc<str>),
    TransportActivity(Arc<str>),
    Encodings(Arc<str>, Arc<str>),
}

impl EventKind {
    /// What the event is about; None: no later event makes up for it.
    pub(crate) fn topic(&self) -> Option<Topic> {
        let session = |subject: &Subject| Arc::clone(&subject.session);
        Some(match self {
            Self::SessionState { subject, state: SessionState::Closed, .. } => Topic::End(session(subject)),
            Self::SessionState { subject, .. } => Topic::Opening(session(subject)),
            Self::FirstMedia { subject, mid, direction } => {
                Topic::FirstMedia(session(subject), Arc::clone(mid), *direction)
            }
            Self::SlotSource { subject, mid, .. } => Topic::SlotSource(session(subject), Arc::clone(mid)),
            Self::DominantSpeaker { room, .. } => Topic::Speaker(Arc::clone(room)),
            Self::TrackActivity { subject, mid, .. } => Topic::TrackActivity(session(subject), Arc::clone(mid)),
            Self::TransportActivity { subject, .. } => Topic::TransportActivity(session(subject)),
            Self::EncodingsWanted { subject, mid, .. } => Topic::Encodings(session(subject), Arc::clone(mid)),
            Self::ShardFailed { .. } => return None,
        })
    }
}

/// What happened and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Nanoseconds since 1970.
    pub time_unix_nano: u64,
}
