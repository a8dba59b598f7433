//! The thread of a shard: waits for datagrams, commands and time, and hands them to the shard.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use crate::clock::{Clock, MILLISECOND, Micros};
use crate::command::Command;
use crate::directory::Directory;
use crate::incarnation::{Activity, Incarnation};
use crate::net::{Inbox, Network, TcpPort, pin_to_core, thread_cpu_nanoseconds, thread_number, wait_readable};
use crate::queue::EventQueue;
use crate::shard::Shard;
use crate::spacing::GATHER;
use crate::wire::demux::classify;
use crate::wire::framing::Frames;

/// Datagrams taken before they are forwarded: more would keep the first one waiting, and all must fit a track's ring.
const BATCH: usize = 64;
/// For so long commands are carried out while packets wait; those behind them get their turn after the packets. One takes 5 to 100 us.
const COMMAND_TIME: Micros = MILLISECOND;
/// How often the CPU time is read.
const CPU_INTERVAL: Micros = 100 * MILLISECOND;

/// The longest wait for something to do, so that a shard without work shows by its turns that it is alive.
pub(crate) const LONGEST_WAIT: Micros = 250 * MILLISECOND;

/// What a shard's thread shares with the engine.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub shard: usize,
    pub incarnation: Arc<Incarnation>,
    pub events: Arc<EventQueue>,
    pub directory: Arc<Directory>,
}

/// A shard with its sockets.
pub(crate) struct Worker {
    pub shard: Shard,
    pub network: Network,
    pub clock: Clock,
    pub shared: Shared,
    pub core: Option<usize>,
}

impl Worker {
    /// Runs until it is told to stop, or finds that the shard has been taken from it.
    pub(crate) fn run(mut self) {
        let incarnation = Arc::clone(&self.shared.incarnation);
        incarnation.begin(thread_number());
        if let Some(core) = self.core {
            pin_to_core(core);
        }
        let mut inbox = Inbox::new();
        let mut cpu_read_at = 0;
        let mut running = true;
        while running && !incarnation.is_fenced() {
            let now = self.clock.now();
            let due = [self.shard.poll_timeout(), self.network.poll_timeout()].into_iter().flatten().min();
            let timeout = due.map_or(LONGEST_WAIT, |at| at.saturating_sub(now).min(LONGEST_WAIT));
            let descriptors =
                [self.network.udp_descriptor(), incarnation.commands.as_raw_fd(), self.network.tcp_descriptor()];
            incarnation.enter(Activity::Waiting);
            let [datagrams, commands, connections] = wait_readable(&descriptors, Some(timeout));
            // A turn ends with its wait, so that what has been slept there does not count for what comes after it.
            incarnation.count_turn();
            if incarnation.is_fenced() {
                return;
            }
            if commands {
                running = self.carry_out_commands();
            }
            if self.shard.has_media() {
                self.forward(self.clock.now());
            } else if datagrams {
                self.receive(&mut inbox);
            }
            if connections && !self.shard.has_media() {
                self.receive_streams(inbox.scratch());
            }
            incarnation.enter(Activity::Timers);
            let now = self.clock.now();
            self.shard.handle_timeout(now, &mut self.network);
            self.network.handle_timeout(now);
            self.note_closed_streams();
            if now >= cpu_read_at || !running {
                self.shard.counters().cpu_nanoseconds = thread_cpu_nanoseconds();
                cpu_read_at = now + CPU_INTERVAL;
            }
            incarnation.enter(Activity::Publishing);
            self.publish();
        }
    }

    /// Carries out commands until packets have waited for long enough; false once told to stop.
    fn carry_out_commands(&mut self) -> bool {
        let began = self.clock.now();
        let mut now = began;
        while now < began + COMMAND_TIME
            && let Some(command) = self.shared.incarnation.commands.pop()
        {
            self.shared.incarnation.enter(Activity::from(&command));
            let last = matches!(command, Command::Stop);
            self.shard.handle_command(now, command, &mut self.network);
            if last {
                return false;
            }
            now = self.clock.now();
        }
        true
    }

    /// Takes what has arrived and forwards it, a batch at a time; commands and timers get their turn between two batches, and while a
    /// large one is forwarded.
    fn receive(&mut self, inbox: &mut Inbox) {
        let began = self.clock.now();
        let mut now = began;
        let mut taken = self.take(now, BATCH, inbox);
        while taken < BATCH && self.shard.expects_more() && now < began + GATHER {
            if wait_readable(&[self.network.udp_descriptor()], Some(began + GATHER - now)) == [true] {
                taken += self.take(self.clock.now(), BATCH - taken, inbox);
            }
            now = self.clock.now();
        }
        self.forward(now);
    }

    fn forward(&mut self, now: Micros) {
        self.shared.incarnation.enter(Activity::Forwarding);
        self.shard.flush(now, &mut self.network);
    }

    /// Takes datagrams until there are no more, or so many; returns how many.
    fn take(&mut self, now: Micros, limit: usize, inbox: &mut Inbox) -> usize {
        let mut taken = 0;
        let mut more = true;
        while more && taken < limit {
            self.shard.counters().receive_calls += 1;
            // An error of the socket itself would return at once each time; the next wait is as good a moment to try again.
            more = self.network.fill(inbox, limit - taken).unwrap_or(false);
            let before = taken;
            for received in inbox.runs() {
                let path = received.path;
                for datagram in received.datagrams() {
                    self.shared.incarnation.enter(classify(datagram).into());
                    self.shard.handle_datagram(now, &path, datagram, &mut self.network);
                    taken += 1;
                }
            }
            // The rest of a frame arrives while its first packets are taken.
            more |= taken > before && self.shard.has_media();
        }
        taken
    }

    /// Takes what has come over TCP and forwards it, a connection at a time.
    fn receive_streams(&mut self, buffer: &mut [u8]) {
        let now = self.clock.now();
        self.shared.incarnation.enter(Activity::Stream);
        if let Some(tcp) = self.network.tcp() {
            tcp.poll(now);
        }
        while let Some(number) = self.network.tcp().and_then(TcpPort::next_readable) {
            let received = self.network.tcp().and_then(|tcp| tcp.receive(number, buffer));
            let Some((path, len)) = received else { continue };
            let mut frames = Frames::new(&mut buffer[..len]);
            let mut taken = 0;
            while let Some(datagram) = frames.take_next() {
                self.shared.incarnation.enter(classify(datagram).into());
                self.shard.handle_datagram(now, &path, datagram, &mut self.network);
                taken += 1;
                if taken % BATCH == 0 {
                    self.forward_all(now);
                }
            }
            if let Some(tcp) = self.network.tcp() {
                tcp.keep(number, frames.incomplete());
            }
            self.forward_all(now);
            // As many connections as are ready are bounded, and so is what one has brought: each is a step ahead.
            self.shared.incarnation.count_turn();
        }
    }

    fn forward_all(&mut self, now: Micros) {
        self.forward(now);
        while self.shard.has_media() {
            self.forward(now);
        }
    }

    /// Tells the shard which connections have ended.
    fn note_closed_streams(&mut self) {
        let Some(tcp) = self.network.tcp() else { return };
        let (closed, counts) = (tcp.take_closed(), tcp.counts());
        for path in closed {
            self.shard.handle_disconnect(&path);
        }
        let counters = self.shard.counters();
        counters.dropped_tcp_connections = counts.refused;
        counters.dropped_tcp_silent = counts.silent;
        counters.dropped_tcp_oversized = counts.oversized;
    }

    fn publish(&mut self) {
        let Shared { shard, incarnation, events, directory } = &self.shared;
        if let Some(counters) = incarnation.published_counters() {
            counters.publish(self.shard.counters());
        }
        let released = self.shard.take_released();
        if !released.is_empty() {
            directory.release_of(incarnation, *shard, &released);
        }
        let new = self.shard.take_events();
        if !new.is_empty() {
            events.push(new, incarnation);
        }
    }
}
