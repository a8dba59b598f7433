//! The engine's only contact with the operating system: UDP sockets with segmentation offload, TCP connections,
//! event file descriptors, waiting, and the thread's CPU time.
//!
//! This is the one module with `unsafe`: these system calls have no safe wrapper in the standard library. Each block says
//! why it is sound.
#![allow(unsafe_code)]

mod address;
mod control;
mod epoll;
mod inbox;
mod network;
mod socket;
mod stream;
mod system;
mod tcp;

pub(crate) use inbox::Inbox;
pub(crate) use network::{Network, Sockets};
pub(crate) use socket::MediaSocket;
pub(crate) use system::{
    ThreadState, ThreadUsage, WakeFd, give_way, pin_to_core, thread_cpu_nanoseconds, thread_number, thread_usage,
    wait_readable,
};
#[cfg(feature = "fuzzing")]
pub(crate) use tcp::READ_BUFFER;
pub(crate) use tcp::TcpPort;

/// Whether this kernel segments sent datagrams and coalesces received ones (`UDP_SEGMENT`, `UDP_GRO`).
#[must_use]
pub fn offload_support() -> (bool, bool) {
    MediaSocket::bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
        .map_or((false, false), |socket| (socket.has_gso(), socket.has_gro()))
}
