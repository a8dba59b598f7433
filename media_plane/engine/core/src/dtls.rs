//! The DTLS handshake of a session (RFC 5764): passive, 1.2, and the client proven by its certificate's fingerprint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::{Config, Dtls, DtlsCertificate, Output};

use crate::srtp::{DtlsRole, InboundContext, OutboundContext, SrtpProfile, contexts_from_dtls};
use crate::work;

/// The whole handshake, from the first record, with all repetitions after forged or broken ones.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(15);
/// First retransmission; dimpl's second is far too long between a browser and a node.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(100);
/// Repetitions of a flight, also those that the client's own repetitions cause. With dimpl's four a client that stalls for
/// three seconds would find a node that has forgotten it; the limit above ends a handshake soon enough.
const FLIGHT_RETRIES: usize = 20;
/// The longest datagram that is taken: longer than any that a client's network lets through.
pub(crate) const MAX_RECEIVED: usize = 2_048;
/// Room for a client's certificate, for want of which dimpl panics: it gathers no message from more than thirty datagrams.
const HANDSHAKE_BUFFER: usize = 30 * MAX_RECEIVED;
/// Associations that a session may begin at first, and each second after that: forged records break some.
const FIRST_ATTEMPTS: u64 = 5;
const ATTEMPTS_A_SECOND: u64 = 2;

/// The engine's certificate and settings, shared by all sessions.
pub struct Identity {
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a new key and a certificate for it.
    pub fn generate() -> Result<Self, String> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().map_err(|error| error.to_string())?;
        // ICE has checked the address before the first record is read: no cookie.
        let config = Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(FIRST_RETRANSMISSION)
            .flight_retries(FLIGHT_RETRIES)
            .build();
        Ok(Self { config: Arc::new(config.map_err(|error| error.to_string())?), certificate })
    }

    /// SHA-256 of the certificate, upper-case hexadecimal with colons (RFC 8122).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint_str()
    }
}

/// What became of the handshake.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Going on.
    None,
    /// Done.
    Keys(SrtpProfile, Box<(InboundContext, OutboundContext)>),
    /// This attempt failed; another may follow.
    Broken,
    /// The client is not who the signalling said, or time is up.
    Failed,
    /// The client ended the association.
    Closed,
}

/// A session's handshake.
pub(crate) struct Handshake {
    identity: Arc<Identity>,
    fingerprints: Vec<[u8; 32]>,
    association: Option<Dtls>,
    /// How many have begun.
    attempts: u64,
    began: Option<Instant>,
    wake_at: Option<Instant>,
    client_is_known: bool,
    done: bool,
}

impl Handshake {
    pub(crate) fn new(identity: Arc<Identity>, fingerprints: Vec<[u8; 32]>) -> Self {
        Self {
            identity,
            fingerprints,
            association: None,
            attempts: 0,
            began: None,
            wake_at: None,
            client_is_known: false,
            done: false,
        }
    }

    /// Takes a datagram from an address that the client has proven to own. What it brings for the application goes to
    /// `receive`, once the client is known.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        datagram: &[u8],
        send: impl FnMut(&[u8]),
        receive: impl FnMut(&[u8]),
    ) -> Progress {
        if self.association.is_none() && !self.begin(now, datagram) {
            return if self.done { Progress::None } else { Progress::Broken };
        }
        let Some(association) = &mut self.association else { return Progress::None };
        let handled = association.handle_timeout(now).and_then(|()| association.handle_packet(datagram));
        self.advance(handled.is_ok(), send, receive)
    }

    /// Whether the client has begun an association.
    pub(crate) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Begins an association with a client's first record; false when the datagram is none, or when too many have begun: each costs as
    /// much as a thousand packets.
    fn begin(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let elapsed = self.began.map_or(0, |began| (now - began).as_secs());
        let allowed = FIRST_ATTEMPTS + ATTEMPTS_A_SECOND * elapsed;
        if self.done || !is_client_hello(datagram) || self.attempts >= allowed {
            return false;
        }
        self.began.get_or_insert(now);
        self.attempts += 1;
        let config = Arc::clone(&self.identity.config);
        self.association = Some(Dtls::new_12(config, self.identity.certificate.clone(), now));
        true
    }

    /// Sends the client what belongs to the application, in a record of its own.
    pub(crate) fn send_data(&mut self, now: Instant, data: &[u8], send: impl FnMut(&[u8])) -> Progress {
        let Some(association) = self.association.as_mut().filter(|_| self.done) else { return Progress::None };
        let handled = association.handle_timeout(now).and_then(|()| association.send_application_data(data));
        self.advance(handled.is_ok(), send, |_| {})
    }

    /// Retransmits when it is time.
    pub(crate) fn handle_timeout(&mut self, now: Instant, send: impl FnMut(&[u8])) -> Progress {
        if !self.done && self.began.is_some_and(|began| now - began >= HANDSHAKE_LIMIT) {
            return Progress::Failed;
        }
        if self.wake_at.is_none_or(|at| now < at) {
            return Progress::None;
        }
        let Some(association) = &mut self.association else { return Progress::None };
        let handled = association.handle_timeout(now);
        self.advance(handled.is_ok(), send, |_| {})
    }

    fn advance(&mut self, usable: bool, mut send: impl FnMut(&[u8]), mut receive: impl FnMut(&[u8])) -> Progress {
        let progress = if usable { self.drain(&mut send, &mut receive) } else { Progress::Broken };
        if matches!(progress, Progress::Broken) {
            // Every error of dimpl is final for the association. Before the handshake is done a forged alert causes one too,
            // so the next record begins a new association; afterwards nothing more is expected of it.
            self.association = None;
            self.wake_at = None;
            self.client_is_known = false;
        }
        progress
    }

    fn drain(&mut self, send: &mut impl FnMut(&[u8]), receive: &mut impl FnMut(&[u8])) -> Progress {
        if self.done {
            self.drain_into(&mut [0; MAX_RECEIVED], send, receive)
        } else {
            self.drain_into(&mut vec![0; HANDSHAKE_BUFFER], send, receive)
        }
    }

    fn drain_into(
        &mut self,
        buffer: &mut [u8],
        send: &mut impl FnMut(&[u8]),
        receive: &mut impl FnMut(&[u8]),
    ) -> Progress {
        let mut progress = Progress::None;
        let Some(association) = &mut self.association else { return progress };
        loop {
            work::step();
            match association.poll_output(buffer) {
                Output::Packet(record) => send(record),
                Output::Timeout(at) => {
                    self.wake_at = Some(at);
                    return progress;
                }
                Output::PeerCert(certificate) => {
                    let actual = digest::digest(&digest::SHA256, certificate);
                    self.client_is_known = self.fingerprints.iter().any(|expected| expected == actual.as_ref());
                }
                Output::KeyingMaterial(material, profile) => {
                    self.done = true;
                    progress = match keys(profile, &material).filter(|_| self.client_is_known) {
                        Some((profile, contexts)) => Progress::Keys(profile, Box::new(contexts)),
                        None => Progress::Failed,
                    };
                }
                Output::ApplicationData(data) if self.done && self.client_is_known => receive(data),
                Output::CloseNotify => progress = Progress::Closed,
                Output::BufferTooSmall { .. } => return Progress::Broken,
                _ => {}
            }
        }
    }

    /// Says goodbye (`close_notify`) to a client with which the handshake is done.
    pub(crate) fn close(&mut self, mut send: impl FnMut(&[u8])) {
        if let Some(association) = self.association.as_mut().filter(|_| self.done)
            && association.close().is_ok()
        {
            self.drain(&mut send, &mut |_| {});
        }
    }
}

/// Whether a datagram begins with (a fragment of) a `ClientHello`: a record of a handshake (22) with a message of type 1 (RFC 6347).
fn is_client_hello(datagram: &[u8]) -> bool {
    (datagram.first(), datagram.get(13)) == (Some(&22), Some(&1))
}

fn keys(profile: dimpl::SrtpProfile, material: &[u8]) -> Option<(SrtpProfile, (InboundContext, OutboundContext))> {
    let profile = match profile {
        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
        _ => return None,
    };
    Some((profile, contexts_from_dtls(profile, material, DtlsRole::Server)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fatal alert that nothing protects.
    const ALERT: [u8; 15] = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];

    fn client_hello(now: Instant) -> Vec<u8> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let mut client = Dtls::new_12(Arc::new(Config::builder().build().unwrap()), certificate, now);
        client.set_active(true);
        client.handle_timeout(now).unwrap();
        let mut buffer = [0; MAX_RECEIVED];
        let Output::Packet(record) = client.poll_output(&mut buffer) else { panic!("it begins") };
        record.to_vec()
    }

    #[test]
    fn only_a_client_hello_begins_an_association_and_only_so_many_do() {
        let now = Instant::now();
        let mut handshake = Handshake::new(Arc::new(Identity::generate().unwrap()), Vec::new());
        let mut take = |at, datagram: &[u8]| {
            handshake.handle(at, datagram, |_| {}, |_| {});
            handshake.attempts
        };
        assert_eq!((0..100).map(|_| take(now, &ALERT)).max(), Some(0));
        let hello = client_hello(now);
        let mut flood = |at| (0..100).map(|n| take(at, if n % 2 == 0 { &hello } else { &ALERT })).max();
        assert_eq!(flood(now), Some(FIRST_ATTEMPTS));
        assert_eq!(flood(now + Duration::from_secs(3)), Some(FIRST_ATTEMPTS + 3 * ATTEMPTS_A_SECOND));
    }
}
