//! One encoding of what a client sends on an m-line: its reception, its ring of packets and who receives it.

use std::sync::Arc;

use crate::allocation::SETTLED;
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::loss::LossTracker;
use crate::params::{Codec, MediaKind, SendTrack};
use crate::payload::VideoFormat;
use crate::payload::red::{self, Frames};
use crate::payload::structure::Structure;
use crate::picture::{self, MAX_LAYERS};
use crate::rate::RateMeter;
use crate::reception::Reception;
use crate::repair_wait::RepairWait;
use crate::ring::{PacketInfo, PacketRing, StoredPacket};
use crate::slab::Key;
use crate::spacing::Spacing;
use crate::srtp::WINDOW;
use crate::wire::extension::AudioLevel;

/// Least time between two key-frame requests to a sender for receivers that lost something.
const KEY_FRAME_INTERVAL: Micros = SECOND;
/// The same for a receiver that is new: it has nothing to show until the key frame comes.
const NEW_RECEIVER_INTERVAL: Micros = 250 * MILLISECOND;
/// And when the key frame does not come: the request may have been lost.
const NEW_RECEIVER_RETRY: Micros = 500 * MILLISECOND;
/// A track without packets for this long is inactive.
const INACTIVE_AFTER: Micros = 2 * SECOND;
/// An encoding of simulcast is off when its siblings go on without it for so long, and for so many of their frames: browsers
/// stop encodings when their network or processor is short, and whoever watches would see a frozen picture.
const PAUSED_AFTER: Micros = 350 * MILLISECOND;
const PAUSED_AFTER_FRAMES: u64 = 8;
/// Packets that were on their way or waited to be sent when a sender said that it had stopped their encoding come for so long.
pub(crate) const STRAGGLERS: Micros = SECOND;
/// How far a capture time told by sender reports may be from the arrival before it is not believed.
const MAX_CAPTURE_AGE: Micros = 2 * SECOND;
/// Packets and bytes kept of a track: at least a second of 1080p, or of Opus.
const VIDEO_RING: (usize, usize) = (1_024, 512 << 10);
const AUDIO_RING: (usize, usize) = (64, 32 << 10);
// What can still be forwarded can still be sealed.
const _: () = assert!(VIDEO_RING.0 as u64 <= WINDOW && AUDIO_RING.0 as u64 <= WINDOW);

/// A slot that an encoding is sent to, or will be with its next key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subscriber {
    pub session: u32,
    pub slot: u16,
}

/// Slots, in the order of their sessions: whoever is looked for among hundreds is found at once.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Vec<Subscriber>);

impl Subscribers {
    /// Adds a slot, unless it is there.
    pub(crate) fn insert(&mut self, subscriber: Subscriber) {
        if let Err(place) = self.0.binary_search(&subscriber) {
            self.0.insert(place, subscriber);
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, subscriber: Subscriber) {
        if let Ok(place) = self.0.binary_search(&subscriber) {
            self.0.remove(place);
        }
    }
}

impl std::ops::Deref for Subscribers {
    type Target = [Subscriber];

    fn deref(&self) -> &[Subscriber] {
        &self.0
    }
}

/// Ties a track's timestamps to the shard's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimestampAnchor {
    pub timestamp: u32,
    pub at: Micros,
}

/// Asking the sender for key frames, neither too often nor in vain.
#[derive(Debug, Default)]
pub(crate) struct KeyFrameRequests {
    wanted: bool,
    by_new_receiver: bool,
    /// A request has been sent since the last key frame.
    asked: bool,
    last_sent: Option<Micros>,
}

impl KeyFrameRequests {
    /// A receiver lost its picture.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// A receiver waits for its first picture.
    pub(crate) fn want_for_new_receiver(&mut self) {
        self.wanted = true;
        self.by_new_receiver = true;
    }

    /// A key frame has begun to arrive: whoever waited has it.
    pub(crate) fn satisfied(&mut self) {
        self.wanted = false;
        self.by_new_receiver = false;
        self.asked = false;
    }

    /// Whether to send a request now; the answer yes counts as sent.
    pub(crate) fn is_due(&mut self, now: Micros) -> bool {
        let interval = match (self.by_new_receiver, self.asked) {
            (true, false) => NEW_RECEIVER_INTERVAL,
            (true, true) => NEW_RECEIVER_RETRY,
            (false, _) => KEY_FRAME_INTERVAL,
        };
        let due = self.wanted && self.last_sent.is_none_or(|sent| now.saturating_sub(sent) >= interval);
        if due {
            self.last_sent = Some(now);
            self.asked = true;
        }
        due
    }
}

/// An encoding: the only one of a track, or one of several of simulcast.
#[derive(Debug)]
pub(crate) struct Track {
    /// The session that sends it, and its room.
    pub owner: u32,
    pub room: Key,
    /// What it is an encoding of.
    pub publication: Key,
    pub mid: Arc<str>,
    /// RTP stream identifier (RFC 8852); empty without simulcast.
    pub rid: Box<str>,
    pub kind: MediaKind,
    /// That of the publication, kept here for the sake of each packet.
    pub muted: bool,
    pub subscribers: Subscribers,
    /// SSRC of its media once known.
    pub ssrc: Option<u32>,
    pub clock_rate: u32,
    /// What the latest packet was encoded with.
    pub codec: Option<(Codec, Option<VideoFormat>)>,
    pub reception: Reception,
    /// Whether the sender repeats packets on request.
    pub nack: bool,
    pub loss: LossTracker,
    pub ring: PacketRing,
    pub key_frames: KeyFrameRequests,
    /// What repairs on the sender's way take.
    pub repair_wait: RepairWait,
    pub anchor: Option<TimestampAnchor>,
    /// The latest packet, as an anchor for want of a better one.
    pub last_packet: Option<TimestampAnchor>,
    /// How the packets of its frames come.
    pub spacing: Spacing,
    /// The sender report that the next receiver report answers: middle 32 bits of its NTP time, and its arrival.
    pub last_sender_report: Option<(u32, Micros)>,
    pub audio_level: Option<AudioLevel>,
    /// By the last receiver report, in 256ths.
    pub fraction_lost: u8,
    pub packets: u64,
    pub bytes: u64,
    pub last_arrival: Option<Micros>,
    pub active: bool,
    pub active_since: Micros,
    /// The packet in which its sender last said which encodings it sends.
    pub told_at: u64,
    /// Packets before that are the last ones of an encoding that its sender has said to have stopped.
    stopped_until: Micros,
    /// The sender was asked for it while it was off, so it counts as soon as it comes.
    pub expected: bool,
    pub rates: RateMeter,
    /// Sizes of its spatial layers by its last key frame, the smallest first.
    pub sizes: [(u16, u16); MAX_LAYERS],
    /// How many of them are known.
    pub spatial_layers: usize,
    /// The layers that its dependency descriptors speak of.
    pub structure: Option<Box<Structure>>,
    /// When its last key frame began to arrive.
    pub key_frame_at: Option<Micros>,
    /// When its sender began to count anew.
    restarted_at: Option<Micros>,
}

impl Track {
    pub(crate) fn new(owner: u32, room: Key, publication: Key, track: &SendTrack, rid: &str) -> Self {
        let (packets, bytes) = match track.kind {
            MediaKind::Audio => AUDIO_RING,
            MediaKind::Video => VIDEO_RING,
        };
        Self {
            owner,
            room,
            publication,
            mid: Arc::clone(&track.mid),
            rid: rid.into(),
            kind: track.kind,
            muted: track.muted,
            subscribers: Subscribers::default(),
            ssrc: None,
            clock_rate: if track.kind == MediaKind::Audio { 48_000 } else { 90_000 },
            codec: None,
            reception: Reception::default(),
            nack: track.nack,
            loss: LossTracker::new(track.kind),
            ring: PacketRing::new(packets, bytes),
            key_frames: KeyFrameRequests::default(),
            repair_wait: RepairWait::default(),
            anchor: None,
            last_packet: None,
            spacing: Spacing::default(),
            last_sender_report: None,
            audio_level: None,
            fraction_lost: 0,
            packets: 0,
            bytes: 0,
            last_arrival: None,
            active: false,
            active_since: 0,
            told_at: 0,
            stopped_until: 0,
            expected: false,
            rates: RateMeter::default(),
            sizes: [(0, 0); MAX_LAYERS],
            spatial_layers: 0,
            structure: None,
            key_frame_at: None,
            restarted_at: None,
        }
    }

    /// Its packets come in this codec from now on.
    pub(crate) fn set_codec(&mut self, now: Micros, codec: &Codec) {
        self.codec = Some((codec.clone(), VideoFormat::from_encoding_name(&codec.name)));
        self.clock_rate = codec.clock_rate;
        if self.kind == MediaKind::Video {
            // The layers of the one before are no longer there.
            self.structure = None;
            self.rates.restart(now);
        }
    }

    /// A packet of redundant audio with more of the frames before it than its sender repeats, as far as they are known and fit.
    pub(crate) fn with_earlier<'a>(&'a self, packet: &StoredPacket<'a>) -> Option<Frames<'a>> {
        let mut frames = Frames::new(red::primary(packet.payload)?);
        for before in 1..=red::MAX_REPEATED as u64 {
            let earlier =
                packet.info.sequence.checked_sub(before).and_then(|sequence| self.frame(sequence, packet.info));
            let Some((timestamp, frame)) = earlier else { break };
            if !frames.repeat(packet.info.timestamp.wrapping_sub(timestamp), frame) {
                break;
            }
        }
        Some(frames)
    }

    /// The frame of an earlier packet of the same format, with its timestamp; of a packet that has not come, as the next one repeats it.
    fn frame(&self, sequence: u64, like: &PacketInfo) -> Option<(u32, &[u8])> {
        let stored = |sequence| self.ring.get(sequence).filter(|packet| packet.info.payload_type == like.payload_type);
        if let Some(packet) = stored(sequence) {
            return Some((packet.info.timestamp, red::primary(packet.payload)?));
        }
        let next = stored(sequence + 1)?;
        let (age, frame) = red::last_repeated(next.payload)?;
        Some((next.info.timestamp.wrapping_sub(age), frame))
    }

    /// When a packet was captured: by the sender's reports where they are plausible, else when it came.
    pub(crate) fn captured(&self, timestamp: u32, arrival: Micros) -> Micros {
        let Some(anchor) = self.anchor else { return arrival };
        let ticks = i64::from(timestamp.wrapping_sub(anchor.timestamp).cast_signed());
        let elapsed = ticks * SECOND.cast_signed() / i64::from(self.clock_rate);
        let captured = anchor.at.saturating_add_signed(elapsed);
        let plausible = captured <= arrival + 50 * MILLISECOND && captured + MAX_CAPTURE_AGE >= arrival;
        if plausible { captured } else { arrival }
    }

    /// A timestamp and the time it stands for: from the sender's reports, else from the latest packet's arrival.
    pub(crate) fn timestamp_anchor(&self) -> Option<TimestampAnchor> {
        self.anchor.or(self.last_packet)
    }

    /// Takes note that packets come; true when they begin to.
    pub(crate) fn note_arrival(&mut self, now: Micros) -> bool {
        self.last_arrival = Some(now);
        if now < self.stopped_until {
            return false;
        }
        let begins = !std::mem::replace(&mut self.active, true);
        if begins {
            self.active_since = now;
            self.rates.restart(now);
        }
        begins
    }

    /// Whether it has been active for long enough to count.
    pub(crate) fn is_settled(&self, now: Micros) -> bool {
        self.active && (self.expected || now.saturating_sub(self.active_since) >= SETTLED)
    }

    /// Height of its highest spatial layer; None until a key frame has told it.
    pub(crate) fn height(&self) -> Option<u16> {
        self.sizes[..self.spatial_layers].last().map(|size| size.1)
    }

    /// Takes note of the structure that a dependency descriptor brings.
    pub(crate) fn note_structure(&mut self, descriptor: &[u8]) {
        let Some(structure) = Structure::parse(descriptor) else { return };
        if structure.sized > 0 {
            (self.sizes, self.spatial_layers) = (structure.sizes, structure.sized);
        }
        match &mut self.structure {
            Some(known) => **known = structure,
            None => self.structure = Some(Box::new(structure)),
        }
    }

    /// Takes note that a key frame begins.
    pub(crate) fn note_key_frame(&mut self, now: Micros, payload: &[u8]) {
        self.key_frames.satisfied();
        self.key_frame_at = Some(now);
        let format = self.codec.as_ref().and_then(|(_, format)| *format);
        let mut sizes = self.sizes;
        let count = picture::sizes(format, payload, &mut sizes);
        if count > 0 {
            (self.sizes, self.spatial_layers) = (sizes, count);
        }
    }

    /// True when packets have just ceased to come although another encoding of the same pictures goes on, which has
    /// `millifps` thousandths of a frame a second.
    pub(crate) fn note_pause(&mut self, now: Micros, millifps: u32) -> bool {
        let frames = PAUSED_AFTER_FRAMES * 1_000 * SECOND / Micros::from(millifps.max(1));
        let limit = frames.clamp(PAUSED_AFTER, INACTIVE_AFTER);
        let paused = self.last_arrival.is_none_or(|at| now.saturating_sub(at) >= limit);
        paused && self.end_activity()
    }

    /// The sender says that it sends it.
    pub(crate) fn note_sent(&mut self) {
        self.stopped_until = 0;
    }

    /// The sender says that it does not send it; true when it did.
    pub(crate) fn note_stopped(&mut self, now: Micros) -> bool {
        self.stopped_until = now + STRAGGLERS;
        self.end_activity()
    }

    fn end_activity(&mut self) -> bool {
        self.rates.pause();
        std::mem::replace(&mut self.active, false)
    }

    /// True when packets have just ceased to come.
    pub(crate) fn note_silence(&mut self, now: Micros) -> bool {
        let silent = self.last_arrival.is_none_or(|at| now.saturating_sub(at) >= INACTIVE_AFTER);
        silent && self.end_activity()
    }

    /// Notes that the stream went on with a packet that carries this payload, and that so many before it have not come.
    pub(crate) fn went_on(&mut self, now: Micros, sequence: u64, gap: u64, payload: &[u8]) {
        if self.muted {
            return;
        }
        if gap == 0 {
            self.loss.went_on(sequence);
            return;
        }
        // What the packet repeats need not be asked for.
        let repeated = u64::from(self.is_redundant() && red::last_repeated(payload).is_some());
        let asked = gap - repeated;
        if !self.nack || (asked > 0 && !self.loss.note_gap(now, sequence - repeated, asked)) {
            self.note_loss();
        }
    }

    /// Whether its packets repeat earlier ones (RFC 2198).
    fn is_redundant(&self) -> bool {
        self.codec.as_ref().is_some_and(|(codec, _)| codec.name.eq_ignore_ascii_case(red::NAME))
    }

    /// Notes that packets are lost for good: whoever watches needs a key frame.
    pub(crate) fn note_loss(&mut self) {
        if self.kind == MediaKind::Video && !self.subscribers.is_empty() {
            self.key_frames.want();
        }
    }

    /// The sender begins a new stream: what is known of the old one is no longer of use.
    pub(crate) fn restart(&mut self, now: Micros) {
        self.ring.clear();
        self.loss.clear();
        self.anchor = None;
        self.last_packet = None;
        self.last_sender_report = None;
        self.restarted_at = Some(now);
    }

    /// Whether repairs of the stream before may still come, whose numbers say nothing of the present one.
    pub(crate) fn has_just_restarted(&self, now: Micros) -> bool {
        self.restarted_at.is_some_and(|at| now.saturating_sub(at) < STRAGGLERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_sent_at_once_and_later_ones_once_a_second() {
        let mut requests = KeyFrameRequests::default();
        assert!(!requests.is_due(0));
        let mut sent = 0;
        for now in (0..3 * SECOND).step_by(10_000) {
            requests.want();
            sent += usize::from(requests.is_due(now));
        }
        assert_eq!(sent, 3);
    }

    #[test]
    fn a_new_receiver_does_not_wait_a_second() {
        let mut requests = KeyFrameRequests::default();
        requests.want_for_new_receiver();
        assert!(requests.is_due(0));
        requests.satisfied();
        assert!(!requests.is_due(10 * SECOND));
        requests.want_for_new_receiver();
        assert!(requests.is_due(10 * SECOND));
        requests.want_for_new_receiver();
        assert!(!requests.is_due(10 * SECOND + 200_000));
        assert!(!requests.is_due(10 * SECOND + 499_000));
        assert!(requests.is_due(10 * SECOND + 500_000), "asked again, since nothing came");
        requests.satisfied();
        requests.want_for_new_receiver();
        assert!(requests.is_due(10 * SECOND + 750_000));
    }

    fn track() -> Track {
        let mid = "0".into();
        let kind = MediaKind::Video;
        let spec = SendTrack {
            mid,
            kind,
            payload_types: vec![96],
            ssrcs: vec![],
            rtx_ssrcs: vec![],
            rids: vec![],
            nack: true,
            muted: false,
        };
        let key = Key { index: 0, generation: 0 };
        Track::new(0, key, key, &spec, "")
    }

    #[test]
    fn capture_times_follow_sender_reports_while_they_are_plausible() {
        let mut track = track();
        assert_eq!(track.captured(9_000, 5 * SECOND), 5 * SECOND);
        track.anchor = Some(TimestampAnchor { timestamp: 0, at: 4 * SECOND });
        assert_eq!(track.captured(81_000, 5 * SECOND), 4_900_000);
        assert_eq!(track.captured(180_000, 5 * SECOND), 5 * SECOND, "from the future");
        assert_eq!(track.captured(81_000, 50 * SECOND), 50 * SECOND, "far too old");
    }

    #[test]
    fn activity_is_told_once_each_way() {
        let mut track = track();
        assert!(track.note_arrival(0));
        assert!(!track.note_arrival(SECOND));
        assert!(!track.note_silence(2 * SECOND));
        assert!(track.note_silence(3 * SECOND));
        assert!(!track.note_silence(9 * SECOND));
        assert!(track.note_arrival(10 * SECOND));
    }
}
