//! Viewers that do not know the codec of a sender: they are told why they see nothing, and the sender is asked for one that all know.

mod sim;

use parley_engine_core::clock::{Micros, SECOND};
use parley_engine_core::command::OpenSession;
use parley_engine_core::event::EventKind;
use parley_engine_core::explanation::LayerReason;
use sim::{CAMERA, Conditions, Meeting};

const SLOT: &str = "5";
const SENDER: usize = 0;
const OLD: usize = 1;
const NEW: usize = 2;
/// The payload type that the second codec has for the sender and for whoever knows both.
const SECOND_TYPE: u8 = 98;
/// The second codec is told from the first by its parameters, so that its packets are the same.
const SECOND_PARAMETERS: &str = "profile-id=7";
/// A picture has to be asked for and made anew.
const PATIENCE: Micros = 700_000;

/// Has both codecs.
fn both(open: &mut OpenSession) {
    let first = open.parameters.codecs.iter().find(|codec| codec.name == "VP8").unwrap().clone();
    open.parameters.codecs.push(parley_engine_core::params::Codec {
        payload_type: SECOND_TYPE,
        rtx_payload_type: Some(SECOND_TYPE + 1),
        fmtp: SECOND_PARAMETERS.into(),
        ..first
    });
    let camera = open.parameters.send_tracks.iter_mut().find(|track| *track.mid == *CAMERA).unwrap();
    camera.payload_types.push(SECOND_TYPE);
}

/// Has the second codec alone.
fn second(open: &mut OpenSession) {
    let codecs = open.parameters.codecs.iter_mut();
    codecs.filter(|codec| codec.name == "VP8").for_each(|codec| codec.fmtp = SECOND_PARAMETERS.into());
}

/// A sender that prefers the first codec, and a viewer that knows both.
fn meeting() -> Meeting {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    meeting.join_with(both);
    meeting.join_with(both);
    meeting.show(OLD, SLOT, Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    meeting
}

fn reason(meeting: &mut Meeting, viewer: usize) -> LayerReason {
    let explained = meeting.explain(viewer);
    explained.slots.iter().find(|slot| slot.mid == SLOT).unwrap().reason
}

/// Payload types that the sender was asked for; None: what it prefers.
fn asked(meeting: &Meeting) -> Vec<Option<u8>> {
    meeting.events(|kind| match kind {
        EventKind::EncodingsWanted { codec, .. } => Some(codec.as_ref().map(|codec| codec.payload_type)),
        _ => None,
    })
}

fn pictures(meeting: &Meeting, viewer: usize, since: Micros) -> usize {
    meeting.clients[viewer].slots.get(SLOT).map_or(0, |slot| slot.count_between(since, meeting.now))
}

#[test]
fn a_sender_is_asked_for_what_its_viewers_have_in_common_and_goes_back_when_it_may() {
    let mut meeting = meeting();
    assert_eq!(asked(&meeting), []);
    let joined = meeting.now;
    meeting.join_with(second);
    meeting.show(NEW, SLOT, Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    assert_eq!(asked(&meeting), [Some(SECOND_TYPE)]);
    let freeze = meeting.clients[NEW].slot(SLOT).longest_freeze(meeting.now - SECOND, meeting.now);
    assert!(freeze < PATIENCE, "{freeze}");
    assert_eq!(reason(&mut meeting, NEW), LayerReason::Best);
    let later = meeting.now - SECOND;
    assert!(pictures(&meeting, OLD, later) > 80, "who knows both goes on: {}", pictures(&meeting, OLD, later));
    assert!(meeting.now - joined < 5 * SECOND);

    meeting.leave(NEW);
    meeting.run(2 * SECOND);
    assert_eq!(asked(&meeting).len(), 1, "whoever has gone may come back");
    meeting.run(3 * SECOND);
    assert_eq!(asked(&meeting), [Some(SECOND_TYPE), None]);
    let freeze = meeting.clients[OLD].slot(SLOT).longest_freeze(meeting.now - SECOND, meeting.now);
    assert!(freeze < PATIENCE, "{freeze}");
}

#[test]
fn a_sender_that_does_not_comply_is_named_as_the_reason_and_is_not_asked_for_key_frames() {
    let mut meeting = meeting();
    meeting.clients[SENDER].sender.complies = false;
    meeting.join_with(second);
    meeting.show(NEW, SLOT, Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    let requests = meeting.clients[SENDER].heard.key_frame_requests.len();
    meeting.run(10 * SECOND);
    assert_eq!(meeting.clients[SENDER].heard.key_frame_requests.len(), requests);
    assert_eq!(pictures(&meeting, NEW, 0), 0);
    assert_eq!(reason(&mut meeting, NEW), LayerReason::Codec);
    assert_eq!(reason(&mut meeting, OLD), LayerReason::Best);
}

#[test]
fn a_viewer_that_loses_the_codec_sees_nothing_rather_than_a_frozen_picture() {
    let mut meeting = Meeting::new(2, Conditions::IDEAL);
    meeting.join_with(both);
    meeting.join();
    meeting.show(OLD, SLOT, Some(SENDER));
    meeting.connect();
    meeting.run(2 * SECOND);
    // The sender changes by itself, as browsers do when an encoder fails.
    meeting.clients[SENDER].sender.set_codec(SECOND_TYPE);
    meeting.clients[SENDER].sender.complies = false;
    meeting.run(SECOND);
    assert_eq!(reason(&mut meeting, OLD), LayerReason::Codec);
    assert_eq!(meeting.sources_of(OLD, SLOT).last(), Some(&None));
    meeting.clients[SENDER].sender.complies = true;
    meeting.clients[SENDER].sender.set_codec(96);
    meeting.run(2 * SECOND);
    assert_eq!(reason(&mut meeting, OLD), LayerReason::Best);
    let freeze = meeting.clients[OLD].slot(SLOT).longest_freeze(meeting.now - SECOND, meeting.now);
    assert!(freeze < PATIENCE, "{freeze}");
}
