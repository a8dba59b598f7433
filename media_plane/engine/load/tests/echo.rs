//! Drives the binary over its JSON lines against a peer that sends every packet back.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::SdpOffer;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

const TEST_LIMIT: Duration = Duration::from_secs(20);

struct Load {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
}

impl Load {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parley-load"))
            .arg("clients")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    fn write(&mut self, operation: &Value) {
        writeln!(self.stdin, "{operation}").unwrap();
    }

    /// The next line that is a reply; events are passed over.
    fn reply(&self) -> Value {
        loop {
            let line = self.lines.recv_timeout(TEST_LIMIT).unwrap();
            if line.get("event").is_none() {
                return line;
            }
        }
    }

    fn call(&mut self, operation: &Value) -> Value {
        self.write(operation);
        self.reply()
    }
}

/// Answers the offer and sends back what it receives, on the receiving m-line of the same kind.
struct EchoPeer {
    rtc: Rtc,
    socket: UdpSocket,
    back: HashMap<Mid, Mid>,
    kinds: Vec<(Mid, MediaKind, Direction)>,
}

impl EchoPeer {
    fn answer(offer: &str) -> (Self, String) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let now = Instant::now();
        let mut rtc = Rtc::builder().set_rtp_mode(true).set_ice_lite(true).build(now);
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let answer = rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(offer).unwrap()).unwrap();
        let peer = Self { rtc, socket, back: HashMap::new(), kinds: Vec::new() };
        (peer, answer.to_sdp_string())
    }

    fn run_for(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        let mut buffer = vec![0; 2000];
        while Instant::now() < end {
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
            let timeout = self.drain().saturating_duration_since(Instant::now());
            self.socket
                .set_read_timeout(Some(timeout.clamp(Duration::from_millis(1), Duration::from_millis(20))))
                .unwrap();
            if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                let address = self.socket.local_addr().unwrap();
                let receive = Receive::new(Protocol::Udp, from, address, &buffer[..len]).unwrap();
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                self.drain();
            }
        }
    }

    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(datagram) => {
                    self.socket.send_to(&datagram.contents, datagram.destination).unwrap();
                }
                Output::Event(Event::MediaAdded(media)) => {
                    self.kinds.push((media.mid, media.kind, media.direction));
                    self.pair();
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    let mut direct = self.rtc.direct_api();
                    let from = direct.stream_rx(&packet.header.ssrc).unwrap().mid();
                    let stream = direct.stream_tx_by_mid(self.back[&from], None).unwrap();
                    let write = RtpWrite::new(
                        packet.header.payload_type,
                        packet.seq_no,
                        packet.header.timestamp,
                        Instant::now(),
                        packet.payload.clone(),
                    );
                    stream.write_rtp(write.marker(packet.header.marker));
                }
                Output::Event(_) => {}
            }
        }
    }

    fn pair(&mut self) {
        for (from, kind, direction) in &self.kinds {
            let to = self.kinds.iter().find(|(_, other, way)| other == kind && *way == Direction::SendOnly);
            if let (Direction::RecvOnly, Some((to, ..))) = (direction, to) {
                self.back.insert(*from, *to);
            }
        }
    }

    fn request_key_frame(&mut self) {
        let video = self.kinds.iter().find(|(_, kind, way)| *kind == MediaKind::Video && *way == Direction::RecvOnly);
        let mid = video.unwrap().0;
        let mut direct = self.rtc.direct_api();
        direct.stream_rx_by_mid(mid, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
    }
}

#[test]
fn a_client_sees_its_own_media_come_back() {
    str0m::crypto::from_feature_flags().install_process_default();
    let mut load = Load::start();
    let offer = load.call(&json!({
        "op": "offer", "id": "c1", "number": 42, "audio_slots": 1, "video_slots": 1,
        "send": [{"kind": "video", "source": "camera"}, {"kind": "audio", "source": "microphone"}],
    }));
    let audio_slot = offer["mids"]["audio_slots"][0].as_str().unwrap();
    let video_slot = offer["mids"]["video_slots"][0].as_str().unwrap();
    assert_eq!(offer["mids"]["send"][0]["source"], "camera");
    let (mut peer, answer) = EchoPeer::answer(offer["sdp"].as_str().unwrap());
    assert_eq!(load.call(&json!({"op": "answer", "id": "c1", "sdp": answer}))["op"], "answer");
    assert_eq!(load.call(&json!({"op": "publish", "id": "c1", "kind": "video"}))["op"], "publish");
    assert_eq!(load.call(&json!({"op": "publish", "id": "c1", "kind": "audio", "level": 30}))["op"], "publish");
    peer.run_for(Duration::from_millis(1500));
    peer.request_key_frame();
    peer.run_for(Duration::from_millis(700));

    let stats = load.call(&json!({"op": "stats", "id": "c1"}));
    let client = &stats["clients"][0];
    assert_eq!(client["state"], "connected");
    assert!(client["connected_ms"].as_f64().unwrap() > 0.0);
    for slot in [audio_slot, video_slot] {
        let received = &client["mids"][slot];
        assert_eq!(received["publisher"], 42, "{stats}");
        assert_eq!(received["discontinuities"], 0, "{stats}");
        assert!(received["packets"].as_u64().unwrap() > 30, "{stats}");
    }
    assert_eq!(client["mids"][video_slot]["key_frames"], 2, "the first frame and the one asked for: {stats}");
    assert!(client["totals"]["video_latency_us"]["p99"].as_u64().unwrap() > 0);

    load.call(&json!({"op": "impair", "id": "c1", "receive_loss": 1.0}));
    let before = load.call(&json!({"op": "stats"}))["totals"]["packets"].clone();
    peer.run_for(Duration::from_millis(300));
    let stats = load.call(&json!({"op": "stats"}));
    assert_eq!(stats["totals"]["packets"], before, "everything is lost");
    assert!(stats["clients"][0]["impairment"]["received_lost"].as_u64().unwrap() > 10);

    assert_eq!(load.call(&json!({"op": "close", "id": "c1"}))["op"], "close");
    assert_eq!(load.call(&json!({"op": "stats"}))["clients"], json!([]));
    drop(load.stdin);
    assert!(load.child.wait().unwrap().success());
}

#[test]
fn mistakes_are_answered_with_an_error() {
    let mut load = Load::start();
    for (operation, id) in [
        (json!({"op": "offer", "id": "empty"}), "empty"),
        (json!({"op": "answer", "id": "nobody", "sdp": ""}), "nobody"),
        (json!({"op": "publish", "id": "nobody", "kind": "video"}), "nobody"),
        (json!({"op": "unheard-of", "id": "x"}), "x"),
    ] {
        let reply = load.call(&operation);
        assert_eq!(reply["id"], id);
        assert!(reply["error"].is_string(), "{reply}");
    }
    writeln!(load.stdin, "no json").unwrap();
    assert!(load.reply()["error"].is_string());
    drop(load.stdin);
    assert!(load.child.wait().unwrap().success());
    assert_eq!(load.lines.recv_timeout(TEST_LIMIT), Err(RecvTimeoutError::Disconnected));
}
