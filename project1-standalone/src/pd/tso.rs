//! Timestamps: each larger than all before it, whatever the clock does.
//!
//! A timestamp is a wall-clock millisecond (*physical*) and a counter (*logical*, 18 bits) that
//! tells those of one millisecond apart. The sequence must be strictly increasing over everything:
//! over clients, over a clock that is set back, over a restart. The first two are easy: remember
//! the last one, and never give out less. The third needs a disk, but not an fsync for each
//! timestamp: [`Tso`] keeps a durable *bound* some seconds ahead and gives out only what lies below
//! it. After a restart it starts at the bound, which is above all that can have been given out
//! before.
//!
//! It is a plain struct: `now` comes in, and when the bound must be raised the answer is
//! [`Answer::SaveFirst`]; the caller saves it, says [`Tso::saved`], and asks again.
//!
//! # Invariants
//!
//! - Every timestamp of an answer is larger than every one of the answers before.
//! - `physical < bound` in every answer, and the bound was on disk before.
//! - `logical < 2^18`: when a millisecond is used up, physical moves on, ahead of the clock if it
//!   must.
//!
//! As TiKV's PD does it (there the bound lies in etcd, three seconds ahead, too). Percolator's
//! oracle (section 2.3) is the model of both.

use proto::pdpb::Timestamp;

/// How many timestamps a millisecond has.
const LOGICAL_LIMIT: u32 = 1 << 18;

/// How far ahead the durable bound is put, in milliseconds: one save in this time, and a restart
/// that jumps ahead of the clock by at most as much.
pub const WINDOW_MS: u64 = 3000;

/// The source of timestamps. See the module.
#[derive(Debug, Clone)]
pub struct Tso {
    /// The last one given out.
    physical: u64,
    logical: u32,
    /// On disk: nothing at or above this physical time was given out.
    bound: u64,
}

/// What to do about a request for timestamps.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Send this: the largest of the batch, whose others are the numbers just below it.
    Send(Timestamp),
    /// Make this bound durable, report it with [`Tso::saved`], and ask again.
    SaveFirst(u64),
    /// Refuse: a batch has 1 to 2^18 - 1 timestamps.
    Refuse,
}

impl Tso {
    /// A source that goes on above everything given out under the durable `bound`, in milliseconds;
    /// 0 when there never was one.
    pub fn new(bound: u64) -> Self {
        Tso { physical: bound, logical: 0, bound }
    }

    /// `count` timestamps at `now` (Unix milliseconds).
    pub fn next(&mut self, now: u64, count: u32) -> Answer {
        if !(1..LOGICAL_LIMIT).contains(&count) {
            return Answer::Refuse;
        }
        let (physical, logical) = if now > self.physical {
            (now, count)
        } else if self.logical + count < LOGICAL_LIMIT {
            (self.physical, self.logical + count)
        } else {
            // The millisecond is used up.
            (self.physical + 1, count)
        };
        if physical >= self.bound {
            return Answer::SaveFirst(physical + WINDOW_MS);
        }
        (self.physical, self.logical) = (physical, logical);
        Answer::Send(Timestamp {
            physical: physical.cast_signed(),
            logical: logical.into(),
            suffix_bits: 0,
        })
    }

    /// Whether `timestamp` (physical and logical, as one number) cannot have been given out: it lies behind the bound, and
    /// behind `now`. Somebody has made it up.
    pub fn is_from_the_future(&self, timestamp: u64, now: u64) -> bool {
        timestamp / u64::from(LOGICAL_LIMIT) > self.bound.max(now)
    }

    /// `bound` is on disk now.
    pub fn saved(&mut self, bound: u64) {
        self.bound = self.bound.max(bound);
    }
}
