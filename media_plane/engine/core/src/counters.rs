//! Monotonic counters: plain numbers inside a shard, published to atomics that other threads read.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a shard counts since its start.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The counters' names, in the order of [`Counters::values`].
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The counters' values.
            #[must_use]
            pub fn values(&self) -> [u64; Self::NAMES.len()] {
                [$(self.$name,)*]
            }
        }
    };
}

counters! {
    /// Datagrams received.
    packets_received,
    /// Bytes of UDP payload received.
    bytes_received,
    /// Datagrams sent.
    packets_sent,
    /// Bytes of UDP payload sent.
    bytes_sent,
    /// RTP packets that never came although they were asked for again.
    packets_lost,
    /// RTP packets that came after they were asked for again.
    packets_recovered,
    /// Generic NACK messages from receivers.
    nacks_received,
    /// Generic NACK messages to senders.
    nacks_sent,
    /// PLI messages to senders.
    key_frame_requests_sent,
    /// PLI and FIR messages from receivers.
    key_frame_requests_received,
    /// Transport-wide congestion control feedback messages from receivers.
    transport_feedback_received,
    /// Units of work (about 20 ns each) that RTCP from clients has asked for and got.
    rtcp_work,
    /// Times that a session's bandwidth was divided among its slots.
    layer_allocations,
    /// Retransmissions sent to receivers.
    retransmissions_sent,
    /// Times that a slot's waiting pictures were dropped, because the way to its receiver was too narrow for them.
    paced_out,
    /// Runs of datagrams of equal size to one address; the kernel or the network card cuts each up.
    send_runs,
    /// System calls that sent.
    send_calls,
    /// System calls that received.
    receive_calls,
    /// Calls into the shard that made more datagrams than any should: a defect.
    calls_over_limit,
    /// CPU time of the shard's thread.
    cpu_nanoseconds,
    /// Sessions opened.
    sessions_opened,
    /// Sessions closed.
    sessions_closed,
    /// Shards that failed because their thread panicked.
    shard_panics,
    /// Shards that failed because their thread made no turn any more.
    shard_stalls,
    /// Messages on data channels from clients that were passed on.
    channel_messages_received,
    /// Messages on data channels to clients.
    channel_messages_sent,
    /// Messages over what a session may send.
    channel_messages_dropped_rate,
    /// Messages over what one participant, or all together, may send to everyone else in a room.
    channel_messages_dropped_room,
    /// Messages that a slow receiver did not get on a channel that promises nothing, or that are too long for it.
    channel_messages_dropped_slow,
    /// Messages that are too long, empty, or of no channel.
    channel_messages_dropped_malformed,
    /// Data channels opened by clients.
    channels_opened,
    /// Data channels refused: an unknown label, or one whose channel promises something else.
    channels_refused,
    /// Reliable data channels closed because their receiver fell behind.
    channels_closed_slow,
    /// SCTP associations that failed or were lost before their session ended.
    channel_associations_lost,
    /// STUN refused: malformed, unknown user name, wrong integrity.
    dropped_stun,
    /// DTLS refused: no validated address, or a handshake that failed.
    dropped_dtls,
    /// SRTP or SRTCP whose authentication failed.
    dropped_srtp_auth,
    /// SRTP or SRTCP received before, or too old to tell.
    dropped_srtp_replay,
    /// RTP refused: malformed or of an unknown payload type.
    dropped_rtp,
    /// RTCP refused: malformed.
    dropped_rtcp,
    /// RTCP over what a session may make the engine do.
    dropped_rtcp_rate,
    /// SCTP over what a session may send.
    dropped_sctp_rate,
    /// RTP that came too late: newer packets have taken its place, or another stream has.
    dropped_late,
    /// RTP that was not sent because its number had been used for another packet.
    dropped_reuse,
    /// RTP that belongs to no track.
    dropped_unknown_ssrc,
    /// Datagrams from an address no session has proven to own.
    dropped_unknown_source,
    /// Datagrams of no protocol the engine speaks.
    dropped_noise,
    /// Datagrams over the rate limit of their source.
    dropped_rate,
    /// Datagrams that were not sent because their address has not shown that it receives any, and has asked for less.
    dropped_unanswered,
    /// Datagrams the socket or a TCP connection refused to take.
    dropped_send_buffer,
    /// Datagrams that were not sent because they would have been larger than any that leaves the node.
    dropped_send_oversized,
    /// TCP connections refused: too many, of one address or in all.
    dropped_tcp_connections,
    /// TCP connections closed because no valid connectivity check came in time.
    dropped_tcp_silent,
    /// TCP connections closed because of a frame larger than any datagram.
    dropped_tcp_oversized,
}

/// A shard's counters as other threads see them.
#[derive(Debug)]
pub struct SharedCounters([AtomicU64; Counters::NAMES.len()]);

impl Default for SharedCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl SharedCounters {
    /// Makes the present values visible.
    pub fn publish(&self, counters: &Counters) {
        for (shared, value) in self.0.iter().zip(counters.values()) {
            shared.store(value, Ordering::Relaxed);
        }
    }

    /// Adds the published values to `sums`, in the order of [`Counters::NAMES`].
    pub fn add_to(&self, sums: &mut [u64]) {
        for (sum, shared) in sums.iter_mut().zip(&self.0) {
            *sum += shared.load(Ordering::Relaxed);
        }
    }
}
