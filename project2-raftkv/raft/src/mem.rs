//! A [`Storage`] in memory: what the tests and the example use, and the shortest complete description of
//! what a storage has to do. The durable one is project 2B's.

use proto::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};

use crate::error::StorageError;
use crate::storage::{RaftState, Storage};
use crate::wire::fitting;

/// A log, a hard state and a snapshot in memory.
///
/// # Invariants
///
/// - `entries[i].index == truncated.0 + 1 + i`.
/// - `snapshot`, if there is one to send, is at or beyond the truncated place.
#[derive(Debug, Clone, Default)]
pub struct MemStorage {
    state: RaftState,
    /// Index and term of the last entry that is not in `entries` any more.
    truncated: (u64, u64),
    entries: Vec<Entry>,
    snapshot: Option<Snapshot>,
}

impl MemStorage {
    /// A log that nobody has written to, in a group of these voters.
    pub fn new(voters: &[u64]) -> Self {
        let conf_state = ConfState { voters: voters.to_vec(), ..Default::default() };
        let state = RaftState { conf_state, ..Default::default() };
        MemStorage { state, ..Default::default() }
    }

    /// What a node left behind: its state, the place its log starts after, and the entries from there on.
    pub fn restored(state: RaftState, truncated: (u64, u64), entries: Vec<Entry>) -> Self {
        MemStorage { state, truncated, entries, snapshot: None }
    }

    /// Stores the hard state of a Ready.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.state.hard_state = hard_state;
    }

    /// Stores the members, after a change of them was applied. Snapshots made from then on carry them.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.state.conf_state = conf_state;
    }

    /// Stores the entries of a Ready: they replace what is there from the first one's index on.
    ///
    /// # Errors
    /// `Unavailable` if they leave a gap behind the log, `Compacted` if they begin before it.
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), StorageError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let keep = self.position(first.index)?;
        if keep > self.entries.len() {
            return Err(StorageError::Unavailable);
        }
        self.entries.truncate(keep);
        self.entries.extend(entries);
        Ok(())
    }

    /// Installs the snapshot of a Ready: the log is empty after it.
    pub fn apply_snapshot(&mut self, snapshot: Snapshot) {
        let meta = snapshot.metadata.clone().unwrap_or_default();
        self.truncated = (meta.index, meta.term);
        self.state.conf_state = meta.conf_state.unwrap_or_default();
        self.state.hard_state.commit = self.state.hard_state.commit.max(meta.index);
        self.entries.clear();
        self.snapshot = Some(snapshot);
    }

    /// Keeps a snapshot to be sent: `data` is the state machine after entry `index`, which is applied.
    /// It serves until the log is compacted beyond it.
    ///
    /// # Errors
    /// `Compacted` or `Unavailable` if the log does not know the entry's term.
    pub fn create_snapshot(&mut self, index: u64, data: bytes::Bytes) -> Result<(), StorageError> {
        let metadata = SnapshotMetadata {
            conf_state: Some(self.state.conf_state.clone()),
            index,
            term: self.term(index)?,
        };
        self.snapshot = Some(Snapshot { data, metadata: Some(metadata) });
        Ok(())
    }

    /// Forgets the entries up to `index`, which is applied. Forgetting what is forgotten already does
    /// nothing.
    ///
    /// You will need the term of entry `index`: it is what an append that starts right behind the
    /// truncated place has to name. What is `first_index` afterwards?
    ///
    /// # Errors
    /// `Unavailable` if the log does not reach that far.
    pub fn compact(&mut self, index: u64) -> Result<(), StorageError> {
        // BEGIN SOLUTION 2CA.compact
        if index <= self.truncated.0 {
            return Ok(());
        }
        let term = self.term(index)?;
        // Entry `index` goes too: what stays starts at `index + 1`.
        let gone = self.position(index + 1)?;
        self.entries.drain(..gone);
        self.truncated = (index, term);
        Ok(())
        // END SOLUTION
    }

    /// Where the entry of this index is, or would be.
    fn position(&self, index: u64) -> Result<usize, StorageError> {
        let offset = index.checked_sub(self.truncated.0 + 1).ok_or(StorageError::Compacted)?;
        usize::try_from(offset).map_err(|_| StorageError::Unavailable)
    }
}

impl Storage for MemStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(self.state.clone())
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        let (low, high) = (self.position(low)?, self.position(high)?);
        let range = self.entries.get(low..high).ok_or(StorageError::Unavailable)?;
        Ok(range[..fitting(range, max_size)].to_vec())
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.0 {
            return Ok(self.truncated.1);
        }
        let entry = self.entries.get(self.position(index)?);
        entry.map(|entry| entry.term).ok_or(StorageError::Unavailable)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.0 + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.0 + self.entries.len() as u64)
    }

    fn snapshot(&self, at_least: u64, _to: u64) -> Result<Snapshot, StorageError> {
        self.snapshot
            .clone()
            .filter(|s| s.metadata.as_ref().is_some_and(|meta| meta.index >= at_least))
            .ok_or(StorageError::SnapshotTemporarilyUnavailable)
    }
}
