//! Faults that a test gives a shard, to see that it is replaced. No message from a network leads here.

use std::time::{Duration, Instant};

/// What happens to the shard's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It panics.
    Panic,
    /// It does nothing for so long, as a thread that waits for a lock.
    Sleep(Duration),
    /// It keeps its core busy for so long, as a loop that does not advance.
    Spin(Duration),
}

impl Fault {
    pub(crate) fn happen(self) {
        match self {
            Self::Panic => panic!("a fault was injected"),
            Self::Sleep(duration) => std::thread::sleep(duration),
            Self::Spin(duration) => {
                let until = Instant::now() + duration;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
