//! STUN and DTLS: how a session gets its address and its keys, and how it ends.

use super::Shard;
use crate::clock::Micros;
use crate::command::SessionKey;
use crate::dtls::{MAX_RECEIVED, Progress};
use crate::event::{CloseReason, EventKind, SessionState};
use crate::outbox::{Path, Transmit};
use crate::session::Srtp;
use crate::srtp::SrtpProfile;
use crate::ufrag::{self, LocalCredentials};
use crate::wire::stun::{ErrorCode, Message, write_binding_error, write_binding_success};

impl Shard {
    pub(super) fn handle_stun(&mut self, now: Micros, path: &Path, datagram: &[u8], network: &mut dyn Transmit) {
        let message = Message::parse(datagram).ok().filter(Message::is_binding_request);
        let addressed = message.and_then(|message| Some((message, self.session_of_check(&message)?)));
        let Some((message, index)) = addressed else {
            self.counters.dropped_stun += 1;
            return;
        };
        // So far a message costs next to nothing; its authentication costs more, so an unproven address may try only so
        // often. A session's own path is never limited: a flood in the name of its address must not cost it its consent.
        let source = path.remote.ip();
        let known = self.paths.get(path) == Some(&index);
        if !known && !self.limit.take(now, source) {
            self.counters.dropped_rate += 1;
            return;
        }
        let key = || self.session(index)?.ice.key(message.receiver_fragment()?);
        if !key().is_some_and(|key| message.verify(key)) {
            self.counters.dropped_stun += 1;
            return;
        }
        if !known {
            self.limit.give_back(source);
        }
        if !self.session_mut(index).is_some_and(|session| session.checks.take(now, 1)) {
            self.counters.dropped_rate += 1;
            return;
        }
        self.answer_check(now, index, path, &message, network);
    }

    /// A connection has ended: no session has it as a path any more, until its client comes another way.
    pub fn handle_disconnect(&mut self, path: &Path) {
        let owner = self.paths.remove(path).and_then(|index| self.session_mut(index));
        if let Some(session) = owner {
            session.ice.forget(path);
        }
    }

    /// A client is going to prove its addresses anew, with these credentials of the node (RFC 8445 section 9).
    pub(super) fn restart_ice(&mut self, now: Micros, key: SessionKey, credentials: LocalCredentials) {
        if self.session_by_key(key).is_some()
            && let Some(session) = self.session_mut(key.index)
        {
            session.ice.restart(now, credentials);
        }
    }

    /// The session that a connectivity check claims to be for.
    fn session_of_check(&self, message: &Message<'_>) -> Option<u32> {
        let fragment = message.receiver_fragment()?;
        let (shard, index) = ufrag::decode(fragment)?;
        let session = self.session(index).filter(|_| shard == self.config.index)?;
        session.ice.key(fragment).map(|_| index)
    }

    fn answer_check(
        &mut self,
        now: Micros,
        index: u32,
        path: &Path,
        message: &Message<'_>,
        network: &mut dyn Transmit,
    ) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let refusal = if let Some(attribute) = message.unknown_required {
            Some(ErrorCode::UnknownAttribute(attribute))
        } else {
            // A lite agent is always the controlled one (RFC 8445 section 6.1.1).
            message.ice_controlled.map(|_| ErrorCode::RoleConflict)
        };
        let Some(key) = message.receiver_fragment().and_then(|fragment| session.ice.key(fragment)) else { return };
        let id = &message.transaction_id;
        self.outbox.datagram(path, network, |buffer| match refusal {
            Some(refusal) => write_binding_error(buffer, id, refusal, Some(key)),
            None => write_binding_success(buffer, id, path.remote, key),
        });
        if refusal.is_some() {
            return;
        }
        let is_current = message.receiver_fragment().is_some_and(|fragment| session.ice.is_current(fragment));
        if let Some(forgotten) = session.ice.validate(now, *path, message.use_candidate, is_current) {
            self.paths.remove(&forgotten);
            network.retire(&forgotten);
        }
        network.confirm(now, path);
        let previous = self.paths.insert(*path, index).filter(|previous| *previous != index);
        if let Some(previous) = previous.and_then(|previous| self.session_mut(previous)) {
            previous.ice.forget(path);
        }
    }

    pub(super) fn handle_dtls(
        &mut self,
        now: Micros,
        index: u32,
        path: &Path,
        datagram: &[u8],
        network: &mut dyn Transmit,
    ) {
        if datagram.len() > MAX_RECEIVED {
            self.counters.dropped_dtls += 1;
            return;
        }
        let instant = self.config.clock.instant(now);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let (outbox, channels) = (&mut self.outbox, &mut session.channels);
        let mut data = false;
        let send = |record: &[u8]| outbox.copy(path, network, record);
        let progress = session.handshake.handle(instant, datagram, send, |packet| {
            if let Some(channels) = channels {
                channels.handle_input(now, packet);
                data = true;
            }
        });
        self.follow_handshake(now, index, progress, network);
        if data {
            self.follow_channels(now, index, network);
        }
    }

    /// Retransmits DTLS flights and ends a handshake that takes too long.
    pub(super) fn advance_handshake(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let instant = self.config.clock.instant(now);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Some(path) = session.path() else { return };
        let outbox = &mut self.outbox;
        let progress = session.handshake.handle_timeout(instant, |record| outbox.copy(&path, network, record));
        self.follow_handshake(now, index, progress, network);
    }

    pub(super) fn follow_handshake(&mut self, now: Micros, index: u32, progress: Progress, network: &mut dyn Transmit) {
        match progress {
            Progress::None => {}
            Progress::Broken => self.counters.dropped_dtls += 1,
            Progress::Failed => self.end_session(now, index, CloseReason::DtlsFailed, network),
            Progress::Closed => self.end_session(now, index, CloseReason::PeerClosed, network),
            Progress::Keys(profile, contexts) => {
                let Some(session) = self.session_mut(index) else { return };
                let (inbound, outbound) = *contexts;
                session.srtp = Some(Srtp { profile, inbound, outbound });
                session.state = SessionState::Connected;
                self.emit_state(now, index, None);
                self.start_receiving(now, index, network);
            }
        }
    }

    /// Tells the node the session's state.
    pub(super) fn emit_state(&mut self, now: Micros, index: u32, reason: Option<CloseReason>) {
        let Some(session) = self.session(index) else { return };
        let kind = EventKind::SessionState {
            subject: session.subject.clone(),
            state: session.state,
            reason,
            srtp_profile: session.srtp.as_ref().map(|srtp| SrtpProfile::name(srtp.profile)),
        };
        self.emit(now, kind);
    }

    /// Ends a session: says goodbye, frees its tracks and slots, and tells the node.
    pub(super) fn end_session(&mut self, now: Micros, index: u32, reason: CloseReason, network: &mut dyn Transmit) {
        if reason != CloseReason::PeerClosed {
            self.say_goodbye(now, index, network);
        }
        self.leave_room(now, index, network);
        if let Some(session) = self.session_mut(index) {
            session.state = SessionState::Closed;
        }
        self.emit_state(now, index, Some(reason));
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::take) else { return };
        for path in session.ice.paths() {
            self.paths.remove(path);
            network.retire(path);
        }
        self.open_sessions -= 1;
        self.counters.sessions_closed += 1;
        self.released.push(session.key);
    }

    fn say_goodbye(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        self.send_bye(now, index, network);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Some(path) = session.path() else { return };
        let outbox = &mut self.outbox;
        session.handshake.close(|record| outbox.copy(&path, network, record));
    }
}
