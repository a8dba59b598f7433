//! A shard's TCP port, for clients whose network lets no UDP through (RFC 6544, passive; framing of RFC 4571).
//!
//! A connection is a path like another: what it is worth is decided by connectivity checks. Whoever shows none in time is
//! closed, and nobody can make a connection hold more than its bounds: a frame too large ends it, and what a slow reader
//! does not take is refused as a full UDP socket would refuse it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use super::epoll::{Epoll, Ready};
use super::stream::Connection;
use crate::clock::{Micros, SECOND};
use crate::outbox::{Path, Transport};
use crate::rate_limit::source_of;
use crate::wire::framing::{MAX_FRAME, PREFIX};

/// Time a connection has for its first valid connectivity check.
const PROOF_TIMEOUT: Micros = 10 * SECOND;
/// A connection without a valid check for this long is no path any more: twice what consent lasts (RFC 7675).
const IDLE_TIMEOUT: Micros = 60 * SECOND;
/// Time between two looks at what has timed out.
const SWEEP: Micros = SECOND;
/// Connections without a valid check, of one source. A whole office may come from one address, but each of its clients
/// needs the place for a moment only.
const MAX_UNPROVEN_PER_SOURCE: usize = 32;
/// Connections without a valid check, of all addresses.
const MAX_UNPROVEN: usize = 1_024;
/// Connections in all: two for each session that a shard takes by default.
const MAX_CONNECTIONS: usize = 4_096;
/// Connections taken before others get their turn.
const ACCEPT_BATCH: usize = 32;
/// Bytes read of a connection before others get their turn.
pub(crate) const READ_BUFFER: usize = 16 << 10;
const LISTENER: u64 = u64::MAX;

/// What has been refused since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpCounts {
    /// Connections over a limit.
    pub refused: u64,
    /// Connections closed for want of a valid check.
    pub silent: u64,
    /// Connections closed for a frame that is too large.
    pub oversized: u64,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Silent,
    Oversized,
}

/// A listening socket and its connections.
#[derive(Debug)]
pub(crate) struct TcpPort {
    listener: TcpListener,
    listening: bool,
    epoll: Epoll,
    ready: Vec<Ready>,
    connections: HashMap<u32, Connection>,
    next_number: u32,
    unproven: HashMap<IpAddr, usize>,
    unproven_in_all: usize,
    scratch: Vec<u8>,
    closed: Vec<Path>,
    next_sweep: Micros,
    counts: TcpCounts,
}

impl TcpPort {
    /// Takes the connections of a listening socket.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new()?;
        epoll.add(listener.as_raw_fd(), LISTENER)?;
        Ok(Self {
            listener,
            listening: true,
            epoll,
            ready: Vec::new(),
            connections: HashMap::new(),
            next_number: 0,
            unproven: HashMap::new(),
            unproven_in_all: 0,
            scratch: Vec::new(),
            closed: Vec::new(),
            next_sweep: 0,
            counts: TcpCounts::default(),
        })
    }

    pub(crate) fn counts(&self) -> TcpCounts {
        self.counts
    }

    /// Takes new connections, writes what could not be written before, and finds out which connections can be read:
    /// [`TcpPort::next_readable`] names them.
    pub(crate) fn poll(&mut self, now: Micros) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.epoll.ready(&mut ready);
        for found in &ready {
            if found.token == LISTENER {
                self.accept(now);
            } else if found.writable {
                self.flush(found.token);
            }
        }
        ready.retain(|found| found.readable && found.token != LISTENER);
        self.ready = ready;
    }

    /// The next connection that can be read.
    pub(crate) fn next_readable(&mut self) -> Option<u32> {
        self.ready.pop().map(|found| found.token as u32)
    }

    fn accept(&mut self, now: Micros) {
        for _ in 0..ACCEPT_BATCH {
            match self.listener.accept() {
                Ok((stream, remote)) => self.take_in(now, stream, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Of one connection: it was gone before it was taken.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EINTR)) => {}
                Err(_) => {
                    // Without descriptors or memory the listener would stay readable: it rests until the next sweep.
                    self.listen(false);
                    self.next_sweep = now + SWEEP;
                    return;
                }
            }
        }
    }

    fn listen(&mut self, listening: bool) {
        self.listening = listening;
        // It is a member from the beginning to the end, and so cannot be refused.
        let _ = self.epoll.watch(self.listener.as_raw_fd(), LISTENER, listening, false);
    }

    fn take_in(&mut self, now: Micros, stream: TcpStream, remote: SocketAddr) {
        let source = source_of(remote.ip());
        let of_source = self.unproven.get(&source).copied().unwrap_or(0);
        let full = of_source >= MAX_UNPROVEN_PER_SOURCE
            || self.unproven_in_all >= MAX_UNPROVEN
            || self.connections.len() >= MAX_CONNECTIONS;
        let number = self.free_number();
        let path = stream.local_addr().map(|local| Path {
            remote: SocketAddr::new(remote.ip().to_canonical(), remote.port()),
            local: local.ip().to_canonical(),
            transport: Transport::Tcp(number),
        });
        let opened = path.and_then(|path| Connection::new(stream, path, now + PROOF_TIMEOUT));
        let member = |connection: &Connection| self.epoll.add(connection.as_raw_fd(), number.into()).is_ok();
        let Some(connection) = opened.ok().filter(|_| !full).filter(member) else {
            self.counts.refused += 1;
            return;
        };
        if self.connections.is_empty() {
            self.next_sweep = now + SWEEP;
        }
        self.connections.insert(number, connection);
        self.unproven.insert(source, of_source + 1);
        self.unproven_in_all += 1;
    }

    /// A number that no connection has; they come round only after four thousand million.
    fn free_number(&mut self) -> u32 {
        loop {
            self.next_number = self.next_number.wrapping_add(1);
            if !self.connections.contains_key(&self.next_number) {
                return self.next_number;
            }
        }
    }

    /// Reads what has come, behind what was incomplete; None when there is nothing or the connection has ended.
    pub(crate) fn receive(&mut self, number: u32, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let connection = self.connections.get_mut(&number)?;
        let kept = connection.partial.len();
        buffer[..kept].copy_from_slice(&connection.partial);
        match connection.stream.read(&mut buffer[kept..READ_BUFFER]) {
            Ok(len) if len > 0 => {
                connection.partial.clear();
                Some((connection.path, kept + len))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            _ => {
                self.close(number, End::Closed);
                None
            }
        }
    }

    /// Keeps the incomplete end of what was received; None: the client broke the limit of a frame, which ends the connection.
    pub(crate) fn keep(&mut self, number: u32, incomplete: Option<&[u8]>) {
        let Some(incomplete) = incomplete.filter(|bytes| bytes.len() < PREFIX + MAX_FRAME) else {
            return self.close(number, End::Oversized);
        };
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.partial.extend_from_slice(incomplete);
        }
    }

    /// Sends a run of datagrams, or all of it later; false when the client has not taken what was sent before.
    pub(crate) fn transmit(&mut self, number: u32, segment: usize, bytes: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return false };
        let waited = connection.has_pending();
        let taken = connection.send(segment, bytes, &mut self.scratch);
        if connection.has_pending() != waited {
            let _ = self.epoll.watch(connection.as_raw_fd(), number.into(), true, !waited);
        }
        taken
    }

    fn flush(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&(token as u32)) else { return };
        connection.flush();
        if !connection.has_pending() {
            let _ = self.epoll.watch(connection.as_raw_fd(), token, true, false);
        }
    }

    /// A valid connectivity check came over the connection.
    pub(crate) fn confirm(&mut self, now: Micros, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.deadline = now + IDLE_TIMEOUT;
        if !std::mem::replace(&mut connection.proven, true) {
            let source = source_of(connection.path.remote.ip());
            self.release(source);
        }
    }

    /// No session uses the connection any more: the next sweep closes it.
    pub(crate) fn retire(&mut self, number: u32) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.deadline = 0;
            self.next_sweep = 0;
        }
    }

    /// When [`TcpPort::handle_timeout`] wants to be called; None: never.
    pub(crate) fn poll_timeout(&self) -> Option<Micros> {
        (!self.connections.is_empty() || !self.listening).then_some(self.next_sweep)
    }

    /// Closes what has timed out.
    pub(crate) fn handle_timeout(&mut self, now: Micros) {
        if now < self.next_sweep || self.poll_timeout().is_none() {
            return;
        }
        self.next_sweep = now + SWEEP;
        if !self.listening {
            self.listen(true);
        }
        let due = |connection: &&Connection| connection.deadline <= now;
        let number_of = |connection: &Connection| connection.number();
        let expired: Vec<u32> = self.connections.values().filter(due).map(number_of).collect();
        for number in expired {
            let proven = self.connections.get(&number).is_some_and(|connection| connection.proven);
            self.close(number, if proven { End::Closed } else { End::Silent });
        }
    }

    /// Paths that have ended since the last call, of those that had been proven.
    pub(crate) fn take_closed(&mut self) -> Vec<Path> {
        std::mem::take(&mut self.closed)
    }

    fn close(&mut self, number: u32, end: End) {
        let Some(connection) = self.connections.remove(&number) else { return };
        match end {
            End::Closed => {}
            End::Silent => self.counts.silent += 1,
            End::Oversized => self.counts.oversized += 1,
        }
        if connection.proven {
            self.closed.push(connection.path);
        } else {
            self.release(source_of(connection.path.remote.ip()));
        }
    }

    /// One connection less that waits for its first check.
    fn release(&mut self, source: IpAddr) {
        self.unproven_in_all -= 1;
        if let Some(count) = self.unproven.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.unproven.remove(&source);
            }
        }
    }
}

impl AsRawFd for TcpPort {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
