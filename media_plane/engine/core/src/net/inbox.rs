//! What a shard takes from its socket in one call (`recvmmsg`): several runs of datagrams, each of one sender.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use super::address::RawAddress;
use super::control::{ControlBuffer, read_control};
use super::socket::{MediaSocket, message};
use crate::outbox::Path;

/// Runs taken in one call: as many as leave in one.
const RUNS: usize = 16;
/// The largest run of coalesced datagrams.
pub(crate) const LARGEST_RUN: usize = 65_536;
/// Distance of two runs in memory. With a power of two their first bytes would compete for the same lines of the cache.
const STRIDE: usize = LARGEST_RUN + 1_536;

/// Datagrams of one sender.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub path: Path,
    /// Size of each; the last may be shorter.
    pub segment: usize,
    pub bytes: &'a mut [u8],
}

impl<'a> Received<'a> {
    /// Each of them. An empty datagram is one, too: a flood of what counts for nothing would never let go.
    pub(crate) fn datagrams(self) -> impl Iterator<Item = &'a mut [u8]> {
        let empty = self.bytes.is_empty().then(<&mut [u8]>::default);
        empty.into_iter().chain(self.bytes.chunks_mut(self.segment))
    }
}

#[derive(Debug, Clone, Copy)]
struct Arrived {
    path: Path,
    segment: usize,
    len: usize,
}

/// Room for the runs of one call.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    arrived: [Option<Arrived>; RUNS],
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; RUNS * STRIDE], arrived: [None; RUNS] }
    }

    /// Takes up to `limit` runs that have arrived, in place of the former ones; returns whether there may be more.
    pub(crate) fn fill(&mut self, socket: &MediaSocket, limit: usize) -> io::Result<bool> {
        self.arrived = [None; RUNS];
        let mut addresses = [const { RawAddress::EMPTY }; RUNS];
        let mut controls = [const { ControlBuffer::EMPTY }; RUNS];
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; RUNS];
        // SAFETY: mmsghdr is plain data for which all zero bytes mean "nothing attached".
        let mut messages: [libc::mmsghdr; RUNS] = unsafe { std::mem::zeroed() };
        let wanted = limit.min(RUNS);
        let places = addresses.iter_mut().zip(&mut controls).zip(&mut parts).zip(&mut messages);
        for (chunk, (((address, control), part), place)) in self.buffer.chunks_mut(STRIDE).zip(places).take(wanted) {
            *part = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: LARGEST_RUN };
            place.msg_hdr = message(address, part);
            control.attach_for_receive(&mut place.msg_hdr);
        }
        let count = receive(socket, &mut messages[..wanted])?;
        for ((arrived, message), address) in self.arrived.iter_mut().zip(&messages[..count]).zip(&addresses) {
            let info = read_control(&message.msg_hdr);
            let len = message.msg_len as usize;
            let Some(remote) = address.get() else { continue };
            let path = path(socket.bound(), remote, info.local);
            *arrived = Some(Arrived { path, len, segment: info.segment.unwrap_or(len).max(1) });
        }
        Ok(count == wanted)
    }

    /// The runs that were taken, in the order of their arrival.
    pub(crate) fn runs(&mut self) -> impl Iterator<Item = Received<'_>> {
        self.buffer.chunks_mut(STRIDE).zip(&self.arrived).filter_map(|(chunk, arrived)| {
            let Arrived { path, segment, len } = (*arrived)?;
            Some(Received { path, segment, bytes: &mut chunk[..len] })
        })
    }

    /// A buffer for one run of other origin.
    pub(crate) fn scratch(&mut self) -> &mut [u8] {
        self.arrived = [None; RUNS];
        &mut self.buffer[..LARGEST_RUN]
    }
}

/// Fills the messages; returns how many have come.
fn receive(socket: &MediaSocket, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
    loop {
        let wanted = messages.len() as libc::c_uint;
        // SAFETY: each header points at an address, an iovec and a control buffer with their true lengths, and each iovec at a
        // part of a buffer of its own; all are borrowed mutably by the caller, and there is no timeout to read.
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), wanted, 0, std::ptr::null_mut()) };
        if let Ok(count) = usize::try_from(received) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock => return Ok(0),
            // An ICMP error about an earlier datagram surfaces here; it concerns one peer and not the socket.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}

/// A socket of both families shows IPv4 addresses in IPv6's form; everything else knows them as what they are.
fn path(bound: SocketAddr, remote: SocketAddr, local: Option<IpAddr>) -> Path {
    let local = local.unwrap_or(bound.ip()).to_canonical();
    let remote = if bound.is_ipv6() { SocketAddr::new(remote.ip().to_canonical(), remote.port()) } else { remote };
    Path::udp(remote, local)
}
