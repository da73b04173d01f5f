//! Where the Raft log is durable: one file for all peers of a store.
//!
//! The consensus core knows entries by index; the disk knows fsyncs, and each costs milliseconds however little it
//! carries. So everything that peers want to have on disk in one round of the store's loop goes into one
//! [`LogBatch`], and one commit makes it durable: entries, hard states, and what must go. The batch is a list of
//! plain [`LogOp`]s. Whoever commits it (a log-writer thread in the server, a job in the simulator) needs nothing
//! but the list and a [`LogStore`].
//!
//! # Contract of a [`LogStore`]
//!
//! - [`LogStore::commit`] is atomic: all of a batch, or after a crash nothing of it. With `batch.sync` it is durable
//!   on return, and so is every earlier commit; without, it becomes durable with the next one that syncs.
//! - Operations take effect in their order, and are readable at once.
//! - After `Append` of entries `from..=to` the log ends with `to`: an old, longer tail is gone, whatever it held.
//!   Otherwise a restart would find entries of two histories, and vote by the older one.
//!
//! [`RedbLog`] keeps them in a B-tree, which is all that a log needs; [`WalLog`] puts a journal before it, for speed.

mod redb;
mod wal;

use prost::Message as _;
use proto::eraftpb::Entry;
use proto::raft_serverpb::RaftLocalState;

pub use redb::RedbLog;
pub use wal::WalLog;

use crate::Result;

/// One change of a region's log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogOp {
    /// These entries replace what is there from the first one's index on. Consecutive, not empty.
    Append {
        /// The region.
        region: u64,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Term, vote, commit and last index.
    State {
        /// The region.
        region: u64,
        /// Its state.
        state: RaftLocalState,
    },
    /// Entries up to this index may go. Some of them may stay for a while; nobody asks for them.
    Compact {
        /// The region.
        region: u64,
        /// The last index that is no longer needed.
        index: u64,
    },
    /// All entries and the state go.
    Clear {
        /// The region.
        region: u64,
    },
}

/// Changes that become durable together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogBatch {
    /// In the order in which they take effect.
    pub ops: Vec<LogOp>,
    /// Whether somebody waits for these to be durable: one fsync.
    pub sync: bool,
}

impl LogBatch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Adds all of `later` behind this.
    pub fn merge(&mut self, later: LogBatch) {
        self.ops.extend(later.ops);
        self.sync |= later.sync;
    }
}

/// Logs on a disk. See the module for the contract.
pub trait LogStore: Send + Sync + 'static {
    /// Commits a batch; an empty one does nothing.
    ///
    /// # Errors
    /// The disk's. It is unknown then what of the batch is durable: the store must stop.
    fn commit(&self, batch: &LogBatch) -> Result<()>;

    /// The state of a region's peer; `None` if there never was one.
    ///
    /// # Errors
    /// The disk's, and damage.
    fn state(&self, region: u64) -> Result<Option<RaftLocalState>>;

    /// The entries `low..high`, as many from `low` on as `max_size` bytes hold, but at least one.
    ///
    /// # Errors
    /// The disk's, and damage: the caller asks only for what it knows to be there.
    fn entries(&self, region: u64, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>>;
}

/// How many of the entries fit into `max_size` bytes; at least one if there is one.
pub(crate) fn fitting(entries: &[Entry], max_size: u64) -> usize {
    let mut size = 0;
    let over = entries.iter().position(|entry| {
        size += entry.encoded_len() as u64;
        size > max_size
    });
    over.map_or(entries.len(), |at| at.max(1))
}
