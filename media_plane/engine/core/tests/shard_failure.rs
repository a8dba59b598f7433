//! A shard whose thread panics or hangs: its sessions are told to have ended, no room goes there, and another thread takes
//! its place on the same ports. (FLT-5, E2)

mod sim;

use std::time::Duration;

use parley_engine_core::engine::{CommandError, Engine};
use parley_engine_core::event::{CloseReason, Event, EventKind, FailureCause};
use parley_engine_core::fault::Fault;
use sim::Client;
use sim::peer::{Peer, config, run_until, show, until};

/// Longer than a shard may be silent. A thread that sleeps so long wakes while the test still watches.
const A_WHILE: Duration = Duration::from_secs(3);
/// Longer than any test.
const FOR_GOOD: Duration = Duration::from_secs(3_600);

fn engine(shards: usize) -> Engine {
    let engine = Engine::new(&config(shards)).unwrap();
    engine.start().unwrap();
    engine
}

/// Two people in a room of the first shard who see each other, one in a room of the second.
fn call() -> (Engine, Vec<Peer>) {
    let engine = engine(2);
    let mut peers = Vec::new();
    for (number, room) in ["first", "second", "first"].into_iter().enumerate() {
        if number < 2 {
            engine.open_room(room).unwrap();
        }
        peers.push(Peer::join(&engine, room, number));
    }
    see_each_other(&engine, &mut peers, 0, 2);
    assert_eq!(peers.iter().map(|peer| peer.node.port()).collect::<Vec<_>>(), [0, 1, 0].map(|s| engine.ports()[s]));
    (engine, peers)
}

fn see_each_other(engine: &Engine, peers: &mut [Peer], a: usize, b: usize) {
    engine.update_slots(&peers[a].client.name, &show(number_of(&peers[b]))).unwrap();
    engine.update_slots(&peers[b].client.name, &show(number_of(&peers[a]))).unwrap();
    run_until(peers, |peers| peers[a].pictures() > 30 && peers[b].pictures() > 30);
}

fn number_of(peer: &Peer) -> usize {
    (0..100).find(|number| Client::name_of(*number) == peer.client.name).unwrap()
}

fn counter(engine: &Engine, name: &str) -> u64 {
    engine.counters().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Waits until the engine says that a shard failed; returns all that it said up to then and with it.
fn failure(engine: &Engine) -> Vec<Event> {
    let mut events = Vec::new();
    until("the failure is told", || {
        events.extend(engine.drain_events(1_000));
        events.iter().any(|event| matches!(event.kind, EventKind::ShardFailed { .. }))
    });
    events
}

/// Names of sessions that are said to have ended because of their shard.
fn ended(events: &[Event]) -> Vec<&str> {
    let mut names: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::SessionState { subject, reason: Some(CloseReason::ShardFailed), .. } => Some(&*subject.session),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names
}

fn fails_and_is_replaced(fault: Fault, expected: FailureCause) -> Engine {
    let (engine, mut peers) = call();
    let _ = engine.drain_events(1_000);
    engine.inject_fault(0, fault).unwrap();

    let events = failure(&engine);
    let EventKind::ShardFailed { shard, cause, activity, rooms, sessions } = &events[0].kind else {
        panic!("the failure comes before the ends of its sessions: {events:?}");
    };
    assert_eq!((*shard, *cause, *activity, *sessions), (0, expected, "fault", 2));
    assert_eq!(rooms.iter().map(|room| &**room).collect::<Vec<_>>(), ["first"]);
    assert_eq!(ended(&events), [Client::name_of(0), Client::name_of(2)]);
    assert_eq!(engine.session_stats(&Client::name_of(0)).map(|_| ()), Err(CommandError::UnknownSession));
    assert!(engine.session_stats(&Client::name_of(1)).is_ok(), "the other shard goes on");

    until("the shard is replaced", || engine.serving_shards() == 2);
    engine.open_room("first").unwrap();
    peers.push(Peer::join(&engine, "first", 3));
    peers.push(Peer::join(&engine, "first", 4));
    assert_eq!(peers[3].node, peers[0].node, "the same port");
    see_each_other(&engine, &mut peers, 3, 4);
    assert_eq!((counter(&engine, "sessions_opened"), counter(&engine, "sessions_closed")), (5, 2));
    engine
}

#[test]
fn a_shard_that_panics_is_told_and_replaced() {
    let engine = fails_and_is_replaced(Fault::Panic, FailureCause::Panicked);
    assert_eq!((counter(&engine, "shard_panics"), counter(&engine, "shard_stalls")), (1, 0));
    assert_eq!(engine.abandoned_threads(), 0);
    engine.stop().unwrap();
}

#[test]
fn a_shard_that_sleeps_is_replaced_and_its_thread_ends_without_a_word_when_it_wakes() {
    let engine = fails_and_is_replaced(Fault::Sleep(A_WHILE), FailureCause::Stalled);
    assert_eq!((counter(&engine, "shard_panics"), counter(&engine, "shard_stalls")), (0, 1));
    until("the thread has noticed", || engine.abandoned_threads() == 0);
    assert!(ended(&engine.drain_events(1_000)).is_empty());
    assert!(engine.session_stats(&Client::name_of(3)).is_ok(), "its sessions are not those that came after");
    engine.stop().unwrap();
}

#[test]
fn a_shard_that_spins_is_replaced() {
    let engine = fails_and_is_replaced(Fault::Spin(A_WHILE), FailureCause::Stalled);
    until("the thread has noticed", || engine.abandoned_threads() == 0);
    engine.stop().unwrap();
}

#[test]
fn a_shard_that_keeps_failing_is_tried_ever_later_and_gets_no_room_meanwhile() {
    let engine = engine(1);
    let mut refused = false;
    until("a room was refused", || {
        // Refused too while the shard is away; the next round comes.
        let _ = engine.inject_fault(0, Fault::Panic);
        refused = engine.open_room("room") == Err(CommandError::NoShard);
        let _ = engine.close_room("room");
        refused
    });
    until("a room is taken", || engine.open_room("room").is_ok());
}

#[test]
fn stopping_never_waits_for_good_and_swallows_nothing() {
    for fault in [Fault::Panic, Fault::Sleep(FOR_GOOD)] {
        let engine = engine(1);
        engine.inject_fault(0, fault).unwrap();
        let stopped = engine.stop();
        let told = engine.drain_events(10).iter().any(|event| matches!(event.kind, EventKind::ShardFailed { .. }));
        assert!(stopped.is_err() || told, "{fault:?}");
        assert_eq!(engine.stop(), Ok(()), "there is nothing left to stop");
    }
}
