//! How a test sets up a store.

use serde::{Deserialize, Serialize};
use sim::cluster::setup::Setup;

/// What a store is told at its start, beside who it is. Times in ticks or microseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreConfig {
    /// All stores of the group.
    pub members: Vec<u64>,
    /// Ticks without a leader before a store campaigns, at least.
    pub election_tick: u64,
    /// PreVote and CheckQuorum. Extra credit: off in graded tests, see [`with_extras`](crate::with_extras).
    pub disciplined: bool,
    /// Reads by lease. Extra credit.
    pub lease_read: bool,
    /// The log is cut at so many applied entries ...
    pub gc_entries: u64,
    /// ... or at so many bytes.
    pub gc_bytes: u64,
    /// The size of a snapshot's parts.
    pub part_bytes: usize,
    /// Up to so many bytes a snapshot is installed in one transaction.
    pub install_at_once: u64,
    /// Ticks after which a snapshot of which nothing was heard is given up.
    pub snapshot_patience: u64,
    /// How long a request is held for which there is no leader, in microseconds.
    pub hold: u64,
}

impl StoreConfig {
    /// A group of `count` stores with small limits: what matters happens often.
    pub fn new(count: u64) -> Self {
        StoreConfig {
            members: (1..=count).collect(),
            election_tick: 6,
            disciplined: crate::with_extras(),
            lease_read: false,
            gc_entries: 1_000,
            gc_bytes: 1 << 20,
            part_bytes: 256,
            install_at_once: 1 << 20,
            snapshot_patience: 20,
            hold: 0,
        }
    }

    /// A world of these stores.
    pub fn setup(&self) -> Setup {
        let bytes = postcard::to_stdvec(self).expect("a plain struct has bytes");
        Setup::new(self.members.len() as u64, |_| bytes.clone())
    }

    /// What [`StoreConfig::setup`] put there.
    ///
    /// # Errors
    /// When it was somebody else.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
