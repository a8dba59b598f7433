//! Which layers of an encoding go into a slot: fewer at once, more only where the stream allows it.

use crate::picture::{MAX_LAYERS, SwitchPoint};
use crate::ring::PacketInfo;

/// All of them.
const ALL: u8 = MAX_LAYERS as u8 - 1;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent; `ends_picture` when the receiver sees no higher layer of the picture after it.
    Keep { ends_picture: bool },
    /// It is left out; `is_new_frame` when nothing of its frame came before.
    Drop { is_new_frame: bool },
    /// It is late and left out as the rest of its frame was: its number is already promised to the receiver.
    Fill,
}

/// Changes that are remembered, for packets that come late.
const REMEMBERED: usize = 4;

/// Spatial and temporal layers that are sent, and those that shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerFilter {
    spatial: u8,
    temporal: u8,
    wanted_spatial: u8,
    wanted_temporal: u8,
    timestamp: Option<u32>,
    newest: u64,
    /// The last changes, the newest first: what was sent from a timestamp on.
    changes: [Option<Change>; REMEMBERED],
}

#[derive(Debug, Clone, Copy)]
struct Change {
    timestamp: u32,
    before: (u8, u8),
}

impl Default for LayerFilter {
    fn default() -> Self {
        Self::new(ALL, ALL)
    }
}

impl LayerFilter {
    /// A filter for an encoding that begins with a key frame.
    pub(crate) fn new(spatial: u8, temporal: u8) -> Self {
        Self {
            spatial,
            temporal,
            wanted_spatial: spatial,
            wanted_temporal: temporal,
            timestamp: None,
            newest: 0,
            changes: [None; REMEMBERED],
        }
    }

    /// Changes what shall be sent. True when that needs a key frame.
    pub(crate) fn want(&mut self, spatial: u8, temporal: u8) -> bool {
        (self.wanted_spatial, self.wanted_temporal) = (spatial, temporal);
        spatial > self.spatial
    }

    /// Whether more is wanted than the stream has allowed so far.
    pub(crate) fn wants_more(&self) -> bool {
        self.wanted_spatial > self.spatial || self.wanted_temporal > self.temporal
    }

    /// The layers that are sent now.
    pub(crate) fn present(&self) -> (u8, u8) {
        (self.spatial, self.temporal)
    }

    /// Decides about a packet.
    #[inline]
    pub(crate) fn decide(&mut self, info: &PacketInfo) -> Verdict {
        let everything = [ALL; 4] == [self.spatial, self.temporal, self.wanted_spatial, self.wanted_temporal];
        if everything && info.sequence > self.newest {
            (self.newest, self.timestamp) = (info.sequence, Some(info.timestamp));
            return Verdict::Keep { ends_picture: info.marker };
        }
        self.weigh(info)
    }

    fn weigh(&mut self, info: &PacketInfo) -> Verdict {
        let mark = info.picture.layer;
        if info.sequence <= self.newest {
            let ends_picture = self.ends_picture(info);
            return if self.leaves_out(info) { Verdict::Fill } else { Verdict::Keep { ends_picture } };
        }
        let is_new_frame = self.timestamp != Some(info.timestamp);
        (self.newest, self.timestamp) = (info.sequence, Some(info.timestamp));
        let before = (self.spatial, self.temporal);
        self.adapt(info, is_new_frame);
        if before != (self.spatial, self.temporal) {
            self.changes.rotate_right(1);
            self.changes[0] = Some(Change { timestamp: info.timestamp, before });
        }
        if mark.spatial > self.spatial || mark.temporal > self.temporal {
            return Verdict::Drop { is_new_frame };
        }
        Verdict::Keep { ends_picture: self.ends_picture(info) }
    }

    /// Comes closer to what is wanted where this packet allows it.
    fn adapt(&mut self, info: &PacketInfo, is_new_frame: bool) {
        let mark = info.picture.layer;
        if is_new_frame {
            // Fewer layers are possible from any picture on.
            self.spatial = self.spatial.min(self.wanted_spatial);
            self.temporal = self.temporal.min(self.wanted_temporal);
        }
        if info.picture.starts_key_frame {
            (self.spatial, self.temporal) = (self.wanted_spatial, self.wanted_temporal);
        } else if is_new_frame && self.temporal < self.wanted_temporal {
            match mark.switch {
                SwitchPoint::ThisLayer if mark.temporal == self.temporal + 1 => self.temporal = mark.temporal,
                SwitchPoint::Above if mark.temporal <= self.temporal => self.temporal = self.wanted_temporal,
                _ => {}
            }
        }
    }

    /// Whether the receiver sees nothing of the picture after this packet.
    pub(crate) fn ends_picture(&self, info: &PacketInfo) -> bool {
        info.marker || (info.picture.layer.ends_layer && info.picture.layer.spatial == self.spatial)
    }

    /// Whether a packet that is not the newest was left out, as far as is remembered.
    pub(crate) fn leaves_out(&self, info: &PacketInfo) -> bool {
        let mut sent = (self.spatial, self.temporal);
        for change in self.changes.iter().flatten() {
            if info.timestamp.wrapping_sub(change.timestamp).cast_signed() >= 0 {
                break;
            }
            sent = change.before;
        }
        info.picture.layer.spatial > sent.0 || info.picture.layer.temporal > sent.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{LayerMark, Picture};

    fn packet(sequence: u64, temporal: u8, switch: SwitchPoint) -> PacketInfo {
        let layer = LayerMark { temporal, switch, ..LayerMark::default() };
        let picture = Picture { layer, ..Picture::default() };
        PacketInfo { sequence, timestamp: sequence as u32 * 3_000, picture, marker: true, ..PacketInfo::default() }
    }

    /// Runs the pattern of libwebrtc's three temporal layers; returns the layers that were kept.
    fn run(filter: &mut LayerFilter, from: u64, frames: u64, switch: SwitchPoint) -> Vec<u8> {
        let kept = |sequence: u64| {
            let temporal = [0, 2, 1, 2][(sequence % 4) as usize];
            let info = packet(sequence, temporal, if temporal > 0 { switch } else { SwitchPoint::None });
            matches!(filter.decide(&info), Verdict::Keep { .. }).then_some(temporal)
        };
        (from..from + frames).filter_map(kept).collect()
    }

    #[test]
    fn fewer_layers_at_once_and_more_step_by_step() {
        let mut filter = LayerFilter::default();
        assert_eq!(run(&mut filter, 4, 4, SwitchPoint::ThisLayer), [0, 2, 1, 2]);
        filter.want(ALL, 0);
        assert_eq!(run(&mut filter, 8, 4, SwitchPoint::ThisLayer), [0]);
        filter.want(ALL, 2);
        assert_eq!(run(&mut filter, 12, 4, SwitchPoint::None), [0], "no frame to switch with");
        assert_eq!(run(&mut filter, 16, 4, SwitchPoint::ThisLayer), [0, 1, 2]);
        assert_eq!(run(&mut filter, 20, 4, SwitchPoint::None), [0, 2, 1, 2]);
    }

    #[test]
    fn late_packets_share_the_fate_of_their_frame() {
        let mut filter = LayerFilter::new(ALL, 0);
        let base = PacketInfo { sequence: 12, ..packet(12, 0, SwitchPoint::None) };
        let mut dropped = packet(14, 1, SwitchPoint::ThisLayer);
        filter.decide(&base);
        filter.decide(&dropped);
        filter.want(ALL, 2);
        let mut next = packet(16, 1, SwitchPoint::ThisLayer);
        assert!(matches!(filter.decide(&next), Verdict::Keep { .. }));
        dropped.sequence = 13;
        assert_eq!(filter.decide(&dropped), Verdict::Fill, "though its layer is sent now");
        next.sequence = 15;
        assert!(matches!(filter.decide(&next), Verdict::Keep { .. }));
    }

    #[test]
    fn a_key_frame_opens_everything() {
        let mut filter = LayerFilter::new(0, 0);
        assert!(filter.want(1, 1), "a higher picture needs a key frame");
        let mut key = packet(1, 0, SwitchPoint::None);
        key.picture.starts_key_frame = true;
        filter.decide(&key);
        assert_eq!(filter.present(), (1, 1));
    }

    #[test]
    fn the_last_packet_of_the_highest_layer_sent_ends_the_picture() {
        let mut filter = LayerFilter::new(0, ALL);
        let mut info = packet(5, 0, SwitchPoint::None);
        (info.marker, info.picture.layer.ends_layer) = (false, true);
        assert_eq!(filter.decide(&info), Verdict::Keep { ends_picture: true });
        let mut upper = PacketInfo { sequence: 6, ..info };
        upper.picture.layer.spatial = 1;
        assert_eq!(filter.decide(&upper), Verdict::Drop { is_new_frame: false });
        assert!(!filter.want(0, 0) && filter.want(1, 0));
    }

    #[test]
    fn a_frame_changes_its_layers_only_at_its_beginning() {
        let mut filter = LayerFilter::default();
        let info = packet(9, 2, SwitchPoint::None);
        assert!(matches!(filter.decide(&info), Verdict::Keep { .. }));
        filter.want(ALL, 1);
        let rest = PacketInfo { sequence: 10, ..info };
        assert!(matches!(filter.decide(&rest), Verdict::Keep { .. }));
        assert_eq!(filter.decide(&packet(11, 2, SwitchPoint::None)), Verdict::Drop { is_new_frame: true });
        assert_eq!(
            filter.decide(&PacketInfo { sequence: 12, ..packet(11, 2, SwitchPoint::None) }),
            Verdict::Drop { is_new_frame: false }
        );
    }
}
