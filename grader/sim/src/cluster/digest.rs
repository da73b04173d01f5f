//! Digests that all implementations must agree on: of a log entry, and of a region's data.
//!
//! They are made by our adapters, not by the code under test, and only compared with each other. A fast mixing
//! hash is enough: nobody attacks it, it must only be the same on every machine, and cheap without optimisation.

/// A hash that is fed piece by piece; eight bytes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hasher(u64);

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const MULTIPLY: u64 = 0xff51_afd7_ed55_8ccd;

impl Default for Hasher {
    fn default() -> Self {
        Hasher(SEED)
    }
}

impl Hasher {
    /// Adds a number.
    pub fn number(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(MULTIPLY);
    }

    /// Adds bytes, and their length, so that `"ab" + "c"` and `"a" + "bc"` differ.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }

    /// The hash of all that was added.
    pub fn finish(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(MULTIPLY);
        mixed ^ (mixed >> 29)
    }
}

/// The digest of a log entry: its type as `eraftpb.EntryType`, and its data (context included, if any).
pub fn entry_digest(entry_type: i32, data: &[u8], context: &[u8]) -> u64 {
    let mut hash = Hasher::default();
    hash.number(u64::from(entry_type.unsigned_abs()));
    hash.bytes(data);
    hash.bytes(context);
    hash.finish()
}

/// The digest of a region's data: of a set of (column family, key, value), in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateDigest(u64);

impl StateDigest {
    /// Adds a pair; `key` as it stands in the engine.
    pub fn add(&mut self, cf: &str, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(Self::pair(cf, key, value));
    }

    /// Takes a pair out again: for those who keep a digest up to date instead of computing it.
    pub fn remove(&mut self, cf: &str, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(Self::pair(cf, key, value));
    }

    /// The digest of all that was added.
    pub fn finish(self) -> u64 {
        self.0
    }

    fn pair(cf: &str, key: &[u8], value: &[u8]) -> u64 {
        let mut hash = Hasher::default();
        hash.bytes(cf.as_bytes());
        hash.bytes(key);
        hash.bytes(value);
        hash.finish()
    }
}
