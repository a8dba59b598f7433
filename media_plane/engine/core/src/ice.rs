//! The ICE-lite agent of a session (RFC 8445): which addresses the client has proven to own, and which one it nominated.

use crate::clock::{Micros, SECOND};
use crate::outbox::Path;
use crate::ufrag::LocalCredentials;
use crate::wire::stun::IntegrityKey;

/// Addresses kept; a client with more candidates loses the oldest that it has not nominated.
const MAX_PATHS: usize = 8;
/// Without an authenticated check for this long the client has gone (RFC 7675 section 5.1).
const CONSENT: Micros = 30 * SECOND;

/// A session's agent.
#[derive(Debug)]
pub(crate) struct Ice {
    credentials: LocalCredentials,
    key: IntegrityKey,
    paths: Vec<Path>,
    selected: Option<Path>,
    last_check: Micros,
}

impl Ice {
    pub(crate) fn new(now: Micros, credentials: LocalCredentials) -> Self {
        let key = IntegrityKey::new(&credentials.pwd);
        Self { credentials, key, paths: Vec::with_capacity(MAX_PATHS), selected: None, last_check: now }
    }

    /// Whether a check is addressed to this session, and not to an earlier one in its place.
    pub(crate) fn has_fragment(&self, fragment: &[u8]) -> bool {
        self.credentials.ufrag.as_bytes() == fragment
    }

    /// The key of the node's password: it signs the checks of the client and our answers.
    pub(crate) fn key(&self) -> &IntegrityKey {
        &self.key
    }

    /// Takes note of an authenticated check; returns an address that had to be forgotten.
    pub(crate) fn validate(&mut self, now: Micros, path: Path, nominated: bool) -> Option<Path> {
        self.last_check = now;
        if nominated {
            self.selected = Some(path);
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
        Path { remote: SocketAddr::new(ip, port), local: ip }
    }

    fn agent() -> Ice {
        Ice::new(0, LocalCredentials::generate(0, 0))
    }

    #[test]
    fn nomination_moves_the_session_and_validation_does_not() {
        let mut ice = agent();
        assert_eq!(ice.path(), None);
        ice.validate(0, path(1), false);
        assert_eq!(ice.path(), Some(path(1)));
        ice.validate(0, path(1), true);
        ice.validate(0, path(2), false);
        assert_eq!(ice.path(), Some(path(1)));
        ice.validate(0, path(2), true);
        assert_eq!(ice.path(), Some(path(2)));
    }

    #[test]
    fn addresses_are_bounded_and_the_nominated_one_stays() {
        let mut ice = agent();
        ice.validate(0, path(0), true);
        let forgotten: Vec<_> = (1..20).filter_map(|port| ice.validate(0, path(port), false)).collect();
        assert_eq!(ice.paths().len(), MAX_PATHS);
        assert_eq!(forgotten.len(), 20 - MAX_PATHS);
        assert!(ice.paths().contains(&path(0)));
    }

    #[test]
    fn silence_ends_consent() {
        let mut ice = agent();
        ice.validate(10 * SECOND, path(1), true);
        assert!(!ice.has_expired(40 * SECOND - 1));
        assert!(ice.has_expired(40 * SECOND));
    }
}
