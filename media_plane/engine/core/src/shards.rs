//! The shards as the engine and its keeper share them: sockets that stay, and the thread that serves them now.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::command::Command;
use crate::counters::Counters;
use crate::directory::Directory;
use crate::dtls::Identity;
use crate::engine::{CommandError, EngineConfig};
use crate::event::{CloseReason, Event, EventKind, FailureCause, SessionState};
use crate::incarnation::Incarnation;
use crate::keeper::Notice;
use crate::net::Sockets;
use crate::queue::EventQueue;
use crate::shard::{Shard, ShardConfig};
use crate::worker::{Shared, Worker};

type Sums = [u64; Counters::NAMES.len()];

/// One shard's place.
#[derive(Debug)]
struct Post {
    sockets: Sockets,
    present: Mutex<Present>,
}

#[derive(Debug)]
struct Present {
    incarnation: Arc<Incarnation>,
    /// What its predecessors have counted, so that sums never go down.
    former: Sums,
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All shards of an engine.
pub(crate) struct Shards {
    posts: Vec<Post>,
    pub events: Arc<EventQueue>,
    pub directory: Arc<Directory>,
    pub identity: Arc<Identity>,
    pub audio_slots: usize,
    pin_cores: bool,
}

impl Shards {
    /// Binds the sockets and makes the certificate.
    pub(crate) fn bind(config: &EngineConfig) -> io::Result<Self> {
        let tcp_ports = config.tcp_ports.as_deref().unwrap_or_default();
        let mut posts = Vec::new();
        for (index, port) in config.ports.iter().enumerate() {
            let address = |port: &u16| SocketAddr::new(config.bind_address, *port);
            let sockets = Sockets::bind(address(port), tcp_ports.get(index).map(address))?;
            let former = [0; Counters::NAMES.len()];
            let present = Mutex::new(Present { incarnation: Arc::new(Incarnation::new()?), former });
            posts.push(Post { sockets, present });
        }
        Ok(Self {
            events: Arc::new(EventQueue::new(config.event_capacity)?),
            directory: Arc::new(Directory::new(posts.len(), config.max_sessions_per_shard)),
            posts,
            identity: Arc::new(Identity::generate().map_err(io::Error::other)?),
            audio_slots: config.audio_slots_per_room,
            pin_cores: config.pin_cores,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.posts.len()
    }

    pub(crate) fn port(&self, shard: usize) -> u16 {
        self.posts[shard].sockets.port()
    }

    pub(crate) fn tcp_port(&self, shard: usize) -> Option<u16> {
        self.posts[shard].sockets.tcp_port()
    }

    /// The thread that serves a shard, or is about to.
    pub(crate) fn present(&self, shard: usize) -> Arc<Incarnation> {
        Arc::clone(&self.posts[shard].lock().incarnation)
    }

    /// Gives a shard a command.
    pub(crate) fn queue(&self, shard: usize, command: Command) -> Result<(), CommandError> {
        let incarnation = self.present(shard);
        if incarnation.is_fenced() {
            // What was to be closed is gone with the shard.
            return if command.closes() { Ok(()) } else { Err(CommandError::NoShard) };
        }
        if incarnation.commands.push(command) { Ok(()) } else { Err(CommandError::QueueFull) }
    }

    /// Sums of all shards' counters since the start.
    pub(crate) fn counters(&self) -> Sums {
        let mut sums = [0; Counters::NAMES.len()];
        for post in &self.posts {
            let present = post.lock();
            present.incarnation.counters().add_to(&mut sums);
            add(&mut sums, &present.former);
        }
        sums
    }

    /// Starts the thread of a shard; a panic of it is told to `keeper`.
    pub(crate) fn spawn(&self, shard: usize, keeper: Sender<Notice>) -> io::Result<JoinHandle<()>> {
        let incarnation = self.present(shard);
        let clock = Clock::start();
        let config = ShardConfig {
            index: shard as u16,
            clock,
            identity: Arc::clone(&self.identity),
            audio_slots: self.audio_slots,
        };
        let worker = Worker {
            shard: Shard::new(config),
            network: self.posts[shard].sockets.open(Arc::clone(&incarnation))?,
            clock,
            shared: Shared {
                shard,
                incarnation: Arc::clone(&incarnation),
                events: Arc::clone(&self.events),
                directory: Arc::clone(&self.directory),
            },
            core: self.pin_cores.then_some(shard),
        };
        std::thread::Builder::new().name(format!("shard-{shard}")).spawn(move || {
            // Nothing of the worker is used afterwards; what it shares is behind locks that survive a panic.
            if catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                // Without a keeper the engine is gone, and with it everybody who could want to know.
                let _ = keeper.send(Notice::Panicked { shard, incarnation });
            }
        })
    }

    /// A shard has failed: its thread is fenced, its rooms and sessions are gone, and the node is told.
    pub(crate) fn fail(&self, shard: usize, cause: FailureCause) {
        let incarnation = self.present(shard);
        let activity = incarnation.activity();
        // In this order: who adds or frees something under a lock after the fence finds it, and who was before it is undone.
        incarnation.fence();
        let lost = self.directory.fail_shard(shard);
        incarnation.commands.clear();
        let failures = Counters {
            sessions_closed: lost.sessions.len() as u64,
            shard_panics: u64::from(cause == FailureCause::Panicked),
            shard_stalls: u64::from(cause == FailureCause::Stalled),
            ..Counters::default()
        };
        add(&mut self.posts[shard].lock().former, &failures.values());
        let sessions = lost.sessions.len();
        let failed = EventKind::ShardFailed { shard, cause, activity, rooms: lost.rooms, sessions };
        let ended = lost.sessions.into_iter().map(|subject| EventKind::SessionState {
            subject,
            state: SessionState::Closed,
            reason: Some(CloseReason::ShardFailed),
            srtp_profile: None,
        });
        let time_unix_nano = Clock::start().unix_nanos(0);
        let told = std::iter::once(failed).chain(ended).map(|kind| Event { kind, time_unix_nano });
        self.events.announce(told.collect());
    }

    /// Starts a shard that has failed anew: other keys, the same ports.
    pub(crate) fn restart(&self, shard: usize, keeper: Sender<Notice>) -> io::Result<JoinHandle<()>> {
        let new = Arc::new(Incarnation::new()?);
        {
            let mut present = self.posts[shard].lock();
            let Present { incarnation, former } = &mut *present;
            incarnation.counters().add_to(former);
            *incarnation = Arc::clone(&new);
        }
        let thread = self.spawn(shard, keeper).inspect_err(|_| new.fence())?;
        self.directory.restore_shard(shard);
        Ok(thread)
    }
}

fn add(sums: &mut Sums, values: &Sums) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
