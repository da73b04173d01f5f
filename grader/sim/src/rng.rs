//! The one source of randomness: a seeded ChaCha8 stream, the same on every machine and release.
//!
//! Everything random in a run is drawn from here, and from nowhere else: a seed is then a complete
//! description of the run. Independent parts take a stream of their own with [`Rng::fork`], so that
//! one more draw in one part does not change all the others.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded random generator.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Rng(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A generator of its own for the part called `name`: the same for the same seed and name,
    /// whatever else was drawn before.
    #[must_use]
    pub fn fork(seed: u64, name: &str) -> Self {
        // FNV-1a: all we want is that two names differ.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Rng(ChaCha8Rng::seed_from_u64(seed ^ hash))
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// True in `percent` of 100 draws.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// A random 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.random()
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.0.random()).collect()
    }

    /// One of `items`.
    ///
    /// # Panics
    /// When `items` is empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        assert!(!items.is_empty(), "pick needs at least one item");
        &items[self.below(items.len())]
    }
}

/// A few draws that belong to a moment: made from what names it (who, when), not from how much was drawn before.
///
/// A world's luck is drawn so: take an operation or a fault out of a plan, and what has nothing to do with it
/// stays as it was. That is what lets a failing plan shrink. The generator is SplitMix64.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// The draws of the moment that these numbers name.
    pub fn of(seed: u64, what: &str, names: &[u64]) -> Self {
        let mut hash = crate::cluster::digest::Hasher::default();
        hash.number(seed);
        hash.bytes(what.as_bytes());
        for name in names {
            hash.number(*name);
        }
        Draw(hash.finish())
    }

    /// A random 64-bit number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number between two, both included.
    pub fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.number() % (high.saturating_sub(low).saturating_add(1))
    }

    /// True in `percent` of 100 draws.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.number() % 100 < u64::from(percent)
    }
}
