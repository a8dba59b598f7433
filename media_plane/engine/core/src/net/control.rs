//! Control messages (cmsg(3)): the segment size of a run of datagrams and the local address of a datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for every control message that is sent or received here.
const CAPACITY: usize = 128;

/// A buffer for control messages, aligned as their header needs it.
#[repr(C, align(8))]
pub(super) struct ControlBuffer {
    bytes: [u8; CAPACITY],
    len: usize,
}

/// What the control messages of a received datagram say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ControlInfo {
    /// Size of the coalesced datagrams (`UDP_GRO`).
    pub(super) segment: Option<usize>,
    /// The address the datagram was sent to.
    pub(super) local: Option<IpAddr>,
}

impl ControlBuffer {
    /// Nothing yet.
    pub(super) const EMPTY: Self = Self { bytes: [0; CAPACITY], len: 0 };

    pub(super) fn new() -> Self {
        Self::EMPTY
    }

    /// Points a message header at the whole buffer, to receive.
    pub(super) fn attach_for_receive(&mut self, message: &mut libc::msghdr) {
        message.msg_control = self.bytes.as_mut_ptr().cast();
        message.msg_controllen = CAPACITY;
    }

    /// Points a message header at what has been pushed, to send.
    pub(super) fn attach_for_send(&mut self, message: &mut libc::msghdr) {
        if self.len > 0 {
            message.msg_control = self.bytes.as_mut_ptr().cast();
            message.msg_controllen = self.len;
        }
    }

    fn push<T: Copy>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        let size = size_of::<T>() as u32;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; they touch no memory.
        let [space, len, data_at] =
            unsafe { [libc::CMSG_SPACE(size), libc::CMSG_LEN(size), libc::CMSG_LEN(0)] }.map(|len| len as usize);
        assert!(self.len + space <= CAPACITY, "the control buffer holds every message that is sent");
        let header = libc::cmsghdr { cmsg_len: len, cmsg_level: level, cmsg_type: kind };
        // SAFETY: `self.len + space` is within the buffer (asserted), and `data_at` plus the size of T is at most `space`;
        // both are written unaligned.
        unsafe {
            let at = self.bytes.as_mut_ptr().add(self.len);
            at.cast::<libc::cmsghdr>().write_unaligned(header);
            at.add(data_at).cast::<T>().write_unaligned(value);
        }
        self.len += space;
    }

    /// Asks for a run of datagrams of this size (`UDP_SEGMENT`).
    pub(super) fn push_segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }

    /// Sets the address to send from.
    pub(super) fn push_local(&mut self, local: IpAddr) {
        match local {
            IpAddr::V4(ip) => {
                let source = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let info =
                    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
}

/// Reads the control messages that the kernel attached to `message`.
pub(super) fn read_control(message: &libc::msghdr) -> ControlInfo {
    let mut info = ControlInfo::default();
    // SAFETY: `message` was filled in by recvmsg with a live control buffer, whose length the kernel set; the CMSG macros
    // walk within it and return null at its end.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !at.is_null() {
        // SAFETY: `at` is not null, so it points at a complete header inside the buffer.
        let header = unsafe { at.read() };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: the kernel attaches an int to UDP_GRO.
                let size = unsafe { libc::CMSG_DATA(at).cast::<libc::c_int>().read_unaligned() };
                info.segment = usize::try_from(size).ok().filter(|size| *size > 0);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel attaches an in_pktinfo to IP_PKTINFO.
                let packet = unsafe { libc::CMSG_DATA(at).cast::<libc::in_pktinfo>().read_unaligned() };
                info.local = Some(IpAddr::V4(Ipv4Addr::from(packet.ipi_addr.s_addr.to_ne_bytes())));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel attaches an in6_pktinfo to IPV6_PKTINFO.
                let packet = unsafe { libc::CMSG_DATA(at).cast::<libc::in6_pktinfo>().read_unaligned() };
                info.local = Some(IpAddr::V6(Ipv6Addr::from(packet.ipi6_addr.s6_addr)));
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        at = unsafe { libc::CMSG_NXTHDR(message, at) };
    }
    info
}
