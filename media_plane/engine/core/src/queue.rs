//! What passes between the node's thread and the shards' threads: commands in, events out. Neither is on the path of a
//! packet.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::command::Command;
use crate::event::{Event, Topic};
use crate::incarnation::Incarnation;
use crate::net::WakeFd;

/// Commands that may wait for a shard.
const COMMAND_CAPACITY: usize = 4_096;

/// Commands for a shard.
#[derive(Debug)]
pub(crate) struct CommandQueue {
    commands: Mutex<VecDeque<Command>>,
    wake: WakeFd,
}

impl CommandQueue {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { commands: Mutex::new(VecDeque::new()), wake: WakeFd::new()? })
    }

    /// Adds a command and wakes the shard; false when too many wait. What closes something is never refused: each session
    /// and each room is closed once, so these commands are bounded by what is open.
    pub(crate) fn push(&self, command: Command) -> bool {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() >= COMMAND_CAPACITY && !command.closes() {
            return false;
        }
        commands.push_back(command);
        drop(commands);
        self.wake.wake();
        true
    }

    /// Takes the oldest command; the shard stays awake while there are more.
    pub(crate) fn pop(&self) -> Option<Command> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let command = commands.pop_front();
        if commands.is_empty() {
            // Before the lock is given back: whoever adds one after that wakes the shard anew.
            self.wake.clear();
        }
        command
    }

    /// Drops every command: who waits for an answer learns at once that none will come.
    pub(crate) fn clear(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl AsRawFd for CommandQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

/// Events of all shards, for the node.
///
/// Up to its capacity it keeps everything as it happened. Beyond, an event takes the place of an earlier one on the same
/// topic, so that what waits is bounded by the sessions that there are, and the last word on each topic always arrives. The
/// order stays that in which things happened.
#[derive(Debug)]
pub(crate) struct EventQueue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    wake: WakeFd,
}

#[derive(Debug, Default)]
struct Waiting {
    events: BTreeMap<u64, Event>,
    /// Number of the last event on each topic that waits.
    latest: HashMap<Topic, u64>,
    next: u64,
}

impl Waiting {
    fn add(&mut self, event: Event, capacity: usize) {
        let full = self.events.len() >= capacity;
        if let Some(topic) = event.kind.topic() {
            if let (true, Topic::End(session)) = (full, &topic) {
                self.forget(&Topic::Opening(Arc::clone(session)));
            }
            let before = self.latest.insert(topic, self.next);
            if let Some(before) = before.filter(|_| full) {
                self.events.remove(&before);
            }
        }
        self.events.insert(self.next, event);
        self.next += 1;
    }

    fn forget(&mut self, topic: &Topic) {
        if let Some(number) = self.latest.remove(topic) {
            self.events.remove(&number);
        }
    }

    fn take(&mut self) -> Option<Event> {
        let (number, event) = self.events.pop_first()?;
        if let Some(topic) = event.kind.topic()
            && self.latest.get(&topic) == Some(&number)
        {
            self.latest.remove(&topic);
        }
        Some(event)
    }
}

impl EventQueue {
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self { waiting: Mutex::default(), capacity, wake: WakeFd::new()? })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events of a shard's thread and wakes the node. A thread that has been fenced has nothing to say: its shard's end
    /// has been told.
    pub(crate) fn push(&self, new: Vec<Event>, speaker: &Incarnation) {
        let mut waiting = self.lock();
        if !speaker.is_fenced() {
            self.add(&mut waiting, new);
        }
    }

    /// Adds events that no shard's thread tells.
    pub(crate) fn announce(&self, new: Vec<Event>) {
        self.add(&mut self.lock(), new);
    }

    fn add(&self, waiting: &mut Waiting, new: Vec<Event>) {
        for event in new {
            waiting.add(event, self.capacity);
        }
        self.wake.wake();
    }

    /// Takes the oldest events; the descriptor stays readable while there are more.
    pub(crate) fn drain(&self, max: usize) -> Vec<Event> {
        let mut waiting = self.lock();
        let drained = std::iter::from_fn(|| waiting.take()).take(max).collect();
        if waiting.events.is_empty() {
            self.wake.clear();
        }
        drained
    }
}

impl AsRawFd for EventQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::SessionKey;
    use crate::event::{CloseReason, EventKind, FailureCause, SessionState, Subject, TrackName};
    use crate::net::wait_readable;

    fn event(kind: EventKind) -> Event {
        Event { kind, time_unix_nano: 0 }
    }

    fn subject(session: &str) -> Subject {
        Subject { room: "room".into(), session: session.into() }
    }

    fn source(session: &str, source: &str) -> Event {
        let source = Some(TrackName { session: source.into(), mid: "1".into() });
        event(EventKind::SlotSource { subject: subject(session), mid: "0".into(), source })
    }

    fn speaker(session: &str) -> Event {
        event(EventKind::DominantSpeaker { room: "room".into(), session: Some(session.into()) })
    }

    fn state(session: &str, state: SessionState) -> Event {
        let reason = (state == SessionState::Closed).then_some(CloseReason::PeerClosed);
        event(EventKind::SessionState { subject: subject(session), state, reason, srtp_profile: None })
    }

    fn failure() -> Event {
        let (cause, rooms) = (FailureCause::Panicked, vec!["room".into()]);
        event(EventKind::ShardFailed { shard: 0, cause, activity: "timers", rooms, sessions: 2 })
    }

    fn drained(capacity: usize, pushed: &[Event]) -> Vec<Event> {
        let queue = EventQueue::new(capacity).unwrap();
        queue.announce(pushed.to_vec());
        queue.drain(1_000)
    }

    #[test]
    fn up_to_the_capacity_everything_is_kept_as_it_happened() {
        let pushed = [speaker("a"), speaker("b"), source("a", "b"), speaker("a"), source("a", "c")];
        assert_eq!(drained(5, &pushed), pushed);
    }

    #[test]
    fn beyond_the_capacity_the_last_word_on_each_topic_arrives_in_the_order_of_the_last_words() {
        let pushed =
            [source("a", "b"), speaker("a"), source("b", "a"), source("a", "c"), speaker("b"), source("a", "d")];
        assert_eq!(drained(0, &pushed), [source("b", "a"), speaker("b"), source("a", "d")]);
    }

    #[test]
    fn a_sessions_end_takes_the_place_of_its_beginning_and_is_never_lost() {
        use SessionState::{Closed, Connected, Connecting};
        let pushed = [state("a", Connecting), state("a", Connected), state("a", Closed)];
        assert_eq!(drained(0, &pushed), [state("a", Closed)]);
        let again = [state("a", Closed), state("a", Connecting), state("a", Connected)];
        assert_eq!(drained(0, &again), [state("a", Closed), state("a", Connected)], "another session of that name");
    }

    #[test]
    fn every_failure_of_a_shard_arrives() {
        assert_eq!(drained(0, &[failure(), failure()]).len(), 2);
    }

    #[test]
    fn what_waits_is_bounded_by_what_it_is_about_however_much_happens() {
        let queue = EventQueue::new(100).unwrap();
        for round in 0..10_000 {
            let name = format!("{}", round % 50);
            queue.announce(vec![source(&name, "x"), speaker(&name), state(&name, SessionState::Connected)]);
        }
        let left = queue.drain(usize::MAX);
        assert!(left.len() <= 100 + 50 + 1 + 50, "{}", left.len());
        assert!(queue.lock().latest.is_empty(), "nothing is remembered of what has been taken");
    }

    #[test]
    fn what_was_taken_is_not_replaced() {
        let queue = EventQueue::new(1).unwrap();
        queue.announce(vec![speaker("a"), source("a", "b")]);
        assert_eq!(queue.drain(1), [speaker("a")]);
        queue.announce(vec![speaker("b"), speaker("c")]);
        assert_eq!(queue.drain(9), [source("a", "b"), speaker("c")]);
    }

    #[test]
    fn a_fenced_thread_has_nothing_to_say() {
        let queue = EventQueue::new(10).unwrap();
        let incarnation = Incarnation::new().unwrap();
        queue.push(vec![speaker("a")], &incarnation);
        incarnation.fence();
        queue.push(vec![speaker("b")], &incarnation);
        assert_eq!(queue.drain(10), [speaker("a")]);
    }

    #[test]
    fn the_descriptor_is_readable_while_there_are_events() {
        let queue = EventQueue::new(10).unwrap();
        let readable = |queue: &EventQueue| wait_readable(&[queue.as_raw_fd()], Some(0)) == [true];
        assert!(!readable(&queue));
        queue.announce(vec![speaker("a"), speaker("b")]);
        assert!(readable(&queue));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(readable(&queue));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(!readable(&queue));
    }

    #[test]
    fn commands_are_bounded_and_what_closes_is_not_refused() {
        let queue = CommandQueue::new().unwrap();
        let pushed = (0..10_000).filter(|_| queue.push(Command::OpenRoom("room".into()))).count();
        assert_eq!(pushed, COMMAND_CAPACITY);
        let key = SessionKey { index: 0, generation: 0 };
        assert!(queue.push(Command::CloseSession(key, CloseReason::Requested)));
        assert!(queue.push(Command::CloseRoom("room".into())));
        assert!(queue.push(Command::Stop));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), COMMAND_CAPACITY + 3);
        assert!(queue.pop().is_none());
    }

    #[test]
    fn the_shard_stays_awake_while_commands_wait() {
        let queue = CommandQueue::new().unwrap();
        let readable = |queue: &CommandQueue| wait_readable(&[queue.as_raw_fd()], Some(0)) == [true];
        for _ in 0..2 {
            assert!(!readable(&queue));
            (0..2).for_each(|_| _ = queue.push(Command::OpenRoom("room".into())));
            assert!(readable(&queue) && queue.pop().is_some() && readable(&queue));
            assert!(queue.pop().is_some() && !readable(&queue));
        }
    }
}
