//! Waiting for many descriptors at once (epoll(7)). An epoll instance is readable itself while any of its members is ready.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Members reported by one call; the others are reported by the next.
const BATCH: u8 = 64;

/// What a member is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) token: u64,
    /// It has bytes, or has ended.
    pub(super) readable: bool,
    pub(super) writable: bool,
}

/// A set of descriptors; a member leaves it when its descriptor is closed.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, token)
    }

    /// Reports a member for reading, and for writing when wanted.
    pub(super) fn watch(&self, fd: RawFd, token: u64, reading: bool, writing: bool) -> io::Result<()> {
        let events = if reading { libc::EPOLLIN } else { 0 } | if writing { libc::EPOLLOUT } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, events: libc::c_int, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: token };
        // SAFETY: `event` lives during the call; a descriptor that is not open is an error, not unsound.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// What is ready now.
    pub(super) fn ready(&self, found: &mut Vec<Ready>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH as usize];
        // SAFETY: `events` has BATCH entries and lives during the call.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH.into(), 0) };
        let count = usize::try_from(count).unwrap_or(0);
        found.extend(events[..count].iter().map(|event| {
            let (flags, token) = (event.events.cast_signed(), event.u64);
            Ready { token, readable: flags & !libc::EPOLLOUT != 0, writable: flags & libc::EPOLLOUT != 0 }
        }));
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
