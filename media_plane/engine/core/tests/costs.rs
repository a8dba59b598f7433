//! What clients can make a shard do for what they send, and what large rooms cost, counted in work and not in time.

mod sim;

use std::net::SocketAddr;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use parley_engine_core::command::{Command, SlotRequest};
use parley_engine_core::counters::Counters;
use parley_engine_core::event::EventKind;
use parley_engine_core::params::{MediaKind, SlotSpec};
use sim::{CAMERA, Conditions, Meeting, NODE};

const SLOT: &str = "5";
/// What a session's RTCP may make the shard do in a second after a pause: what is saved up, and what a second brings.
const MOST_WORK: u64 = 3 * 50_000;

/// Two who see each other.
fn pair() -> Meeting {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    (0..2).for_each(|_| _ = meeting.join());
    meeting.show(0, SLOT, Some(1));
    meeting.show(1, SLOT, Some(0));
    meeting.connect();
    meeting.run(SECOND);
    meeting
}

/// Sends a compound packet so many times a millisecond for a second; returns what was counted before.
fn flood(meeting: &mut Meeting, compound: &[u8], each_millisecond: usize) -> Counters {
    let before = *meeting.shard.counters();
    for _ in 0..1_000 {
        (0..each_millisecond).for_each(|_| meeting.clients[0].send_control_packet(compound));
        meeting.run(MILLISECOND);
    }
    before
}

/// An RTCP packet with these body words.
fn packet(count: u8, kind: u8, body: &[u32]) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend(body.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// The SSRC of the first video slot of the first client.
const SHOWN: u32 = 900_005;

/// E4: a report of transport-wide feedback about 65,528 packets, none of which came: eight runs of 8,191.
fn feedback(count: u8) -> Vec<u8> {
    let run = 0x1fff_1fff;
    packet(15, 205, &[1, 2, 0x0000_fff8, u32::from(count), run, run, run, run])
}

#[test]
fn reports_about_more_than_was_sent_cost_no_more_than_their_bytes() {
    let mut meeting = pair();
    let before = *meeting.shard.counters();
    let compound: Vec<u8> = (0..40).flat_map(feedback).collect();
    meeting.clients[0].send_control_packet(&compound);
    meeting.run(5 * MILLISECOND);
    let after = *meeting.shard.counters();
    assert_eq!(after.transport_feedback_received - before.transport_feedback_received, 40);
    assert!(after.rtcp_work - before.rtcp_work <= 40 * 560, "{after:?}");
}

/// 8,400 statuses, of which each has to be passed over on the way to those that are remembered.
#[test]
fn statuses_that_are_passed_over_are_paid_for() {
    let mut meeting = pair();
    let before = *meeting.shard.counters();
    let body: Vec<u32> = [1, 2, 8_400, 0].into_iter().chain([0x8000_8000; 300]).collect();
    meeting.clients[0].send_control_packet(&packet(15, 205, &body));
    meeting.run(5 * MILLISECOND);
    let after = *meeting.shard.counters();
    assert_eq!(after.transport_feedback_received - before.transport_feedback_received, 1);
    assert!(after.rtcp_work - before.rtcp_work >= 512 + 600 * 4, "{after:?}");
}

#[test]
fn whatever_rtcp_a_session_sends_it_costs_no_more_than_its_budget_and_hurts_nobody_else() {
    let ssrcs = |count: usize| vec![SHOWN; count];
    let block = [SHOWN, 0, 0, 0, 0, 0];
    let report: Vec<u32> = [1].into_iter().chain(block.repeat(31)).collect();
    let nacks: Vec<u32> = [1, SHOWN].into_iter().chain((0..300).map(|n| n << 16 | 0xffff)).collect();
    let intra: Vec<u32> = [1, 0].into_iter().chain((0..150).flat_map(|n| [SHOWN, n << 24])).collect();
    let floods = [
        ("transport-cc", (0..40).flat_map(feedback).collect()),
        ("receiver report", packet(31, 201, &report)),
        ("NACK", packet(1, 205, &nacks)),
        ("PLI", packet(1, 206, &[1, SHOWN]).repeat(100)),
        ("FIR", packet(4, 206, &intra)),
        ("REMB", packet(15, 206, &[1, 0, u32::from_be_bytes(*b"REMB"), 0x0100_0001, SHOWN]).repeat(60)),
        ("BYE", packet(31, 203, &ssrcs(31)).repeat(10)),
        ("SDES", packet(1, 202, &[1, 0x0103_6162, 0x6300_0000]).repeat(80)),
        ("unknown", packet(0, 210, &[1]).repeat(150)),
        ("empty BYE", [packet(0, 201, &[1]), packet(0, 203, &[]).repeat(300)].concat()),
        ("malformed", [packet(0, 201, &[1]), vec![0x80, 200, 0, 0]].concat()),
    ];
    for (name, compound) in floods {
        let mut meeting = pair();
        let from = meeting.now;
        let before = flood(&mut meeting, &compound, 4);
        let after = *meeting.shard.counters();
        assert!(after.rtcp_work - before.rtcp_work <= MOST_WORK, "{name}: {}", after.rtcp_work - before.rtcp_work);
        assert!(after.dropped_rtcp_rate + after.dropped_rtcp > 500, "{name}: {after:?}");
        assert!(after.key_frame_requests_sent - before.key_frame_requests_sent <= 3, "{name}");
        let sent = after.packets_sent - before.packets_sent;
        assert!(after.retransmissions_sent - before.retransmissions_sent <= sent, "{name}");
        assert!(meeting.clients[1].slot(SLOT).count_between(from, meeting.now) > 60, "{name}: the other sees");
    }
}

#[test]
fn what_browsers_say_stays_within_the_budget() {
    let mut meeting = Meeting::new(3, Conditions::IDEAL);
    for _ in 0..6 {
        let number = meeting.join();
        meeting.clients[number].reports_arrivals = true;
    }
    for viewer in 0..6 {
        meeting.show(viewer, SLOT, Some((viewer + 1) % 6));
        meeting.show(viewer, "6", Some((viewer + 2) % 6));
    }
    meeting.connect();
    meeting.network.conditions = Conditions { loss: 200, delay: 30 * MILLISECOND, jitter: 10 * MILLISECOND };
    let before = *meeting.shard.counters();
    meeting.run(10 * SECOND);
    let after = *meeting.shard.counters();
    assert_eq!(after.dropped_rtcp_rate, 0);
    let each = (after.rtcp_work - before.rtcp_work) / 6 / 10;
    assert!(
        (50..5_000).contains(&each),
        "{each} units a second of a browser with two pictures, a fifth of which is lost"
    );
}

#[test]
fn a_sender_that_ends_and_begins_with_every_packet_is_not_followed_each_time() {
    let mut meeting = pair();
    let ssrc = meeting.clients[0].sender.encodings[0].ssrc;
    let before = *meeting.shard.counters();
    meeting.events.clear();
    for _ in 0..500 {
        meeting.clients[0].send_control_packet(&[packet(0, 201, &[1]), packet(1, 203, &[ssrc])].concat());
        meeting.run(2 * MILLISECOND);
    }
    let told = meeting.events(|kind| matches!(kind, EventKind::TrackActivity { .. }).then_some(()));
    assert!((2..=30).contains(&told.len()), "{}", told.len());
    let allocations = meeting.shard.counters().layer_allocations - before.layer_allocations;
    assert!(allocations <= 2 * 6 + 24, "{allocations}");
}

/// Datagrams that have been sent to an address.
fn sent_to(meeting: &mut Meeting, address: SocketAddr, duration: Micros) -> Vec<usize> {
    meeting.network.watched = Some(address);
    meeting.run(duration);
    std::mem::take(&mut meeting.network.seen)
}

#[test]
fn an_address_that_does_not_answer_gets_no_more_than_it_asks_for() {
    let victim = "10.7.7.7:777".parse().unwrap();
    let mut meeting = pair();
    let (check, media) = {
        let client = &mut meeting.clients[0];
        client.check();
        let check = client.outgoing.pop().unwrap();
        (check, client.address)
    };
    let now = meeting.now;
    meeting.network.send(now, victim, NODE, check.clone());
    let got = sent_to(&mut meeting, victim, SECOND);
    assert!(got.len() <= 2 && got.iter().sum::<usize>() <= 3 * check.len(), "{got:?}");
    assert_eq!(meeting.stats(0).remote_address, Some(media), "media goes on where it is received");

    // What verifies is no proof either: whoever has the keys can write any address on it.
    let from = meeting.now;
    meeting.clients[0].checks = false;
    meeting.clients[0].answers = false;
    meeting.clients[0].address = victim;
    meeting.network.send(from, victim, NODE, check.clone());
    let got = sent_to(&mut meeting, victim, 4 * SECOND);
    assert!(got.len() <= 60 && got.iter().all(|len| *len < 150), "{got:?}");
    assert_eq!(meeting.stats(0).remote_address, Some(media));
}

#[test]
fn a_client_that_moves_is_served_where_it_answers_within_a_round_trip() {
    for loss in [0, 200] {
        let mut meeting = pair();
        meeting.network.conditions = Conditions { loss, delay: 20 * MILLISECOND, jitter: 0 };
        let moved = "10.7.7.7:777".parse().unwrap();
        meeting.clients[0].address = moved;
        meeting.clients[0].check();
        meeting.run(if loss == 0 { 90 * MILLISECOND } else { 2 * SECOND });
        assert_eq!(meeting.stats(0).remote_address, Some(moved), "{loss}");
        let from = meeting.now;
        meeting.run(SECOND);
        assert!(meeting.clients[0].slot(SLOT).count_between(from, meeting.now) > 50, "{loss}");
    }
}

#[test]
fn an_address_is_not_taken_from_another_session_by_who_does_not_answer_there() {
    let mut meeting = pair();
    let thief = meeting.join();
    meeting.clients[thief].checks = false;
    meeting.clients[thief].check();
    let check = meeting.clients[thief].outgoing.pop().unwrap();
    let (now, address) = (meeting.now, meeting.clients[0].address);
    meeting.network.send(now, address, NODE, check);
    let from = meeting.now;
    meeting.run(SECOND);
    assert_eq!(meeting.stats(0).remote_address, Some(address));
    assert!(meeting.clients[0].slot(SLOT).count_between(from, meeting.now) > 60);
}

const PICTURES: usize = 9;
const FIRST_PICTURE: usize = 20;

/// A room in which all look at nine of the same ten, each of which has three encodings and has not begun to send.
fn audience(people: usize) -> Meeting {
    let mut meeting = Meeting::new(1, Conditions::IDEAL);
    for number in 0..people {
        meeting.join_with(|open| {
            let camera = open.parameters.send_tracks.iter_mut().find(|track| &*track.mid == CAMERA).unwrap();
            camera.rids = ["q", "h", "f"].map(str::to_owned).to_vec();
            open.parameters.slots.retain(|slot| slot.kind == MediaKind::Audio);
            open.parameters.slots.extend((0..PICTURES).map(|place| SlotSpec {
                mid: (FIRST_PICTURE + place).to_string().as_str().into(),
                kind: MediaKind::Video,
                ssrc: 5_000_000 + 100 * number as u32 + place as u32,
                rtx_ssrc: None,
            }));
        });
        let client = &mut meeting.clients[number];
        client.sender.simulcast();
        (client.sender.sends_audio, client.sender.sends_video) = (false, false);
        client.looks = false;
    }
    meeting.connect();
    for viewer in 0..people {
        look(&mut meeting, viewer);
    }
    meeting
}

fn look(meeting: &mut Meeting, viewer: usize) {
    let sources = (0..=PICTURES).filter(|source| *source != viewer).take(PICTURES).enumerate();
    let requests = sources.map(|(place, source)| SlotRequest {
        mid: (FIRST_PICTURE + place).to_string().as_str().into(),
        source: Some((Meeting::key(source), CAMERA.into())),
        max_height: 360,
        priority: 0,
    });
    let command = Command::UpdateSlots(Meeting::key(viewer), requests.collect());
    meeting.command(command);
}

fn allocations(meeting: &mut Meeting, act: impl FnOnce(&mut Meeting)) -> u64 {
    let before = meeting.shard.counters().layer_allocations;
    act(meeting);
    meeting.shard.counters().layer_allocations - before
}

#[test]
fn a_command_is_followed_by_one_allocation_however_many_slots_it_names() {
    let mut meeting = audience(12);
    assert_eq!(allocations(&mut meeting, |meeting| look(meeting, 11)), 1);
}

/// How often a bandwidth is divided in the moment in which one camera begins, with all its encodings.
fn when_a_camera_begins(people: usize) -> u64 {
    let mut meeting = audience(people);
    meeting.clients[0].sender.sends_video = true;
    let ticks = |duration: Micros| (duration / (200 * MILLISECOND) + 1) * people as u64;
    let begun = allocations(&mut meeting, |meeting| meeting.run(100 * MILLISECOND));
    begun.saturating_sub(ticks(100 * MILLISECOND))
}

#[test]
fn a_camera_that_begins_is_followed_once_by_everyone_who_looks() {
    for people in [12, 24, 48] {
        let begun = when_a_camera_begins(people);
        assert!(begun <= people as u64 + 10, "{begun} allocations for {people}");
    }
}

#[test]
fn a_batch_for_many_is_forwarded_in_parts_and_arrives_whole_and_once() {
    const PEOPLE: usize = 40;
    const PACKETS: u16 = 24;
    let mut meeting = audience(PEOPLE);
    for client in &mut meeting.clients[..=PICTURES] {
        client.sender.sends_video = true;
        client.sender.encodings.iter_mut().for_each(|encoding| encoding.packets = PACKETS);
    }
    meeting.run(2 * SECOND);
    let before = *meeting.shard.counters();
    meeting.longest_flush = 0;
    meeting.run(SECOND);
    let after = *meeting.shard.counters();
    let at_once = (PEOPLE * PICTURES) as u64 * u64::from(PACKETS);
    let sent = after.packets_sent - before.packets_sent;
    assert!((29 * at_once..32 * at_once).contains(&sent), "{sent}");
    assert!((2_000..5_000).contains(&meeting.longest_flush), "{} of {at_once}", meeting.longest_flush);
    assert_eq!(after.dropped_reuse, 0, "nothing was to be sent twice");
}

#[test]
fn a_large_room_is_closed_by_and_by_and_whole() {
    let mut meeting = audience(100);
    meeting.run(SECOND);
    meeting.events.clear();
    meeting.command(Command::CloseRoom(sim::ROOM.into()));
    let closed = meeting.shard.counters().sessions_closed;
    assert!((1..=40).contains(&closed), "{closed}");
    meeting.command(Command::OpenRoom(sim::ROOM.into()));
    let newcomer = meeting.join();
    meeting.run(10 * MILLISECOND);
    assert_eq!(meeting.shard.counters().sessions_closed, 100);
    meeting.run(SECOND);
    assert!(meeting.clients[newcomer].is_connected(), "the new room of that name is another");
    assert!(meeting.clients[..100].iter().all(|client| client.heard.closed), "everyone is told");
    let sources = meeting.events(|kind| matches!(kind, EventKind::SlotSource { .. }).then_some(()));
    assert_eq!(sources.len(), 0, "and not what their slots no longer show");
}
