//! How a store is set up, and every bound that it keeps.

use crate::peer::{GcLimits, Micros};

/// Durable entries that a peer keeps in memory for its followers, in bytes.
pub const ENTRY_CACHE_BYTES: usize = 8 << 20;

/// How many bytes may gather for the next commit of the data while one is under way. With more, the store takes no Ready
/// until it has caught up: it is silent, as a store whose loop wrote the data itself would be.
pub const GATHERED_BYTES: u64 = 64 << 20;

/// How many requests may be held at the desk. A request beyond them is answered at once.
pub const DESK: usize = 4096;

/// How a store is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this is.
    pub store_id: u64,
    /// All stores, this one among them. Agreed upon before the first start.
    pub members: Vec<u64>,
    /// A number that no other disk has, for one that is new. A disk that is not keeps its own.
    pub new_disk: u64,
    /// The length of a tick. Leases are measured in time, not in the ticks that have come.
    pub tick: Micros,
    /// The consensus node; its `id` and `applied` are filled in.
    pub raft: raftcore::Config,
    /// When the log is cut.
    pub gc: GcLimits,
    /// How long applied data may lie unsynced (R5).
    pub flush_every: Micros,
    /// How many bytes of it.
    pub flush_bytes: u64,
    /// The size of a snapshot's parts, in bytes.
    pub part_bytes: usize,
    /// Up to so many bytes a snapshot is installed in one transaction.
    pub install_at_once: u64,
    /// Ticks after which a snapshot of which nothing was heard counts as lost, and a built one is let go.
    pub snapshot_patience: u64,
    /// How long the desk holds a request for which there is no leader, or no room. 0: not at all.
    pub hold: Micros,
}

impl Config {
    /// Store `store_id` of `members`, as a server wants it with ticks of 50 ms: elections after 300 to 600 ms, PreVote
    /// and CheckQuorum on. Leases are off: they need CheckQuorum on all members.
    pub fn new(store_id: u64, members: Vec<u64>) -> Self {
        let raft = raftcore::Config {
            election_tick: 6,
            heartbeat_tick: 1,
            max_size_per_msg: 1 << 20,
            max_uncommitted_size: 64 << 20,
            max_committed_size_per_ready: 16 << 20,
            skip_bcast_commit: true,
            pre_vote: true,
            check_quorum: true,
            ..raftcore::Config::new(store_id)
        };
        Config {
            store_id,
            members,
            new_disk: 0,
            tick: 50_000,
            raft,
            gc: GcLimits { entries: 50_000, bytes: 64 << 20 },
            flush_every: 1_000_000,
            flush_bytes: 32 << 20,
            part_bytes: 256 << 10,
            install_at_once: 8 << 20,
            snapshot_patience: 200,
            hold: 1_000_000,
        }
    }
}
