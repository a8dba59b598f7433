//! A shard's way out: its UDP socket, and its TCP port where it has one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::inbox::Inbox;
use super::socket::MediaSocket;
use super::tcp::TcpPort;
use crate::clock::Micros;
use crate::incarnation::Incarnation;
use crate::outbox::{Path, Run, Sent, Transmit, Transport};

/// No descriptor: poll(2) passes over it.
const NO_DESCRIPTOR: RawFd = -1;

/// The sockets of a shard, which outlive its threads: ports stay the same, and what has arrived is not lost.
#[derive(Debug)]
pub(crate) struct Sockets {
    udp: MediaSocket,
    tcp: Option<TcpListener>,
}

impl Sockets {
    /// Binds them; port 0 takes any free one.
    pub(crate) fn bind(udp: SocketAddr, tcp: Option<SocketAddr>) -> io::Result<Self> {
        Ok(Self { udp: MediaSocket::bind(udp)?, tcp: tcp.map(TcpListener::bind).transpose()? })
    }

    pub(crate) fn port(&self) -> u16 {
        self.udp.port()
    }

    pub(crate) fn tcp_port(&self) -> Option<u16> {
        Some(self.tcp.as_ref()?.local_addr().ok()?.port())
    }

    /// Lets a thread use them until it is fenced.
    pub(crate) fn open(&self, user: Arc<Incarnation>) -> io::Result<Network> {
        let listener = self.tcp.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok(Network { udp: self.udp.try_clone()?, tcp: listener.map(TcpPort::new).transpose()?, user })
    }
}

/// A shard's sockets in the hands of one thread. One that has been fenced reaches none of them.
#[derive(Debug)]
pub(crate) struct Network {
    udp: MediaSocket,
    tcp: Option<TcpPort>,
    user: Arc<Incarnation>,
}

impl Network {
    /// What becomes readable when a datagram has come.
    pub(crate) fn udp_descriptor(&self) -> RawFd {
        self.udp.as_raw_fd()
    }

    /// Takes up to `limit` runs of datagrams that have come; returns whether there may be more.
    pub(crate) fn fill(&self, inbox: &mut Inbox, limit: usize) -> io::Result<bool> {
        if self.user.is_fenced() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        inbox.fill(&self.udp, limit)
    }

    /// The TCP port, where there is one.
    pub(crate) fn tcp(&mut self) -> Option<&mut TcpPort> {
        self.tcp.as_mut().filter(|_| !self.user.is_fenced())
    }

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
        if let Some(tcp) = self.tcp() {
            tcp.handle_timeout(now);
        }
    }

    fn connection(&mut self, path: &Path) -> Option<(&mut TcpPort, u32)> {
        match path.transport {
            Transport::Udp => None,
            Transport::Tcp(number) => self.tcp().map(|tcp| (tcp, number)),
        }
    }
}

impl Transmit for Network {
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
        match path.transport {
            Transport::Udp => !self.user.is_fenced() && self.udp.transmit(path, segment, bytes),
            Transport::Tcp(number) => self.tcp().is_some_and(|tcp| tcp.transmit(number, segment, bytes)),
        }
    }

    fn transmit_runs(&mut self, runs: &[Run], arena: &[u8], sent: &mut Sent) {
        if self.user.is_fenced() {
            return;
        }
        for alike in runs.chunk_by(|a, b| a.path.transport == b.path.transport) {
            match alike {
                [Run { path: Path { transport: Transport::Udp, .. }, .. }, ..] => {
                    self.udp.transmit_runs(alike, arena, sent);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::wait_readable;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_thread_that_was_fenced_reaches_no_socket_and_its_successor_reaches_all() {
        let sockets = Sockets::bind(loopback(), Some(loopback())).unwrap();
        let mut stranger = MediaSocket::bind(loopback()).unwrap();
        let ip = loopback().ip();
        let to_stranger = Path::udp(SocketAddr::new(ip, stranger.port()), ip);
        let former = Arc::new(Incarnation::new().unwrap());
        let mut before = sockets.open(Arc::clone(&former)).unwrap();
        let mut after = sockets.open(Arc::new(Incarnation::new().unwrap())).unwrap();
        let mut inbox = Inbox::new();

        former.fence();
        assert!(!before.transmit(&to_stranger, 10, b"late"));
        let mut sent = Sent::default();
        let run = Run { path: to_stranger, segment: 4, start: 0, len: 4 };
        before.transmit_runs(&[run], b"late", &mut sent);
        assert_eq!(sent.packets, 0);
        assert_eq!(wait_readable(&[stranger.as_raw_fd()], Some(0)), [false], "nothing was sent");
        assert!(before.tcp().is_none());

        assert!(stranger.transmit(&Path::udp(SocketAddr::new(ip, sockets.port()), ip), 10, b"hello"));
        assert_eq!(wait_readable(&[after.udp_descriptor()], Some(2_000_000)), [true]);
        assert!(before.fill(&mut inbox, 1).is_err());
        after.fill(&mut inbox, 1).unwrap();
        assert_eq!(inbox.runs().count(), 1, "it was left for the successor");
        assert!(after.tcp().is_some());
        assert!(after.transmit(&to_stranger, 10, b"hello"));
    }
}
