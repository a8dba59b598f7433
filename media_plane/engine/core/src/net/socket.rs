//! A shard's UDP socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use super::address::RawAddress;
use super::control::ControlBuffer;
use crate::outbox::{MAX_RUNS, Path, Run, Sent, Transmit};

/// Room the kernel is asked for in each direction; it grants what `net.core.rmem_max` and `wmem_max` allow.
const SOCKET_BUFFER: libc::c_int = 8 << 20;

/// A non-blocking UDP socket that sends and receives runs of datagrams.
#[derive(Debug)]
pub(crate) struct MediaSocket {
    socket: UdpSocket,
    bound: SocketAddr,
    gso: bool,
    gro: bool,
}

impl MediaSocket {
    /// Binds a socket; port 0 takes any free one.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let fd = socket.as_raw_fd();
        for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
            set_option(fd, libc::SOL_SOCKET, option, SOCKET_BUFFER)?;
        }
        if bound.ip().is_unspecified() {
            match bound.ip() {
                IpAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
                IpAddr::V6(_) => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
            }
        }
        // Setting the size of segments to 0 changes nothing and fails where segmentation is unknown.
        let gso = set_option(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        let gro = set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
        Ok(Self { socket, bound, gso, gro })
    }

    /// The same socket for another thread.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let &Self { ref socket, bound, gso, gro } = self;
        Ok(Self { socket: socket.try_clone()?, bound, gso, gro })
    }

    pub(crate) fn port(&self) -> u16 {
        self.bound.port()
    }

    pub(crate) fn has_gso(&self) -> bool {
        self.gso
    }

    pub(crate) fn has_gro(&self) -> bool {
        self.gro
    }

    pub(crate) fn bound(&self) -> SocketAddr {
        self.bound
    }

    fn send(&self, path: &Path, segment: Option<u16>, bytes: &[u8]) -> io::Result<()> {
        let mut address = RawAddress::new(self.in_own_family(path.remote));
        let mut control = ControlBuffer::new();
        if let Some(size) = segment {
            control.push_segment(size);
        }
        if self.bound.ip().is_unspecified() && !path.local.is_unspecified() {
            control.push_local(path.local);
        }
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message = message(&mut address, &mut part);
        control.attach_for_send(&mut message);
        // SAFETY: the header points at a live address, iovec and control buffer with their true lengths; sendmsg only reads through
        // the iovec, so the cast from a shared borrow is sound.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// A socket of both families takes IPv4 addresses in IPv6's form only (RFC 4291 section 2.5.5.2).
    fn in_own_family(&self, address: SocketAddr) -> SocketAddr {
        match (self.bound, address) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => address,
        }
    }

    fn send_one_by_one(&self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
        let refused = bytes.chunks(segment).filter(|datagram| self.send(path, None, datagram).is_err());
        refused.count() == 0
    }
}

impl Transmit for MediaSocket {
    fn transmit(&mut self, path: &Path, segment: usize, bytes: &[u8]) -> bool {
        let run = bytes.len() > segment;
        if !run {
            return self.send(path, None, bytes).is_ok();
        }
        let Some(size) = u16::try_from(segment).ok().filter(|_| self.gso) else {
            return self.send_one_by_one(path, segment, bytes);
        };
        match self.send(path, Some(size), bytes) {
            Ok(()) => true,
            // A device without checksum offload refuses segmentation (EIO), one with a smaller MTU the size (EINVAL).
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                self.gso = error.raw_os_error() == Some(libc::EINVAL);
                self.send_one_by_one(path, segment, bytes)
            }
            Err(_) => false,
        }
    }

    fn transmit_runs(&mut self, runs: &[Run], arena: &[u8], sent: &mut Sent) {
        let mut left = runs;
        while let [first, rest @ ..] = left {
            // What one call can't take is sent by itself, which also finds out why it can't.
            let done = if self.gso && !rest.is_empty() { self.send_together(left, arena) } else { 0 };
            sent.calls += 1;
            left[..done].iter().for_each(|run| sent.note(run, true));
            left = &left[done..];
            if done == 0 {
                let accepted = self.transmit(&first.path, first.segment, first.bytes(arena));
                sent.note(first, accepted);
                left = rest;
            }
        }
    }
}

impl MediaSocket {
    /// Sends runs in one call; returns how many of them, in their order, were taken.
    fn send_together(&self, runs: &[Run], arena: &[u8]) -> usize {
        let mut addresses = [const { RawAddress::EMPTY }; MAX_RUNS];
        let mut controls = [const { ControlBuffer::EMPTY }; MAX_RUNS];
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MAX_RUNS];
        // SAFETY: mmsghdr is plain data for which all zero bytes mean "nothing attached".
        let mut messages: [libc::mmsghdr; MAX_RUNS] = unsafe { std::mem::zeroed() };
        let count = runs.len().min(MAX_RUNS);
        let places = addresses.iter_mut().zip(&mut controls).zip(&mut parts).zip(&mut messages);
        for (run, (((address, control), part), place)) in runs.iter().zip(places) {
            *address = RawAddress::new(self.in_own_family(run.path.remote));
            if let (true, Ok(size)) = (run.len > run.segment, u16::try_from(run.segment)) {
                control.push_segment(size);
            }
            if self.bound.ip().is_unspecified() && !run.path.local.is_unspecified() {
                control.push_local(run.path.local);
            }
            let bytes = run.bytes(arena);
            *part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            place.msg_hdr = message(address, part);
            control.attach_for_send(&mut place.msg_hdr);
        }
        // SAFETY: the first `count` headers point at addresses, iovecs and control buffers that live until the end of this
        // function, and the iovecs at `arena`, which is only read.
        let sent = unsafe {
            libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, libc::MSG_NOSIGNAL)
        };
        usize::try_from(sent).unwrap_or(0)
    }
}

impl AsRawFd for MediaSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The header of a message with one part.
pub(super) fn message(address: &mut RawAddress, part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: msghdr is plain data for which all zero bytes mean "nothing attached".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_mut(&mut address.storage).cast();
    message.msg_namelen = address.len;
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

pub(super) fn set_option(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` lives during the call and `len` is its size.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Inbox, wait_readable};

    fn exchange(bind: &str, to: &str) -> (Vec<Vec<u8>>, IpAddr) {
        let receiver = MediaSocket::bind(bind.parse().unwrap()).unwrap();
        let mut sender = MediaSocket::bind(SocketAddr::new(to.parse().unwrap(), 0)).unwrap();
        let path = Path::udp(SocketAddr::new(to.parse().unwrap(), receiver.port()), to.parse().unwrap());
        assert!(sender.transmit(&path, 100, &[7; 250]));
        let mut datagrams = Vec::new();
        let mut local = IpAddr::from([0, 0, 0, 0]);
        let mut inbox = Inbox::new();
        while datagrams.len() < 3 {
            assert_eq!(wait_readable(&[receiver.as_raw_fd()], Some(2_000_000)), [true], "datagrams arrive");
            inbox.fill(&receiver, 3).unwrap();
            for received in inbox.runs() {
                datagrams.extend(received.bytes.chunks(received.segment).map(<[u8]>::to_vec));
                local = received.path.local;
            }
        }
        (datagrams, local)
    }

    #[test]
    fn a_run_arrives_as_its_datagrams() {
        let (datagrams, local) = exchange("127.0.0.1:0", "127.0.0.1");
        assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(local, IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn a_wildcard_socket_knows_the_address_it_was_sent_to() {
        let (_, local) = exchange("0.0.0.0:0", "127.0.0.2");
        assert_eq!(local, IpAddr::from([127, 0, 0, 2]));
    }

    #[test]
    fn a_socket_of_both_families_knows_each_by_its_own_form() {
        assert_eq!(exchange("[::]:0", "::1").1, IpAddr::from(std::net::Ipv6Addr::LOCALHOST));
        assert_eq!(exchange("[::]:0", "127.0.0.2").1, IpAddr::from([127, 0, 0, 2]));
        let both = MediaSocket::bind("[::]:0".parse().unwrap()).unwrap();
        let mut v4 = MediaSocket::bind("127.0.0.3:0".parse().unwrap()).unwrap();
        let node = SocketAddr::new([127, 0, 0, 3].into(), both.port());
        assert!(v4.transmit(&Path::udp(node, [127, 0, 0, 3].into()), 10, b"question"));
        assert_eq!(wait_readable(&[both.as_raw_fd()], Some(2_000_000)), [true]);
        let path = path_of_next(&both);
        assert_eq!(path, Path::udp(SocketAddr::new([127, 0, 0, 3].into(), v4.port()), [127, 0, 0, 3].into()));
        let mut both = both;
        assert!(both.transmit(&path, 4, b"answered"));
        assert_eq!(wait_readable(&[v4.as_raw_fd()], Some(2_000_000)), [true]);
        assert_eq!(path_of_next(&v4).remote, node, "it leaves from where it was asked");
    }

    fn path_of_next(socket: &MediaSocket) -> Path {
        let mut inbox = Inbox::new();
        inbox.fill(socket, 1).unwrap();
        inbox.runs().next().unwrap().path
    }

    #[test]
    fn what_several_have_sent_is_taken_in_one_call_in_its_order() {
        let receiver = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        let path = Path::udp(SocketAddr::new(local, receiver.port()), local);
        let mut senders = [(); 20].map(|()| MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        for (number, sender) in senders.iter_mut().enumerate() {
            assert!(sender.transmit(&path, 10, &[number as u8; 25]));
        }
        let mut inbox = Inbox::new();
        let mut seen = Vec::new();
        for (limit, more) in [(3, true), (16, true), (16, false), (16, false)] {
            assert_eq!(inbox.fill(&receiver, limit).unwrap(), more);
            for received in inbox.runs() {
                assert_eq!((received.bytes.len(), received.segment), (25, 10));
                assert_eq!(received.path.remote.port(), senders[usize::from(received.bytes[0])].port());
                seen.push(received.bytes[0]);
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn runs_leave_in_one_call_and_one_that_is_refused_holds_up_none() {
        let receivers = [(); 3].map(|()| MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let mut sender = MediaSocket::bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        let run =
            |port, start, len| Run { path: Path::udp(SocketAddr::new(local, port), local), segment: 100, start, len };
        let [a, b, c] = [0, 1, 2].map(|place: usize| receivers[place].port());
        // Nobody can be reached at port 0.
        let runs = [run(a, 0, 300), run(0, 300, 200), run(b, 500, 100), run(c, 600, 250)];
        let mut sent = Sent::default();
        sender.transmit_runs(&runs, &[7; 1_000], &mut sent);
        assert_eq!((sent.packets, sent.bytes, sent.refused), (7, 650, 2));
        sent = Sent::default();
        sender.transmit_runs(&[runs[0], runs[2], runs[3]], &[7; 1_000], &mut sent);
        assert_eq!((sent.calls, sent.packets), (1, 7));
        let mut inbox = Inbox::new();
        for (receiver, expected) in receivers.iter().zip([600, 200, 500]) {
            let mut bytes = 0;
            while bytes < expected {
                assert_eq!(wait_readable(&[receiver.as_raw_fd()], Some(2_000_000)), [true], "datagrams arrive");
                inbox.fill(receiver, 16).unwrap();
                bytes += inbox.runs().map(|received| received.bytes.len()).sum::<usize>();
            }
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn an_empty_socket_gives_nothing() {
        let socket = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut inbox = Inbox::new();
        assert!(!inbox.fill(&socket, 16).unwrap());
        assert!(inbox.runs().next().is_none());
    }
}
