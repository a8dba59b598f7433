//! What passes between the node's thread and the shards' threads: commands in, events out. Neither is on the path of a
//! packet.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

use crate::command::Command;
use crate::event::Event;
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

    /// Adds a command and wakes the shard; false when too many wait. The end is never refused.
    pub(crate) fn push(&self, command: Command) -> bool {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() >= COMMAND_CAPACITY && !matches!(command, Command::Stop) {
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
}

impl AsRawFd for CommandQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

/// Events of all shards, for the node.
#[derive(Debug)]
pub(crate) struct EventQueue {
    events: Mutex<VecDeque<Event>>,
    capacity: usize,
    wake: WakeFd,
}

impl EventQueue {
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self { events: Mutex::new(VecDeque::new()), capacity, wake: WakeFd::new()? })
    }

    /// Adds events and wakes the node. Over the capacity only events of state are kept: they are as many as the commands and
    /// sessions that cause them, and without them the node would believe something that is not so.
    pub(crate) fn push(&self, new: Vec<Event>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in new {
            if events.len() < self.capacity || event.kind.is_state() {
                events.push_back(event);
            }
        }
        drop(events);
        self.wake.wake();
    }

    /// Takes the oldest events; the descriptor stays readable while there are more.
    pub(crate) fn drain(&self, max: usize) -> Vec<Event> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let count = max.min(events.len());
        let drained = events.drain(..count).collect();
        if events.is_empty() {
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
    use crate::event::EventKind;
    use crate::net::wait_readable;

    fn event(state: bool) -> Event {
        let room = "room".into();
        let kind = if state {
            EventKind::SlotSource {
                subject: crate::event::Subject { room, session: "session".into() },
                mid: "0".into(),
                source: None,
            }
        } else {
            EventKind::DominantSpeaker { room, session: None }
        };
        Event { kind, time_unix_nano: 0 }
    }

    #[test]
    fn events_of_state_are_kept_beyond_the_capacity() {
        let queue = EventQueue::new(2).unwrap();
        queue.push(vec![event(true), event(false), event(false), event(true)]);
        assert_eq!(queue.drain(10), [event(true), event(false), event(true)]);
    }

    #[test]
    fn the_descriptor_is_readable_while_there_are_events() {
        let queue = EventQueue::new(10).unwrap();
        let readable = |queue: &EventQueue| wait_readable(&[queue.as_raw_fd()], Some(0)) == [true];
        assert!(!readable(&queue));
        queue.push(vec![event(true), event(true)]);
        assert!(readable(&queue));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(readable(&queue));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(!readable(&queue));
    }

    #[test]
    fn commands_are_bounded_and_the_end_is_not_refused() {
        let queue = CommandQueue::new().unwrap();
        let pushed = (0..10_000).filter(|_| queue.push(Command::OpenRoom("room".into()))).count();
        assert_eq!(pushed, COMMAND_CAPACITY);
        assert!(queue.push(Command::Stop));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), COMMAND_CAPACITY + 1);
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
