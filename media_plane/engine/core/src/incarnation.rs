//! One thread's time at a shard: what the thread shares with the engine, which may take the shard away from it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};

use crate::command::Command;
use crate::counters::SharedCounters;
use crate::queue::CommandQueue;
use crate::wire::demux::DatagramKind;

macro_rules! activities {
    ($($name:ident => $word:literal,)*) => {
        /// What a shard's thread is doing. It names kinds of input and never what they hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Activity {
            $($name,)*
        }

        impl Activity {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $word),)*];
        }
    };
}

activities! {
    Starting => "starting",
    Waiting => "waiting",
    Stun => "stun",
    Dtls => "dtls",
    Rtp => "rtp",
    Rtcp => "rtcp",
    Noise => "noise",
    Stream => "tcp",
    Forwarding => "forwarding",
    Timers => "timers",
    Publishing => "publishing",
    OpenRoom => "open_room",
    CloseRoom => "close_room",
    OpenSession => "open_session",
    CloseSession => "close_session",
    ChangeMedia => "change_media",
    RestartIce => "restart_ice",
    SetTrackMuted => "set_track_muted",
    UpdateSlots => "update_slots",
    RequestKeyFrame => "request_key_frame",
    Stats => "stats",
    Explain => "explain",
    Fault => "fault",
    Stop => "stop",
}

impl From<DatagramKind> for Activity {
    fn from(kind: DatagramKind) -> Self {
        match kind {
            DatagramKind::Stun => Self::Stun,
            DatagramKind::Dtls => Self::Dtls,
            DatagramKind::Rtp => Self::Rtp,
            DatagramKind::Rtcp => Self::Rtcp,
            DatagramKind::Noise => Self::Noise,
        }
    }
}

impl From<&Command> for Activity {
    fn from(command: &Command) -> Self {
        match command {
            Command::OpenRoom(_) => Self::OpenRoom,
            Command::CloseRoom(_) => Self::CloseRoom,
            Command::OpenSession(_) => Self::OpenSession,
            Command::CloseSession(..) => Self::CloseSession,
            Command::ChangeMedia(..) => Self::ChangeMedia,
            Command::RestartIce(..) => Self::RestartIce,
            Command::SetTrackMuted { .. } => Self::SetTrackMuted,
            Command::UpdateSlots(..) => Self::UpdateSlots,
            Command::RequestKeyFrame(..) => Self::RequestKeyFrame,
            Command::Stats(..) => Self::Stats,
            Command::Explain(..) => Self::Explain,
            Command::Fault(_) => Self::Fault,
            Command::Stop => Self::Stop,
        }
    }
}

/// What passes between the engine and one thread of a shard.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub commands: CommandQueue,
    counters: SharedCounters,
    turns: AtomicU64,
    activity: AtomicU8,
    fenced: AtomicBool,
    thread: AtomicI32,
}

impl Incarnation {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            commands: CommandQueue::new()?,
            counters: SharedCounters::default(),
            turns: AtomicU64::new(0),
            activity: AtomicU8::new(Activity::Starting as u8),
            fenced: AtomicBool::new(false),
            thread: AtomicI32::new(0),
        })
    }

    /// Counters as they were published; None once the thread may publish no more.
    pub(crate) fn published_counters(&self) -> Option<&SharedCounters> {
        (!self.is_fenced()).then_some(&self.counters)
    }

    pub(crate) fn counters(&self) -> &SharedCounters {
        &self.counters
    }

    /// The thread has begun; `thread` is the kernel's number of it.
    pub(crate) fn begin(&self, thread: i32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// The kernel's number of the thread; None before it has begun.
    pub(crate) fn thread(&self) -> Option<i32> {
        Some(self.thread.load(Ordering::Relaxed)).filter(|thread| *thread != 0)
    }

    /// The thread has waited for something to do and begins another turn of its loop. Only the thread itself calls it, so no turn is lost.
    pub(crate) fn count_turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The thread turns to something.
    pub(crate) fn enter(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    /// The word for what the thread turned to last.
    pub(crate) fn activity(&self) -> &'static str {
        let code = self.activity.load(Ordering::Relaxed);
        Activity::ALL.iter().find(|(activity, _)| *activity as u8 == code).map_or("", |(_, word)| word)
    }

    /// From now on the shard is not the thread's: it touches no socket and says nothing any more, and ends when it notices.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_have_words_of_their_own() {
        let incarnation = Incarnation::new().unwrap();
        let mut words = Vec::new();
        for (activity, word) in Activity::ALL {
            incarnation.enter(*activity);
            assert_eq!(incarnation.activity(), *word);
            assert!(!words.contains(word));
            words.push(word);
        }
    }

    #[test]
    fn who_is_fenced_publishes_nothing() {
        let incarnation = Incarnation::new().unwrap();
        assert!(incarnation.published_counters().is_some());
        incarnation.fence();
        assert!(incarnation.published_counters().is_none());
    }
}
