//! STUN and DTLS: how a session gets its address and its keys, and how it ends.

use super::{Shard, random};
use crate::clock::Micros;
use crate::command::SessionKey;
use crate::dtls::{MAX_RECEIVED, Progress};
use crate::event::{CloseReason, EventKind, SessionState};
use crate::ice::Ice;
use crate::outbox::{Outbox, Path, Transmit};
use crate::session::Srtp;
use crate::srtp::SrtpProfile;
use crate::ufrag::{self, LocalCredentials, RemoteCredentials};
use crate::wire::stun::{
    BindingRequest, Class, ErrorCode, Message, TransactionId, write_binding_error, write_binding_request,
    write_binding_success,
};

/// Bytes of a check of ours at the most that counts.
const CHECK_LEN: usize = 120;
/// Priority of the candidate that a client would learn from our check (RFC 8445 section 5.1.2): peer-reflexive, the first component.
const CHECK_PRIORITY: u32 = 110 << 24 | 0x00ff_ff00 | 255;

impl Shard {
    pub(super) fn handle_stun(&mut self, now: Micros, path: &Path, datagram: &[u8], network: &mut dyn Transmit) {
        let message = Message::parse(datagram).ok();
        if let Some(answer) = message.filter(|message| message.class == Class::Success) {
            return self.take_answer(now, path, &answer, network);
        }
        let message = message.filter(Message::is_binding_request);
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
    pub(super) fn restart_ice(
        &mut self,
        now: Micros,
        key: SessionKey,
        local: LocalCredentials,
        remote: &RemoteCredentials,
    ) {
        if self.session_by_key(key).is_some()
            && let Some(session) = self.session_mut(key.index)
        {
            session.ice.restart(now, local, remote);
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
        let answered = self.outbox.datagram(path, network, |buffer| match refusal {
            Some(refusal) => write_binding_error(buffer, id, refusal, Some(key)),
            None => write_binding_success(buffer, id, path.remote, key),
        });
        if refusal.is_some() {
            return;
        }
        let is_current = message.receiver_fragment().is_some_and(|fragment| session.ice.is_current(fragment));
        let forgotten = session.ice.validate(now, *path, message.use_candidate, is_current, transaction(index));
        session.ice.received(path, message.len());
        session.ice.may_answer(path, answered.unwrap_or_default());
        let has_answered = session.ice.has_answered(path);
        if let Some(forgotten) = forgotten {
            self.disown(index, &forgotten, network);
        }
        network.confirm(now, path);
        if has_answered {
            self.own(index, path);
        } else {
            // What another session receives on stays its own until the address has answered.
            self.paths.entry(*path).or_insert(index);
            self.check_paths(now, index, network);
        }
    }

    /// An address belongs to a session, and to no other any more.
    fn own(&mut self, index: u32, path: &Path) {
        let previous = self.paths.insert(*path, index).filter(|previous| *previous != index);
        if let Some(previous) = previous.and_then(|previous| self.session_mut(previous)) {
            previous.ice.forget(path);
        }
    }

    /// A session has an address no longer.
    fn disown(&mut self, index: u32, path: &Path, network: &mut dyn Transmit) {
        if self.paths.get(path) == Some(&index) {
            self.paths.remove(path);
            network.retire(path);
        }
    }

    /// Asks addresses from which checks have come whether they receive what is sent to them.
    pub(super) fn check_paths(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        while let Some(path) = session.ice.due_check(now) {
            let allowed = session.ice.may_answer(&path, CHECK_LEN);
            let Some(check) = session.ice.check(now, &path).filter(|_| allowed) else { continue };
            let request = BindingRequest {
                transaction_id: check.transaction_id,
                username: &check.username,
                priority: CHECK_PRIORITY,
                use_candidate: false,
                controlling: false,
                tie_breaker: u64::from(index),
            };
            self.outbox.datagram(&path, network, |buffer| write_binding_request(buffer, &request, check.key));
        }
    }

    /// An answer to a check of ours: its sender receives there.
    fn take_answer(&mut self, now: Micros, path: &Path, answer: &Message<'_>, network: &mut dyn Transmit) {
        let [a, b, c, d, ..] = answer.transaction_id;
        let index = u32::from_be_bytes([a, b, c, d]);
        let known = self.session_mut(index).filter(|session| session.ice.paths().any(|known| known == path));
        match known.map(|session| session.ice.has_answered(path) || session.ice.take_answer(path, answer)) {
            Some(true) => {
                network.confirm(now, path);
                self.own(index, path);
            }
            _ => self.counters.dropped_stun += 1,
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
        session.note_handshake(path, datagram.len());
        let (outbox, channels, ice) = (&mut self.outbox, &mut session.channels, &mut session.ice);
        let (mut data, dropped) = (false, &mut self.counters.dropped_unanswered);
        let send = |record: &[u8]| answer_with(outbox, ice, dropped, path, record, network);
        let progress = session.handshake.handle(instant, datagram, send, |packet| {
            if let Some(channels) = channels {
                channels.handle_input(now, packet);
                data = true;
            }
        });
        if data || matches!(progress, Progress::Keys(..)) {
            session.ice.note_sign(now);
        }
        if matches!(progress, Progress::Keys(..)) && session.handshake_path == Some(*path) {
            // The client's part of the handshake answers ours, which nobody else has seen.
            session.ice.prove(path);
            self.own(index, path);
        }
        self.follow_handshake(now, index, progress, network);
        if data {
            self.follow_channels(now, index, network);
        }
    }

    /// Retransmits DTLS flights and ends a handshake that takes too long.
    pub(super) fn advance_handshake(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let instant = self.config.clock.instant(now);
        let Some(session) = self.sessions.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        // Nobody else than who began the handshake shall see our part of it.
        let Some(path) = session.handshake_path.or(session.path()) else { return };
        let (outbox, ice) = (&mut self.outbox, &mut session.ice);
        let dropped = &mut self.counters.dropped_unanswered;
        let send = |record: &[u8]| answer_with(outbox, ice, dropped, &path, record, network);
        let progress = session.handshake.handle_timeout(instant, send);
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
            self.disown(index, path, network);
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

/// Sends a record, or counts that it was kept back: an address that has not answered is sent only so much.
fn answer_with(
    outbox: &mut Outbox,
    ice: &mut Ice,
    dropped: &mut u64,
    path: &Path,
    record: &[u8],
    network: &mut dyn Transmit,
) {
    if ice.may_answer(path, record.len()) {
        outbox.copy(path, network, record);
    } else {
        *dropped += 1;
    }
}

/// The transaction of a check: the session's place, so that the answer is found, and chance, so that nobody guesses it.
fn transaction(index: u32) -> TransactionId {
    let mut id = [0; 12];
    id[..4].copy_from_slice(&index.to_be_bytes());
    id[4..].copy_from_slice(&random().to_be_bytes());
    id
}
