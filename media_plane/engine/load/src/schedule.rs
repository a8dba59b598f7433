//! Which clients want time, and when: found without looking at the others.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Moments by client.
#[derive(Default)]
pub(crate) struct Schedule {
    moments: BTreeSet<(Instant, u64)>,
    of: HashMap<u64, Instant>,
}

impl Schedule {
    /// Sets a client's moment, in place of its former one.
    pub(crate) fn set(&mut self, client: u64, at: Instant) {
        match self.of.insert(client, at) {
            Some(before) if before == at => {}
            before => {
                before.map(|before| self.moments.remove(&(before, client)));
                self.moments.insert((at, client));
            }
        }
    }

    /// Forgets a client.
    pub(crate) fn remove(&mut self, client: u64) {
        self.of.remove(&client).map(|at| self.moments.remove(&(at, client)));
    }

    /// The first moment.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.moments.first().map(|(at, _)| *at)
    }

    /// Adds the clients whose moment has come, the longest due first.
    pub(crate) fn due(&self, now: Instant, clients: &mut Vec<u64>) {
        clients.extend(self.moments.iter().take_while(|(at, _)| *at <= now).map(|(_, client)| *client));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clients_are_due_in_the_order_of_their_newest_moments() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut schedule = Schedule::default();
        for (client, millis) in [(1, 5), (2, 3), (3, 9), (1, 1), (2, 7)] {
            schedule.set(client, at(millis));
        }
        assert_eq!(schedule.first(), Some(at(1)));
        schedule.remove(1);
        assert_eq!(schedule.first(), Some(at(7)));
        let mut due = Vec::new();
        schedule.due(at(8), &mut due);
        assert_eq!(due, [2]);
        schedule.due(at(9), &mut due);
        assert_eq!(due, [2, 2, 3]);
    }
}
