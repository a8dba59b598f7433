//! One direction of a client's way: a rate that changes at given times, a queue that drops what it cannot hold, losses in
//! bursts, duplicates.

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};

use super::network::Random;

/// Bytes of IPv4 and UDP headers.
const HEADERS: u64 = 28;

/// Losses in bursts (Gilbert and Elliott): chances of a thousand for each datagram.
#[derive(Debug, Clone, Copy)]
pub struct Bursts {
    /// To turn bad.
    pub begin: u64,
    /// To turn good again.
    pub end: u64,
    /// To be lost while it is bad.
    pub loss: u64,
}

/// A datagram that the link did not carry.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    pub at: Micros,
    /// Its second byte, which tells RTP payload types and RTCP apart.
    pub kind: u8,
}

/// The link.
#[derive(Debug, Default)]
pub struct Link {
    /// Bits a second from these times on; none: no limit.
    pub rates: Vec<(Micros, u64)>,
    /// The longest a datagram waits; one that would wait longer is dropped. 0: no datagram waits for another for long.
    pub queue: Micros,
    pub bursts: Option<Bursts>,
    /// Of a thousand.
    pub duplicates: u64,
    pub lost: Vec<Lost>,
    /// Bits carried.
    pub carried: u64,
    pub free: Micros,
    pub bad: bool,
}

impl Link {
    /// A link with a queue of 300 ms whose rate changes at these times.
    pub fn limited(rates: &[(Micros, u64)]) -> Self {
        Self { rates: rates.to_vec(), queue: 300 * MILLISECOND, ..Self::default() }
    }

    /// When a datagram has left the link; None: never.
    pub fn carry(&mut self, now: Micros, datagram: &[u8], random: &mut Random) -> Option<Micros> {
        let departure = self.pass(now, datagram.len() as u64, random);
        let bits = 8 * (datagram.len() as u64 + HEADERS);
        match departure {
            Some(_) => self.carried += bits,
            None => self.lost.push(Lost { at: now, kind: datagram.get(1).copied().unwrap_or_default() & 0x7f }),
        }
        departure
    }

    fn pass(&mut self, now: Micros, len: u64, random: &mut Random) -> Option<Micros> {
        if let Some(bursts) = self.bursts {
            self.bad = if self.bad { !random.permille(bursts.end) } else { random.permille(bursts.begin) };
            if self.bad && random.permille(bursts.loss) {
                return None;
            }
        }
        let rate = self.rates.iter().rev().find(|(from, _)| *from <= now);
        let Some((_, rate)) = rate else { return Some(now) };
        if self.queued(now) > self.queue {
            return None;
        }
        self.free = self.free.max(now) + 8 * (len + HEADERS) * SECOND / rate;
        Some(self.free)
    }

    /// What a datagram sent now would wait.
    pub fn queued(&self, now: Micros) -> Micros {
        self.free.saturating_sub(now)
    }
}
