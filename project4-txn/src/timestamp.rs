//! Timestamps: what the scheduler's oracle hands out.

use std::fmt;

/// Bits of a timestamp that count within a millisecond.
const LOGICAL_BITS: u32 = 18;

/// A moment, as the scheduler (PD) counts them: milliseconds since 1970, then a counter of 18 bits. Every
/// timestamp is handed out once, and a later one is larger.
///
/// A transaction has two: its `start_ts`, which is also its name, and its `commit_ts`. It sees what has a
/// `commit_ts` at or below its `start_ts`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TimeStamp(u64);

impl TimeStamp {
    /// Before everything. In messages: none.
    pub const ZERO: TimeStamp = TimeStamp(0);
    /// After everything.
    pub const MAX: TimeStamp = TimeStamp(u64::MAX);

    /// The timestamp of this number.
    pub const fn new(number: u64) -> Self {
        TimeStamp(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Its milliseconds since 1970: what a TTL is added to.
    pub const fn physical(self) -> u64 {
        self.0 >> LOGICAL_BITS
    }

    /// Whether it is none.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The one after it; the last stays what it is.
    #[must_use]
    pub const fn next(self) -> Self {
        TimeStamp(self.0.saturating_add(1))
    }

    /// The one before it, if there is one.
    pub fn prev(self) -> Option<Self> {
        self.0.checked_sub(1).map(TimeStamp)
    }
}

impl From<u64> for TimeStamp {
    fn from(number: u64) -> Self {
        TimeStamp(number)
    }
}

impl fmt::Debug for TimeStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TimeStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAX { f.write_str("max") } else { write!(f, "{}", self.0) }
    }
}
