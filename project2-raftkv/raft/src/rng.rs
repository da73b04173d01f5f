//! The node's own random numbers (SplitMix64): enough to draw timeouts, and the same for the same seed on
//! every machine. Not for secrets.

/// A generator whose whole state is one number.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Nodes that were given the same seed draw different numbers all the same: the id is mixed in.
    pub(crate) fn new(seed: u64, id: u64) -> Self {
        Rng(seed ^ id.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The remainder's bias is far below what a timeout could feel.
        (z ^ (z >> 31)) % bound
    }
}
