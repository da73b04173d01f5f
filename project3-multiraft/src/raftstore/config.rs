//! How a store of many regions is set up.

use proto::metapb::Region;
use raftkv::peer::{GcLimits, Micros};

/// How a store is set up. Times in ticks or microseconds, sizes in bytes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this is. Given by the scheduler, once, to one disk.
    pub store_id: u64,
    /// Which cluster it belongs to.
    pub cluster_id: u64,
    /// The regions that exist before the first start, if the cluster begins on this store. A disk that is in use
    /// already ignores them.
    pub first_regions: Vec<Region>,
    /// The length of a tick. Leases are measured in time, not in the ticks that have come.
    pub tick: Micros,
    /// The consensus nodes; `id`, `applied`, `age` and `seed` are filled in for each.
    pub raft: raftcore::Config,
    /// When a log is cut.
    pub gc: GcLimits,
    /// How long applied data may lie unsynced (R5).
    pub flush_every: Micros,
    /// How many bytes of it.
    pub flush_bytes: u64,
    /// The size of a snapshot's parts.
    pub part_bytes: usize,
    /// Up to so many bytes a snapshot is installed in one transaction.
    pub install_at_once: u64,
    /// Ticks after which a snapshot of which nothing was heard counts as lost, and a built one is let go.
    pub snapshot_patience: u64,
    /// How long a request is held for which there is no leader, or no room. 0: not at all.
    pub hold: Micros,
    /// A region that has grown to this is cut into two.
    pub split_bytes: u64,
    /// Ticks between two heartbeats of a leader to the scheduler. A change is told at once.
    pub heartbeat_ticks: u64,
    /// Ticks without a leader after which a peer asks the others whether it still belongs to them.
    pub stale_ticks: u64,
    /// Ticks without work after which a region goes to sleep; 0: never.
    pub sleep_ticks: u64,
    /// Peers without data that may live here at a time. One store's messages may give birth to a quarter of them: one that
    /// invents regions must not take the others' room.
    pub max_blanks: usize,
}

impl Config {
    /// A store as a server wants it, with ticks of 50 ms.
    pub fn new(store_id: u64, cluster_id: u64) -> Self {
        let base = raftkv::store::Config::new(store_id, Vec::new());
        Config {
            store_id,
            cluster_id,
            first_regions: Vec::new(),
            tick: base.tick,
            raft: base.raft,
            gc: base.gc,
            flush_every: base.flush_every,
            flush_bytes: base.flush_bytes,
            part_bytes: base.part_bytes,
            install_at_once: base.install_at_once,
            snapshot_patience: base.snapshot_patience,
            hold: base.hold,
            split_bytes: 16 << 20,
            heartbeat_ticks: 200,
            stale_ticks: 200,
            sleep_ticks: 0,
            max_blanks: 4096,
        }
    }
}
