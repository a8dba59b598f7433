//! Why a session's pictures look as they do.

use super::Shard;
use crate::allocation::{Limit, SUFFICIENT_PERCENT};
use crate::clock::Micros;
use crate::command::SessionKey;
use crate::explanation::{LayerReason, SessionExplanation, SlotExplanation, TrackExplanation, VideoLayer};
use crate::params::MediaKind;
use crate::publication::Publication;
use crate::session::Session;
use crate::slab::Key;
use crate::slot::Slot;
use crate::track::Track;

impl Shard {
    pub(super) fn explain(&self, now: Micros, key: SessionKey) -> Option<SessionExplanation> {
        let session = self.session_by_key(key)?;
        Some(SessionExplanation {
            transport: session.path().map(|path| path.transport),
            bandwidth: session.bandwidth.estimate(now),
            sent_bits_per_second: session.sent.rate(),
            wanted_bits_per_second: session.wanted,
            round_trip_time_ms: session.measured_round_trip().map(|time| time.as_secs_f64() * 1_000.0),
            sound_repeated: session.repeats_sound,
            slots: session.slots_in_use().map(|slot| self.explain_slot(session, slot)).collect(),
            tracks: session.publications.iter().filter_map(|key| self.explain_track(*key)).collect(),
        })
    }

    fn explain_slot(&self, session: &Session, slot: &Slot) -> SlotExplanation {
        let shown = slot.publication.and_then(|key| self.publications.get(key));
        let source = slot.source.filter(|_| slot.kind == MediaKind::Video).and_then(|key| self.tracks.get(key));
        let best = shown.and_then(|publication| self.best(publication));
        let (spatial, temporal) = slot.filter.present();
        SlotExplanation {
            mid: slot.mid.to_string(),
            kind: slot.kind,
            sent: source.map(|track| layer(track, spatial, temporal)),
            useful_height: shown.map_or(0, |publication| self.useful_height(publication, slot.max_height)),
            best: best.map(whole),
            reason: shown.map_or(LayerReason::None, |publication| self.reason(session, slot, publication)),
            max_height: slot.max_height,
            missing_bits_per_second: slot.share.missing,
            repair_wait: slot.repair_wait(),
        }
    }

    fn encodings<'a>(&'a self, publication: &'a Publication) -> impl Iterator<Item = (usize, &'a Track)> {
        publication.encodings.iter().enumerate().filter_map(|(place, key)| Some((place, self.tracks.get(*key)?)))
    }

    /// The largest encoding that comes, or would if it were asked for.
    fn best<'a>(&'a self, publication: &'a Publication) -> Option<&'a Track> {
        let there = self
            .encodings(publication)
            .filter(|(place, track)| track.active || (track.packets > 0 && !publication.demand.includes(*place)));
        there.map(|(_, track)| track).max_by_key(|track| track.height())
    }

    /// Height of the smallest encoding that suffices for the layout, else of the largest.
    fn useful_height(&self, publication: &Publication, max_height: u32) -> u16 {
        let heights = || self.encodings(publication).filter_map(|(_, track)| track.height());
        let enough = |height: &u16| max_height > 0 && u32::from(*height) * 100 >= max_height * SUFFICIENT_PERCENT;
        heights().filter(enough).min().or(heights().max()).unwrap_or(0)
    }

    fn reason(&self, session: &Session, slot: &Slot, publication: &Publication) -> LayerReason {
        let comes = self.encodings(publication).any(|(_, track)| track.active);
        if publication.muted || !comes {
            return LayerReason::Sender;
        }
        if !self.is_understood(session, publication) {
            return LayerReason::Codec;
        }
        let height = |key: Option<Key>| key.and_then(|key| self.tracks.get(key)).map(Track::height);
        let grows = slot.target.is_some() && height(slot.target) > height(slot.source);
        let desired = slot.share.desired.and_then(|key| self.tracks.get(key));
        let called = desired.is_some_and(|track| track.expected && !track.active);
        match slot.share.limit {
            _ if grows || called || slot.filter.wants_more() => LayerReason::Switching,
            Limit::Best => LayerReason::Best,
            Limit::Viewport => LayerReason::Viewport,
            Limit::Bandwidth => LayerReason::Bandwidth,
            Limit::Sender => LayerReason::Sender,
            Limit::Steadiness => LayerReason::Policy,
        }
    }

    fn explain_track(&self, key: Key) -> Option<TrackExplanation> {
        let publication = self.publications.get(key)?;
        let mut active: Vec<_> = self.encodings(publication).filter(|(_, track)| track.active).collect();
        active.sort_by_key(|(_, track)| track.height());
        let wanted = self.encodings(publication).filter(|(place, _)| publication.demand.includes(*place));
        let codec = self.encodings(publication).find_map(|(_, track)| track.codec.as_ref());
        let lost = active.iter().map(|(_, track)| track.fraction_lost).max().unwrap_or_default();
        Some(TrackExplanation {
            mid: publication.mid.to_string(),
            encodings: active.into_iter().map(|(_, track)| whole(track)).collect(),
            wanted: wanted.map(|(_, track)| track.rid.to_string()).filter(|rid| !rid.is_empty()).collect(),
            fraction_lost: f64::from(lost) / 256.0,
            codec: codec.map(|(codec, _)| codec.name.clone()).unwrap_or_default(),
        })
    }
}

/// All layers of an encoding.
fn whole(track: &Track) -> VideoLayer {
    layer(track, u8::MAX, u8::MAX)
}

/// An encoding up to a layer; more layers than it has stand for all of them.
fn layer(track: &Track, spatial: u8, temporal: u8) -> VideoLayer {
    let (top_spatial, top_temporal) = track.rates.top();
    let (spatial, temporal) = (spatial.min(top_spatial), temporal.min(top_temporal));
    let rate = track.rates.rate(spatial, temporal);
    let (width, height) = track.sizes[usize::from(spatial)];
    VideoLayer {
        rid: track.rid.to_string(),
        spatial,
        temporal,
        width,
        height,
        frames_per_second: f64::from(rate.millifps) / 1_000.0,
        bits_per_second: rate.bits_per_second,
    }
}
