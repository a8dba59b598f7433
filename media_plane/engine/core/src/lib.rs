//! Parley's forwarding engine.
//!
//! The protocol modules are sans-IO: they take time and bytes and give bytes and events, so whole meetings run in a
//! simulated network. Only the socket and shard modules touch the operating system.
//!
//! Nothing here allocates for a packet after warm-up, and no parser panics on any input.

pub mod payload;
pub mod srtp;
pub mod twcc;
pub mod wire;
