//! The engine as the node sees it: shards behind one face. Every call checks its arguments, queues a command and returns.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::command::{Command, OpenSession, SessionKey, SlotRequest};
use crate::counters::Counters;
use crate::directory::SessionEntry;
use crate::event::{CloseReason, Event, FailureCause};
use crate::explanation::SessionExplanation;
use crate::fault::Fault;
use crate::keeper::KeeperHandle;
use crate::params::{MediaKind, SessionParameters};
use crate::shards::Shards;
use crate::stats::SessionStats;
use crate::ufrag::{LocalCredentials, RemoteCredentials};

/// The most shards: as many as an ICE fragment can tell apart.
const MAX_SHARDS: usize = 4_096;
/// The longest name of a room or session.
const MAX_NAME_LEN: usize = 128;
/// How long figures of a session are waited for.
const STATS_TIMEOUT: Duration = Duration::from_millis(200);

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// No such room.
    UnknownRoom,
    /// No such session.
    UnknownSession,
    /// The session has no such track or slot.
    UnknownTrack,
    /// A room of this name is open.
    RoomExists,
    /// A session of this name is open.
    SessionExists,
    /// The shard is full.
    TooMany,
    /// The shard does not keep up with its commands. What closes something is never refused so.
    QueueFull,
    /// The shard has failed, or no shard serves, and none has been replaced yet.
    NoShard,
    /// An argument breaks this rule.
    Invalid(&'static str),
    /// The engine has been stopped.
    Stopped,
}

impl CommandError {
    /// A word that does not change.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownRoom => "unknown_room",
            Self::UnknownSession => "unknown_session",
            Self::UnknownTrack => "unknown_track",
            Self::RoomExists => "room_exists",
            Self::SessionExists => "session_exists",
            Self::TooMany => "too_many",
            Self::QueueFull => "queue_full",
            Self::NoShard => "no_shard",
            Self::Invalid(_) => "invalid",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(rule) => write!(formatter, "invalid: {rule}"),
            other => formatter.write_str(other.reason()),
        }
    }
}

impl std::error::Error for CommandError {}

/// How an engine is made.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Address of every socket.
    pub bind_address: IpAddr,
    /// One port a shard; 0: any free one.
    pub ports: Vec<u16>,
    /// As many TCP ports, for clients whose network lets no UDP through; None: no TCP.
    pub tcp_ports: Option<Vec<u16>>,
    /// Whether each thread stays on a core of its own.
    pub pin_cores: bool,
    /// How many others a participant hears.
    pub audio_slots_per_room: usize,
    /// The most sessions of a shard.
    pub max_sessions_per_shard: usize,
    /// Events that wait for the node as they happened; of what comes beyond, the last on each topic are kept.
    pub event_capacity: usize,
}

/// What a video slot shall show, by name.
#[derive(Debug, Clone)]
pub struct NamedSlotRequest {
    /// The slot.
    pub mid: String,
    /// Session and MID of the track; None empties the slot.
    pub source: Option<(String, String)>,
    /// Largest useful height in pixels; 0: no limit. For the choice of a simulcast layer.
    pub max_height: u32,
    /// Higher first when bandwidth is short.
    pub priority: i32,
}

/// The node's half of a session's transport.
#[derive(Debug, Clone)]
pub struct LocalTransport {
    /// ICE credentials.
    pub credentials: LocalCredentials,
    /// UDP port.
    pub port: u16,
    /// TCP port, where there is one.
    pub tcp_port: Option<u16>,
}

/// Whether the threads run.
enum Stage {
    Waiting,
    Running(KeeperHandle),
    Stopped,
}

/// The engine.
pub struct Engine {
    shards: Arc<Shards>,
    stage: Mutex<Stage>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("ports", &self.ports()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Binds the sockets and makes the certificate.
    pub fn new(config: &EngineConfig) -> io::Result<Self> {
        if config.ports.is_empty() || config.ports.len() > MAX_SHARDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an engine has 1 to 4096 ports"));
        }
        if config.tcp_ports.as_ref().is_some_and(|ports| ports.len() != config.ports.len()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an engine has as many TCP as UDP ports"));
        }
        Ok(Self { shards: Arc::new(Shards::bind(config)?), stage: Mutex::new(Stage::Waiting) })
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads; does nothing when they run.
    pub fn start(&self) -> Result<(), EngineStartError> {
        let mut stage = self.stage();
        match *stage {
            Stage::Running(_) => return Ok(()),
            Stage::Stopped => return Err(EngineStartError::Stopped),
            Stage::Waiting => {}
        }
        *stage = Stage::Stopped;
        *stage = Stage::Running(KeeperHandle::start(&self.shards)?);
        Ok(())
    }

    /// Ends every session and the threads, and waits for them, for some seconds at most. Safe to call again.
    pub fn stop(&self) -> Result<(), EngineStopError> {
        let stage = std::mem::replace(&mut *self.stage(), Stage::Stopped);
        match stage {
            Stage::Running(keeper) => keeper.stop(),
            Stage::Waiting | Stage::Stopped => Ok(()),
        }
    }

    /// How many shards serve. One that has failed serves again as soon as another thread has it.
    #[must_use]
    pub fn serving_shards(&self) -> usize {
        self.shards.directory.serving_shards()
    }

    /// Threads of former shards that hang and can't be ended; each may keep a core from idling.
    #[must_use]
    pub fn abandoned_threads(&self) -> usize {
        match &*self.stage() {
            Stage::Running(keeper) => keeper.abandoned_threads(),
            Stage::Waiting | Stage::Stopped => 0,
        }
    }

    /// Gives a shard a fault, for tests of what follows.
    pub fn inject_fault(&self, shard: usize, fault: Fault) -> Result<(), CommandError> {
        self.check_running()?;
        if shard >= self.shards.count() {
            return Err(CommandError::Invalid("there is no such shard"));
        }
        self.shards.queue(shard, Command::Fault(fault))
    }

    /// UDP port of each shard.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        (0..self.shards.count()).map(|shard| self.shards.port(shard)).collect()
    }

    /// TCP port of each shard; empty: there is no TCP.
    #[must_use]
    pub fn tcp_ports(&self) -> Vec<u16> {
        (0..self.shards.count()).filter_map(|shard| self.shards.tcp_port(shard)).collect()
    }

    /// SHA-256 of the certificate, upper-case hexadecimal with colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.shards.identity.fingerprint()
    }

    /// Takes up to `max` events.
    #[must_use]
    pub fn drain_events(&self, max: usize) -> Vec<Event> {
        self.shards.events.drain(max)
    }

    /// Opens a room.
    pub fn open_room(&self, room: &str) -> Result<(), CommandError> {
        self.check_running()?;
        check_name(room)?;
        let (shard, name) = self.shards.directory.open_room(room)?;
        self.shards.queue(shard, Command::OpenRoom(name)).inspect_err(|_| {
            // The shard never learnt of it.
            let _ = self.shards.directory.close_room(room);
        })
    }

    /// Ends a room and its sessions.
    pub fn close_room(&self, room: &str) -> Result<(), CommandError> {
        self.check_running()?;
        let (shard, name) = self.shards.directory.close_room(room)?;
        self.shards.queue(shard, Command::CloseRoom(name))
    }

    /// Opens a session.
    pub fn open_session(
        &self,
        room: &str,
        session: &str,
        parameters: SessionParameters,
    ) -> Result<LocalTransport, CommandError> {
        self.check_running()?;
        check_name(session)?;
        self.check_parameters(&parameters)?;
        let (name, entry) = self.shards.directory.open_session(room, session, &parameters)?;
        let credentials = LocalCredentials::generate(entry.shard as u16, entry.key.index);
        let transport = self.transport(entry.shard, credentials.clone());
        let open = OpenSession { room: entry.room, session: name, key: entry.key, credentials, parameters };
        self.shards
            .queue(entry.shard, Command::OpenSession(Box::new(open)))
            .inspect_err(|_| self.shards.directory.release(entry.shard, &[entry.key]))?;
        Ok(transport)
    }

    /// Changes what a session sends and receives to what a later offer and its answer agreed on. Tracks and slots that go on are not
    /// touched, and neither are the transport, the keys and the canonical name, whatever `parameters` says of them.
    pub fn change_media(&self, session: &str, parameters: SessionParameters) -> Result<(), CommandError> {
        self.check_running()?;
        self.check_parameters(&parameters)?;
        let (entry, before) = self.shards.directory.change_media(session, &parameters)?;
        self.shards
            .queue(entry.shard, Command::ChangeMedia(entry.key, Box::new(parameters)))
            .inspect_err(|_| self.shards.directory.restore_media(session, before))
    }

    fn check_parameters(&self, parameters: &SessionParameters) -> Result<(), CommandError> {
        parameters.validate().map_err(CommandError::Invalid)?;
        let audio_slots = parameters.slots.iter().filter(|slot| slot.kind == MediaKind::Audio).count();
        if audio_slots > self.shards.audio_slots {
            return Err(CommandError::Invalid("more audio slots than the engine fills"));
        }
        Ok(())
    }

    /// Gives a session's client new credentials, with which it can prove other addresses; the keys and streams stay. `remote` are
    /// those of the client's new offer.
    pub fn restart_ice(&self, session: &str, remote: RemoteCredentials) -> Result<LocalTransport, CommandError> {
        self.check_running()?;
        remote.validate().map_err(CommandError::Invalid)?;
        let entry = self.shards.directory.session(session)?;
        let credentials = LocalCredentials::generate(entry.shard as u16, entry.key.index);
        self.shards.queue(entry.shard, Command::RestartIce(entry.key, credentials.clone(), remote))?;
        Ok(self.transport(entry.shard, credentials))
    }

    fn transport(&self, shard: usize, credentials: LocalCredentials) -> LocalTransport {
        LocalTransport { credentials, port: self.shards.port(shard), tcp_port: self.shards.tcp_port(shard) }
    }

    /// Ends a session.
    pub fn close_session(&self, session: &str, reason: CloseReason) -> Result<(), CommandError> {
        self.check_running()?;
        let entry = self.shards.directory.close_session(session)?;
        self.shards.queue(entry.shard, Command::CloseSession(entry.key, reason))
    }

    /// Stops or resumes forwarding a track.
    pub fn set_track_muted(&self, session: &str, mid: &str, muted: bool) -> Result<(), CommandError> {
        self.check_running()?;
        let entry = self.shards.directory.session(session)?;
        let (mid, _) = entry.track(mid)?;
        self.shards.queue(entry.shard, Command::SetTrackMuted { key: entry.key, mid, muted })
    }

    /// Sets what video slots show.
    pub fn update_slots(&self, session: &str, requests: &[NamedSlotRequest]) -> Result<(), CommandError> {
        self.check_running()?;
        let entry = self.shards.directory.session(session)?;
        let resolve = |request: &NamedSlotRequest| self.resolve(&entry, request);
        let requests = requests.iter().map(resolve).collect::<Result<_, _>>()?;
        self.shards.queue(entry.shard, Command::UpdateSlots(entry.key, requests))
    }

    fn resolve(&self, receiver: &SessionEntry, request: &NamedSlotRequest) -> Result<SlotRequest, CommandError> {
        let mid = receiver.video_slot(&request.mid)?;
        let (max_height, priority) = (request.max_height, request.priority);
        let Some((session, track)) = &request.source else {
            return Ok(SlotRequest { mid, source: None, max_height, priority });
        };
        let sender = self.shards.directory.session(session)?;
        let (track, kind) = sender.track(track)?;
        if sender.room != receiver.room {
            return Err(CommandError::UnknownSession);
        }
        if kind != MediaKind::Video || sender.key == receiver.key {
            return Err(CommandError::Invalid("a video slot shows another's video track"));
        }
        Ok(SlotRequest { mid, source: Some((sender.key, track)), max_height, priority })
    }

    /// Asks a track's sender for a key frame.
    pub fn request_key_frame(&self, session: &str, mid: &str) -> Result<(), CommandError> {
        self.check_running()?;
        let entry = self.shards.directory.session(session)?;
        let (mid, _) = entry.track(mid)?;
        self.shards.queue(entry.shard, Command::RequestKeyFrame(entry.key, mid))
    }

    /// Sums of the shards' counters, with their names.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        Counters::NAMES.iter().copied().zip(self.shards.counters()).collect()
    }

    /// Figures of a session; waits for its shard for at most 200 ms.
    pub fn session_stats(&self, session: &str) -> Result<SessionStats, CommandError> {
        self.ask(session, Command::Stats)
    }

    /// Why a session's pictures look as they do; waits for its shard for at most 200 ms.
    pub fn explain(&self, session: &str) -> Result<SessionExplanation, CommandError> {
        self.ask(session, Command::Explain)
    }

    fn ask<T>(
        &self,
        session: &str,
        question: impl FnOnce(SessionKey, SyncSender<T>) -> Command,
    ) -> Result<T, CommandError> {
        self.check_running()?;
        let entry = self.shards.directory.session(session)?;
        let (reply, answer) = sync_channel(1);
        self.shards.queue(entry.shard, question(entry.key, reply))?;
        answer.recv_timeout(STATS_TIMEOUT).map_err(|error| match error {
            // The shard dropped the request: the session has just ended.
            std::sync::mpsc::RecvTimeoutError::Disconnected => CommandError::UnknownSession,
            std::sync::mpsc::RecvTimeoutError::Timeout => CommandError::QueueFull,
        })
    }

    fn check_running(&self) -> Result<(), CommandError> {
        if matches!(*self.stage(), Stage::Stopped) { Err(CommandError::Stopped) } else { Ok(()) }
    }
}

impl AsRawFd for Engine {
    fn as_raw_fd(&self) -> RawFd {
        self.shards.events.as_raw_fd()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody is left to be told; whoever wants to know stops it before.
        let _ = self.stop();
    }
}

fn check_name(name: &str) -> Result<(), CommandError> {
    if (1..=MAX_NAME_LEN).contains(&name.len()) {
        Ok(())
    } else {
        Err(CommandError::Invalid("a name needs 1 to 128 bytes"))
    }
}

/// Why the threads did not start.
#[derive(Debug)]
pub enum EngineStartError {
    /// The engine has been stopped; it cannot be started again.
    Stopped,
    /// The operating system gave no thread.
    Thread(io::Error),
}

/// What was left when the engine stopped: shards that panicked or did not end. Empty: the engine's own thread was gone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct EngineStopError {
    /// Number and failure of each.
    pub failures: Vec<(usize, FailureCause)>,
}

impl fmt::Display for EngineStopError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the engine did not stop in good order")?;
        for (shard, cause) in &self.failures {
            write!(formatter, ": shard {shard} {}", cause.name())?;
        }
        Ok(())
    }
}

impl std::error::Error for EngineStopError {}
