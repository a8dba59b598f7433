//! Many clients in one thread, driven by operations from stdin.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::protocol::{Offer, Operation, Publish};
use crate::receive::Totals;
use crate::schedule::Schedule;
use crate::sys::{Epoll, now_unix_nano, thread_cpu_time};

/// The token of stdin; clients count up from 1.
const STDIN: u64 = 0;
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The largest run of coalesced datagrams.
const RECEIVE_BUFFER: usize = 65_536;

/// Runs until stdin ends.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut bind = IpAddr::from([127, 0, 0, 1]);
    crate::parse_options(arguments, |name, value| {
        (name == "--bind").then_some(())?;
        bind = value.parse().ok()?;
        Some(())
    })?;
    str0m::crypto::from_feature_flags().install_process_default();
    Fleet::new(bind).and_then(Fleet::run).map_err(|error| error.to_string())
}

struct Fleet {
    bind: IpAddr,
    epoll: Epoll,
    clients: BTreeMap<u64, Client>,
    tokens: BTreeMap<String, u64>,
    schedule: Schedule,
    next_token: u64,
    input: Vec<u8>,
    output: Vec<Value>,
}

impl Fleet {
    fn new(bind: IpAddr) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(io::stdin().as_raw_fd(), STDIN)?;
        Ok(Self {
            bind,
            epoll,
            clients: BTreeMap::new(),
            tokens: BTreeMap::new(),
            schedule: Schedule::default(),
            next_token: 1,
            input: Vec::new(),
            output: Vec::new(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let mut ready: Vec<u64> = Vec::new();
        let mut due: Vec<u64> = Vec::new();
        loop {
            let now = Instant::now();
            let wait = self
                .schedule
                .first()
                .map_or(MAX_WAIT, |deadline| deadline.saturating_duration_since(now).min(MAX_WAIT));
            ready.clear();
            ready.extend(self.epoll.wait(wait)?);
            let now = Instant::now();
            for token in &ready {
                if let Some(client) = self.clients.get_mut(token) {
                    client.receive(now, &mut buffer, &mut self.output);
                    self.schedule.set(*token, client.deadline());
                }
            }
            due.clear();
            self.schedule.due(now, &mut due);
            for token in &due {
                if let Some(client) = self.clients.get_mut(token) {
                    client.advance(now, &mut self.output);
                    self.schedule.set(*token, client.deadline());
                }
            }
            let go_on = !ready.contains(&STDIN) || self.read_operations()?;
            self.write_output()?;
            if !go_on {
                return Ok(());
            }
        }
    }

    /// Reads and executes what stdin holds; false when it has ended.
    fn read_operations(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16_384];
        // Epoll has said that this does not block.
        let len = io::stdin().lock().read(&mut chunk)?;
        self.input.extend_from_slice(&chunk[..len]);
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let reply = self.execute_line(&line);
                self.output.push(reply);
            }
        }
        for (token, client) in &self.clients {
            self.schedule.set(*token, client.deadline());
        }
        if len == 0 {
            let now = Instant::now();
            self.clients.values_mut().for_each(|client| client.close(now));
        }
        Ok(len > 0)
    }

    fn execute_line(&mut self, line: &[u8]) -> Value {
        let result = serde_json::from_slice(line)
            .map_err(|error| error.to_string())
            .and_then(|operation| self.execute(operation, Instant::now()));
        result.unwrap_or_else(|reason| {
            let request: Value = serde_json::from_slice(line).unwrap_or_default();
            json!({"op": request["op"], "id": request["id"], "error": reason})
        })
    }

    fn execute(&mut self, operation: Operation, now: Instant) -> Result<Value, String> {
        match operation {
            Operation::Offer(offer) => self.offer(&offer, now),
            Operation::Answer { id, sdp } => {
                let token = self.token(&id)?;
                let client = self.clients.get_mut(&token).ok_or("no such client")?;
                client.answer(&sdp, now, &mut self.output)?;
                Ok(json!({"op": "answer", "id": id}))
            }
            Operation::Accept(accept) => {
                if !self.tokens.contains_key(&accept.id) {
                    self.add(&accept.id, accept.number, accept.feedback, now)?;
                }
                let token = self.token(&accept.id)?;
                let client = self.clients.get_mut(&token).ok_or("no such client")?;
                client.accept(&accept.sdp, now, &mut self.output)
            }
            Operation::Candidate { id, candidate } => {
                let token = self.token(&id)?;
                let client = self.clients.get_mut(&token).ok_or("no such client")?;
                client.add_candidate(&candidate, now, &mut self.output)?;
                Ok(json!({"op": "candidate", "id": id}))
            }
            Operation::IgnoreMedia { id } => {
                self.client(&id)?.ignore_media()?;
                Ok(json!({"op": "ignore_media", "id": id}))
            }
            Operation::Coalesce { id, on } => {
                self.client(&id)?.coalesce(on)?;
                Ok(json!({"op": "coalesce", "id": id}))
            }
            Operation::Publish(publish) => self.publish(&publish, now),
            Operation::Unpublish { id, kind, source } => {
                self.client(&id)?.unpublish(kind, source.as_deref())?;
                Ok(json!({"op": "unpublish", "id": id}))
            }
            Operation::Level { id, level, voice } => {
                self.client(&id)?.set_level(level, voice);
                Ok(json!({"op": "level", "id": id}))
            }
            Operation::KeyFrame { id, mid } => {
                let token = self.token(&id)?;
                let client = self.clients.get_mut(&token).ok_or("no such client")?;
                client.request_key_frame(&mid, now, &mut self.output)?;
                Ok(json!({"op": "key_frame", "id": id}))
            }
            Operation::Impair { id, receive_loss, send_loss } => {
                self.client(&id)?.impair(receive_loss, send_loss);
                Ok(json!({"op": "impair", "id": id}))
            }
            Operation::Hostile { id, count } => {
                self.client(&id)?.begin_hostility(count);
                Ok(json!({"op": "hostile", "id": id}))
            }
            Operation::Stop { id } => self.stop(id.as_deref()),
            Operation::Stats { id } => self.stats(id.as_deref()),
            Operation::ResetLatency { id } => {
                let chosen = self.tokens_of(id.as_deref())?;
                self.clients.range_mut(chosen).for_each(|(_, client)| client.reset_latency());
                Ok(json!({"op": "reset_latency", "id": id}))
            }
            Operation::Close { id } => {
                self.remove(&id).ok_or("no such client")?.close(now);
                Ok(json!({"op": "close", "id": id}))
            }
        }
    }

    fn offer(&mut self, offer: &Offer, now: Instant) -> Result<Value, String> {
        if self.tokens.contains_key(&offer.id) {
            return Err("a client with this id exists".to_owned());
        }
        let reply = self.add(&offer.id, offer.number, offer.feedback, now)?.offer(offer);
        if reply.is_err() {
            self.remove(&offer.id);
        }
        reply
    }

    fn add(
        &mut self,
        id: &str,
        number: Option<u32>,
        feedback: Option<bool>,
        now: Instant,
    ) -> Result<&mut Client, String> {
        let token = self.next_token;
        let client = Client::new(id, number.unwrap_or(token as u32), self.bind, feedback.unwrap_or(true), now)?;
        self.epoll.add(client.socket().as_raw_fd(), token).map_err(|error| error.to_string())?;
        self.next_token += 1;
        self.tokens.insert(id.to_owned(), token);
        Ok(self.clients.entry(token).or_insert(client))
    }

    fn remove(&mut self, id: &str) -> Option<Client> {
        let token = self.tokens.remove(id)?;
        self.schedule.remove(token);
        self.clients.remove(&token)
    }

    fn publish(&mut self, publish: &Publish, now: Instant) -> Result<Value, String> {
        self.client(&publish.id)?.publish(publish, now)?;
        Ok(json!({"op": "publish", "id": publish.id}))
    }

    fn stop(&mut self, id: Option<&str>) -> Result<Value, String> {
        let chosen = self.tokens_of(id)?;
        for (_, client) in self.clients.range_mut(chosen) {
            self.epoll.remove(client.socket().as_raw_fd()).map_err(|error| error.to_string())?;
            client.stop()?;
        }
        Ok(json!({"op": "stop", "id": id}))
    }

    fn stats(&self, id: Option<&str>) -> Result<Value, String> {
        let mut totals = Totals::default();
        let mut clients = Vec::new();
        let chosen = self.tokens_of(id)?;
        for (_, client) in self.clients.range(chosen) {
            totals.add(&client.totals());
            clients.push(client.summary());
        }
        let cpu = thread_cpu_time();
        Ok(json!({
            "op": "stats",
            "time_unix_nano": now_unix_nano(),
            "cpu_seconds": (cpu.user + cpu.system).as_secs_f64(),
            "clients": clients,
            "totals": totals.summary(),
        }))
    }

    fn token(&self, id: &str) -> Result<u64, String> {
        self.tokens.get(id).copied().ok_or_else(|| "no such client".to_owned())
    }

    /// The tokens of one client, or of all when none is named.
    fn tokens_of(&self, id: Option<&str>) -> Result<RangeInclusive<u64>, String> {
        id.map_or(Ok(0..=u64::MAX), |id| self.token(id).map(|token| token..=token))
    }

    fn client(&mut self, id: &str) -> Result<&mut Client, String> {
        let token = self.token(id)?;
        self.clients.get_mut(&token).ok_or_else(|| "no such client".to_owned())
    }

    fn write_output(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        for value in self.output.drain(..) {
            writeln!(stdout, "{value}")?;
        }
        stdout.flush()
    }
}
