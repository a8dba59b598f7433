//! One TCP connection: bytes that have come of an incomplete frame, and bytes that could not be written yet.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

use super::socket::set_option;
use crate::clock::Micros;
use crate::outbox::{Path, Transport};
use crate::wire::framing::write_frames;

/// Bytes that wait in the kernel and have not been sent (`TCP_NOTSENT_LOWAT`). With those below, what waits is at most
/// 256 KiB: one second at 2 Mbit/s. More would only be older when it comes.
const KERNEL_QUEUE: libc::c_int = 64 << 10;
/// Bytes that wait here.
const MAX_PENDING: usize = 192 << 10;
/// The end of the room is kept for small datagrams, which are sound, reports and checks: pictures are dropped first.
const RESERVE: usize = 32 << 10;
/// A datagram of more bytes is a picture's: 120 ms of Opus at 20 kbit/s, or a check, are smaller.
const SMALL: usize = 400;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) path: Path,
    /// Beginning of a frame.
    pub(super) partial: Vec<u8>,
    /// Whether a valid check came over it.
    pub(super) proven: bool,
    pub(super) deadline: Micros,
    pending: VecDeque<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, path: Path, deadline: Micros) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        set_option(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, KERNEL_QUEUE)?;
        Ok(Self { stream, path, partial: Vec::new(), proven: false, deadline, pending: VecDeque::new() })
    }

    pub(super) fn number(&self) -> u32 {
        match self.path.transport {
            Transport::Tcp(number) => number,
            Transport::Udp => 0,
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Sends a run of datagrams or keeps it for later, whole: half a picture is worth nothing. False: there is no room.
    pub(super) fn send(&mut self, segment: usize, bytes: &[u8], scratch: &mut Vec<u8>) -> bool {
        scratch.clear();
        write_frames(segment, bytes, scratch);
        let room = if segment > SMALL { MAX_PENDING - RESERVE } else { MAX_PENDING };
        if self.pending.len() + scratch.len() > room {
            return false;
        }
        let written = if self.has_pending() { Ok(0) } else { write(&self.stream, scratch) };
        // A connection that is broken is found to be when it is read next.
        let Ok(written) = written else { return false };
        self.pending.extend(&scratch[written..]);
        true
    }

    /// Writes what waits, as far as it goes.
    pub(super) fn flush(&mut self) {
        while self.has_pending() {
            let (front, _) = self.pending.as_slices();
            match write(&self.stream, front) {
                Ok(0) => return,
                Ok(written) => drop(self.pending.drain(..written)),
                Err(_) => return self.pending.clear(),
            }
        }
    }
}

/// Writes as much as the kernel takes.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        result => result,
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}
