//! Where the log lies when Raft is not thinking about it: a seam.
//!
//! Raft itself keeps only the newest end of the log, what was not yet handed out to be written
//! ([`Unstable`](crate::unstable::Unstable)). Everything before that is the storage's, and Raft reads it from
//! there. Raft never writes: a [`Ready`](crate::Ready) says what to write, the driver does it, and
//! [`advance_append_async`](crate::RawNode::advance_append_async) says "you can read it from the storage now".
//!
//! Readable is not durable. A storage may hold what was written in a buffer, as long as it *reads* as
//! written; the driver says with [`on_persist_ready`](crate::RawNode::on_persist_ready) when the disk has it.
//! That difference is what lets a leader send entries to its followers while its own disk still writes.
//!
//! A log starts after its *truncated* place, the last entry that is only in a snapshot. That entry's term is
//! still known, since an append names the term of the entry before it:
//!
//! ```text
//!    1  2  3  4 | 5  6  7  8 | 9  10        first_index = 5, term(4) is known, term(3) is Compacted
//!    compacted  | storage    | unstable     last_index = 8 (the storage's), 10 (the log's)
//! ```

use proto::eraftpb::{ConfState, Entry, HardState, Snapshot};

use crate::error::StorageError;

/// What a node finds when it starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RaftState {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The members, as of the last applied entry.
    pub conf_state: ConfState,
}

/// Reads the log. One node owns it; nobody else changes it while Raft is at work.
///
/// # Contract
///
/// - What a Ready asked for is readable when that Ready is advanced: the snapshot replaces everything,
///   entries replace what is there from the first one's index on.
/// - `term(i)` answers for all of `first_index() - 1 ..= last_index()`, and `entries` for
///   `first_index() ..= last_index()`.
/// - The storage may forget entries from the front at any time, but only applied ones.
/// - An error other than `Compacted` or `SnapshotTemporarilyUnavailable` is damage, and ends the node.
pub trait Storage {
    /// What is there at the start of the node. Asked once.
    fn initial_state(&self) -> Result<RaftState, StorageError>;

    /// The entries `low..high`, or as many from `low` on as `max_size` bytes hold (their encoded size), but
    /// at least one.
    ///
    /// # Errors
    /// `Compacted` if `low < first_index()`; `Unavailable` if `high > last_index() + 1`.
    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError>;

    /// The term of an entry, or of the truncated place.
    ///
    /// # Errors
    /// `Compacted` below the truncated place, `Unavailable` beyond the last entry.
    fn term(&self, index: u64) -> Result<u64, StorageError>;

    /// One more than the truncated place: 1 in a log that was never compacted.
    fn first_index(&self) -> Result<u64, StorageError>;

    /// The last entry; `first_index() - 1` if there is none.
    fn last_index(&self) -> Result<u64, StorageError>;

    /// A snapshot of at least `at_least`, to be sent to node `to`.
    ///
    /// Its data, its index and its `conf_state` must be of one moment: a label that promises more than the
    /// data holds loses writes at the receiver.
    ///
    /// # Errors
    /// `SnapshotTemporarilyUnavailable` while there is none; the node asks again when it next hears from
    /// `to`.
    fn snapshot(&self, at_least: u64, to: u64) -> Result<Snapshot, StorageError>;
}
