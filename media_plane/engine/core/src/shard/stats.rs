//! A session's figures.

use super::Shard;
use crate::clock::Micros;
use crate::command::SessionKey;
use crate::slab::Key;
use crate::slot::Slot;
use crate::srtp::SrtpProfile;
use crate::stats::{SessionStats, SlotStats, TrackStats};

impl Shard {
    pub(super) fn session_stats(&self, now: Micros, key: SessionKey) -> Option<SessionStats> {
        let session = self.session_by_key(key)?;
        Some(SessionStats {
            state: session.state,
            srtp_profile: session.srtp.as_ref().map(|srtp| SrtpProfile::name(srtp.profile)),
            remote_address: session.path().map(|path| path.remote),
            round_trip_time_ms: session.measured_round_trip().map(|time| time.as_secs_f64() * 1_000.0),
            bandwidth: session.bandwidth.estimate(now),
            tracks: session.publications.iter().filter_map(|key| self.track_stats(*key)).collect(),
            slots: session.slots_in_use().map(|slot| self.slot_stats(slot)).collect(),
        })
    }

    fn track_stats(&self, key: Key) -> Option<TrackStats> {
        let publication = self.publications.get(key)?;
        let encodings = || publication.encodings.iter().filter_map(|key| self.tracks.get(*key));
        // What stands for a single stream is that of the encoding that arrived last.
        let latest = encodings().max_by_key(|encoding| encoding.last_arrival)?;
        Some(TrackStats {
            mid: publication.mid.to_string(),
            packets: encodings().map(|encoding| encoding.packets).sum(),
            bytes: encodings().map(|encoding| encoding.bytes).sum(),
            lost: encodings().map(|encoding| encoding.reception.lost()).sum(),
            jitter_ms: f64::from(latest.reception.jitter()) * 1_000.0 / f64::from(latest.clock_rate),
            codec: latest.codec.as_ref().map(|(codec, _)| codec.name.clone()),
            audio_level: latest.audio_level.map(|level| level.level),
        })
    }

    fn slot_stats(&self, slot: &Slot) -> SlotStats {
        SlotStats {
            mid: slot.mid.to_string(),
            source: slot.source.and_then(|track| self.track_name(track)),
            packets: slot.figures.packets,
            bytes: slot.figures.bytes,
            fraction_lost: f64::from(slot.figures.fraction_lost) / 256.0,
            nacks: slot.figures.nacks,
            key_frames_requested: slot.figures.key_frames_requested,
        }
    }
}
