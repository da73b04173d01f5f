//! What the scheduler aims at, and how hard it tries. The names are PD's.

use super::Millis;

/// By what a store counts as full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// By the sizes that leaders report, in bytes. An empty region counts as one.
    Size,
    /// By the number of peers.
    Count,
}

/// The settings of a [`Cluster`](super::Cluster).
#[derive(Debug, Clone)]
pub struct Config {
    /// How many voters each region should have; odd.
    pub max_replicas: usize,
    /// A store that was silent for longer is taken for lost: its peers are built anew elsewhere.
    pub max_store_down_time: Millis,
    /// A store that was silent for longer gets no new peers, and is named to nobody as a leader's.
    pub disconnect_after: Millis,
    /// Operators of balance-leader under way at a time; 0 switches it off.
    pub leader_schedule_limit: usize,
    /// Operators of balance-region under way at a time; 0 switches it off.
    pub region_schedule_limit: usize,
    /// Operators of the replica checker under way at a time; 0 switches it off.
    pub replica_schedule_limit: usize,
    /// How many peers a store may be given in a minute, and how many it may lose.
    pub store_limit: u64,
    /// A store with so many peers that are far behind gets no more of them.
    pub max_pending_peers: usize,
    /// By what balance-region compares stores.
    pub region_schedule_policy: Policy,
    /// An operator that only moves leadership and is not done by then is given up.
    pub leader_operator_timeout: Millis,
    /// An operator that changes peers and is not done by then is given up: a snapshot takes time.
    pub region_operator_timeout: Millis,
    /// Regions that the replica checker looks at in a tick.
    pub patrol_regions: usize,
    /// What the scheduler draws is drawn from this.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_replicas: 3,
            max_store_down_time: 30 * 60_000,
            disconnect_after: 20_000,
            leader_schedule_limit: 8,
            region_schedule_limit: 64,
            replica_schedule_limit: 64,
            store_limit: 120,
            max_pending_peers: 16,
            region_schedule_policy: Policy::Size,
            leader_operator_timeout: 10_000,
            region_operator_timeout: 10 * 60_000,
            patrol_regions: 1024,
            seed: 0,
        }
    }
}
