//! What the node asks of a shard. Names are resolved and checked before a command is queued.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::event::CloseReason;
use crate::explanation::SessionExplanation;
use crate::fault::Fault;
use crate::params::SessionParameters;
use crate::stats::SessionStats;
use crate::ufrag::{LocalCredentials, RemoteCredentials};

/// A session's place in its shard; the generation tells it from earlier sessions in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Place in the shard's table.
    pub index: u32,
    /// How many sessions had the place before.
    pub generation: u32,
}

/// What a video slot shall show.
#[derive(Debug, Clone)]
pub struct SlotRequest {
    /// The slot.
    pub mid: Arc<str>,
    /// The track; None empties the slot.
    pub source: Option<(SessionKey, Arc<str>)>,
    /// The height at which it is shown, in pixels; 0: any.
    pub max_height: u32,
    /// Larger is served first when bandwidth is short.
    pub priority: i32,
}

/// A session to open.
#[derive(Debug)]
pub struct OpenSession {
    /// Its room, which is open.
    pub room: Arc<str>,
    /// Its name.
    pub session: Arc<str>,
    /// Its place.
    pub key: SessionKey,
    /// The node's ICE credentials.
    pub credentials: LocalCredentials,
    /// What was agreed.
    pub parameters: SessionParameters,
}

/// A command for one shard.
#[derive(Debug)]
pub enum Command {
    /// Make a room.
    OpenRoom(Arc<str>),
    /// End a room and its sessions.
    CloseRoom(Arc<str>),
    /// Make a session.
    OpenSession(Box<OpenSession>),
    /// End a session.
    CloseSession(SessionKey, CloseReason),
    /// Change what a session sends and receives, as its latest offer and answer have it.
    ChangeMedia(SessionKey, Box<SessionParameters>),
    /// Let a session's client prove its addresses anew, with these credentials of the node and of the client.
    RestartIce(SessionKey, LocalCredentials, RemoteCredentials),
    /// Stop or resume forwarding a track.
    SetTrackMuted {
        /// Whose.
        key: SessionKey,
        /// The track.
        mid: Arc<str>,
        /// Whether its packets are dropped.
        muted: bool,
    },
    /// Set what video slots show.
    UpdateSlots(SessionKey, Vec<SlotRequest>),
    /// Ask a track's sender for a key frame.
    RequestKeyFrame(SessionKey, Arc<str>),
    /// Report a session's figures.
    Stats(SessionKey, SyncSender<SessionStats>),
    /// Say why a session's pictures look as they do.
    Explain(SessionKey, SyncSender<SessionExplanation>),
    /// Have a fault, for tests.
    Fault(Fault),
    /// End every session and the thread.
    Stop,
}

impl Command {
    /// Whether it ends something. Such a command can't be refused: whoever gave it takes it for done.
    pub(crate) fn closes(&self) -> bool {
        matches!(self, Self::CloseSession(..) | Self::CloseRoom(_) | Self::Stop)
    }
}
