//! What receivers say of their way, and when more of it is probed.

use super::Shard;
use crate::clock::Micros;
use crate::outbox::Transmit;
use crate::twcc::TransportFeedback;

impl Shard {
    /// A receiver tells when its packets arrived.
    pub(super) fn take_feedback(
        &mut self,
        now: Micros,
        index: u32,
        report: &TransportFeedback<'_>,
        network: &mut dyn Transmit,
    ) {
        self.counters.transport_feedback_received += 1;
        if let Some(session) = self.session_mut(index) {
            session.bandwidth.on_feedback(now, report);
            self.adjust_pace(now, index);
        }
        self.repair_reported(now, index, report, network);
    }

    /// A receiver tells what it believes it can take.
    pub(super) fn take_remb(&mut self, index: u32, bits_per_second: u64) {
        if let Some(session) = self.session_mut(index) {
            session.bandwidth.on_remb(bits_per_second);
        }
    }

    /// Lets the estimate see time pass, and begins the burst that it may ask for.
    pub(super) fn tick_bandwidth(&mut self, now: Micros, index: u32) {
        let Some(session) = self.session_mut(index) else { return };
        session.bandwidth.tick(now);
        self.adjust_pace(now, index);
    }

    /// Begins to send in steps, or faster or slower, as the estimate wants it. Where everything passes there are no steps.
    fn adjust_pace(&mut self, now: Micros, index: u32) {
        let Some(session) = self.session_mut(index) else { return };
        session.pacer.set_rate(now, session.bandwidth.pacing_rate(now));
        let stepwise = session.pacer.is_active() || session.bandwidth.is_probing();
        if stepwise && !self.paced.contains(&index) {
            if self.paced.is_empty() {
                self.next_step = now;
            }
            self.paced.push(index);
        }
    }
}
