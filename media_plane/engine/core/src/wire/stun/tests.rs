use super::*;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION_ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

/// RFC 5769 section 2.1.
const SAMPLE_REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// RFC 5769 section 2.2.
const SAMPLE_RESPONSE_V4: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector \
    \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// RFC 5769 section 2.3.
const SAMPLE_RESPONSE_V6: &[u8] = b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector \
    \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

fn check(use_candidate: bool) -> BindingRequest<'static> {
    BindingRequest {
        transaction_id: TRANSACTION_ID,
        username: "node:client",
        priority: 0x6e00_01ff,
        use_candidate,
        controlling: true,
        tie_breaker: 77,
    }
}

#[test]
fn rfc_5769_request() {
    let message = Message::parse(SAMPLE_REQUEST).unwrap();
    assert!(message.is_binding_request());
    assert_eq!(message.transaction_id, TRANSACTION_ID);
    assert_eq!(message.receiver_fragment(), Some(&b"evtj"[..]));
    assert_eq!(message.sender_fragment(), Some(&b"h6vY"[..]));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert_eq!(message.ice_controlled, Some(0x932f_f9b1_5126_3b36));
    assert_eq!(message.ice_controlling, None);
    assert!(message.has_fingerprint);
    assert!(message.verify(&IntegrityKey::new(PASSWORD)));
    assert!(!message.verify(&IntegrityKey::new("VOkJxbRl1RmTxUk/WvJxBT")));
}

#[test]
fn rfc_5769_responses() {
    for (sample, address) in
        [(SAMPLE_RESPONSE_V4, "192.0.2.1:32853"), (SAMPLE_RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let message = Message::parse(sample).unwrap();
        assert_eq!((message.class, message.method), (Class::Success, METHOD_BINDING));
        assert_eq!(message.mapped_address, Some(address.parse().unwrap()));
        assert!(message.verify(&IntegrityKey::new(PASSWORD)));
    }
}

#[test]
fn written_request_is_read_back() {
    let key = IntegrityKey::new(PASSWORD);
    let mut out = [0; MAX_MESSAGE_LEN];
    for use_candidate in [false, true] {
        let len = write_binding_request(&mut out, &check(use_candidate), &key).unwrap();
        let message = Message::parse(&out[..len]).unwrap();
        assert!(message.is_binding_request() && message.verify(&key) && message.has_fingerprint);
        assert_eq!(message.use_candidate, use_candidate);
        assert_eq!(message.ice_controlling, Some(77));
        assert_eq!(message.receiver_fragment(), Some(&b"node"[..]));
        assert_eq!(message.sender_fragment(), Some(&b"client"[..]));
        assert_eq!(message.unknown_required, None);
    }
}

#[test]
fn written_success_is_read_back() {
    let key = IntegrityKey::new(PASSWORD);
    let mut out = [0; MAX_MESSAGE_LEN];
    for (from, seen) in [
        ("192.0.2.1:32853", "192.0.2.1:32853"),
        ("[2001:db8::7]:1", "[2001:db8::7]:1"),
        ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
    ] {
        let len = write_binding_success(&mut out, &TRANSACTION_ID, from.parse().unwrap(), &key).unwrap();
        let message = Message::parse(&out[..len]).unwrap();
        assert_eq!((message.class, message.method), (Class::Success, METHOD_BINDING));
        assert_eq!(message.mapped_address, Some(seen.parse().unwrap()));
        assert!(message.verify(&key) && message.has_fingerprint);
    }
}

#[test]
fn written_errors_are_read_back() {
    let key = IntegrityKey::new(PASSWORD);
    let mut out = [0; MAX_MESSAGE_LEN];
    for (error, code) in [
        (ErrorCode::BadRequest, 400),
        (ErrorCode::Unauthenticated, 401),
        (ErrorCode::UnknownAttribute(0x0077), 420),
        (ErrorCode::RoleConflict, 487),
    ] {
        let len = write_binding_error(&mut out, &TRANSACTION_ID, error, None).unwrap();
        let message = Message::parse(&out[..len]).unwrap();
        assert_eq!((message.class, message.error_code), (Class::Error, Some(code)));
        assert!(!message.has_integrity() && !message.verify(&key));

        let len = write_binding_error(&mut out, &TRANSACTION_ID, error, Some(&key)).unwrap();
        assert!(Message::parse(&out[..len]).unwrap().verify(&key));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let key = IntegrityKey::new(PASSWORD);
    for bit in 0..SAMPLE_REQUEST.len() * 8 {
        let mut datagram = SAMPLE_REQUEST.to_vec();
        datagram[bit / 8] ^= 1 << (bit % 8);
        // A flip that turns FINGERPRINT into another attribute leaves MESSAGE-INTEGRITY intact; those bytes carry nothing else.
        if bit / 8 < SAMPLE_REQUEST.len() - 8 {
            assert!(!Message::parse(&datagram).is_ok_and(|message| message.verify(&key)), "bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_malformed() {
    for len in 0..SAMPLE_REQUEST.len() {
        assert_eq!(Message::parse(&SAMPLE_REQUEST[..len]).unwrap_err(), StunError::Malformed);
    }
}

#[test]
fn wrong_fingerprint_is_told_apart() {
    let mut datagram = SAMPLE_REQUEST.to_vec();
    *datagram.last_mut().unwrap() ^= 1;
    assert_eq!(Message::parse(&datagram).unwrap_err(), StunError::Fingerprint);
}

#[test]
fn unknown_attributes_count_only_when_they_must_be_understood() {
    let with = |kind: u16| {
        let mut datagram = b"\x00\x01\x00\x08\x21\x12\xa4\x42abcdefghijkl".to_vec();
        datagram.extend(kind.to_be_bytes());
        datagram.extend([0, 1, 9, 0, 0, 0]);
        datagram
    };
    assert_eq!(Message::parse(&with(0x0077)).unwrap().unknown_required, Some(0x77));
    assert_eq!(Message::parse(&with(0x8077)).unwrap().unknown_required, None);
}

#[test]
fn what_follows_integrity_is_ignored() {
    let key = IntegrityKey::new(PASSWORD);
    let mut out = [0; MAX_MESSAGE_LEN];
    let len = write_binding_request(&mut out, &check(false), &key).unwrap();
    let mut datagram = out[..len - 8].to_vec();
    datagram.extend([0, 0x25, 0, 0]);
    let length = (datagram.len() - HEADER_LEN) as u16;
    datagram[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&datagram).unwrap();
    assert!(message.verify(&key));
    assert!(!message.use_candidate, "an attacker on the path must not be able to nominate");
}

#[test]
fn writers_refuse_small_buffers() {
    let key = IntegrityKey::new(PASSWORD);
    let mut out = [0; MAX_MESSAGE_LEN];
    let len = write_binding_request(&mut out, &check(true), &key).unwrap();
    for short in 0..len {
        assert_eq!(write_binding_request(&mut out[..short], &check(true), &key), None);
    }
}
