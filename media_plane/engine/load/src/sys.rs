//! The few calls to the kernel that the standard library does not have.
#![allow(
    unsafe_code,
    reason = "system calls; each wrapper passes only memory that it borrows or owns for the call's duration"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Waits for readable descriptors.
pub(crate) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed; a non-negative result is a descriptor that nobody else owns.
        let descriptor = unsafe {
            let descriptor = checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(descriptor)
        };
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; 256] })
    }

    /// Watches a descriptor for input; `token` comes back from [`Epoll::wait`]. Closing the descriptor ends it.
    pub(crate) fn add(&self, descriptor: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` lives during the call.
        let result =
            unsafe { libc::epoll_ctl(self.descriptor.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &raw mut event) };
        checked(result).map(|_| ())
    }

    /// Ends watching a descriptor.
    pub(crate) fn remove(&self, descriptor: RawFd) -> io::Result<()> {
        // SAFETY: no memory is passed; the kernel ignores the event.
        let result = unsafe {
            libc::epoll_ctl(self.descriptor.as_raw_fd(), libc::EPOLL_CTL_DEL, descriptor, std::ptr::null_mut())
        };
        checked(result).map(|_| ())
    }

    /// Returns the tokens of readable descriptors, none when `timeout` has passed.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = u64> + use<'_>> {
        // Rounded up: waking a little late is better than spinning for the rest of a millisecond.
        let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let capacity = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `capacity` events, which is the length of the vector.
        let result =
            unsafe { libc::epoll_wait(self.descriptor.as_raw_fd(), self.events.as_mut_ptr(), capacity, milliseconds) };
        let count = match checked(result) {
            Ok(count) => count.cast_unsigned() as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(self.events.iter().take(count).map(|event| event.u64))
    }
}

/// Asks the kernel to stamp each datagram with its arrival time, to hold bursts and to hand over what came together at once.
pub(crate) fn prepare_receiver(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    coalesce_received(socket, true)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20)
}

/// Whether datagrams that were sent in one call are received in one (`UDP_GRO`). Over loopback nobody cuts them up then,
/// which is what a network card that segments by itself saves the sender.
pub(crate) fn coalesce_received(socket: &UdpSocket, coalesce: bool) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, i32::from(coalesce))
}

/// Lets the kernel keep no more datagrams for this socket than it must, one or two. A queue of megabytes that nobody reads would
/// make the sender fill so much memory that has not been touched for long, if ever: the sender's time, but not its work.
pub(crate) fn keep_nothing(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 0)
}

/// Lets the kernel drop RTP and RTCP (RFC 7983: first byte 128 to 191) before it reaches the socket's queue.
pub(crate) fn drop_media(socket: &UdpSocket) -> io::Result<()> {
    const FIRST_BYTE: u32 = 8; // behind the UDP header, at which a socket's filter begins
    let step = |code: u32, jump_true: u8, jump_false: u8, operand: u32| libc::sock_filter {
        code: code as u16,
        jt: jump_true,
        jf: jump_false,
        k: operand,
    };
    let steps = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, FIRST_BYTE),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 2, 128),
        step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 1, 0, 191),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_ptr().cast_mut() };
    set_struct(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// How many datagrams the kernel has dropped at this socket: by a filter, or because its queue was full.
pub(crate) fn dropped(socket: &UdpSocket) -> io::Result<u32> {
    const DROPS: usize = 8; // SK_MEMINFO_DROPS
    let mut figures = [0_u32; DROPS + 1];
    let mut len = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the array's size.
    let result = unsafe {
        let figures = (&raw mut figures).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, figures, &raw mut len)
    };
    checked(result).map(|_| figures[DROPS])
}

/// Datagrams that were received at once.
pub(crate) struct Received {
    /// Of all of them.
    pub(crate) len: usize,
    /// Of each; the last may be shorter.
    pub(crate) segment: usize,
    pub(crate) from: SocketAddr,
    /// When they arrived, in nanoseconds of the real-time clock.
    pub(crate) arrival: u64,
}

/// Receives a run of datagrams of one sender.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = ControlBuffer::new();
    // SAFETY: an all-zero msghdr and sockaddr_storage are valid; all pointers stay valid during the call.
    unsafe {
        let mut from: libc::sockaddr_storage = zeroed();
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut message: libc::msghdr = zeroed();
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = size_of::<ControlBuffer>();
        let len = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        if len < 0 {
            return Err(io::Error::last_os_error());
        }
        let len = len.cast_unsigned();
        let (arrival, segment) = read_control(&message);
        let from = address_of(&from).ok_or(io::ErrorKind::Unsupported)?;
        let arrival = arrival.unwrap_or_else(now_unix_nano);
        Ok(Received { len, segment: segment.unwrap_or(len).max(1), from, arrival })
    }
}

/// Finds the arrival time and the size of coalesced datagrams among a received message's control data.
///
/// # Safety
/// `message` was filled by `recvmsg` and its control buffer is alive.
unsafe fn read_control(message: &libc::msghdr) -> (Option<u64>, Option<usize>) {
    let (mut arrival, mut segment) = (None, None);
    // SAFETY: the CMSG functions stay inside the control buffer; SCM_TIMESTAMPNS carries a timespec and UDP_GRO an int.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    arrival = Some(nanoseconds(&data.cast::<libc::timespec>().read_unaligned()));
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    segment = usize::try_from(data.cast::<libc::c_int>().read_unaligned()).ok();
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    (arrival, segment)
}

/// # Safety
/// `storage` was filled by the kernel.
unsafe fn address_of(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = u32::from_be(address.sin_addr.s_addr).into();
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the storage holds a sockaddr_in6.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = std::net::Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddr::new(ip.into(), u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}

/// Sends `data` to a connected socket as datagrams of `segment` bytes in one call (`UDP_SEGMENT`).
pub(crate) fn send_segments(socket: &UdpSocket, data: &[u8], segment: u16) -> io::Result<usize> {
    let mut control = ControlBuffer::new();
    // SAFETY: an all-zero msghdr is valid; the control buffer has room for the one header that is written;
    // the kernel only reads through `iov_base`.
    unsafe {
        let mut vector = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment);
        let len = libc::sendmsg(socket.as_raw_fd(), &raw const message, 0);
        if len < 0 { Err(io::Error::last_os_error()) } else { Ok(len.cast_unsigned()) }
    }
}

/// Room for the control data of one message, aligned as its headers must be.
#[repr(C, align(8))]
struct ControlBuffer([u8; 128]);

impl ControlBuffer {
    fn new() -> Self {
        Self([0; 128])
    }
}

/// Nanoseconds since the Unix epoch, on the clock that stamps arriving datagrams.
pub(crate) fn now_unix_nano() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    nanoseconds(&time)
}

fn nanoseconds(time: &libc::timespec) -> u64 {
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// CPU time that a thread or process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl CpuTime {
    /// What has been used since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_time() -> CpuTime {
    // SAFETY: an all-zero rusage is valid and lives during the call.
    let usage = unsafe {
        let mut usage: libc::rusage = zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.cast_unsigned()) + Duration::from_micros(time.tv_usec.cast_unsigned())
    };
    CpuTime { user: duration(usage.ru_utime), system: duration(usage.ru_stime) }
}

fn set_option(socket: &UdpSocket, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_struct(socket, level, name, &value)
}

fn set_struct<T>(socket: &UdpSocket, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `value`, and memory that it points to, during the call.
    let result = unsafe {
        let value = std::ptr::from_ref(value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, size_of::<T>() as u32)
    };
    checked(result).map(|_| ())
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_media_is_counted_and_the_rest_is_read() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        drop_media(&receiver).unwrap();
        for first_byte in [0, 127, 128, 144, 191, 192] {
            sender.send_to(&[first_byte; 20], receiver.local_addr().unwrap()).unwrap();
        }
        let mut buffer = [0; 64];
        let read: Vec<u8> = (0..3).map(|_| receive(&receiver, &mut buffer).map(|_| buffer[0]).unwrap()).collect();
        assert_eq!(read, [0, 127, 192]);
        assert_eq!(dropped(&receiver).unwrap(), 3);
    }
}
