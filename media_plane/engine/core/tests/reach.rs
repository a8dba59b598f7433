//! How clients reach the engine: over TCP where nothing else goes, from another address than before, with new credentials.

mod sim;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use parley_engine_core::clock::{Clock, MILLISECOND, SECOND};
use parley_engine_core::command::Command;
use parley_engine_core::engine::{Engine, EngineConfig, NamedSlotRequest};
use parley_engine_core::event::{EventKind, SessionState};
use parley_engine_core::outbox::MAX_DATAGRAM;
use parley_engine_core::params::ChannelParameters;
use parley_engine_core::ufrag::LocalCredentials;
use parley_engine_core::wire::framing::{Frames, write_frames};
use sim::peer::config;
use sim::{CAMERA, ChannelClient, Client, Conditions, Meeting, heartbeat};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SLOT: &str = "5";
/// Generous: the machine may be busy with anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What carries a client's datagrams.
enum Carrier {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    /// The client has gone without a word.
    Nothing,
}

impl Carrier {
    fn udp(node: SocketAddr) -> Self {
        let socket = UdpSocket::bind((node.ip(), 0)).unwrap();
        socket.connect(node).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Self::Udp(socket)
    }

    fn tcp(node: SocketAddr) -> Self {
        let stream = TcpStream::connect(node).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::Tcp(stream, Vec::new())
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Tcp(stream, _) => stream.local_addr().unwrap(),
            Self::Nothing => panic!("it has gone"),
        }
    }

    /// Errors don't count: after the node's goodbye nobody takes what is sent.
    fn send(&mut self, datagram: &[u8]) {
        match self {
            Self::Udp(socket) => _ = socket.send(datagram),
            Self::Tcp(stream, _) => {
                let mut framed = Vec::new();
                write_frames(datagram.len(), datagram, &mut framed);
                _ = stream.write_all(&framed);
            }
            Self::Nothing => {}
        }
    }

    fn receive(&mut self, mut deliver: impl FnMut(&mut [u8])) {
        let mut buffer = [0; 4_096];
        match self {
            Self::Udp(socket) => {
                while let Ok(len) = socket.recv(&mut buffer) {
                    deliver(&mut buffer[..len]);
                }
            }
            Self::Tcp(stream, kept) => {
                if let Ok(len) = stream.read(&mut buffer) {
                    kept.extend_from_slice(&buffer[..len]);
                }
                let mut frames = Frames::new(kept);
                while let Some(datagram) = frames.take_next() {
                    assert!((1..=MAX_DATAGRAM).contains(&datagram.len()));
                    deliver(datagram);
                }
                *kept = frames.incomplete().expect("the node's frames are datagrams").to_vec();
            }
            Self::Nothing => {}
        }
    }
}

struct Peer {
    client: Client,
    carrier: Carrier,
    udp: SocketAddr,
    tcp: SocketAddr,
    clock: Clock,
}

impl Peer {
    fn join(engine: &Engine, number: usize, address: IpAddr, over_tcp: bool) -> Self {
        let clock = Clock::start();
        let mut client = Client::new(number, 0, clock);
        let mut parameters = client.parameters();
        let participant_id = format!("participant-{number}").as_str().into();
        parameters.channels = Some(ChannelParameters { participant_id, max_message_size: 262_144 });
        client.channels = Some(ChannelClient::new(clock));
        let local = engine.open_session("room", &client.name, parameters).unwrap();
        client.connect_to(&local.credentials);
        let udp = SocketAddr::new(address, local.port);
        let tcp = SocketAddr::new(address, local.tcp_port.expect("the engine has TCP ports"));
        let carrier = if over_tcp { Carrier::tcp(tcp) } else { Carrier::udp(udp) };
        Self { client, carrier, udp, tcp, clock }
    }

    fn step(&mut self) {
        let (client, clock) = (&mut self.client, self.clock);
        self.carrier.receive(|datagram| client.receive(clock.now(), datagram));
        client.tick(clock.now());
        for datagram in client.outgoing.drain(..) {
            self.carrier.send(&datagram);
        }
    }

    fn move_to(&mut self, carrier: Carrier) {
        self.carrier = carrier;
        self.client.check();
    }

    /// Has the node send back so many bytes in an SCTP packet.
    fn send_heartbeat(&mut self, info: usize) {
        let now = self.clock.now();
        let channels = self.client.channels.as_mut().expect("it has data channels");
        assert!(channels.say(0, b"a packet with the association's tag"));
        let spoken = channels.tick(now).remove(0);
        self.client.send_data(now, &heartbeat(&spoken, info));
        self.step();
    }

    fn pictures(&self) -> usize {
        self.client.slots.get(SLOT).map_or(0, |slot| slot.packets.len())
    }
}

fn engine(bind_address: IpAddr) -> Engine {
    let engine = Engine::new(&EngineConfig { bind_address, ..config(1) }).unwrap();
    engine.start().unwrap();
    engine.open_room("room").unwrap();
    engine
}

/// Two peers that show each other's camera; the first is reached as told, the second over UDP and IPv4.
fn call(engine: &Engine, address: IpAddr, over_tcp: bool) -> Vec<Peer> {
    let peers = vec![Peer::join(engine, 0, address, over_tcp), Peer::join(engine, 1, LOOPBACK, false)];
    for (viewer, sender) in [(0, 1), (1, 0)] {
        let source = Some((Client::name_of(sender), CAMERA.to_owned()));
        let request = NamedSlotRequest { mid: SLOT.to_owned(), source, max_height: 0, priority: 0 };
        engine.update_slots(&Client::name_of(viewer), &[request]).unwrap();
    }
    peers
}

fn run_until(peers: &mut [Peer], done: impl Fn(&[Peer]) -> bool) {
    let start = Instant::now();
    while !done(peers) {
        assert!(start.elapsed() < PATIENCE, "the engine does what it should within {PATIENCE:?}");
        peers.iter_mut().for_each(Peer::step);
    }
}

/// Both get so many more packets of the other's picture.
fn run_on(peers: &mut [Peer], more: usize) {
    let before: Vec<usize> = peers.iter().map(Peer::pictures).collect();
    run_until(peers, |peers| peers.iter().zip(&before).all(|(peer, before)| peer.pictures() > before + more));
}

fn counter(engine: &Engine, name: &str) -> u64 {
    engine.counters().iter().find(|(known, _)| *known == name).unwrap().1
}

/// Times a session became connected, and times one closed.
fn connections_and_ends(engine: &Engine) -> (usize, usize) {
    let states: Vec<SessionState> = engine
        .drain_events(1_000)
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::SessionState { state, .. } => Some(state),
            _ => None,
        })
        .collect();
    let count = |wanted| states.iter().filter(|state| **state == wanted).count();
    (count(SessionState::Connected), count(SessionState::Closed))
}

#[test]
fn a_client_without_udp_calls_over_tcp() {
    let engine = engine(LOOPBACK);
    let mut peers = call(&engine, LOOPBACK, true);
    run_on(&mut peers, 60);
    let stats = engine.session_stats(&Client::name_of(0)).unwrap();
    assert_eq!(stats.remote_address, Some(peers[0].carrier.address()));
    assert_eq!(peers[0].client.slot(SLOT).missing(), [], "a stream loses nothing");
    assert_eq!((counter(&engine, "dropped_send_buffer"), counter(&engine, "dropped_noise")), (0, 0));
    engine.stop().unwrap();
    run_until(&mut peers, |peers| peers.iter().all(|peer| peer.client.heard.closed));
}

#[test]
fn a_session_goes_on_from_udp_to_tcp_to_another_connection_and_back() {
    let engine = engine(LOOPBACK);
    let mut peers = call(&engine, LOOPBACK, false);
    run_on(&mut peers, 30);
    let (udp, tcp) = (peers[0].udp, peers[0].tcp);
    for carrier in [Carrier::tcp(tcp), Carrier::tcp(tcp), Carrier::udp(udp)] {
        peers[0].move_to(carrier);
        run_on(&mut peers, 30);
        let stats = engine.session_stats(&Client::name_of(0)).unwrap();
        assert_eq!(stats.remote_address, Some(peers[0].carrier.address()));
    }
    assert_eq!(connections_and_ends(&engine), (2, 0), "the keys are those of the beginning");
    assert_eq!(counter(&engine, "dropped_srtp_auth"), 0);
}

/// A call of two over UDP and a third, over TCP or UDP, who has joined and hears the others.
fn call_of_three(engine: &Engine, over_tcp: bool) -> Vec<Peer> {
    let mut peers = call(engine, LOOPBACK, false);
    peers.push(Peer::join(engine, 2, LOOPBACK, over_tcp));
    run_until(&mut peers, |peers| peers[2].client.is_connected());
    run_on(&mut peers[..2], 30);
    peers
}

/// Reports go out each second: after three seconds' pictures each of the node's timers has had its turn several times.
const THREE_SECONDS_OF_PICTURES: usize = 270;

/// TCP-1, HANG-2: a session is left without any path.
#[test]
fn a_session_whose_only_connection_closes_leaves_the_others_their_shard() {
    let engine = engine(LOOPBACK);
    let mut peers = call_of_three(&engine, true);
    peers[2].carrier = Carrier::Nothing;
    run_on(&mut peers[..2], THREE_SECONDS_OF_PICTURES);
    let stats = engine.session_stats(&Client::name_of(2)).unwrap();
    assert_eq!(stats.remote_address, None, "it has no path");
    let tcp = peers[2].tcp;
    peers[2].move_to(Carrier::tcp(tcp));
    let (name, address) = (Client::name_of(2), peers[2].carrier.address());
    run_until(&mut peers, |_| engine.session_stats(&name).unwrap().remote_address == Some(address));
    assert_eq!(connections_and_ends(&engine), (3, 0), "it comes back on another connection with its keys");
}

/// HANG-2 over UDP: another session's valid check comes from the address, which does not answer in its name.
#[test]
fn an_address_stays_a_sessions_when_another_sessions_check_comes_from_it() {
    let engine = engine(LOOPBACK);
    let mut peers = call_of_three(&engine, false);
    let mut thief = Peer::join(&engine, 3, LOOPBACK, false);
    thief.client.check();
    peers[2].client.checks = false;
    for check in thief.client.outgoing.drain(..) {
        peers[2].carrier.send(&check);
    }
    run_on(&mut peers[..2], THREE_SECONDS_OF_PICTURES);
    let address = Some(peers[2].carrier.address());
    assert_eq!(engine.session_stats(&Client::name_of(2)).unwrap().remote_address, address);
    assert_eq!(engine.session_stats(&Client::name_of(3)).unwrap().remote_address, None);
    assert_eq!(connections_and_ends(&engine), (3, 0));
}

/// Over TCP a client's records may be longer than those that the node sends.
#[test]
fn an_answer_too_long_for_a_datagram_leaves_the_others_their_shard() {
    let engine = engine(LOOPBACK);
    let mut peers = call_of_three(&engine, true);
    peers[2].client.channels.as_mut().unwrap().open("captions");
    run_until(&mut peers, |peers| !peers[2].client.channels.as_ref().unwrap().acknowledged.is_empty());
    for info in [1_400, 1_444, 1_456, 1_800, 1_900] {
        peers[2].send_heartbeat(info);
    }
    run_on(&mut peers[..2], 90);
    assert!(engine.session_stats(&Client::name_of(1)).is_ok());
}

#[test]
fn both_families_meet_on_one_socket() {
    let v6: IpAddr = "::1".parse().unwrap();
    let engine = engine("::".parse().unwrap());
    for over_tcp in [false, true] {
        let mut peers = call(&engine, v6, over_tcp);
        run_on(&mut peers, 30);
        let stats = engine.session_stats(&Client::name_of(0)).unwrap();
        assert_eq!(stats.remote_address, Some(peers[0].carrier.address()));
        let stats = engine.session_stats(&Client::name_of(1)).unwrap();
        assert_eq!(stats.remote_address, Some(peers[1].carrier.address()), "IPv4 is told as IPv4");
        for number in 0..2 {
            engine.close_session(&Client::name_of(number), parley_engine_core::event::CloseReason::Requested).unwrap();
        }
    }
}

#[test]
fn strangers_on_tcp_are_shown_out_and_the_call_goes_on() {
    let engine = engine(LOOPBACK);
    let mut peers = call(&engine, LOOPBACK, true);
    run_on(&mut peers, 10);
    let mut oversized = TcpStream::connect(peers[0].tcp).unwrap();
    oversized.write_all(&[0xff; 100]).unwrap();
    let mut strangers: Vec<_> = (0..40).map(|_| TcpStream::connect(peers[0].tcp).unwrap()).collect();
    for (number, stranger) in strangers.iter_mut().enumerate() {
        // Some drip, some talk nonsense; who was refused already can't.
        let _ = stranger.write_all(if number % 2 == 0 { &[0] } else { b"\0\x04\x80\0\0\0" });
    }
    run_until(&mut peers, |_| {
        ["dropped_tcp_oversized", "dropped_tcp_connections", "dropped_noise"]
            .iter()
            .all(|name| counter(&engine, name) > 0)
    });
    run_on(&mut peers, 30);
    assert_eq!(connections_and_ends(&engine), (2, 0));
}

#[test]
fn a_restart_keeps_session_keys_and_streams_and_old_credentials_end_with_it() {
    let mut meeting = Meeting::new(31, Conditions::IDEAL);
    let (first, second) = (meeting.join(), meeting.join());
    meeting.show(first, SLOT, Some(second));
    meeting.show(second, SLOT, Some(first));
    meeting.connect();
    meeting.run(SECOND);
    let credentials = LocalCredentials::generate(0, first as u32);
    let theirs = Client::credentials();
    meeting.command(Command::RestartIce(Meeting::key(first), credentials.clone(), theirs));
    let before = meeting.now;
    meeting.run(SECOND);
    let old_check = {
        meeting.clients[first].check();
        meeting.clients[first].outgoing.last().unwrap().clone()
    };
    meeting.run(SECOND);
    let slot_of = |meeting: &Meeting, from| meeting.clients[first].slot(SLOT).count_between(from, meeting.now);
    assert!(slot_of(&meeting, before) > 140, "nothing stops while the client looks for a way");
    assert_eq!(meeting.shard.counters().dropped_stun, 0, "the old credentials are still good");

    meeting.clients[first].address = "10.9.9.9:999".parse().unwrap();
    meeting.clients[first].connect_to(&credentials);
    meeting.clients[first].check();
    let moved = meeting.now;
    meeting.run(SECOND);
    assert!(slot_of(&meeting, moved + 50 * MILLISECOND) > 60);
    assert_eq!(meeting.stats(first).remote_address, Some(meeting.clients[first].address));
    let now = meeting.now;
    meeting.network.send(now, "10.8.8.8:888".parse().unwrap(), sim::NODE, old_check);
    meeting.run(100 * MILLISECOND);
    assert_eq!(meeting.shard.counters().dropped_stun, 1, "the old credentials have gone");
    let states = meeting.events(|kind| match kind {
        EventKind::SessionState { state, .. } => Some(*state),
        _ => None,
    });
    assert_eq!(states.iter().filter(|state| **state == SessionState::Connected).count(), 2);
    assert!(!states.contains(&SessionState::Closed));
}

#[test]
fn a_client_whose_way_has_died_is_answered_where_it_sends_from_before_it_nominates_that() {
    let mut meeting = Meeting::new(32, Conditions::IDEAL);
    let (first, second) = (meeting.join(), meeting.join());
    meeting.show(first, SLOT, Some(second));
    meeting.connect();
    meeting.run(SECOND);
    let old = meeting.clients[first].address;
    meeting.clients[first].nominates = false;
    meeting.clients[first].address = "10.9.9.9:999".parse().unwrap();
    meeting.clients[first].check();
    meeting.run(400 * MILLISECOND);
    assert_eq!(meeting.stats(first).remote_address, Some(old), "packets of before may still be under way");
    let moved = meeting.now + 200 * MILLISECOND;
    meeting.run(SECOND);
    assert_eq!(meeting.stats(first).remote_address, Some(meeting.clients[first].address));
    assert!(meeting.clients[first].slot(SLOT).count_between(moved, meeting.now) > 60);
}
