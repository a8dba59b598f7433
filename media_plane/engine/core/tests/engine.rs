//! The engine as the node drives it: threads, real sockets, commands and events.

mod sim;

use std::net::UdpSocket;

use parley_engine_core::clock::Clock;
use parley_engine_core::engine::{CommandError, Engine, EngineConfig, NamedSlotRequest};
use parley_engine_core::event::{CloseReason, EventKind, SessionState};
use sim::peer::{LOOPBACK, Peer, SLOT, config, run_until, show, until};
use sim::{CAMERA, Client};

fn limited(shards: usize) -> EngineConfig {
    EngineConfig { max_sessions_per_shard: 2, ..config(shards) }
}

fn engine(shards: usize) -> Engine {
    let engine = Engine::new(&limited(shards)).unwrap();
    engine.start().unwrap();
    engine
}

#[test]
fn a_call_over_real_sockets() {
    let engine = engine(2);
    engine.open_room("elsewhere").unwrap();
    engine.open_room("room").unwrap();
    let mut peers: Vec<_> = (0..2).map(|number| Peer::join(&engine, "room", number)).collect();
    assert_eq!(peers[0].node.port(), engine.ports()[1], "the second room is on the second shard");
    engine.update_slots(&Client::name_of(0), &show(1)).unwrap();
    engine.update_slots(&Client::name_of(1), &show(0)).unwrap();
    run_until(&mut peers, |peers| peers.iter().all(|peer| peer.pictures() > 60));
    let connected = engine
        .drain_events(1_000)
        .into_iter()
        .filter(|event| matches!(event.kind, EventKind::SessionState { state: SessionState::Connected, .. }));
    assert_eq!(connected.count(), 2);
    let stats = engine.session_stats(&Client::name_of(0)).unwrap();
    assert_eq!(stats.remote_address, Some(peers[0].socket.local_addr().unwrap()));
    assert!(stats.tracks.iter().all(|track| track.packets > 0) && stats.slots[3].packets > 60);
    let counter = |name: &str| engine.counters().iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(counter("packets_sent") >= counter("send_runs") && counter("send_runs") >= counter("send_calls"));
    assert!(counter("send_calls") > 0);
    assert_eq!((counter("sessions_opened"), counter("dropped_srtp_auth"), counter("dropped_noise")), (2, 0, 0));

    engine.stop().unwrap();
    assert_eq!(engine.open_room("late"), Err(CommandError::Stopped));
    run_until(&mut peers, |peers| peers.iter().all(|peer| peer.client.heard.closed && peer.client.heard.byes > 0));
    assert!(counter("cpu_nanoseconds") > 0 && counter("sessions_closed") == 2);
}

#[test]
fn refusals_say_why() {
    let engine = engine(1);
    let client = Client::new(0, 0, Clock::start());
    let open = |room: &str, session: &str| engine.open_session(room, session, client.parameters()).map(|_| ());
    assert_eq!(open("room", "a"), Err(CommandError::UnknownRoom));
    engine.open_room("room").unwrap();
    assert_eq!(engine.open_room("room"), Err(CommandError::RoomExists));
    assert_eq!(engine.close_room("other"), Err(CommandError::UnknownRoom));
    assert!(matches!(engine.open_room(""), Err(CommandError::Invalid(_))));
    assert_eq!(open("room", "a"), Ok(()));
    assert_eq!(open("room", "a"), Err(CommandError::SessionExists));
    assert_eq!(open("room", "b"), Ok(()));
    assert_eq!(open("room", "c"), Err(CommandError::TooMany));
    let mut broken = client.parameters();
    broken.fingerprints.clear();
    assert!(matches!(engine.open_session("room", "d", broken), Err(CommandError::Invalid(_))));
    assert_eq!(engine.set_track_muted("x", CAMERA, true), Err(CommandError::UnknownSession));
    assert_eq!(engine.set_track_muted("a", "9", true), Err(CommandError::UnknownTrack));
    assert_eq!(engine.request_key_frame("a", "9"), Err(CommandError::UnknownTrack));
    let request = |mid: &str, source: Option<(&str, &str)>| {
        let source = source.map(|(session, mid)| (session.to_owned(), mid.to_owned()));
        engine.update_slots("a", &[NamedSlotRequest { mid: mid.to_owned(), source, max_height: 0, priority: 0 }])
    };
    assert_eq!(request("9", None), Err(CommandError::UnknownTrack));
    assert!(matches!(request("2", None), Err(CommandError::Invalid(_))), "audio slots are the engine's");
    assert!(matches!(request(SLOT, Some(("a", CAMERA))), Err(CommandError::Invalid(_))), "nobody sees itself");
    assert_eq!(request(SLOT, Some(("x", CAMERA))), Err(CommandError::UnknownSession));
    assert_eq!(request(SLOT, Some(("b", CAMERA))), Ok(()));
    engine.close_session("a", CloseReason::Replaced).unwrap();
    assert_eq!(engine.close_session("a", CloseReason::Requested), Err(CommandError::UnknownSession));
    assert_eq!(engine.session_stats("a").map(|_| ()), Err(CommandError::UnknownSession));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Engine::new(&EngineConfig { ports: vec![port], ..config(1) }).expect_err("the port is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(Engine::new(&config(0)).is_err());
}

#[test]
fn opening_a_session_is_told() {
    let engine = engine(1);
    engine.open_room("room").unwrap();
    let client = Client::new(0, 0, Clock::start());
    engine.open_session("room", "a", client.parameters()).unwrap();
    let mut events = Vec::new();
    until("the session is told", || {
        events = engine.drain_events(10);
        !events.is_empty()
    });
    assert!(matches!(&events[0].kind, EventKind::SessionState { state: SessionState::Connecting, .. }));
}

#[test]
fn datagrams_without_content_are_counted() {
    let engine = engine(1);
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    for _ in 0..100 {
        stranger.send_to(&[], (LOOPBACK, engine.ports()[0])).unwrap();
    }
    let counter = |name: &str| engine.counters().iter().find(|(known, _)| *known == name).unwrap().1;
    until("all have been counted", || (counter("packets_received"), counter("dropped_noise")) == (100, 100));
}

#[test]
fn media_change_under_ssrcs_of_their_own() {
    let engine = engine(1);
    engine.open_room("room").unwrap();
    let client = Client::new(0, 0, Clock::start());
    let parameters = client.parameters();
    assert_eq!(engine.change_media("nobody", parameters.clone()), Err(CommandError::UnknownSession));
    engine.open_session("room", "session", parameters.clone()).unwrap();
    let video = |request: &str| NamedSlotRequest { mid: request.into(), source: None, max_height: 0, priority: 0 };

    let mut fewer = parameters.clone();
    let stopped = fewer.slots.pop().unwrap();
    engine.change_media("session", fewer).unwrap();
    assert_eq!(engine.update_slots("session", &[video(&stopped.mid)]), Err(CommandError::UnknownTrack));
    assert!(matches!(engine.change_media("session", parameters.clone()), Err(CommandError::Invalid(_))));

    let mut more = parameters;
    more.slots.last_mut().unwrap().ssrc += 10_000;
    more.slots.last_mut().unwrap().rtx_ssrc = None;
    engine.change_media("session", more.clone()).unwrap();
    engine.update_slots("session", &[video(&stopped.mid)]).unwrap();
    more.ice_pwd.clear();
    assert!(matches!(engine.change_media("session", more), Err(CommandError::Invalid(_))));
    let stats = engine.session_stats("session").unwrap();
    assert_eq!(stats.slots.len(), 5);
    engine.stop().unwrap();
}
