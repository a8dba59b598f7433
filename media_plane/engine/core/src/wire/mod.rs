//! The packet formats of WebRTC: STUN, RTP with header extensions, RTCP, and telling them apart on one port.

pub mod bytes;
pub mod demux;
pub mod extension;
pub mod framing;
pub mod layers_allocation;
pub mod rtcp;
pub mod rtp;
pub mod stun;
