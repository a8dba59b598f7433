//! Data channels: messages of one session go to everyone else in its room who has a channel of the same label open.

use super::Shard;
use crate::clock::Micros;
use crate::dtls::Progress;
use crate::outbox::Transmit;
use crate::sctp::{Label, Sent, wrap};
use crate::work;

impl Shard {
    /// Answers what a client's association has brought, and passes its messages on.
    pub(super) fn follow_channels(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        self.count_channels(index);
        self.send_channels(now, index, network);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Some(channels) = &mut session.channels else { return };
        let sender = &channels.participant_id.clone();
        let mut messages: Vec<_> = channels.take_received();
        let room = session.room;
        let Some(allowance) = self.rooms.get_mut(room).filter(|_| !messages.is_empty()) else { return };
        let (others, received) = (allowance.sessions.len(), messages.len());
        messages.retain(|_| channels.may_spread(now, others.saturating_sub(1), &mut allowance.channels));
        self.counters.channel_messages_dropped_room += (received - messages.len()) as u64;
        if messages.is_empty() {
            return;
        }
        let messages: Vec<_> =
            messages.into_iter().map(|message| (message.label, wrap(sender, &message.payload))).collect();
        // From the end: a session whose connection turns out to be closed leaves the list.
        for place in (0..others).rev() {
            work::step();
            let Some(other) = self.rooms.get(room).and_then(|room| room.sessions.get(place).copied()) else { break };
            if other != index {
                self.pass_on(now, other, &messages, network);
            }
        }
    }

    /// Does what the associations want done in time.
    pub(super) fn tick_channels(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let Some(channels) = self.session_mut(index).and_then(|session| session.channels.as_mut()) else { return };
        if channels.handle_timeout(now) {
            self.follow_channels(now, index, network);
        }
    }

    fn pass_on(&mut self, now: Micros, index: u32, messages: &[(Label, Vec<u8>)], network: &mut dyn Transmit) {
        let session = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut);
        let Some(session) = session.filter(|session| session.is_connected()) else { return };
        let Some(channels) = &mut session.channels else { return };
        let mut any = false;
        for (label, message) in messages {
            let sent = channels.send(*label, message);
            any |= sent != Sent::NotOpen;
            match sent {
                Sent::Accepted => self.counters.channel_messages_sent += 1,
                Sent::Dropped => self.counters.channel_messages_dropped_slow += 1,
                Sent::Closed => self.counters.channels_closed_slow += 1,
                Sent::NotOpen => {}
            }
        }
        if any {
            self.send_channels(now, index, network);
        }
    }

    /// Sends what a session's association has ready.
    fn send_channels(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let instant = self.config.clock.instant(now);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let (Some(path), Some(channels)) = (session.ice.path(), &mut session.channels) else { return };
        let mut progress = Progress::None;
        while let Some(packets) = channels.poll_transmit(now) {
            for packet in packets {
                work::step();
                let outbox = &mut self.outbox;
                let send = |record: &[u8]| outbox.copy(&path, network, record);
                match session.handshake.send_data(instant, &packet, send) {
                    Progress::None => {}
                    other => progress = other,
                }
            }
        }
        self.follow_handshake(now, index, progress, network);
    }

    fn count_channels(&mut self, index: u32) {
        let session = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut);
        let Some(channels) = session.and_then(|session| session.channels.as_mut()) else { return };
        let tally = channels.take_tally();
        let counters = &mut self.counters;
        counters.channel_messages_received += tally.received;
        counters.channel_messages_dropped_rate += tally.over_rate;
        counters.channel_messages_dropped_malformed += tally.malformed;
        counters.dropped_sctp_rate += tally.packets_over_rate;
        counters.channels_opened += tally.opened;
        counters.channels_refused += tally.refused;
        counters.channel_associations_lost += tally.lost;
        counters.dropped_send_oversized += tally.oversized;
    }
}
