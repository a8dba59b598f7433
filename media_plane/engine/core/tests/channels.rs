//! Data channels in the simulated network.

mod sim;

use parley_engine_core::clock::{MILLISECOND, SECOND};
use sctp_proto::PayloadProtocolIdentifier;
use sim::{ChannelClient, Conditions, Meeting};

const SEEDS: u64 = 20;

/// Clients with data channels, connected, with one channel of this label each; returns the meeting and the streams.
fn meeting(seed: u64, clients: usize, label: &str) -> (Meeting, Vec<u16>) {
    let mut meeting = Meeting::new(seed, Conditions::IDEAL);
    let mut streams = Vec::new();
    for _ in 0..clients {
        let number = meeting.join_with_channels();
        meeting.clients[number].sender.sends_video = false;
        streams.push(channels(&mut meeting, number).open(label));
    }
    meeting.connect();
    meeting.run(SECOND);
    for (number, stream) in streams.iter().enumerate() {
        assert_eq!(channels(&mut meeting, number).acknowledged, [*stream]);
    }
    (meeting, streams)
}

fn channels(meeting: &mut Meeting, number: usize) -> &mut ChannelClient {
    meeting.clients[number].channels.as_mut().unwrap()
}

fn say(meeting: &mut Meeting, number: usize, stream: u16, payload: &[u8]) {
    assert!(channels(meeting, number).say(stream, payload));
}

#[test]
fn a_message_goes_to_everyone_else_who_has_the_channel() {
    let (mut meeting, streams) = meeting(1, 3, "captions");
    let late = meeting.join_with_channels();
    channels(&mut meeting, late).open("pointer");
    meeting.connect();
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"hello");
    meeting.run(100 * MILLISECOND);
    assert_eq!(channels(&mut meeting, 0).heard, [], "nobody hears oneself");
    for number in [1, 2] {
        assert_eq!(channels(&mut meeting, number).payloads("captions", "participant-0"), [b"hello"]);
    }
    assert_eq!(channels(&mut meeting, late).heard, [], "another channel");
    let counters = *meeting.shard.counters();
    assert_eq!((counters.channel_messages_received, counters.channel_messages_sent), (1, 2));
    assert_eq!((counters.channels_opened, counters.channels_refused), (4, 0));
}

#[test]
fn reliable_messages_arrive_in_order_whatever_is_lost() {
    for seed in 0..SEEDS {
        let (mut meeting, streams) = meeting(seed, 2, "strokes");
        let loss = 50 + 10 * (seed % 10);
        meeting.network.conditions = Conditions { loss, delay: 20 * MILLISECOND, jitter: 15 * MILLISECOND };
        let message =
            |number: u16| [&number.to_be_bytes()[..], &vec![number as u8; 20 + usize::from(number) * 9]].concat();
        for number in 0..150 {
            say(&mut meeting, 0, streams[0], &message(number));
            meeting.run(30 * MILLISECOND);
        }
        meeting.run(20 * SECOND);
        let expected: Vec<_> = (0..150).map(message).collect();
        assert_eq!(channels(&mut meeting, 1).payloads("strokes", "participant-0"), expected, "seed {seed}");
        assert_eq!(meeting.shard.counters().channel_associations_lost, 0);
    }
}

#[test]
fn positions_of_a_pointer_may_be_lost_and_are_never_late() {
    for seed in 0..SEEDS {
        let (mut meeting, streams) = meeting(seed, 2, "pointer");
        meeting.network.conditions = Conditions { loss: 100, delay: 20 * MILLISECOND, jitter: 0 };
        let mut late = 0;
        for number in 0..300_u16 {
            say(&mut meeting, 0, streams[0], &number.to_be_bytes());
            meeting.run(33 * MILLISECOND);
            meeting.run(15 * MILLISECOND);
            let heard = channels(&mut meeting, 1).payloads("pointer", "participant-0");
            late += usize::from(heard.last().is_some_and(|last| *last != number.to_be_bytes()));
        }
        let heard = channels(&mut meeting, 1).payloads("pointer", "participant-0").len();
        // Two ways with 10 % loss each let 81 % through.
        assert!((200..285).contains(&heard), "seed {seed}: {heard} of 300");
        assert!(late < 100, "seed {seed}: {late} were not there when the next was made");
    }
}

#[test]
fn a_receiver_that_answers_nothing_is_bounded_and_then_loses_its_channel() {
    let (mut meeting, streams) = meeting(4, 3, "strokes");
    channels(&mut meeting, 1).deaf = true;
    // A session may send 64 KiB a second; after a few seconds more waits than may.
    for _ in 0..60 {
        say(&mut meeting, 0, streams[0], &[7; 6 << 10]);
        meeting.run(100 * MILLISECOND);
    }
    assert_eq!(meeting.shard.counters().channels_closed_slow, 1);
    assert_eq!(channels(&mut meeting, 2).heard.len(), 60, "others are not held up");
    channels(&mut meeting, 1).deaf = false;
    meeting.run(20 * SECOND);
    let slow = channels(&mut meeting, 1);
    assert_eq!(slow.closed, ["strokes"], "it is told");
    assert!((15..30).contains(&slow.heard.len()), "{} messages before it was closed", slow.heard.len());
    let again = slow.open("strokes");
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"again");
    meeting.run(SECOND);
    let slow = channels(&mut meeting, 1);
    assert!(slow.acknowledged.contains(&again));
    assert_eq!(slow.heard.last().unwrap().payload, b"again");
}

#[test]
fn a_receiver_that_answers_nothing_misses_positions_of_a_pointer() {
    let (mut meeting, streams) = meeting(5, 2, "pointer");
    channels(&mut meeting, 1).deaf = true;
    for _ in 0..200 {
        say(&mut meeting, 0, streams[0], &[7; 300]);
        meeting.run(20 * MILLISECOND);
    }
    let counters = *meeting.shard.counters();
    assert_eq!((counters.channel_messages_received, counters.channels_closed_slow), (200, 0));
    assert!(counters.channel_messages_dropped_slow > 100, "{counters:?}");
    channels(&mut meeting, 1).deaf = false;
    meeting.run(5 * SECOND);
    say(&mut meeting, 0, streams[0], b"now");
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).heard.last().unwrap().payload, b"now");
}

#[test]
fn unknown_and_contradictory_channels_are_refused() {
    let mut meeting = Meeting::new(6, Conditions::IDEAL);
    let number = meeting.join_with_channels();
    let client = channels(&mut meeting, number);
    client.open("chat");
    client.open_with("ordered pointer", b"\x03\0\x01\0\0\0\0\0\0\x07\0\0pointer".to_vec(), true);
    client.open_with("no message", vec![1, 2, 3], true);
    let good = client.open("strokes");
    meeting.connect();
    meeting.run(SECOND);
    let client = channels(&mut meeting, number);
    client.closed.sort();
    assert_eq!(client.closed, ["chat", "no message", "ordered pointer"]);
    assert_eq!(client.acknowledged, [good]);
    assert_eq!(meeting.shard.counters().channels_refused, 3);
}

#[test]
fn more_than_a_session_may_say_is_dropped_and_counted() {
    let (mut meeting, streams) = meeting(7, 2, "pointer");
    for _ in 0..50 {
        for _ in 0..10 {
            say(&mut meeting, 0, streams[0], b"here");
        }
        meeting.run(20 * MILLISECOND);
    }
    let counters = *meeting.shard.counters();
    assert_eq!(counters.channel_messages_received + counters.channel_messages_dropped_rate, 500);
    assert!((200..=310).contains(&counters.channel_messages_received), "{counters:?}");
}

#[test]
fn a_message_that_is_too_long_ends_nothing_but_its_own_association() {
    let (mut meeting, streams) = meeting(8, 3, "captions");
    say(&mut meeting, 0, streams[0], &vec![1; 17 << 10]);
    meeting.run(5 * SECOND);
    say(&mut meeting, 1, streams[1], &vec![2; 16 << 10]);
    meeting.run(5 * SECOND);
    assert_eq!(channels(&mut meeting, 2).payloads("captions", "participant-0"), [[0_u8; 0]; 0]);
    assert_eq!(channels(&mut meeting, 2).payloads("captions", "participant-1"), [vec![2; 16 << 10]]);
    assert!(meeting.clients.iter().all(|client| !client.heard.closed), "media goes on");
}

#[test]
fn texts_and_empty_messages_are_no_messages() {
    let (mut meeting, streams) = meeting(13, 2, "captions");
    let client = channels(&mut meeting, 0);
    client.say_as(streams[0], b"text", PayloadProtocolIdentifier::String);
    client.say_as(streams[0], &[0], PayloadProtocolIdentifier::BinaryEmpty);
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"binary");
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).payloads("captions", "participant-0"), [b"binary"]);
    assert_eq!(meeting.shard.counters().channel_messages_dropped_malformed, 2);
}

#[test]
fn a_client_with_too_many_streams_loses_its_association_and_nothing_else() {
    let (mut meeting, _) = meeting(14, 2, "captions");
    for _ in 0..40 {
        // The beginning of a message that never ends keeps a stream in use.
        channels(&mut meeting, 0).open_with("part", vec![0x03; 3_000], true);
    }
    meeting.run(2 * SECOND);
    assert_eq!(meeting.shard.counters().channel_associations_lost, 1);
    assert!(meeting.clients.iter().all(|client| client.is_connected() && !client.heard.closed));
}

#[test]
fn records_that_nobody_sealed_change_nothing() {
    let (mut meeting, streams) = meeting(15, 2, "captions");
    let address = meeting.clients[0].address;
    let mut random = meeting.network.random.clone();
    for kind in 20..=26_u8 {
        for epoch in 0..3_u8 {
            let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 1, epoch, 0, 40];
            record.extend((0..40).map(|_| random.below(256) as u8));
            let now = meeting.now;
            meeting.network.send(now, address, sim::NODE, record);
        }
    }
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"still here");
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).payloads("captions", "participant-0"), [b"still here"]);
}

#[test]
fn a_channel_that_its_client_closes_gets_nothing_more_and_can_be_opened_again() {
    let (mut meeting, streams) = meeting(9, 2, "captions");
    channels(&mut meeting, 1).close(streams[1]);
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"unheard");
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).heard, []);
    channels(&mut meeting, 1).open("captions");
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"heard");
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).payloads("captions", "participant-0"), [b"heard"]);
}

#[test]
fn what_a_session_that_has_ended_said_last_is_the_end_of_it() {
    let (mut meeting, streams) = meeting(10, 2, "captions");
    say(&mut meeting, 0, streams[0], b"before");
    meeting.run(SECOND);
    say(&mut meeting, 0, streams[0], b"on its way");
    meeting.run(MILLISECOND);
    meeting.leave(0);
    meeting.run(SECOND);
    assert_eq!(channels(&mut meeting, 1).payloads("captions", "participant-0"), [b"before"]);
}

#[test]
fn sessions_without_an_m_line_have_no_channels() {
    let mut meeting = Meeting::new(11, Conditions::IDEAL);
    let plain = meeting.join();
    let other = meeting.join_with_channels();
    channels(&mut meeting, other).open("pointer");
    meeting.connect();
    let now = meeting.now;
    meeting.clients[plain].send_data(now, &[0; 40]);
    meeting.run(SECOND);
    assert_eq!(meeting.shard.counters().channels_opened, 1);
    assert!(meeting.clients[plain].is_connected() && !meeting.clients[plain].heard.closed);
}

#[test]
fn an_association_that_is_not_set_up_in_time_makes_room_for_the_next() {
    let mut meeting = Meeting::new(12, Conditions::IDEAL);
    let number = meeting.join_with_channels();
    let half = channels(&mut meeting, number).tick(0).remove(0);
    channels(&mut meeting, number).deaf = true;
    meeting.connect();
    let now = meeting.now;
    meeting.clients[number].send_data(now, &half);
    meeting.run(9 * SECOND);
    assert_eq!(meeting.shard.counters().channel_associations_lost, 0);
    meeting.run(2 * SECOND);
    assert_eq!(meeting.shard.counters().channel_associations_lost, 1);
    let mut anew = ChannelClient::new(meeting.clock);
    anew.open("pointer");
    meeting.clients[number].channels = Some(anew);
    meeting.run(2 * SECOND);
    assert_eq!(meeting.shard.counters().channels_opened, 1);
}
