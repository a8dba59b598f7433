//! Connectivity checks: each reads what the other writes.

use std::net::SocketAddr;

use parley_engine_core::wire::stun::{self, BindingRequest, IntegrityKey, Message};
use str0m::ice::{StunMessage, TransId};

use crate::SEEDS;
use crate::sim::Random;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    str0m::crypto::from_feature_flags().sha1_hmac_provider.sha1_hmac(key, parts)
}

#[test]
fn each_reads_the_checks_of_the_other() {
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let controlling = random.permille(500);
        let (priority, tie_breaker) = (random.next() as u32, random.next());
        let request = BindingRequest {
            transaction_id: *b"abcdefghijkl",
            username: "node:client",
            priority,
            use_candidate: random.permille(500),
            controlling,
            tie_breaker,
        };
        let mut buffer = [0; 640];
        let len = stun::write_binding_request(&mut buffer, &request, &IntegrityKey::new(PASSWORD)).unwrap();
        let theirs = StunMessage::parse(&buffer[..len]).unwrap();
        assert!(theirs.is_binding_request() && theirs.verify(PASSWORD.as_bytes(), hmac));
        assert!(!theirs.verify(b"another", hmac));
        assert_eq!((theirs.username(), theirs.prio()), (Some("node:client"), Some(priority)));
        assert_eq!(theirs.use_candidate(), request.use_candidate);
        let role = if controlling { theirs.ice_controlling() } else { theirs.ice_controlled() };
        assert_eq!(role, Some(tie_breaker));

        let answer = answered(&buffer[..len], random);
        let response = StunMessage::parse(&answer.0).unwrap();
        assert!(response.is_successful_binding_response() && response.verify(PASSWORD.as_bytes(), hmac));
        assert_eq!(response.mapped_address(), Some(answer.1));
    }
}

/// Our answer to a check, from a random address of either family.
fn answered(request: &[u8], random: &mut Random) -> (Vec<u8>, SocketAddr) {
    let ours = Message::parse(request).unwrap();
    let address: SocketAddr = if random.permille(500) {
        ((random.next() as u32).to_be_bytes(), random.next() as u16).into()
    } else {
        (((u128::from(random.next()) << 64) | u128::from(random.next())).to_be_bytes(), random.next() as u16).into()
    };
    let mut buffer = [0; 640];
    let key = IntegrityKey::new(PASSWORD);
    let len = stun::write_binding_success(&mut buffer, &ours.transaction_id, address, &key).unwrap();
    (buffer[..len].to_vec(), address)
}

#[test]
fn we_read_the_checks_that_str0m_writes() {
    let key = IntegrityKey::new(PASSWORD);
    for seed in 0..SEEDS * 10 {
        let random = &mut Random(seed);
        let (controlling, use_candidate) = (random.permille(500), random.permille(500));
        let (priority, tie_breaker) = (random.next() as u32, random.next());
        let request = StunMessage::binding_request(
            "node:client",
            TransId::new(),
            controlling,
            tie_breaker,
            priority,
            use_candidate,
        );
        let mut buffer = [0; 640];
        let len = request.to_bytes(Some(PASSWORD.as_bytes()), &mut buffer, hmac).unwrap();
        let ours = Message::parse(&buffer[..len]).unwrap();
        assert!(ours.is_binding_request() && ours.verify(&key) && ours.has_fingerprint);
        assert_eq!((ours.username, ours.priority), (Some(&b"node:client"[..]), Some(priority)));
        assert_eq!(ours.use_candidate, use_candidate);
        assert_eq!(if controlling { ours.ice_controlling } else { ours.ice_controlled }, Some(tie_breaker));

        let address: SocketAddr = ((random.next() as u32).to_be_bytes(), random.next() as u16).into();
        let reply = StunMessage::binding_reply(request.trans_id(), address);
        let len = reply.to_bytes(Some(PASSWORD.as_bytes()), &mut buffer, hmac).unwrap();
        let ours = Message::parse(&buffer[..len]).unwrap();
        assert!(ours.verify(&key) && ours.mapped_address == Some(address));
    }
}
