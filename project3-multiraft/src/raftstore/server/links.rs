//! Links between stores that somebody has cut, to see what happens: the playground's.
//!
//! All stores of one process share them. Whoever would send over a cut link drops the message, as a broken switch would,
//! and finds out as it would then: by silence.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Which links are cut. Clones are the same links; the usual one has none.
#[derive(Debug, Clone, Default)]
pub struct Links(Arc<RwLock<BTreeSet<(u64, u64)>>>);

impl Links {
    /// Two stores no longer hear each other.
    pub fn cut(&self, one: u64, other: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(pair(one, other));
    }

    /// They do again.
    pub fn mend(&self, one: u64, other: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&pair(one, other));
    }

    /// Whether they do not.
    pub fn are_cut(&self, one: u64, other: u64) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&pair(one, other))
    }

    /// All that are cut, the smaller store first.
    pub fn all(&self) -> Vec<(u64, u64)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

fn pair(one: u64, other: u64) -> (u64, u64) {
    (one.min(other), one.max(other))
}
