//! Rule R5: applied data does not lie unsynced for long.
//!
//! A sync writes all pages that have changed, and while it goes on nothing more is committed: whoever wants to read what
//! was applied meanwhile waits, and so does what stands behind a change of a region, or a cut of its log. Stores that
//! share a disk, as in a playground, would wait for each other if they synced in the same moment. So each has moments
//! of its own, which its number spreads over the interval.

use crate::peer::Micros;

/// What was committed to the data and not synced.
pub struct Unsynced {
    every: Micros,
    most: u64,
    /// How far this store's moments lie behind the interval's beginnings.
    phase: Micros,
    bytes: u64,
    /// When the first of them came. Nothing, while there are none.
    since: Micros,
}

impl Unsynced {
    /// Nothing, on this store. A sync is due after so long, or so many bytes.
    pub fn new(store_id: u64, every: Micros, most: u64) -> Self {
        // Multiples of the golden ratio keep apart, however many there are.
        let millionths = store_id % 1_000_000 * 618_034 % 1_000_000;
        let phase = every.saturating_mul(millionths) / 1_000_000;
        Unsynced { every: every.max(1), most, phase, bytes: 0, since: 0 }
    }

    /// So many bytes more. (A small write counts, too: each is a page or two.)
    pub fn add(&mut self, bytes: u64, now: Micros) {
        if self.is_empty() {
            self.since = now;
        }
        self.bytes += bytes;
    }

    /// Everything is synced.
    pub fn clear(&mut self) {
        self.bytes = 0;
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it is time: one of this store's moments has passed since the first of them, or they are many.
    pub fn is_due(&self, now: Micros) -> bool {
        let moment = |at: Micros| at.saturating_add(self.phase) / self.every;
        !self.is_empty() && (moment(now) > moment(self.since) || self.bytes >= self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    #[test]
    fn a_sync_is_due_within_the_interval_and_not_for_nothing() {
        let mut unsynced = Unsynced::new(1, SECOND, 100);
        assert!(!unsynced.is_due(9 * SECOND), "nothing is unsynced");
        let now = 9 * SECOND;
        unsynced.add(1, now);
        assert!(!unsynced.is_due(now), "the first write after a rest does not wait for a sync");
        let late = (0..=SECOND).find(|&wait| unsynced.is_due(now + wait));
        assert!(late.is_some(), "it lies there for more than a second");
        unsynced.clear();
        unsynced.add(100, 20 * SECOND);
        assert!(unsynced.is_due(20 * SECOND), "they are many");
    }

    #[test]
    fn neighbours_do_not_sync_in_the_same_moment() {
        let moment = |store| {
            let mut unsynced = Unsynced::new(store, SECOND, u64::MAX);
            unsynced.add(1, 0);
            (0..=SECOND).step_by(1_000).find(|&now| unsynced.is_due(now)).expect("within a second")
        };
        for store in 1..20 {
            assert!(moment(store).abs_diff(moment(store + 1)) > 200_000, "{store} and the next");
        }
    }
}
