//! Sending a track: what, how often and with which numbers.

use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpWrite};

use crate::payload::{self, Mark, Vp8Frame};
use crate::protocol::{Kind, Pacing, Publish};
use crate::sys::now_unix_nano;

const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const AUDIO_TICKS: u32 = 960;
const AUDIO_CLOCK: f64 = 48_000.0;
const VIDEO_CLOCK: f64 = 90_000.0;
const DEFAULT_FRAMES_PER_SECOND: f64 = 30.0;
const DEFAULT_PACKETS_PER_FRAME: usize = 6;
const DEFAULT_VIDEO_BYTES: usize = 1150;
const DEFAULT_AUDIO_BYTES: usize = 80;
const DEFAULT_LEVEL: u8 = 60;
/// Frames a second, far beyond any camera: enough to keep a core of the node busy for one receiver.
const MAX_RATE: f64 = 100_000.0;
/// A level at least this loud counts as voice unless the operation says otherwise.
const VOICE_LEVEL: u8 = 70;
/// Behind by more than this, frames are left out instead of sent in a burst.
const MAX_LAG: Duration = Duration::from_millis(500);
/// Steps of this size (the golden ratio's fraction) spread any number of publishers evenly over an interval: cameras of
/// different people take their pictures at different moments.
const PHASE_STEP: f64 = 0.618_033_988_749_895;

enum Content {
    Audio { bytes: usize },
    Synthetic { packets: usize, bytes: usize, pacing: Pacing },
    File { frames: Vec<Vec<u8>>, next: usize, bytes: usize },
}

impl Content {
    fn new(operation: &Publish) -> Result<Self, String> {
        if operation.kind == Kind::Audio {
            return Ok(Self::Audio { bytes: operation.packet_bytes.unwrap_or(DEFAULT_AUDIO_BYTES) });
        }
        let bytes = operation.packet_bytes.unwrap_or(DEFAULT_VIDEO_BYTES);
        if let Some(path) = &operation.ivf {
            return Ok(Self::File { frames: payload::read_ivf(path)?, next: 0, bytes });
        }
        let packets = operation.packets_per_frame.unwrap_or(DEFAULT_PACKETS_PER_FRAME).max(1);
        Ok(Self::Synthetic { packets, bytes, pacing: operation.pacing })
    }

    /// In how many parts a frame leaves.
    fn parts(&self) -> usize {
        match *self {
            Self::Synthetic { packets, pacing: Pacing::Even, .. } => packets,
            _ => 1,
        }
    }
}

/// Sends one track of a client.
pub(crate) struct Publisher {
    pub(crate) mid: Mid,
    pub(crate) kind: Kind,
    pub(crate) sent_packets: u64,
    pub(crate) key_frame_requests: u64,
    number: u32,
    payload_type: Pt,
    content: Content,
    interval: Duration,
    ticks: u32,
    next: Instant,
    sequence_number: u64,
    timestamp: u32,
    frame: u32,
    /// The part of a frame that leaves next.
    part: usize,
    key_frame: bool,
    key_frame_wanted: bool,
    vp8: Vp8Frame,
    level: u8,
    voice: Option<bool>,
}

impl Publisher {
    pub(crate) fn new(
        operation: &Publish,
        mid: Mid,
        payload_type: Pt,
        number: u32,
        now: Instant,
    ) -> Result<Self, String> {
        let mut publisher = Self {
            mid,
            kind: operation.kind,
            sent_packets: 0,
            key_frame_requests: 0,
            number,
            payload_type,
            content: Content::new(operation)?,
            interval: AUDIO_INTERVAL,
            ticks: AUDIO_TICKS,
            next: now,
            sequence_number: 1000,
            timestamp: 0,
            frame: 0,
            part: 0,
            key_frame: false,
            key_frame_wanted: true,
            vp8: Vp8Frame { picture_id: 100, tl0_picture_index: 0, key_index: 0 },
            level: DEFAULT_LEVEL,
            voice: None,
        };
        publisher.set_rate(operation)?;
        publisher.next = now + publisher.interval.mul_f64((f64::from(number) * PHASE_STEP).fract());
        publisher.set_level(operation.level.unwrap_or(DEFAULT_LEVEL), operation.voice);
        Ok(publisher)
    }

    /// Changes what is sent; numbers go on.
    pub(crate) fn change(&mut self, operation: &Publish) -> Result<(), String> {
        self.content = Content::new(operation)?;
        self.part = 0;
        self.key_frame_wanted = true;
        self.set_rate(operation)?;
        self.set_level(operation.level.unwrap_or(self.level), operation.voice);
        Ok(())
    }

    fn set_rate(&mut self, operation: &Publish) -> Result<(), String> {
        let Some(rate) =
            operation.frames_per_second.or((self.kind == Kind::Video).then_some(DEFAULT_FRAMES_PER_SECOND))
        else {
            return Ok(());
        };
        if !(0.1..=MAX_RATE).contains(&rate) {
            return Err(format!("frames_per_second {rate} is not between 0.1 and {MAX_RATE}"));
        }
        self.interval = Duration::from_secs_f64(1.0 / rate);
        #[expect(clippy::cast_sign_loss, reason = "the rate is positive")]
        let ticks = (if self.kind == Kind::Audio { AUDIO_CLOCK } else { VIDEO_CLOCK } / rate).ceil() as u32;
        self.ticks = ticks;
        Ok(())
    }

    /// Sets what the audio-level extension states.
    pub(crate) fn set_level(&mut self, level: u8, voice: Option<bool>) {
        self.level = level.min(127);
        self.voice = voice;
    }

    /// The receiver wants a key frame: the next frame is one.
    pub(crate) fn request_key_frame(&mut self) {
        self.key_frame_requests += 1;
        self.key_frame_wanted = true;
    }

    /// When the next frame, or part of one, is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// Queues what is due; the caller then gives the client time. Does nothing before it is due.
    pub(crate) fn send_due(&mut self, rtc: &mut Rtc, now: Instant) {
        if now < self.next {
            return;
        }
        let parts = self.content.parts();
        self.next = following(self.next, self.interval / parts as u32, now);
        if self.part == 0 {
            self.begin_frame();
        }
        let payloads = self.next_payloads();
        self.part = (self.part + 1) % parts;
        let is_audio = self.kind == Kind::Audio;
        let last = if self.part == 0 { payloads.len().wrapping_sub(1) } else { usize::MAX };
        let mut direct = rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(self.mid, None) else {
            return;
        };
        for (index, payload) in payloads.into_iter().enumerate() {
            let values = self.extension_values();
            let marker = index == last && !is_audio;
            let packet = RtpWrite::new(self.payload_type, self.sequence_number.into(), self.timestamp, now, payload)
                .marker(marker)
                .ext_vals(values)
                .nackable(!is_audio);
            stream.write_rtp(packet);
            self.sequence_number += 1;
            self.sent_packets += 1;
        }
    }

    fn begin_frame(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.ticks);
        self.frame = self.frame.wrapping_add(1);
        self.key_frame = std::mem::take(&mut self.key_frame_wanted);
        self.vp8.picture_id = (self.vp8.picture_id + 1) & 0x7fff;
        self.vp8.tl0_picture_index = self.vp8.tl0_picture_index.wrapping_add(1);
        if self.key_frame {
            self.vp8.key_index = self.vp8.key_index.wrapping_add(1) & 0x1f;
        }
    }

    fn extension_values(&self) -> ExtensionValues {
        let mut values = ExtensionValues::default();
        if self.kind == Kind::Audio {
            values.audio_level = Some(-self.level.cast_signed());
            values.voice_activity = Some(self.voice.unwrap_or(self.level <= VOICE_LEVEL));
        }
        values
    }

    fn next_payloads(&mut self) -> Vec<Vec<u8>> {
        let mut mark = Mark {
            publisher: self.number,
            frame: self.frame,
            sent_unix_nano: now_unix_nano(),
            every_packet: !matches!(self.content, Content::File { .. }),
        };
        let (vp8, key_frame, part) = (self.vp8, self.key_frame, self.part);
        match &mut self.content {
            Content::Audio { bytes } => vec![payload::opus(*bytes, mark)],
            Content::Synthetic { packets, bytes, pacing } => {
                let indices = if *pacing == Pacing::Even { part..part + 1 } else { 0..*packets };
                let packet = |index| {
                    mark.sent_unix_nano = now_unix_nano();
                    payload::synthetic_vp8(*bytes, vp8, index == 0, key_frame, mark)
                };
                indices.map(packet).collect()
            }
            Content::File { frames, next, bytes } => {
                // Only the first frame is certain to be a key frame; going back to it is a jump in the picture, as a scene
                // change is.
                let index = if key_frame { 0 } else { *next };
                *next = (index + 1) % frames.len();
                payload::vp8_packets(*bytes, vp8, &frames[index], mark)
            }
        }
    }
}

/// The moment after this one, in steps. Too far behind, some are left out, but it stays in step: publishers that all fall behind
/// must not send at the same moments from then on.
fn following(moment: Instant, step: Duration, now: Instant) -> Instant {
    let next = moment + step;
    if next + MAX_LAG >= now {
        return next;
    }
    let left_out = (now - next).as_nanos() / step.as_nanos();
    next + step * left_out as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_falls_behind_stays_in_step() {
        let (step, begin) = (Duration::from_millis(20), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(following(begin, step, at(1)), at(20));
        assert_eq!(following(begin, step, at(520)), at(20), "sent late");
        assert_eq!(following(begin, step, at(1_013)), at(1_000), "left out");
    }
}
