//! A place in a client's layout: one outgoing stream that carries one source at a time.

use std::sync::Arc;

use crate::allocation::{Ceiling, Limit};
use crate::clock::{MILLISECOND, Micros, SECOND};
use crate::format::Format;
use crate::layer_filter::{LayerFilter, Verdict};
use crate::munger::{Munger, Outgoing};
use crate::params::{MediaKind, SlotSpec};
use crate::publication::Need;
use crate::repair_wait::{RepairWait, ToldWait};
use crate::ring::PacketInfo;
use crate::slab::Key;
use crate::srtp::OutboundStream;
use crate::wire::extension::PlayoutDelay;

/// A slot that waits longer for the key frame of its next source stops showing the previous one.
const MAX_WAIT: Micros = 3 * SECOND;
/// Retransmissions remembered: as many as a track's ring holds packets, so that none is forgotten while it can be asked for.
const RESENT: usize = 1_024;
/// How often one packet is sent again, which bounds what a receiver can make the node send by asking: as often as libwebrtc's receivers ask
/// (`kMaxNackRetries`). One that they wait for in vain is missed for three seconds, until they ask for a key frame.
const MAX_RESENDS: u8 = 10;

/// More packets than a stream sends between two reports.
const MOST_REPORTED: u32 = 1 << 16;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Not for this slot, or not yet.
    Skip,
    /// Sent.
    Forward(Outgoing),
    /// An empty packet is sent in its place, so that the receiver does not wait for it.
    Fill(Outgoing),
    /// Not sent, since so many before it have not been that its source has to start afresh.
    Leap,
    /// Sent, and the first of its source in the slot, or the first after a pause.
    Start(Outgoing, Started),
}

/// What has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// The source that was in the slot already.
    Again,
    /// A new one; the previous one is no longer needed, nor is the stopgap until it.
    New { previous: Option<Key>, abandoned: Option<Key> },
}

/// How often a packet was sent again, and when last.
#[derive(Debug, Clone, Copy, Default)]
struct Resent {
    sequence: u16,
    times: u8,
    /// Milliseconds, which wrap after 49 days: by then the packet is long gone.
    at: u32,
}

/// What a receiver's reports and requests said of a slot.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SlotFigures {
    pub packets: u64,
    /// Bytes of RTP packets.
    pub bytes: u64,
    /// Bytes of RTP payload, as a sender report counts them.
    pub octets: u64,
    pub fraction_lost: u8,
    pub nacks: u64,
    pub key_frames_requested: u64,
}

/// What the allocation of bandwidth last gave a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// Height and temporal layer; None: nothing.
    pub rank: Option<(u16, u8)>,
    pub ceiling: Option<Ceiling>,
    /// The encoding that would be sent if the sender sent all it can.
    pub desired: Option<Key>,
    /// Whether the layout could use higher pictures than are known of.
    pub wants_more: bool,
    pub limit: Limit,
    pub missing: u64,
}

/// A slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub mid: Arc<str>,
    pub kind: MediaKind,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub munger: Munger,
    /// What a video slot shows as soon as it can, whichever encoding of it.
    pub publication: Option<Key>,
    /// Since when.
    pub shown_since: Micros,
    /// The height at which it is shown, 0: any, and its rank when bandwidth is short.
    pub max_height: u32,
    pub priority: i32,
    /// What it was given last.
    pub share: Share,
    /// What it was last counted with, and among the needs of which publication.
    pub counted: Option<(Key, Need)>,
    /// The encoding that the slot carries.
    pub source: Option<Key>,
    /// The encoding it will carry from its next key frame on.
    pub target: Option<Key>,
    /// A smaller encoding of the same pictures that will do until the target's key frame has come.
    pub stopgap: Option<Key>,
    target_since: Micros,
    /// Layers of the source that are sent.
    pub filter: LayerFilter,
    /// And of the target once it is the source.
    pub next_filter: LayerFilter,
    /// The source before, and what was sent of it.
    left: Option<(Key, LayerFilter)>,
    /// The source must start afresh: with a key frame, if it is video.
    waiting: bool,
    pub stream: OutboundStream,
    pub rtx_stream: OutboundStream,
    pub rtx_sequence: u16,
    /// Empty until the first request.
    resent: Vec<Resent>,
    pub figures: SlotFigures,
    /// The highest sequence number that the receiver has reported.
    reported: Option<u32>,
    told_wait: ToldWait,
}

impl Slot {
    /// An empty slot; `random` gives the numbers its stream starts with.
    pub(crate) fn new(spec: &SlotSpec, random: u64) -> Self {
        // Below 2^15, so that the receiver cannot guess a wrong rollover counter (RFC 3711 section 3.3.1).
        let [sequence, rtx_sequence] = [random as u16 & 0x7fff, (random >> 16) as u16 & 0x7fff];
        let timestamp = (random >> 32) as u32;
        // Pictures are repeated under their own numbers where there is no RTX, sound never.
        let repeats = spec.kind == MediaKind::Video && spec.rtx_ssrc.is_none();
        let (clock_rate, step) = match spec.kind {
            MediaKind::Audio => (48_000, 960),
            MediaKind::Video => (90_000, 3_000),
        };
        Self {
            mid: Arc::clone(&spec.mid),
            kind: spec.kind,
            ssrc: spec.ssrc,
            rtx_ssrc: spec.rtx_ssrc,
            munger: Munger::new(sequence, timestamp, clock_rate, step),
            publication: None,
            shown_since: 0,
            max_height: 0,
            priority: 0,
            share: Share::default(),
            counted: None,
            source: None,
            target: None,
            stopgap: None,
            target_since: 0,
            filter: LayerFilter::default(),
            next_filter: LayerFilter::default(),
            left: None,
            waiting: false,
            stream: if repeats { OutboundStream::repeating() } else { OutboundStream::default() },
            rtx_stream: OutboundStream::default(),
            rtx_sequence,
            resent: Vec::new(),
            figures: SlotFigures::default(),
            reported: None,
            told_wait: ToldWait::default(),
        }
    }

    /// A place that no m-line has: nothing ever comes into it.
    pub(crate) fn vacant() -> Self {
        Self::new(&SlotSpec { mid: "".into(), kind: MediaKind::Video, ssrc: 0, rtx_ssrc: None }, 0)
    }

    /// Whether no m-line has its place.
    pub(crate) fn is_vacant(&self) -> bool {
        self.mid.is_empty()
    }

    /// Sets the next source of a video slot; it takes over with its key frame.
    pub(crate) fn aim(&mut self, now: Micros, target: Key) {
        self.target = Some(target);
        self.target_since = now;
    }

    /// Gives the slot to a source at once (audio), or empties it.
    pub(crate) fn assign(&mut self, source: Option<Key>) {
        self.source = source;
        self.waiting = true;
    }

    /// Makes the current source start afresh, because packets of it are missing on purpose.
    pub(crate) fn resynchronize(&mut self) {
        self.waiting = true;
    }

    /// Whether a key frame of this source would start it in the slot.
    pub(crate) fn needs_key_frame_of(&self, track: Key) -> bool {
        let awaited = self.target == Some(track) || self.stopgap == Some(track);
        self.kind == MediaKind::Video && (awaited || (self.source == Some(track) && self.waiting))
    }

    /// Whether the key frame of the next source keeps the slot waiting for too long.
    pub(crate) fn has_waited_too_long(&self, now: Micros) -> bool {
        self.target.is_some() && now.saturating_sub(self.target_since) >= MAX_WAIT
    }

    /// Whether what the slot shall show now has kept it waiting for too long to go on with what it showed before.
    pub(crate) fn has_shown_too_long(&self, now: Micros) -> bool {
        self.source.is_some() && now.saturating_sub(self.shown_since) >= MAX_WAIT
    }

    /// Decides about a packet of a track; `find` looks up the format when it is not the one of the previous packet.
    pub(crate) fn accept(
        &mut self,
        track: Key,
        info: &PacketInfo,
        captured: Micros,
        find: impl FnOnce() -> Option<Format>,
    ) -> Decision {
        let hits = self.target == Some(track);
        let switches = hits || self.stopgap == Some(track);
        if !switches && self.source != Some(track) {
            return Decision::Skip;
        }
        let starts = switches || self.waiting;
        if starts && self.kind == MediaKind::Video && !info.picture.starts_key_frame {
            return Decision::Skip;
        }
        if starts {
            let Some(format) = find() else { return Decision::Skip };
            self.munger.switch(track, format, info, captured);
            self.waiting = false;
            if switches {
                self.left = self.source.map(|source| (source, self.filter));
                self.filter = if hits { self.next_filter } else { LayerFilter::default() };
            }
        } else if self.munger.current().is_none_or(|segment| segment.format.incoming != info.payload_type) {
            let Some(format) = find() else { return Decision::Skip };
            self.munger.change_format(format);
        }
        let ends_picture = match self.filter.decide(info) {
            Verdict::Keep { ends_picture } => ends_picture,
            Verdict::Drop { is_new_frame } => {
                self.munger.drop_packet(info, is_new_frame);
                return Decision::Skip;
            }
            Verdict::Fill => return self.munger.fill(info, captured).map_or(Decision::Skip, Decision::Fill),
        };
        let Some(mut outgoing) = self.munger.forward(info, captured) else { return self.pass_over(info) };
        outgoing.marker |= ends_picture;
        if switches {
            if hits {
                self.target = None;
            }
            let abandoned = self.stopgap.take().filter(|stopgap| *stopgap != track);
            let previous = self.source.replace(track);
            return Decision::Start(outgoing, Started::New { previous, abandoned });
        }
        if starts { Decision::Start(outgoing, Started::Again) } else { Decision::Forward(outgoing) }
    }

    #[cold]
    fn pass_over(&mut self, info: &PacketInfo) -> Decision {
        if !self.munger.leaps_to(info) {
            return Decision::Skip;
        }
        self.resynchronize();
        Decision::Leap
    }

    /// What was sent of a source, as far as is remembered.
    fn filter_of(&self, source: Key) -> Option<&LayerFilter> {
        let left = || self.left.as_ref().filter(|(left, _)| *left == source).map(|(_, filter)| filter);
        if self.source == Some(source) { Some(&self.filter) } else { left() }
    }

    /// Whether a packet of a source that the slot carries or has carried was left out.
    pub(crate) fn has_left_out(&self, source: Key, info: &PacketInfo) -> bool {
        // Of what is longer ago than is remembered nothing depends on the higher layers.
        self.filter_of(source).map_or(info.picture.layer.temporal > 0, |filter| filter.leaves_out(info))
    }

    /// Whether a packet of such a source ended a picture.
    pub(crate) fn ends_picture(&self, source: Key, info: &PacketInfo) -> bool {
        self.filter_of(source).map_or(info.marker, |filter| filter.ends_picture(info))
    }

    /// How long the receiver shall wait for repairs, in each packet once it has been told to wait; the ways are the source's and its own.
    pub(crate) fn playout_delay(
        &mut self,
        now: Micros,
        sender: RepairWait,
        receiver: RepairWait,
    ) -> Option<PlayoutDelay> {
        if self.kind == MediaKind::Audio || !self.may_vary() {
            return None;
        }
        self.told_wait.follow(now, sender.with(receiver))
    }

    /// How long the receiver has been told to wait.
    pub(crate) fn repair_wait(&self) -> Micros {
        self.told_wait.delay()
    }

    /// How many packets the receiver has come on since its last report of this slot.
    pub(crate) fn note_reported(&mut self, highest: u32) -> u32 {
        let before = self.reported.replace(highest).unwrap_or(highest);
        let expected = highest.wrapping_sub(before);
        // A report that was overtaken by a later one, or nonsense.
        if expected > MOST_REPORTED { 0 } else { expected }
    }

    /// Whether a packet may carry what differs between sendings (send time, transport-wide number).
    ///
    /// A video packet is sent again either as RTX, under a number of its own, or bit by bit as before: under AES-GCM two
    /// different packets of one number would reveal the authentication key.
    pub(crate) fn may_vary(&self) -> bool {
        self.kind == MediaKind::Audio || self.rtx_ssrc.is_some()
    }

    /// Whether a packet may be sent again, which then counts as done: not within a round trip of the last time, and not for
    /// ever.
    pub(crate) fn may_resend(&mut self, now: Micros, sequence: u16, round_trip: Micros) -> bool {
        if self.kind == MediaKind::Audio {
            return false;
        }
        if self.resent.is_empty() {
            self.resent.resize(RESENT, Resent::default());
        }
        let place = &mut self.resent[usize::from(sequence) % RESENT];
        if place.sequence != sequence {
            *place = Resent { sequence, ..Resent::default() };
        }
        let at = (now / MILLISECOND) as u32;
        let elapsed = Micros::from(at.wrapping_sub(place.at)) * MILLISECOND;
        if place.times >= MAX_RESENDS || (place.times > 0 && elapsed < round_trip) {
            return false;
        }
        *place = Resent { sequence, times: place.times + 1, at };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Redundancy;
    use crate::picture::Picture;

    const A: Key = Key { index: 0, generation: 0 };
    const B: Key = Key { index: 1, generation: 0 };

    fn slot(kind: MediaKind) -> Slot {
        Slot::new(&SlotSpec { mid: "0".into(), kind, ssrc: 1, rtx_ssrc: None }, 0)
    }

    fn packet(sequence: u64, starts_key_frame: bool) -> PacketInfo {
        PacketInfo { sequence, picture: Picture { starts_key_frame, ..Picture::default() }, ..PacketInfo::default() }
    }

    const FORMAT: Format = Format { incoming: 0, outgoing: 96, rtx: None, redundancy: Redundancy::None };

    fn accept(slot: &mut Slot, track: Key, info: PacketInfo) -> Decision {
        slot.accept(track, &info, 0, || Some(FORMAT))
    }

    #[test]
    fn the_old_source_stays_until_the_key_frame_of_the_new_one() {
        let mut slot = slot(MediaKind::Video);
        slot.aim(0, A);
        assert_eq!(accept(&mut slot, A, packet(1, false)), Decision::Skip);
        assert!(matches!(
            accept(&mut slot, A, packet(2, true)),
            Decision::Start(_, Started::New { previous: None, abandoned: None })
        ));
        slot.aim(0, B);
        assert!(matches!(accept(&mut slot, A, packet(3, false)), Decision::Forward(_)));
        assert_eq!(accept(&mut slot, B, packet(80, false)), Decision::Skip);
        let Decision::Start(outgoing, started) = accept(&mut slot, B, packet(81, true)) else { panic!() };
        assert_eq!(started, Started::New { previous: Some(A), abandoned: None });
        assert_eq!(outgoing.sequence, 3);
        assert_eq!(accept(&mut slot, A, packet(4, false)), Decision::Skip);
    }

    #[test]
    fn after_a_pause_video_starts_with_a_key_frame_and_audio_at_once() {
        let mut video = slot(MediaKind::Video);
        video.aim(0, A);
        accept(&mut video, A, packet(1, true));
        video.resynchronize();
        assert!(video.needs_key_frame_of(A));
        assert_eq!(accept(&mut video, A, packet(50, false)), Decision::Skip);
        assert!(
            matches!(accept(&mut video, A, packet(51, true)), Decision::Start(out, Started::Again) if out.sequence == 2)
        );

        let mut audio = slot(MediaKind::Audio);
        audio.assign(Some(A));
        assert!(matches!(accept(&mut audio, A, packet(7, false)), Decision::Start(out, _) if out.sequence == 1));
    }

    #[test]
    fn a_format_the_receiver_lacks_is_not_forwarded() {
        let mut slot = slot(MediaKind::Audio);
        slot.assign(Some(A));
        assert_eq!(slot.accept(A, &packet(1, false), 0, || None), Decision::Skip);
        assert!(matches!(accept(&mut slot, A, packet(2, false)), Decision::Start(..)));
    }

    #[test]
    fn a_packet_is_sent_again_once_a_round_trip_and_ten_times_in_all() {
        let mut slot = slot(MediaKind::Video);
        assert!(slot.may_resend(0, 5, 50_000));
        assert!(!slot.may_resend(49_000, 5, 50_000));
        assert!(slot.may_resend(50_000, 5, 50_000));
        let again = (1..100).filter(|second| slot.may_resend(second * SECOND, 5, 50_000)).count();
        assert_eq!(again, 8);
        assert!(slot.may_resend(100 * SECOND, 5 + RESENT as u16, 50_000), "another packet in its place");
        assert!(!self::slot(MediaKind::Audio).may_resend(0, 5, 0), "audio is not sent again");
    }
}
