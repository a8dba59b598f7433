//! Asking for what was lost, and not for what is only late, in the simulated network.

mod sim;

use parley_engine_core::clock::{MILLISECOND, Micros, SECOND};
use sim::{Bursts, Conditions, Link, Meeting};

const SLOT: &str = "5";
/// One packet in five is lost.
const BY_CHANCE: Option<Bursts> = Some(Bursts { begin: 1_000, end: 0, loss: 200 });
/// A picture that is shown so much too late counts as a freeze (webrtc-stats, `freezeCount`).
const FREEZE: Micros = 150 * MILLISECOND;

/// Two clients that show each other's cameras.
fn two(seed: u64) -> Meeting {
    let mut meeting = Meeting::new(seed, Conditions::IDEAL);
    meeting.join();
    meeting.join();
    meeting.show(0, SLOT, Some(1));
    meeting.show(1, SLOT, Some(0));
    meeting.connect();
    meeting
}

#[test]
fn packets_out_of_order_are_not_asked_for() {
    for seed in 0..10 {
        let mut meeting = two(seed);
        meeting.network.conditions = Conditions { loss: 0, delay: 20 * MILLISECOND, jitter: 9 * MILLISECOND };
        meeting.run(5 * SECOND);
        let counters = *meeting.shard.counters();
        assert_eq!((counters.nacks_sent, counters.packets_lost), (0, 0), "seed {seed}");
        assert!(meeting.clients[1].slot(SLOT).missing().len() < 10, "seed {seed}: all but the latest came");
    }
}

#[test]
fn where_packets_are_later_than_that_requests_learn_to_wait() {
    for seed in 0..10 {
        let mut meeting = two(seed);
        meeting.network.conditions = Conditions { loss: 0, delay: 20 * MILLISECOND, jitter: 25 * MILLISECOND };
        meeting.run(3 * SECOND);
        let before = meeting.shard.counters().nacks_sent;
        meeting.run(5 * SECOND);
        let nacks = meeting.shard.counters().nacks_sent - before;
        assert!(nacks <= 2, "seed {seed}: {nacks}");
    }
}

#[test]
fn a_lost_packet_is_asked_for_about_once_on_a_long_way() {
    for seed in 0..10 {
        let mut meeting = two(seed);
        meeting.clients.iter_mut().for_each(|client| client.reports_arrivals = true);
        meeting.network.conditions = Conditions { loss: 0, delay: 75 * MILLISECOND, jitter: MILLISECOND };
        meeting.run(3 * SECOND);
        meeting.network.conditions.loss = 50;
        let asked = |meeting: &Meeting| meeting.clients.iter().map(|client| client.heard.nacked).sum::<usize>();
        let repaired =
            |meeting: &Meeting| meeting.clients.iter().map(|client| client.sender.retransmitted).sum::<u32>();
        let before = (asked(&meeting), repaired(&meeting));
        meeting.run(10 * SECOND);
        let nacked = asked(&meeting) - before.0;
        // Of the requests and of the answers one in twenty is lost, and is asked for again.
        let sent = 2 * 10 * (30 * 3 + 50);
        assert!((sent * 4 / 100..sent * 7 / 100).contains(&nacked), "seed {seed}: {nacked} of {sent}");
        assert!(repaired(&meeting) - before.1 >= sent as u32 * 4 / 100, "seed {seed}");
    }
}

/// Losses that a client is told in the time after its way has become such, in which it sends so many packets a frame; of how many
/// that there are.
fn told(packets_per_frame: u16, link: Link, time: Micros) -> (usize, usize) {
    let mut meeting = two(7);
    meeting.clients[0].sender.packets_per_frame = packets_per_frame;
    meeting.run(3 * SECOND);
    let address = meeting.clients[0].address;
    meeting.network.up.insert(address, link);
    let before = meeting.clients[0].heard.losses_reported;
    meeting.run(time);
    (meeting.clients[0].heard.losses_reported - before, meeting.network.up[&address].lost.len())
}

#[test]
fn losses_by_chance_are_told_only_to_senders_that_could_send_less() {
    let lossy = || Link { bursts: BY_CHANCE, ..Link::default() };
    let (small, large) = (told(1, lossy(), 10 * SECOND), told(12, lossy(), 10 * SECOND));
    assert!(small.0 == 0 && small.1 > 100, "{small:?}");
    assert!(large.0 * 10 > large.1 * 9 && large.1 > 500, "{large:?}");
}

/// Of a thousand packets that client 0 sends, those that it never knows to have arrived, although all do; `lost` are lost on the way back.
fn unknown(lost: u64) -> usize {
    let mut meeting = two(7);
    meeting.run(2 * SECOND);
    let way_back = Link { bursts: Some(Bursts { begin: 1_000, end: 0, loss: lost }), ..Link::default() };
    meeting.network.down.insert(meeting.clients[0].address, way_back);
    meeting.run(5 * SECOND);
    let first = meeting.clients[0].sender.transport_sequence;
    meeting.run(20 * SECOND);
    let client = &meeting.clients[0];
    let sent = client.sender.transport_sequence.wrapping_sub(first).saturating_sub(20);
    assert!(sent > 1_000, "{sent}");
    let unknown = (0..sent).filter(|n| !client.heard.arrived.contains(&first.wrapping_add(*n)));
    unknown.count() * 1_000 / usize::from(sent)
}

#[test]
fn senders_know_what_arrives_also_where_reports_are_lost() {
    assert_eq!(unknown(0), 0);
    let (some, many) = (unknown(100), unknown(200));
    assert!(some < 5 && many < 15, "{some} and {many}");
}

#[test]
fn what_feedback_reports_lost_is_sent_again_without_being_asked_for() {
    for seed in 0..5 {
        let mut meeting = two(seed);
        meeting.clients[0].reports_arrivals = true;
        meeting.clients[0].repairs = false;
        meeting.network.conditions = Conditions { loss: 0, delay: 75 * MILLISECOND, jitter: MILLISECOND };
        meeting.run(3 * SECOND);
        let address = meeting.clients[0].address;
        meeting.network.up.insert(address, Link { bursts: BY_CHANCE, ..Link::default() });
        meeting.network.down.insert(address, Link { bursts: BY_CHANCE, ..Link::default() });
        meeting.run(5 * SECOND);
        let from = meeting.now;
        meeting.run(20 * SECOND);
        let of_time = |at: Micros| (from..meeting.now - SECOND).contains(&at);
        let slot = meeting.clients[0].slot(SLOT);
        let came = slot.packets.values().filter(|packet| of_time(packet.at)).count();
        let repaired = slot.packets.values().filter(|packet| of_time(packet.at) && packet.by_retransmission).count();
        let missing = slot
            .missing()
            .into_iter()
            .filter(|number| slot.packets.range(..number).next_back().is_some_and(|(_, before)| of_time(before.at)));
        let missing = missing.count();
        assert!(missing * 100 < came * 7 && repaired * 100 > came * 10, "seed {seed}: {missing}, {repaired} of {came}");
    }
}

/// Of the packets that client 0 gets later than the others in the second half of a minute after `spoil`: how many there are, and how
/// many come so much later than it is told to wait that the picture stands still.
fn repairs(seed: u64, spoil: impl FnOnce(&mut Meeting)) -> (usize, usize) {
    let mut meeting = two(seed);
    meeting.network.conditions = Conditions { loss: 0, delay: 10 * MILLISECOND, jitter: 0 };
    meeting.clients.iter_mut().for_each(|client| client.sender.packets_per_frame = 1);
    meeting.run(SECOND);
    spoil(&mut meeting);
    let from = meeting.now + 30 * SECOND;
    meeting.run(60 * SECOND);
    let mut told = 0;
    let mut took = Vec::new();
    let mut first = None;
    for packet in meeting.clients[0].slot(SLOT).in_order().filter(|packet| packet.at > from) {
        told = packet.wait.unwrap_or(told);
        // From capture to arrival, beside what the first took.
        let time = ((packet.at * 90 / 1_000) as u32).wrapping_sub(packet.timestamp);
        let time = time.wrapping_sub(*first.get_or_insert(time)).cast_signed();
        took.push((i64::from(time) * 1_000 / 90, told));
    }
    let fastest = took.iter().map(|(time, _)| *time).min().expect("pictures came");
    let late = || took.iter().map(|(time, told)| ((time - fastest).cast_unsigned(), *told));
    let repaired = late().filter(|(late, _)| *late > 5 * MILLISECOND);
    (repaired.count(), late().filter(|(late, told)| *late > told + FREEZE).count())
}

#[test]
fn pictures_wait_until_repairs_of_bursts_have_come() {
    let bursts = || Link { bursts: Some(Bursts { begin: 10, end: 200, loss: 1_000 }), ..Link::default() };
    let (mut repaired, mut too_late) = (0, 0);
    for seed in 0..20 {
        let down = repairs(seed, |meeting| {
            meeting.network.down.insert(meeting.clients[0].address, bursts());
        });
        let up = repairs(seed, |meeting| {
            meeting.network.up.insert(meeting.clients[1].address, bursts());
        });
        repaired += down.0 + up.0;
        too_late += down.1 + up.1;
    }
    // Where the wait follows from losses and round trip alone, twice as many are too late.
    assert!(repaired > 1_500 && too_late * 70 < repaired, "{too_late} of {repaired}");
}

#[test]
fn who_loses_much_is_told_that_pictures_wait_and_sound_is_repeated() {
    let mut meeting = two(3);
    meeting.run(2 * SECOND);
    let told = |meeting: &mut Meeting| {
        let told = meeting.explain(0);
        let slot = told.slots.into_iter().find(|slot| slot.mid == SLOT).unwrap();
        (slot.repair_wait, told.sound_repeated)
    };
    assert_eq!(told(&mut meeting), (0, false));
    meeting.network.down.insert(meeting.clients[0].address, Link { bursts: BY_CHANCE, ..Link::default() });
    meeting.run(20 * SECOND);
    let (wait, sound_repeated) = told(&mut meeting);
    assert!((100 * MILLISECOND..600 * MILLISECOND).contains(&wait) && sound_repeated, "{wait} {sound_repeated}");
    assert_eq!(meeting.explain(1).slots.iter().map(|slot| slot.repair_wait).max(), Some(0), "the way of another");
}

#[test]
fn bursts_and_duplicates_are_survived() {
    for seed in 0..10 {
        let mut meeting = two(seed);
        for client in &meeting.clients {
            let bursts = Some(Bursts { begin: 5, end: 200, loss: 900 });
            meeting.network.up.insert(client.address, Link { bursts, duplicates: 50, ..Link::default() });
            meeting.network.down.insert(client.address, Link { bursts, ..Link::default() });
        }
        meeting.run(8 * SECOND);
        let counters = *meeting.shard.counters();
        assert!(counters.dropped_srtp_replay > 50, "duplicates are known: {counters:?}");
        for (client, other) in [(0, 1), (1, 0)] {
            let slot = meeting.clients[client].slot(SLOT);
            let shown = slot.shown.len();
            assert!(shown > 190, "seed {seed}: {shown} pictures of 240");
            let freeze = slot.longest_freeze(SECOND, meeting.now);
            assert!(freeze < SECOND, "seed {seed}: {client} did not see {other} for {} ms", freeze / 1_000);
        }
    }
}
