//! Groups of packets that left together, and how their distances changed on the way (section 5.2; `InterArrivalDelta`).

use crate::clock::{MILLISECOND, Micros};

/// Packets sent within this time are one group (section 5.2 "burst of packets"; `kSendTimeGroupLength`).
const GROUP_LENGTH: Micros = 5 * MILLISECOND;
/// Packets that arrive within this time of each other, sooner than they were sent, were held up together and are one group
/// (`kBurstDeltaThreshold`), but not for longer than the second figure (`kMaxBurstDuration`). Microseconds.
const BURST_GAP: i64 = 5_000;
const MAX_BURST: i64 = 100_000;
/// A receiver's clock that jumps by this much was set: everything begins anew (`kArrivalTimeOffsetThreshold`).
const CLOCK_JUMP: i64 = 3_000_000;

/// The change between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupDelta {
    /// Between the sending of their last packets, in microseconds.
    pub sent: i64,
    /// Between the arrival of their last packets, in microseconds.
    pub arrived: i64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: Micros,
    last_sent: Micros,
    first_arrival: i64,
    last_arrival: i64,
}

impl Group {
    fn new(sent: Micros, arrival: i64) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrival: arrival, last_arrival: arrival }
    }

    fn takes(&self, sent: Micros, arrival: i64) -> bool {
        let since_sent = sent.cast_signed() - self.last_sent.cast_signed();
        let since_arrival = arrival - self.last_arrival;
        let burst =
            since_arrival < since_sent && since_arrival <= BURST_GAP && arrival - self.first_arrival < MAX_BURST;
        since_sent == 0 || burst || sent - self.first_sent <= GROUP_LENGTH
    }
}

/// The group being collected and the one before.
#[derive(Debug, Default)]
pub(super) struct ArrivalGroups {
    previous: Option<Group>,
    current: Option<Group>,
}

impl ArrivalGroups {
    /// Adds a packet, in the order of arrival; when it begins a group, the change between the two groups before it.
    pub(super) fn add(&mut self, sent: Micros, arrival: i64) -> Option<GroupDelta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrival));
            return None;
        };
        if sent < current.first_sent {
            // Out of order: its group is closed.
            return None;
        }
        if current.takes(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let complete = *current;
        let previous = self.previous.replace(complete);
        self.current = Some(Group::new(sent, arrival));
        let previous = previous?;
        let delta = GroupDelta {
            sent: complete.last_sent.cast_signed() - previous.last_sent.cast_signed(),
            arrived: complete.last_arrival - previous.last_arrival,
        };
        if (delta.arrived - delta.sent).abs() >= CLOCK_JUMP {
            *self = Self::default();
            return None;
        }
        (delta.arrived >= 0 && delta.sent > 0).then_some(delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_sent_within_five_milliseconds_are_a_group() {
        let mut groups = ArrivalGroups::default();
        for (sent, arrival) in [(0, 50_000), (1_000, 54_000), (5_000, 58_000)] {
            assert_eq!(groups.add(sent, arrival), None);
        }
        assert_eq!(groups.add(20_000, 70_000), None, "one complete group has no distance");
        assert_eq!(groups.add(40_000, 95_000), Some(GroupDelta { sent: 15_000, arrived: 12_000 }));
        assert_eq!(groups.add(60_000, 120_000), Some(GroupDelta { sent: 20_000, arrived: 25_000 }));
    }

    #[test]
    fn packets_that_were_held_up_together_are_a_group() {
        let mut groups = ArrivalGroups::default();
        groups.add(0, 50_000);
        groups.add(20_000, 200_000);
        for n in 1..5 {
            assert_eq!(groups.add(20_000 + n * 20_000, 200_000 + n.cast_signed() * 1_000), None);
        }
        assert_eq!(groups.add(120_000, 220_000), Some(GroupDelta { sent: 100_000, arrived: 154_000 }));
    }

    #[test]
    fn a_late_packet_and_a_clock_that_jumps_say_nothing() {
        let mut groups = ArrivalGroups::default();
        groups.add(0, 0);
        groups.add(20_000, 20_000);
        assert_eq!(groups.add(1_000, 21_000), None);
        assert!(groups.add(40_000, 40_000).is_some());
        assert!(groups.add(60_000, 9_000_000).is_some());
        assert_eq!(groups.add(80_000, 9_020_000), None);
        assert_eq!(groups.add(100_000, 9_040_000), None, "it begins anew");
    }
}
