//! The ICE-lite agent of a session (RFC 8445): which addresses the client has proven to own, and which one it nominated.

use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::outbox::Path;
use crate::ufrag::LocalCredentials;
use crate::wire::stun::IntegrityKey;

/// Addresses kept; a client with more candidates loses the oldest that it has not nominated.
const MAX_PATHS: usize = 8;
/// After this long without a packet on the nominated path, packets on another proven one say where the client is.
const SILENCE: Micros = 500 * MILLISECOND;
/// Without an authenticated check for this long the client has gone (RFC 7675 section 5.1).
const CONSENT: Micros = 30 * SECOND;

/// Credentials of the node with the key that they make.
#[derive(Debug)]
struct Generation {
    credentials: LocalCredentials,
    key: IntegrityKey,
}

impl Generation {
    fn new(credentials: LocalCredentials) -> Self {
        Self { key: IntegrityKey::new(&credentials.pwd), credentials }
    }

    fn has(&self, fragment: &[u8]) -> bool {
        self.credentials.ufrag.as_bytes() == fragment
    }
}

/// A session's agent.
#[derive(Debug)]
pub(crate) struct Ice {
    current: Generation,
    /// The credentials before a restart: the session goes on with them until the client nominates a path with the new ones.
    previous: Option<Generation>,
    paths: Vec<Path>,
    selected: Option<Path>,
    /// When something authentic came on the nominated path.
    last_heard: Micros,
    last_check: Micros,
}

impl Ice {
    pub(crate) fn new(now: Micros, credentials: LocalCredentials) -> Self {
        Self {
            current: Generation::new(credentials),
            previous: None,
            paths: Vec::with_capacity(MAX_PATHS),
            selected: None,
            last_heard: now,
            last_check: now,
        }
    }

    /// Begins a restart (RFC 8445 section 9): checks with new credentials may come, those with the present ones still may.
    pub(crate) fn restart(&mut self, now: Micros, credentials: LocalCredentials) {
        let present = std::mem::replace(&mut self.current, Generation::new(credentials));
        // The client may restart again before it has nominated anything: what works is then the older of the two.
        self.previous.get_or_insert(present);
        // Asking for a restart is a sign of life, and a way is being looked for.
        self.last_check = now;
    }

    /// The key that signs checks with this fragment and our answers to them; None: the check is for an earlier session in the
    /// same place, or for a generation that is over.
    pub(crate) fn key(&self, fragment: &[u8]) -> Option<&IntegrityKey> {
        let generations = std::iter::once(&self.current).chain(&self.previous);
        generations.into_iter().find(|generation| generation.has(fragment)).map(|generation| &generation.key)
    }

    /// Whether a fragment is of the newest credentials.
    pub(crate) fn is_current(&self, fragment: &[u8]) -> bool {
        self.current.has(fragment)
    }

    /// Takes note of an authenticated check; returns an address that had to be forgotten.
    pub(crate) fn validate(&mut self, now: Micros, path: Path, nominated: bool, is_current: bool) -> Option<Path> {
        self.last_check = now;
        if nominated {
            self.selected = Some(path);
            self.last_heard = now;
            if is_current {
                self.previous = None;
            }
        }
        if self.paths.contains(&path) {
            return None;
        }
        let forgotten = if self.paths.len() < MAX_PATHS {
            None
        } else {
            let oldest = self.paths.iter().position(|known| Some(*known) != self.selected)?;
            Some(self.paths.remove(oldest))
        };
        self.paths.push(path);
        forgotten
    }

    /// Takes note of an authentic packet on a proven path. A browser whose path has died sends on another one a second and
    /// more before it nominates that, and would get no answer meanwhile.
    pub(crate) fn heard(&mut self, now: Micros, path: &Path) {
        let Some(selected) = &mut self.selected else { return };
        if selected == path {
            self.last_heard = now;
        } else if now.saturating_sub(self.last_heard) >= SILENCE {
            *selected = *path;
            self.last_heard = now;
        }
    }

    /// Forgets an address that now belongs to another session.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.paths.retain(|known| known != path);
        self.selected = self.selected.filter(|selected| selected != path);
    }

    /// Where to send: the nominated address, before that the newest that is proven.
    pub(crate) fn path(&self) -> Option<Path> {
        self.selected.or_else(|| self.paths.last().copied())
    }

    /// Every proven address.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Whether the client has not been heard of for too long.
    pub(crate) fn has_expired(&self, now: Micros) -> bool {
        now.saturating_sub(self.last_check) >= CONSENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    fn path(port: u16) -> Path {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path::udp(SocketAddr::new(ip, port), ip)
    }

    fn agent() -> Ice {
        Ice::new(0, LocalCredentials::generate(0, 0))
    }

    #[test]
    fn nomination_moves_the_session_and_validation_does_not() {
        let mut ice = agent();
        assert_eq!(ice.path(), None);
        ice.validate(0, path(1), false, true);
        assert_eq!(ice.path(), Some(path(1)));
        ice.validate(0, path(1), true, true);
        ice.validate(0, path(2), false, true);
        assert_eq!(ice.path(), Some(path(1)));
        ice.validate(0, path(2), true, true);
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn addresses_are_bounded_and_the_nominated_one_stays() {
        let mut ice = agent();
        ice.validate(0, path(0), true, true);
        let forgotten: Vec<_> = (1..20).filter_map(|port| ice.validate(0, path(port), false, true)).collect();
        assert_eq!(ice.paths().len(), MAX_PATHS);
        assert_eq!(forgotten.len(), 20 - MAX_PATHS);
        assert!(ice.paths().contains(&path(0)));
    }

    #[test]
    fn old_credentials_go_when_a_path_is_nominated_with_the_new_ones() {
        let [first, second, third] = [(); 3].map(|()| LocalCredentials::generate(0, 0));
        let mut ice = Ice::new(0, first.clone());
        let known = |ice: &Ice| [&first, &second, &third].map(|each| ice.key(each.ufrag.as_bytes()).is_some());
        ice.validate(0, path(1), true, true);
        ice.restart(SECOND, second.clone());
        assert_eq!(known(&ice), [true, true, false]);
        assert!(ice.is_current(second.ufrag.as_bytes()) && !ice.is_current(first.ufrag.as_bytes()));
        ice.restart(SECOND, third.clone());
        assert_eq!(known(&ice), [true, false, true], "what works stays, what was never used goes");
        ice.validate(SECOND, path(1), true, false);
        ice.validate(SECOND, path(2), false, true);
        assert_eq!((known(&ice), ice.path()), ([true, false, true], Some(path(1))));
        ice.validate(SECOND, path(2), true, true);
        assert_eq!((known(&ice), ice.path()), ([false, false, true], Some(path(2))));
    }

    #[test]
    fn the_session_follows_its_packets_once_the_nominated_path_is_silent() {
        let mut ice = agent();
        ice.heard(0, &path(1));
        assert_eq!(ice.path(), None);
        ice.validate(0, path(1), true, true);
        ice.validate(0, path(2), false, true);
        ice.heard(SECOND, &path(1));
        ice.heard(SECOND + SILENCE - 1, &path(2));
        assert_eq!(ice.path(), Some(path(1)), "packets may overtake each other");
        ice.heard(SECOND + SILENCE, &path(2));
        assert_eq!(ice.path(), Some(path(2)));
        ice.validate(SECOND + SILENCE, path(1), true, true);
        ice.heard(SECOND + SILENCE, &path(2));
        assert_eq!(ice.path(), Some(path(1)), "the client's word counts");
    }

    #[test]
    fn silence_ends_consent() {
        let mut ice = agent();
        ice.validate(10 * SECOND, path(1), true, true);
        assert!(!ice.has_expired(40 * SECOND - 1));
        assert!(ice.has_expired(40 * SECOND));
    }
}
