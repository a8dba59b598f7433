//! What the way to a receiver carries: congestion control in the manner of Google Congestion Control
//! (draft-ietf-rmcat-gcc-02; the names of libwebrtc's parts are given where they differ).
//!
//! Every packet to a receiver is remembered with its send time ([`history`]). The receiver's transport-cc feedback joins
//! them with their arrival ([`feedback`]). Packets that left together are a group ([`arrival`]); the slope of the groups'
//! one-way delay ([`trendline`]) against an adaptive threshold ([`overuse`]) tells whether a queue grows, and the rate
//! follows ([`aimd`]), next to a limit by losses ([`loss`]). Since an SFU cannot raise the rate of what it forwards bit by
//! bit, short bursts of padding find out what else would pass ([`probe`]). [`Estimator`] is the face of all this.
//!
//! Sans-IO, one instance a receiver, nothing is allocated after the first feedback.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates and times of a call are far below 2^52, and rates are never negative"
)]

mod acknowledged;
mod aimd;
mod arrival;
#[cfg(test)]
mod closed_loop;
mod delay_floor;
mod estimator;
mod feedback;
mod history;
mod loss;
mod overuse;
mod probe;
mod queueing;
mod trendline;

pub(crate) use estimator::Estimator;
pub use estimator::{BandwidthState, Estimate};
pub(crate) use feedback::MAX_REPORTED;

/// What a packet costs the way beyond its RTP bytes: the headers of IPv4 and UDP, and the tag of AES-GCM.
pub(crate) const PACKET_OVERHEAD: usize = 20 + 8 + 16;
