//! The store limit: a bucket that fills with time and is emptied by operators.
//!
//! Without it a store that comes back after an hour, or a new and empty one, would be the best target for everything
//! and get a hundred snapshots at once.

use super::Millis;

/// What one operator costs: a minute, divided by the limit, fills a bucket by this much.
const COST: u64 = 60_000;
/// How long an idle bucket goes on filling, at least up to one operator.
const IDLE: Millis = 15_000;

/// How much a store may be asked for now.
#[derive(Debug, Clone)]
pub struct Budget {
    level: u64,
    at: Millis,
    full: bool,
}

impl Budget {
    /// A full one.
    pub fn new(now: Millis) -> Self {
        Budget { level: 0, at: now, full: true }
    }

    /// Whether there is enough for one operator, if `per_minute` are allowed.
    pub fn has_one(&self, now: Millis, per_minute: u64) -> bool {
        per_minute > 0 && self.filled(now, per_minute) >= COST
    }

    /// Takes the cost of one operator.
    pub fn take(&mut self, now: Millis, per_minute: u64) {
        self.level = self.filled(now, per_minute).saturating_sub(COST);
        (self.at, self.full) = (now, false);
    }

    fn filled(&self, now: Millis, per_minute: u64) -> u64 {
        let brim = (IDLE * per_minute).max(COST);
        if self.full {
            return brim;
        }
        let gained = now.saturating_sub(self.at).saturating_mul(per_minute);
        self.level.saturating_add(gained).min(brim)
    }
}
