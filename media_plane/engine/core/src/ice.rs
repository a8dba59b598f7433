//! The ICE-lite agent of a session (RFC 8445): which addresses the client has proven to own, and which one it nominated.
//!
//! A lite agent need not check anything. This one checks each address that a client's check came from: only the answer shows that
//! the client receives there, and has not just written somebody else's address into its datagrams.

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::outbox::{Path, Transport};
use crate::ufrag::{LocalCredentials, RemoteCredentials};
use crate::wire::stun::{IntegrityKey, Message, TransactionId};

/// Addresses kept; a client with more candidates loses the oldest that it has not nominated.
const MAX_PATHS: usize = 8;
/// After this long without a packet on the nominated path, packets on another proven one say where the client is.
const SILENCE: Micros = 500 * MILLISECOND;
/// Without an authenticated check for this long the client has gone (RFC 7675 section 5.1).
const CONSENT: Micros = 30 * SECOND;
/// After this long without anything authentic the node is told: longer than clients that send nothing else may wait between two
/// checks, which is 6 s (RFC 7675 section 5.1).
const SILENT_AFTER: Micros = 7 * SECOND;

/// An address that has not answered a check is checked again after this time, as long as something comes from it.
const CHECK_AGAIN: Micros = 100 * MILLISECOND;
/// Bytes that may be sent to an address that has not answered, for each that came from it (RFC 9000 section 8.1).
const AMPLIFICATION: usize = 3;

/// Credentials of both ends with the keys that they make.
#[derive(Debug)]
struct Generation {
    credentials: LocalCredentials,
    key: IntegrityKey,
    remote_ufrag: String,
    remote_key: IntegrityKey,
}

impl Generation {
    fn new(credentials: LocalCredentials, remote: &RemoteCredentials) -> Self {
        Self {
            key: IntegrityKey::new(&credentials.pwd),
            credentials,
            remote_ufrag: remote.ufrag.clone(),
            remote_key: IntegrityKey::new(&remote.pwd),
        }
    }

    fn has(&self, fragment: &[u8]) -> bool {
        self.credentials.ufrag.as_bytes() == fragment
    }
}

/// What is known of an address that has not proven yet that it receives what is sent to it.
#[derive(Debug)]
struct Unanswered {
    /// The transaction of our check.
    transaction_id: TransactionId,
    checked: Option<Micros>,
    /// Something has come from it since then.
    heard: bool,
    /// Bytes that may still be sent to it.
    credit: usize,
}

/// An address from which a check with the session's password has come. Whoever knows the password can write any address into a
/// datagram: it has to answer, too, before media goes there.
#[derive(Debug)]
struct Candidate {
    path: Path,
    /// None: it has answered.
    unanswered: Option<Unanswered>,
}

/// A check of ours.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub transaction_id: TransactionId,
    pub username: String,
    pub key: &'a IntegrityKey,
}

/// A session's agent.
#[derive(Debug)]
pub(crate) struct Ice {
    current: Generation,
    /// The credentials before a restart: the session goes on with them until the client nominates a path with the new ones.
    previous: Option<Generation>,
    candidates: Vec<Candidate>,
    /// What the client nominated, or where its packets come from.
    selected: Option<Path>,
    /// Where to send: that, once it has answered.
    in_use: Option<Path>,
    /// When something authentic came on the selected path.
    last_heard: Micros,
    last_check: Micros,
    /// When anything authentic came last, on whatever path.
    last_sign: Micros,
}

impl Ice {
    pub(crate) fn new(now: Micros, credentials: LocalCredentials, remote: &RemoteCredentials) -> Self {
        Self {
            current: Generation::new(credentials, remote),
            previous: None,
            candidates: Vec::with_capacity(MAX_PATHS),
            selected: None,
            in_use: None,
            last_heard: now,
            last_check: now,
            last_sign: now,
        }
    }

    /// Begins a restart (RFC 8445 section 9): checks with new credentials may come, those with the present ones still may.
    pub(crate) fn restart(&mut self, now: Micros, credentials: LocalCredentials, remote: &RemoteCredentials) {
        let present = std::mem::replace(&mut self.current, Generation::new(credentials, remote));
        // The client may restart again before it has nominated anything: what works is then the older of the two.
        self.previous.get_or_insert(present);
        // Asking for a restart is a sign of life, and a way is being looked for.
        self.last_check = now;
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The key that signs checks with this fragment and our answers to them; None: the check is for an earlier session in the
    /// same place, or for a generation that is over.
    pub(crate) fn key(&self, fragment: &[u8]) -> Option<&IntegrityKey> {
        self.generations().find(|generation| generation.has(fragment)).map(|generation| &generation.key)
    }

    /// Whether a fragment is of the newest credentials.
    pub(crate) fn is_current(&self, fragment: &[u8]) -> bool {
        self.current.has(fragment)
    }

    /// Takes note of an authenticated check; returns an address that had to be forgotten. `fresh` begins the transaction of a check
    /// of ours.
    pub(crate) fn validate(
        &mut self,
        now: Micros,
        path: Path,
        nominated: bool,
        is_current: bool,
        fresh: TransactionId,
    ) -> Option<Path> {
        (self.last_check, self.last_sign) = (now, now);
        if nominated {
            self.selected = Some(path);
            self.last_heard = now;
            if is_current {
                self.previous = None;
            }
        }
        let mut forgotten = None;
        if self.candidate(&path).is_none() {
            forgotten = self.make_room();
            // Over TCP nobody connects in another's name.
            let unanswered = (path.transport == Transport::Udp).then_some(Unanswered {
                transaction_id: fresh,
                checked: None,
                heard: true,
                credit: 0,
            });
            self.candidates.push(Candidate { path, unanswered });
        }
        self.settle();
        forgotten
    }

    /// Makes room for one more address.
    fn make_room(&mut self) -> Option<Path> {
        let kept = [self.selected, self.in_use];
        let oldest = self.candidates.iter().position(|candidate| !kept.contains(&Some(candidate.path)));
        let place = oldest.filter(|_| self.candidates.len() >= MAX_PATHS)?;
        Some(self.candidates.remove(place).path)
    }

    fn candidate(&mut self, path: &Path) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.path == *path)
    }

    fn unanswered(&mut self, path: &Path) -> Option<&mut Unanswered> {
        self.candidate(path)?.unanswered.as_mut()
    }

    /// Uses the selected address once it has answered, and before anything is selected the newest that has.
    fn settle(&mut self) {
        let mut answered = self.candidates.iter().filter(|candidate| candidate.unanswered.is_none());
        let selected = answered.clone().find(|candidate| Some(candidate.path) == self.selected);
        if selected.is_some() || self.in_use.is_none() || self.selected.is_none() {
            self.in_use = selected.or_else(|| answered.next_back()).map(|candidate| candidate.path);
        }
    }

    /// Whether an address has answered.
    pub(crate) fn has_answered(&self, path: &Path) -> bool {
        self.candidates.iter().any(|candidate| candidate.path == *path && candidate.unanswered.is_none())
    }

    /// Takes note of a datagram of so many bytes from an address that may not have answered yet.
    pub(crate) fn received(&mut self, path: &Path, len: usize) {
        if let Some(unanswered) = self.unanswered(path) {
            unanswered.heard = true;
            unanswered.credit += AMPLIFICATION * len;
        }
    }

    /// Whether so many bytes may be sent to an address in answer to what came from it; they count as sent.
    pub(crate) fn may_answer(&mut self, path: &Path, len: usize) -> bool {
        let Some(unanswered) = self.unanswered(path) else { return true };
        let allowed = unanswered.credit >= len;
        unanswered.credit -= if allowed { len } else { 0 };
        allowed
    }

    /// An address that wants to be checked, now.
    pub(crate) fn due_check(&self, now: Micros) -> Option<Path> {
        let due = |unanswered: &Unanswered| {
            unanswered.heard && unanswered.checked.is_none_or(|at| now.saturating_sub(at) >= CHECK_AGAIN)
        };
        let mut waiting = self.candidates.iter().filter(|candidate| candidate.unanswered.as_ref().is_some_and(due));
        waiting.next_back().map(|candidate| candidate.path)
    }

    /// The check of an address, which counts as sent.
    pub(crate) fn check(&mut self, now: Micros, path: &Path) -> Option<Check<'_>> {
        let unanswered = self.unanswered(path)?;
        (unanswered.checked, unanswered.heard) = (Some(now), false);
        let transaction_id = unanswered.transaction_id;
        let Generation { credentials, remote_ufrag, remote_key, .. } = &self.current;
        Some(Check { transaction_id, username: format!("{remote_ufrag}:{}", credentials.ufrag), key: remote_key })
    }

    /// Takes an answer to a check of ours; true when it proves the address.
    pub(crate) fn take_answer(&mut self, path: &Path, answer: &Message<'_>) -> bool {
        let asked = self.unanswered(path).is_some_and(|asked| asked.transaction_id == answer.transaction_id);
        let proves = asked && self.generations().any(|generation| answer.verify(&generation.remote_key));
        if proves {
            self.prove(path);
        }
        proves
    }

    /// An address receives what is sent to it.
    pub(crate) fn prove(&mut self, path: &Path) {
        if let Some(candidate) = self.candidate(path) {
            candidate.unanswered = None;
        }
        self.settle();
    }

    /// Takes note of an authentic packet on the path of a check. A browser whose path has died sends on another one a second and
    /// more before it nominates that, and would get no answer meanwhile.
    pub(crate) fn heard(&mut self, now: Micros, path: &Path) {
        self.note_sign(now);
        let Some(selected) = &mut self.selected else { return };
        if selected != path {
            if now.saturating_sub(self.last_heard) < SILENCE {
                return;
            }
            *selected = *path;
            self.settle();
        }
        self.last_heard = now;
        if self.in_use.as_ref() != Some(path) {
            self.received(path, 0);
        }
    }

    /// Takes note of something authentic that says nothing about paths.
    pub(crate) fn note_sign(&mut self, now: Micros) {
        self.last_sign = now;
    }

    /// Since when nothing authentic has come, if that is long ago.
    pub(crate) fn silent_since(&self, now: Micros) -> Option<Micros> {
        (now.saturating_sub(self.last_sign) >= SILENT_AFTER).then_some(self.last_sign)
    }

    /// Forgets an address that now belongs to another session.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.candidates.retain(|candidate| candidate.path != *path);
        self.selected = self.selected.filter(|selected| selected != path);
        self.in_use = self.in_use.filter(|used| used != path);
        self.settle();
    }

    /// Where to send: the nominated address, before that the newest, of those that have answered.
    pub(crate) fn path(&self) -> Option<Path> {
        self.in_use
    }

    /// Every address from which a check has come.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.candidates.iter().map(|candidate| &candidate.path)
    }

    /// Whether the client has not been heard of for too long.
    pub(crate) fn has_expired(&self, now: Micros) -> bool {
        now.saturating_sub(self.last_check) >= CONSENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stun::write_binding_success;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    fn path(port: u16) -> Path {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path::udp(SocketAddr::new(ip, port), ip)
    }

    fn remote() -> RemoteCredentials {
        RemoteCredentials { ufrag: "them".into(), pwd: "p".repeat(24) }
    }

    fn agent() -> Ice {
        Ice::new(0, LocalCredentials::generate(0, 0), &remote())
    }

    fn validate(ice: &mut Ice, now: Micros, path: Path, nominated: bool, is_current: bool) -> Option<Path> {
        ice.validate(now, path, nominated, is_current, [path.remote.port() as u8; 12])
    }

    /// A check came from there, and the address answers ours.
    fn connect(ice: &mut Ice, now: Micros, path: Path, nominated: bool, is_current: bool) {
        validate(ice, now, path, nominated, is_current);
        assert!(answer(ice, path, &"p".repeat(24)) || ice.path().is_some());
    }

    fn answer(ice: &mut Ice, path: Path, pwd: &str) -> bool {
        let mut buffer = [0; 640];
        let transaction = [path.remote.port() as u8; 12];
        let len = write_binding_success(&mut buffer, &transaction, path.remote, &IntegrityKey::new(pwd)).unwrap();
        ice.take_answer(&path, &Message::parse(&buffer[..len]).unwrap())
    }

    #[test]
    fn nomination_moves_the_session_and_validation_does_not() {
        let mut ice = agent();
        assert_eq!(ice.path(), None);
        connect(&mut ice, 0, path(1), false, true);
        assert_eq!(ice.path(), Some(path(1)));
        connect(&mut ice, 0, path(1), true, true);
        connect(&mut ice, 0, path(2), false, true);
        assert_eq!(ice.path(), Some(path(1)));
        connect(&mut ice, 0, path(2), true, true);
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn an_address_is_used_once_it_has_answered() {
        let mut ice = agent();
        validate(&mut ice, 0, path(1), true, true);
        assert_eq!(ice.path(), None);
        assert!(!answer(&mut ice, path(1), "another session's password"));
        assert!(answer(&mut ice, path(1), &"p".repeat(24)));
        validate(&mut ice, 0, path(2), true, true);
        assert_eq!(ice.path(), Some(path(1)), "the old one carries media until the new one has answered");
        assert!(answer(&mut ice, path(2), &"p".repeat(24)));
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn no_more_is_sent_to_an_address_that_does_not_answer_than_it_asks_for() {
        let mut ice = agent();
        validate(&mut ice, 0, path(1), true, true);
        ice.received(&path(1), 100);
        assert!(ice.may_answer(&path(1), 300) && !ice.may_answer(&path(1), 1));
        assert_eq!(ice.due_check(0), Some(path(1)));
        assert!(ice.check(0, &path(1)).is_some_and(|check| check.username.starts_with("them:")));
        assert_eq!(ice.due_check(10 * SECOND), None, "nothing has come from there since");
        ice.heard(10 * SECOND, &path(1));
        assert_eq!(ice.due_check(10 * SECOND), Some(path(1)));
        assert!(answer(&mut ice, path(1), &"p".repeat(24)));
        assert!(ice.may_answer(&path(1), 1_000_000) && ice.check(10 * SECOND, &path(1)).is_none());
    }

    #[test]
    fn addresses_are_bounded_and_those_in_use_stay() {
        let mut ice = agent();
        connect(&mut ice, 0, path(0), true, true);
        validate(&mut ice, 0, path(99), true, true);
        let forgotten: Vec<_> = (1..20).filter_map(|port| validate(&mut ice, 0, path(port), false, true)).collect();
        assert_eq!(ice.paths().count(), MAX_PATHS);
        assert_eq!(forgotten.len(), 21 - MAX_PATHS);
        assert!([0, 99].iter().all(|port| ice.paths().any(|known| *known == path(*port))));
    }

    #[test]
    fn old_credentials_go_when_a_path_is_nominated_with_the_new_ones() {
        let [first, second, third] = [(); 3].map(|()| LocalCredentials::generate(0, 0));
        let mut ice = Ice::new(0, first.clone(), &remote());
        let known = |ice: &Ice| [&first, &second, &third].map(|each| ice.key(each.ufrag.as_bytes()).is_some());
        connect(&mut ice, 0, path(1), true, true);
        ice.restart(SECOND, second.clone(), &remote());
        assert_eq!(known(&ice), [true, true, false]);
        assert!(ice.is_current(second.ufrag.as_bytes()) && !ice.is_current(first.ufrag.as_bytes()));
        ice.restart(SECOND, third.clone(), &remote());
        assert_eq!(known(&ice), [true, false, true], "what works stays, what was never used goes");
        connect(&mut ice, SECOND, path(1), true, false);
        connect(&mut ice, SECOND, path(2), false, true);
        assert_eq!((known(&ice), ice.path()), ([true, false, true], Some(path(1))));
        connect(&mut ice, SECOND, path(2), true, true);
        assert_eq!((known(&ice), ice.path()), ([false, false, true], Some(path(2))));
    }

    #[test]
    fn the_session_follows_its_packets_once_the_nominated_path_is_silent() {
        let mut ice = agent();
        ice.heard(0, &path(1));
        assert_eq!(ice.path(), None);
        connect(&mut ice, 0, path(1), true, true);
        connect(&mut ice, 0, path(2), false, true);
        ice.heard(SECOND, &path(1));
        ice.heard(SECOND + SILENCE - 1, &path(2));
        assert_eq!(ice.path(), Some(path(1)), "packets may overtake each other");
        ice.heard(SECOND + SILENCE, &path(2));
        assert_eq!(ice.path(), Some(path(2)));
        connect(&mut ice, SECOND + SILENCE, path(1), true, true);
        ice.heard(SECOND + SILENCE, &path(2));
        assert_eq!(ice.path(), Some(path(1)), "the client's word counts");
    }

    #[test]
    fn silence_ends_consent() {
        let mut ice = agent();
        connect(&mut ice, 10 * SECOND, path(1), true, true);
        assert!(!ice.has_expired(40 * SECOND - 1));
        assert!(ice.has_expired(40 * SECOND));
    }
}
