//! How a user's key becomes an engine key.
//!
//! Raw and transactional clients read one map of regions, each in its own way: an operation has a *position* in the order that the scheduler (PD) uses. For a
//! raw operation the position is the key itself, for a transactional one its memcomparable encoding.
//! In the engine a key is one letter, then the bytes in position order: `r` for raw data, and later
//! `x` for transactional data. So the two never collide, in any column family, and a region's data is
//! two ranges, one per letter.
//!
//! Positions at or above [`TAIL_START`] belong to the *tail region*, which never holds data. It exists
//! because the official client's raw scan, when it comes to a region without an end, starts again at
//! the first one: the last region must therefore be empty.

/// The engine prefix of raw data.
pub const RAW_PREFIX: u8 = b'r';

/// The engine prefix of what the scheduler (PD) remembers. It is no letter of a region's data.
pub const PD_PREFIX: u8 = b'p';

/// Where the tail region starts: the memcomparable encoding of eight `ff` bytes, which is above every
/// position that a sensible key has.
pub const TAIL_START: [u8; 18] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // one full group and its marker
    0, 0, 0, 0, 0, 0, 0, 0, 0xf7, // the empty last group
];

/// The engine key of a raw key.
pub fn raw_key(key: &[u8]) -> Vec<u8> {
    let mut engine_key = Vec::with_capacity(key.len() + 1);
    engine_key.push(RAW_PREFIX);
    engine_key.extend_from_slice(key);
    engine_key
}

/// The raw key of an engine key that [`raw_key`] made: all but the letter.
pub fn user_key(engine_key: &[u8]) -> &[u8] {
    engine_key.get(1..).unwrap_or_default()
}

/// The engine range of the raw range `[start, end)`; an empty `end` means no bound, that is, up to the
/// last raw key.
pub fn raw_range(start: &[u8], end: &[u8]) -> KeyRange {
    let end = if end.is_empty() { vec![RAW_PREFIX + 1] } else { raw_key(end) };
    KeyRange { start: raw_key(start), end }
}

/// A range of engine keys: `start` is in it, `end` is not. Empty when `end <= start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may be in the range.
    pub start: Vec<u8>,
    /// The first key that is beyond it.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// Whether `key` is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }

    /// Whether no key can be in the range.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}
