//! Ending a session or a room is never refused, even while their shard takes no other command. (E6)

mod sim;

use parley_engine_core::clock::Clock;
use parley_engine_core::engine::{CommandError, Engine};
use parley_engine_core::event::CloseReason;
use sim::peer::{config, until};
use sim::{CAMERA, Client};

/// An engine whose shard has not begun to take commands, and has room for no more.
fn full() -> Engine {
    let engine = Engine::new(&config(1)).unwrap();
    for room in ["room", "other"] {
        engine.open_room(room).unwrap();
        engine.open_session(room, &format!("{room}-a"), Client::new(0, 0, Clock::start()).parameters()).unwrap();
        engine.open_session(room, &format!("{room}-b"), Client::new(1, 0, Clock::start()).parameters()).unwrap();
    }
    while engine.request_key_frame("room-a", CAMERA).is_ok() {}
    assert_eq!(engine.request_key_frame("room-a", CAMERA), Err(CommandError::QueueFull));
    engine
}

fn counter(engine: &Engine, name: &str) -> u64 {
    engine.counters().into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn what_is_closed_while_no_command_is_taken_ends_all_the_same() {
    let engine = full();
    assert_eq!(engine.close_session("room-a", CloseReason::Requested), Ok(()));
    assert_eq!(engine.close_room("other"), Ok(()));
    engine.start().unwrap();
    until("the sessions end", || counter(&engine, "sessions_closed") == 3);
    assert!(engine.session_stats("room-b").is_ok(), "nobody asked for its end");
}

#[test]
fn a_close_is_taken_once_so_that_the_queue_stays_bounded() {
    let engine = full();
    assert_eq!(engine.close_session("room-a", CloseReason::Requested), Ok(()));
    assert_eq!(engine.close_session("room-a", CloseReason::Requested), Err(CommandError::UnknownSession));
    assert_eq!(engine.close_room("other"), Ok(()));
    assert_eq!(engine.close_room("other"), Err(CommandError::UnknownRoom));
}
