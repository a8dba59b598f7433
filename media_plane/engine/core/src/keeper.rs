//! Keeps the shards running: notices one whose thread has panicked or makes no turns, takes the shard away from it, and
//! gives it to a new one.
//!
//! A thread that hangs can't be ended from outside. It is fenced: should it ever go on, it finds so before it touches a socket
//! or tells anything, and ends. Until then it is left what the machine has no other use for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::engine::{EngineStartError, EngineStopError};
use crate::event::FailureCause;
use crate::incarnation::Incarnation;
use crate::net::{give_way, thread_usage};
use crate::shards::Shards;
use crate::watch::{LOOK_INTERVAL, Restarts, Watch};

/// How long shards may take to say goodbye to their sessions and end.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the keeper itself may take beyond that.
const STOP_MARGIN: Duration = Duration::from_secs(1);
/// Between two looks at who has ended.
const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// What a keeper is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A shard's thread panicked.
    Panicked { shard: usize, incarnation: Arc<Incarnation> },
    /// End, and say how it went.
    Stop(SyncSender<Result<(), EngineStopError>>),
}

/// A keeper that runs.
#[derive(Debug)]
pub(crate) struct KeeperHandle {
    notices: Sender<Notice>,
    abandoned: Arc<AtomicUsize>,
}

impl KeeperHandle {
    /// Starts the shards and their keeper.
    pub(crate) fn start(shards: &Arc<Shards>) -> Result<Self, EngineStartError> {
        let (notices, inbox) = channel();
        let abandoned = Arc::new(AtomicUsize::new(0));
        let keeper = Keeper {
            watched: start_all(shards, &notices)?,
            shards: Arc::clone(shards),
            notices: notices.clone(),
            inbox,
            given_up: Vec::new(),
            abandoned: Arc::clone(&abandoned),
        };
        let builder = std::thread::Builder::new().name("keeper".to_owned());
        builder.spawn(move || keeper.run()).map_err(|error| {
            stop_all(shards);
            EngineStartError::Thread(error)
        })?;
        Ok(Self { notices, abandoned })
    }

    /// Threads that hang and have been replaced.
    pub(crate) fn abandoned_threads(&self) -> usize {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Ends the shards; never waits for one that hangs for longer than its time.
    pub(crate) fn stop(self) -> Result<(), EngineStopError> {
        let (reply, answer) = sync_channel(1);
        if self.notices.send(Notice::Stop(reply)).is_err() {
            return Err(EngineStopError::default());
        }
        answer.recv_timeout(STOP_TIMEOUT + STOP_MARGIN).unwrap_or_else(|_| Err(EngineStopError::default()))
    }
}

fn start_all(shards: &Shards, notices: &Sender<Notice>) -> Result<Vec<Watched>, EngineStartError> {
    let start = |shard| Ok(Watched::of(shards.spawn(shard, notices.clone()).map_err(EngineStartError::Thread)?));
    (0..shards.count()).map(start).collect::<Result<_, _>>().inspect_err(|_| stop_all(shards))
}

fn stop_all(shards: &Shards) {
    for shard in 0..shards.count() {
        // One that has failed has no thread to stop.
        let _ = shards.queue(shard, Command::Stop);
    }
}

/// A shard in the keeper's eyes.
struct Watched {
    /// None: it has failed and waits for its next start.
    thread: Option<JoinHandle<()>>,
    watch: Watch,
    restarts: Restarts,
    due: Instant,
}

impl Watched {
    fn of(thread: JoinHandle<()>) -> Self {
        let mut restarts = Restarts::default();
        restarts.started(Instant::now());
        Self { thread: Some(thread), watch: Watch::default(), restarts, due: Instant::now() }
    }
}

struct Keeper {
    shards: Arc<Shards>,
    watched: Vec<Watched>,
    notices: Sender<Notice>,
    inbox: Receiver<Notice>,
    given_up: Vec<JoinHandle<()>>,
    abandoned: Arc<AtomicUsize>,
}

impl Keeper {
    fn run(mut self) {
        loop {
            match self.inbox.recv_timeout(LOOK_INTERVAL) {
                Ok(Notice::Panicked { shard, incarnation }) => self.note_panic(shard, &incarnation),
                Ok(Notice::Stop(reply)) => {
                    // Who asked may have stopped waiting.
                    let _ = reply.try_send(self.stop());
                    return;
                }
                Err(_) => {}
            }
            self.look(Instant::now());
        }
    }

    fn note_panic(&mut self, shard: usize, incarnation: &Incarnation) {
        // A thread that has been replaced has nothing left to break.
        if !incarnation.is_fenced() {
            self.fail(shard, FailureCause::Panicked);
        }
    }

    fn look(&mut self, now: Instant) {
        for shard in 0..self.watched.len() {
            if self.hangs(shard, now) {
                self.fail(shard, FailureCause::Stalled);
            }
            let watched = &self.watched[shard];
            if watched.thread.is_none() && now >= watched.due {
                self.restart(shard, now);
            }
        }
        self.given_up.retain(|thread| !thread.is_finished());
        self.abandoned.store(self.given_up.len(), Ordering::Relaxed);
    }

    fn hangs(&mut self, shard: usize, now: Instant) -> bool {
        let watched = &mut self.watched[shard];
        if watched.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return false;
        }
        let incarnation = self.shards.present(shard);
        watched.watch.look(now, incarnation.turns(), || thread_usage(incarnation.thread()?))
    }

    fn fail(&mut self, shard: usize, cause: FailureCause) {
        let now = Instant::now();
        let failed = self.shards.present(shard);
        self.shards.fail(shard, cause);
        let watched = &mut self.watched[shard];
        watched.due = now + watched.restarts.delay(now);
        let thread = watched.thread.take();
        if cause == FailureCause::Stalled {
            failed.thread().into_iter().for_each(give_way);
            self.given_up.extend(thread);
        }
        if self.watched[shard].due <= now {
            self.restart(shard, now);
        }
    }

    fn restart(&mut self, shard: usize, now: Instant) {
        let started = self.shards.restart(shard, self.notices.clone());
        let watched = &mut self.watched[shard];
        watched.restarts.started(now);
        watched.watch = Watch::default();
        match started {
            Ok(thread) => watched.thread = Some(thread),
            // No descriptors, memory or threads left; it is tried again.
            Err(_) => watched.due = now + watched.restarts.delay(now),
        }
    }

    fn stop(&mut self) -> Result<(), EngineStopError> {
        stop_all(&self.shards);
        let deadline = Instant::now() + STOP_TIMEOUT;
        let running = |watched: &Watched| watched.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        while self.watched.iter().any(running) && Instant::now() < deadline {
            std::thread::sleep(STOP_INTERVAL);
        }
        let stalled = self.watched.iter().enumerate().filter(|(_, watched)| running(watched));
        let mut failures: Vec<_> = stalled.map(|(shard, _)| (shard, FailureCause::Stalled)).collect();
        for (shard, _) in &failures {
            self.shards.fail(*shard, FailureCause::Stalled);
        }
        failures.extend(self.inbox.try_iter().filter_map(|notice| match notice {
            Notice::Panicked { shard, .. } => Some((shard, FailureCause::Panicked)),
            Notice::Stop(_) => None,
        }));
        if failures.is_empty() { Ok(()) } else { Err(EngineStopError { failures }) }
    }
}
