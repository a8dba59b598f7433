//! The engine and str0m, an implementation that shares no code of protocols with it, side by side.
#![allow(clippy::cast_sign_loss, reason = "rates, shares and times of statistics are not negative")]

mod calls;
mod reference;
mod rtcp;
mod rtp;
#[path = "../../../core/tests/sim/mod.rs"]
mod sim;
mod stun;

/// How many seeds each test has at least.
const SEEDS: u64 = 20;
