//! Parley's forwarding engine.
//!
//! The protocol modules are sans-IO: they take time and bytes and give bytes and events, so whole meetings run in a
//! simulated network. Only the socket and shard modules touch the operating system.
//!
//! Nothing here allocates for a packet after warm-up, and no parser panics on any input.

mod agreed_media;
mod allocation;
mod audio;
pub mod bandwidth;
mod bucket;
mod carried;
pub mod clock;
mod codec_choice;
pub mod command;
pub mod counters;
mod directory;
pub mod dtls;
pub mod engine;
pub mod event;
pub mod explanation;
pub mod fault;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod ice;
mod incarnation;
mod keeper;
mod layer_filter;
mod loss;
mod munger;
pub mod net;
pub mod outbox;
mod pacer;
pub mod params;
pub mod payload;
mod picture;
mod publication;
mod queue;
mod rate;
mod rate_limit;
mod reception;
mod repair_wait;
mod ring;
mod room;
mod sctp;
mod session;
pub mod shard;
mod shards;
mod slab;
mod slot;
mod spacing;
pub mod srtp;
pub mod stats;
mod track;
pub mod twcc;
pub mod ufrag;
mod uplink;
mod watch;
pub mod wire;
mod work;
mod worker;
