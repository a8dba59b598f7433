//! FLT-8: the node is told when nothing comes from a client any more, long before the session ends of it.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::event::{EventKind, SessionState};
use parley_engine_core::outbox::Path;
use parley_engine_core::wire::demux::{DatagramKind, classify};
use sim::{Bursts, Conditions, Link, Meeting, NODE};

/// After this long the node is told.
const SILENT_AFTER: Micros = 7 * SECOND;
/// How late a timer may notice.
const TICK: Micros = 20 * MILLISECOND;

/// Two clients, the first with a data channel.
fn two() -> Meeting {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    meeting.join_with_captions();
    meeting.join_with_channels();
    meeting.connect();
    meeting.run(SECOND);
    meeting
}

/// Nothing of the first client arrives any more: its process was killed, or its cable pulled.
fn cut(meeting: &mut Meeting) {
    let address = meeting.clients[0].address;
    let bursts = Some(Bursts { begin: 1_000, end: 0, loss: 1_000 });
    meeting.network.up.insert(address, Link { bursts, ..Link::default() });
}

fn mend(meeting: &mut Meeting) {
    meeting.network.up.clear();
}

/// What was told of silence, of everyone: since when, and when.
fn told(meeting: &Meeting) -> Vec<(Option<u64>, u64)> {
    let told = meeting.events.iter().filter_map(|event| match &event.kind {
        EventKind::TransportActivity { subject, silent_since } => {
            assert_eq!(*subject.session, *meeting.clients[0].name, "only the first falls silent");
            Some((*silent_since, event.time_unix_nano))
        }
        _ => None,
    });
    told.collect()
}

fn closed(meeting: &Meeting) -> usize {
    let ends = |kind: &EventKind| matches!(kind, EventKind::SessionState { state: SessionState::Closed, .. });
    meeting.events(|kind| ends(kind).then_some(())).len()
}

#[test]
fn silence_is_told_once_with_its_beginning_and_ends_with_the_first_sign() {
    let mut meeting = two();
    let cut_at = meeting.now;
    cut(&mut meeting);
    meeting.run(SILENT_AFTER - 100 * MILLISECOND);
    assert_eq!(told(&meeting), []);
    meeting.run(20 * SECOND);
    let [(Some(since), at)] = told(&meeting)[..] else { panic!("told once, not {:?}", told(&meeting)) };
    let (last, noticed) = (meeting.clock.unix_nanos(cut_at), (at - since) / 1_000);
    assert!(since.abs_diff(last) / 1_000 <= 50 * MILLISECOND, "a frame was the last to come");
    assert!((SILENT_AFTER..=SILENT_AFTER + TICK).contains(&noticed), "noticed after {noticed} us");
    assert_eq!(closed(&meeting), 0, "the session waits for its client");

    mend(&mut meeting);
    let mended = meeting.now;
    meeting.run(SECOND);
    let [_, (None, heard)] = told(&meeting)[..] else { panic!("{:?}", told(&meeting)) };
    assert!((heard - meeting.clock.unix_nanos(mended)) / 1_000 <= 2 * TICK + 50 * MILLISECOND);
    cut(&mut meeting);
    meeting.run(SILENT_AFTER + SECOND);
    assert_eq!(told(&meeting).len(), 3, "a new silence is told anew");
    meeting.run(30 * SECOND);
    assert_eq!((told(&meeting).len(), closed(&meeting)), (3, 1), "and ends with the session");
}

/// Lets through one datagram of a kind every so often, and nothing else; how often silence was told in 20 s.
fn silences_with_only(every: Micros, wanted: DatagramKind, forge: bool) -> usize {
    let mut meeting = two();
    cut(&mut meeting);
    let path = Path::udp(meeting.clients[0].address, NODE.ip());
    let caption = meeting.clients[0].channels.as_mut().unwrap().open("strokes");
    for _ in 0..20 * SECOND / every {
        meeting.network.recorded = Some(Vec::new());
        meeting.clients[0].channels.as_mut().unwrap().say(caption, b"still here");
        meeting.run(every);
        let sent = meeting.network.recorded.take().unwrap();
        let mut mine = sent.into_iter().filter(|(from, _)| *from == path.remote).map(|(_, datagram)| datagram);
        let mut one = mine.rfind(|datagram| classify(datagram) == wanted).expect("the client sends such");
        if forge {
            *one.last_mut().unwrap() ^= 1;
        }
        let now = meeting.now;
        meeting.shard.handle_datagram(now, &path, &mut one, &mut meeting.network.outgoing);
    }
    told(&meeting).len()
}

#[test]
fn anything_authentic_is_a_sign() {
    for kind in [DatagramKind::Stun, DatagramKind::Rtp, DatagramKind::Rtcp, DatagramKind::Dtls] {
        assert_eq!(silences_with_only(5 * SECOND, kind, false), 0, "{kind:?}");
    }
}

#[test]
fn what_anybody_could_send_is_none() {
    for kind in [DatagramKind::Stun, DatagramKind::Rtp, DatagramKind::Rtcp, DatagramKind::Dtls] {
        assert_eq!(silences_with_only(5 * SECOND, kind, true), 1, "{kind:?}");
    }
}

#[test]
fn an_idle_client_whose_checks_are_six_seconds_apart_is_not_silent() {
    assert_eq!(silences_with_only(6 * SECOND, DatagramKind::Stun, false), 0);
}

#[test]
fn a_session_that_never_connected_has_nothing_to_fall_silent_of() {
    let mut meeting = Meeting::new(2, Conditions::IDEAL);
    meeting.join();
    cut(&mut meeting);
    meeting.run(31 * SECOND);
    assert_eq!((told(&meeting).len(), closed(&meeting)), (0, 1));
}
