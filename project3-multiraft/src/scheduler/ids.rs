//! Ids that nobody has had: a counter with a durable bound ahead of it.
//!
//! The same trick as for timestamps: what is saved is not the last id but a *bound* that no id has reached, a
//! thousand ahead. So a thousand ids cost one save, and a restart that begins at the bound wastes some ids and
//! repeats none.

use super::outbox::Outbox;
use super::saved;

/// How far ahead the bound is put.
pub const ID_STEP: u64 = 1000;

/// The source of ids.
///
/// - `last < bound`, and no id from `bound` on was ever given out, by this process or one before it.
/// - Id 0 is never given out: it means "none" everywhere.
#[derive(Debug)]
pub struct Ids {
    last: u64,
    bound: u64,
}

impl Ids {
    /// A source that goes on above everything given out under the durable `bound`; 0 when there never was one.
    pub fn new(bound: u64) -> Self {
        let bound = bound.max(1);
        Ids { last: bound - 1, bound }
    }

    /// The next id. When it reaches the bound, the bound is raised by [`ID_STEP`] and saved first
    /// (`saved::ID_BOUND`).
    ///
    /// You will need [`Outbox::save`], which makes the answer wait for the disk.
    pub fn next(&mut self, outbox: &mut Outbox) -> u64 {
        // BEGIN SOLUTION 3C.ids
        self.last += 1;
        if self.last >= self.bound {
            self.bound = self.last + ID_STEP;
            outbox.save(saved::ID_BOUND.to_vec(), saved::number(self.bound));
        }
        self.last
        // END SOLUTION
    }

    /// `id` is in use, whoever gave it out: a store that bootstraps may have chosen its region's id by itself.
    pub fn skip(&mut self, id: u64, outbox: &mut Outbox) {
        if id > self.last {
            self.last = id;
            if self.last >= self.bound {
                self.bound = self.last + ID_STEP;
                outbox.save(saved::ID_BOUND.to_vec(), saved::number(self.bound));
            }
        }
    }
}
