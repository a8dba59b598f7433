//! Data channels (RFC 8831): what participants tell each other that must not go through the control plane's event log.
//!
//! SCTP runs over the DTLS of the session and comes from `sctp-proto`; opening channels (DCEP, RFC 8832), which labels
//! there are, and what a session may say and may keep waiting is ours. A session whose offer has no m-line for data
//! channels has none of this.

mod association;
mod dcep;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod guard;
mod label;
mod limits;
mod message;

pub(crate) use association::{Channels, Sent};
pub(crate) use label::Label;
pub(crate) use limits::RoomAllowance;
pub(crate) use message::wrap;
