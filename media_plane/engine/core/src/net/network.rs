//! A shard's way out: its UDP socket, and its TCP port where it has one.

use std::os::fd::{AsRawFd, RawFd};

use super::socket::MediaSocket;
use super::tcp::TcpPort;
use crate::clock::Micros;
use crate::outbox::{Path, Run, Sent, Transmit, Transport};

/// No descriptor: poll(2) passes over it.
const NO_DESCRIPTOR: RawFd = -1;

/// The sockets of a shard.
#[derive(Debug)]
pub(crate) struct Network {
    pub socket: MediaSocket,
    pub tcp: Option<TcpPort>,
}

impl Network {
    /// What becomes readable when a connection has something to do.
    pub(crate) fn tcp_descriptor(&self) -> RawFd {
        self.tcp.as_ref().map_or(NO_DESCRIPTOR, AsRawFd::as_raw_fd)
    }

    /// When [`Network::handle_timeout`] wants to be called; None: never.
    pub(crate) fn poll_timeout(&self) -> Option<Micros> {
        self.tcp.as_ref().and_then(TcpPort::poll_timeout)
    }

    /// Closes connections whose time is over.
    pub(crate) fn handle_timeout(&mut self, now: Micros) {
        if let Some(tcp) = &mut self.tcp {
            tcp.handle_timeout(now);
        }
    }

    fn connection(&mut self, path: &Path) -> Option<(&mut TcpPort, u32)> {
        match path.transport {
            Transport::Udp => None,
            Transport::Tcp(number) => self.tcp.as_mut().map(|tcp| (tcp, number)),
        }
    }
}

impl Transmit for Network {
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
        match path.transport {
            Transport::Udp => self.socket.transmit(path, segment, bytes),
            Transport::Tcp(number) => self.tcp.as_mut().is_some_and(|tcp| tcp.transmit(number, segment, bytes)),
        }
    }

    fn transmit_runs(&mut self, runs: &[Run], arena: &[u8], sent: &mut Sent) {
        for alike in runs.chunk_by(|a, b| a.path.transport == b.path.transport) {
            match alike {
                [Run { path: Path { transport: Transport::Udp, .. }, .. }, ..] => {
                    self.socket.transmit_runs(alike, arena, sent);
                }
                _ => {
                    for run in alike {
                        sent.calls += 1;
                        let accepted = self.transmit(&run.path, run.segment, run.bytes(arena));
                        sent.note(run, accepted);
                    }
                }
            }
        }
    }

    fn confirm(&mut self, now: Micros, path: &Path) {
        if let Some((tcp, number)) = self.connection(path) {
            tcp.confirm(now, number);
        }
    }

    fn retire(&mut self, path: &Path) {
        if let Some((tcp, number)) = self.connection(path) {
            tcp.retire(number);
        }
    }
}
