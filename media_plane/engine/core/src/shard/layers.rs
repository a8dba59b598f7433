//! Which layer each video slot gets, and which encodings their senders need not send.

use std::collections::VecDeque;

use super::Shard;
use crate::allocation::{
    Ceiling, Demand, Ladder, LayerId, Limit, Offered, SUFFICIENT_PERCENT, Step, UNMEASURED_BITS_PER_PIXEL, allocate,
    temporal_steps,
};
use crate::bandwidth::PACKET_OVERHEAD;
use crate::clock::{MILLISECOND, Micros};
use crate::layer_filter::LayerFilter;
use crate::outbox::Transmit;
use crate::params::MediaKind;
use crate::payload::red::MAX_REPEATED;
use crate::picture::MAX_LAYERS;
use crate::publication::Publication;
use crate::rate::Rate;
use crate::slab::{Key, Slab};
use crate::slot::Share;
use crate::track::{Subscriber, Track};

/// Time between two divisions of a session's bandwidth, besides those that something calls for at once.
const ALLOCATION_INTERVAL: Micros = 200 * MILLISECOND;

/// How much of the room that repeated sound takes there has to be before it begins, in percent.
const BEGIN_REPETITION_PERCENT: u64 = 150;

/// Changes, and sessions waiting for their turn, for which there is room from the beginning.
const ROOM: usize = 64;

/// What an allocation works with. Nothing here is freed, so nothing is allocated again.
#[derive(Debug, Default)]
pub(super) struct Layers {
    demands: Vec<Demand>,
    /// Publications whose encodings have come or gone since the last look.
    pub(super) changed: Vec<Key>,
    /// Sessions that are to be looked at again because of that.
    pub(super) waiting: VecDeque<u32>,
}

impl Layers {
    /// Room for what usually comes, so that no allocation falls into the first busy moments.
    pub(super) fn with_room() -> Self {
        Self { changed: Vec::with_capacity(ROOM), waiting: VecDeque::with_capacity(ROOM), ..Self::default() }
    }

    /// Whether a session waits to be looked at.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Shard {
    /// Does what is due for a session's layers.
    pub(super) fn tick_layers(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        let Some(session) = self.session_mut(index) else { return };
        let lacks = session.bandwidth.budget(now).is_some_and(|budget| budget < session.allocated);
        if now < session.next_allocation && !lacks {
            return;
        }
        session.next_allocation = now + ALLOCATION_INTERVAL;
        let overhead = PACKET_OVERHEAD as u64;
        let sent = session.slots.iter().map(|slot| slot.figures.bytes + slot.figures.packets * overhead).sum();
        session.sent.note(now, sent);
        let publications = session.publications.len();
        self.decide_repetition(now, index);
        self.allocate_layers(now, index, network);
        for place in 0..publications {
            let key = self.session(index).and_then(|session| session.publications.get(place).copied());
            if let Some(key) = key {
                self.tell_wanted(now, key);
            }
        }
    }

    /// Divides what a session can receive among its video slots.
    pub(super) fn allocate_layers(&mut self, now: Micros, index: u32, network: &mut dyn Transmit) {
        self.counters.layer_allocations += 1;
        let mut demands = std::mem::take(&mut self.layers.demands);
        let audio = self.audio_rate(index);
        let budget = self.session(index).and_then(|session| session.bandwidth.budget(now));
        let budget = budget.map(|budget| budget.saturating_sub(audio));
        self.drop_what_is_not_understood(now, index);
        self.renew_offers(now, index);
        self.gather_demands(now, index, budget, &mut demands);
        if !demands.is_empty() {
            allocate(budget, &mut demands);
            for demand in &demands {
                self.give(now, Subscriber { session: index, slot: demand.slot }, demand, network);
            }
            self.note_bandwidth(index, audio, &demands);
            self.note_desired(now, index, budget, &mut demands);
        }
        self.count_needs(index);
        for demand in &demands {
            let receiver = Subscriber { session: index, slot: demand.slot };
            if let Some(key) = self.slot(receiver).and_then(|slot| slot.publication) {
                self.tell_wanted(now, key);
            }
        }
        demands.clear();
        self.layers.demands = demands;
    }

    /// Finds out what everything that a session's slots show offers. That is the same for all who look at it at the same time.
    fn renew_offers(&mut self, now: Micros, index: u32) {
        let Some(session) = self.sessions.get(index as usize).and_then(Option::as_deref) else { return };
        for key in session.slots.iter().filter_map(|slot| slot.publication) {
            let Some(publication) = self.publications.get_mut(key) else { continue };
            if publication.offer.as_ref().is_none_or(|(at, _)| *at != now) {
                let ladder = Ladder::of(offered(now, publication, &self.tracks));
                publication.offer = Some((now, ladder));
            }
        }
    }

    /// Writes what the video slots of a session want, for which there is a budget.
    fn gather_demands(&self, now: Micros, index: u32, budget: Option<u64>, demands: &mut Vec<Demand>) {
        let Some(session) = self.session(index) else { return };
        let mut least = i32::MAX;
        for (place, slot) in session.slots_of(MediaKind::Video) {
            let shown = slot.publication.and_then(|key| self.publications.get(key));
            let shown = shown.filter(|publication| !publication.muted && self.is_understood(session, publication));
            let Some(publication) = shown else { continue };
            let Some((_, offer)) = &publication.offer else { continue };
            let carried = slot.source.and_then(|source| publication.place_of(source));
            least = least.min(slot.priority);
            demands.push(Demand {
                slot: place as u16,
                priority: slot.priority,
                on_stage: false,
                ladder: offer.clone().fit(slot.max_height, carried),
                present: slot.share.rank,
                ceiling: slot.share.ceiling.and_then(|ceiling| ceiling.rank(now, budget)),
                chosen: None,
                limit: Limit::Best,
                missing: 0,
            });
        }
        let most = demands.iter().map(|demand| demand.priority).max().unwrap_or_default();
        for demand in demands {
            demand.on_stage = demand.priority == most && most > least;
        }
    }

    /// What the voices that a session hears take, in bits a second: they come before every picture.
    fn audio_rate(&self, index: u32) -> u64 {
        let Some(session) = self.session(index) else { return 0 };
        let sources = session.slots_of(MediaKind::Audio).filter_map(|(_, slot)| self.tracks.get(slot.source?));
        sources.map(|track| track.rates.total().bits_per_second).sum()
    }

    /// Tells the congestion control what is sent and what would be if there were room.
    fn note_bandwidth(&mut self, index: u32, audio: u64, demands: &[Demand]) {
        let wanted: u64 =
            demands.iter().filter_map(|demand| demand.ladder.steps().last()).map(|step| step.bits_per_second).sum();
        let Some(session) = self.session_mut(index) else { return };
        session.allocated = audio + demands.iter().map(Demand::cost).sum::<u64>();
        session.wanted = audio + wanted;
        session.bandwidth.set_wanted(audio + wanted + session.repetition);
    }

    /// Whether sound is repeated more often: where the way loses much, and has room for it besides the pictures.
    fn decide_repetition(&mut self, now: Micros, index: u32) {
        let audio = self.audio_rate(index);
        let Some(session) = self.session_mut(index) else { return };
        let cost = if session.receiver_wait.is_lossy() { audio * MAX_REPEATED as u64 } else { 0 };
        let needed = if session.repeats_sound { cost } else { cost * BEGIN_REPETITION_PERCENT / 100 };
        let fits = session.bandwidth.budget(now).is_none_or(|budget| budget >= session.allocated + needed);
        session.repeats_sound = cost > 0 && fits;
        session.repetition = needed;
    }

    /// Gives a slot its share.
    fn give(&mut self, now: Micros, receiver: Subscriber, demand: &Demand, network: &mut dyn Transmit) {
        let Some(slot) = self.slot(receiver) else { return };
        let Some(publication) = slot.publication.and_then(|key| self.publications.get(key)) else { return };
        let encoding = |layer: LayerId| publication.encodings.get(usize::from(layer.encoding)).copied();
        let chosen = demand.chosen.map(|place| demand.ladder.steps()[place]);
        let target = chosen.and_then(|step| encoding(step.layer));
        let lowest = demand.ladder.lowest_usable().and_then(|step| encoding(step.layer));
        let shows = |key: Key| publication.encodings.contains(&key);
        let is_blank = !slot.source.is_some_and(shows);
        let Some(slot) = self.slot_mut(receiver) else { return };
        let rank = chosen.as_ref().map(Step::rank);
        slot.share = Share { rank, limit: demand.limit, missing: demand.missing, ..slot.share };
        let (Some(target), Some(step)) = (target, chosen) else {
            self.cancel_wait(receiver);
            if !is_blank && demand.limit == Limit::Bandwidth {
                self.drop_source(now, receiver);
            }
            return;
        };
        self.steer(now, receiver, target, step.layer, network);
        if let Some(lowest) = lowest.filter(|lowest| is_blank && *lowest != target) {
            self.await_stopgap(now, receiver, lowest, network);
        }
    }

    /// Turns a slot to an encoding and to layers of it.
    fn steer(&mut self, now: Micros, receiver: Subscriber, target: Key, layer: LayerId, network: &mut dyn Transmit) {
        let height = |key: Option<Key>| key.and_then(|key| self.tracks.get(key)).and_then(Track::height);
        let Some(slot) = self.slot(receiver) else { return };
        let goes_down = height(slot.source) > height(Some(target));
        let Some(slot) = self.slot_mut(receiver) else { return };
        if slot.source == Some(target) {
            let needs_key_frame = slot.filter.want(layer.spatial, layer.temporal);
            if slot.target.is_some() || slot.stopgap.is_some() {
                self.cancel_wait(receiver);
            }
            if needs_key_frame {
                self.want_key_frame(now, target, network);
            }
            return;
        }
        slot.next_filter = LayerFilter::new(layer.spatial, layer.temporal);
        if goes_down {
            // Until the smaller picture comes, the present one takes as little as it can.
            slot.filter.want(slot.filter.present().0, 0);
        }
        if slot.target != Some(target) {
            self.cancel_wait(receiver);
            self.aim_slot(now, receiver, target, network);
        }
    }

    fn want_key_frame(&mut self, now: Micros, key: Key, network: &mut dyn Transmit) {
        if let Some(track) = self.tracks.get_mut(key) {
            track.key_frames.want();
        }
        self.request_due_key_frame(now, key, network);
    }

    /// Finds out what each slot would get if the senders sent all they can: that is what they are asked for.
    fn note_desired(&mut self, now: Micros, index: u32, budget: Option<u64>, demands: &mut [Demand]) {
        let mut sleeping = false;
        for step in demands.iter_mut().flat_map(|demand| demand.ladder.steps_mut()) {
            sleeping |= !step.usable;
            step.usable = true;
        }
        if sleeping {
            allocate(budget, demands);
        }
        for demand in demands {
            let receiver = Subscriber { session: index, slot: demand.slot };
            let Some(slot) = self.slot(receiver) else { continue };
            let shown = slot.publication.and_then(|key| self.publications.get(key));
            let best = demand.chosen.map(|place| demand.ladder.steps()[place]);
            let desired = best.and_then(|step| shown?.encodings.get(usize::from(step.layer.encoding)).copied());
            let enough = |step: &Step| {
                slot.max_height > 0 && u32::from(step.height) * 100 >= slot.max_height * SUFFICIENT_PERCENT
            };
            let wants_more = demand.limit == Limit::Best && !best.as_ref().is_some_and(enough);
            if let Some(slot) = self.slot_mut(receiver) {
                (slot.share.desired, slot.share.wants_more) = (desired, wants_more);
                slot.share.ceiling = Ceiling::after(now, demand, best.as_ref(), budget).or(slot.share.ceiling);
                if best.as_ref().map(Step::rank) == slot.share.rank {
                    // What is more is not sent because it could not be carried, and not the other way round.
                    (slot.share.limit, slot.share.missing) = (demand.limit, demand.missing);
                }
            }
        }
    }
}

/// The layers of a track as a slot may have them that carries none of them yet.
fn offered<'a>(
    now: Micros,
    publication: &'a Publication,
    tracks: &'a Slab<Track>,
) -> impl Iterator<Item = Offered> + 'a {
    let encodings = || publication.encodings.iter().enumerate().filter_map(|(n, key)| Some((n, tracks.get(*key)?)));
    let any_settled = encodings().any(|(_, track)| track.is_settled(now));
    let lowest = encodings().filter_map(|(_, track)| track.height()).min();
    encodings().flat_map(move |(place, track)| {
        let steady = track.is_settled(now) || !any_settled;
        let usable = track.active && steady;
        let layers = track.spatial_layers.max(usize::from(track.active));
        let spatial = (0..layers).filter(move |spatial| *spatial == 0 || track.rates.has_layer(*spatial, None));
        spatial.flat_map(move |spatial| {
            let size = track.sizes[spatial];
            // Of a picture whose size is not known the order of the offer tells as much as there is to know.
            let height = if size.1 == 0 { place as u16 + 1 } else { size.1 };
            let is_lowest = spatial == 0 && lowest.is_none_or(|lowest| track.height().is_none_or(|own| own <= lowest));
            let rate = move |temporal: u8| track.rates.rate(spatial as u8, temporal);
            // The highest stands for whatever the sender may add.
            let id = if spatial + 1 == layers { MAX_LAYERS - 1 } else { spatial } as u8;
            let has = move |temporal: u8| track.rates.has_layer(spatial, Some(temporal.into()));
            temporal_steps(rate, has, is_lowest).map(move |(temporal, rate)| Offered {
                layer: LayerId { encoding: place as u8, spatial: id, temporal },
                height,
                rate: if rate.bits_per_second > 0 { rate } else { unmeasured(size) },
                usable,
                settling: track.active && !steady,
            })
        })
    })
}

fn unmeasured((width, height): (u16, u16)) -> Rate {
    let pixels = u64::from(width) * u64::from(height);
    Rate { bits_per_second: pixels * UNMEASURED_BITS_PER_PIXEL, ..Rate::default() }
}
