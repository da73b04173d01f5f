//! How a test sets up a store.

use prost::Message as _;
use proto::metapb::{Peer, Region, RegionEpoch};
use serde::{Deserialize, Serialize};
use sim::cluster::setup::Setup;

/// What a store is told at its start, beside who it is. Times in ticks or microseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreConfig {
    /// How many stores there are.
    pub stores: u64,
    /// The regions of the beginning, encoded.
    pub regions: Vec<Vec<u8>>,
    /// Ticks without a leader before a peer campaigns, at least.
    pub election_tick: u64,
    /// PreVote and CheckQuorum. Extra credit: off in graded tests, see [`with_extras`](crate::with_extras).
    pub disciplined: bool,
    /// Reads by lease; needs `disciplined`. Off in graded tests.
    pub lease_read: bool,
    /// A log is cut at so many applied entries ...
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
    /// A region of this size is cut.
    pub split_bytes: u64,
    /// Ticks between a leader's heartbeats to the scheduler.
    pub heartbeat_ticks: u64,
    /// Ticks without a leader after which a peer asks whether it is still a member.
    pub stale_ticks: u64,
    /// Ticks without work after which a region sleeps; 0: never.
    pub sleep_ticks: u64,
}

/// The region with which every world begins.
pub const FIRST: u64 = 1;

/// The first region, on stores 1 to `members`: all keys. Peers have the ids of their stores.
pub fn first_region(members: u64) -> Region {
    let peer = |store| Peer { id: store, store_id: store, ..Default::default() };
    Region {
        id: FIRST,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: (1..=members).map(peer).collect(),
        ..Default::default()
    }
}

impl StoreConfig {
    /// `stores` stores with small limits; the first region is on the first `members` of them.
    pub fn new(stores: u64, members: u64) -> Self {
        StoreConfig {
            stores,
            regions: vec![first_region(members).encode_to_vec()],
            election_tick: 6,
            disciplined: crate::with_extras(),
            lease_read: false,
            gc_entries: 1_000,
            gc_bytes: 1 << 20,
            part_bytes: 256,
            install_at_once: 1 << 20,
            snapshot_patience: 10,
            hold: 0,
            split_bytes: 16 << 20,
            heartbeat_ticks: 2,
            stale_ticks: 20,
            sleep_ticks: 0,
        }
    }

    /// A world of these stores.
    pub fn setup(&self) -> Setup {
        let bytes = postcard::to_stdvec(self).expect("a plain struct has bytes");
        Setup::new(self.stores, |_| bytes.clone())
    }

    /// What [`StoreConfig::setup`] put there.
    ///
    /// # Errors
    /// When it was somebody else.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
