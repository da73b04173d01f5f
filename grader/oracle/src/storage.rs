//! What raft-rs reads: a log, a hard state, at most one snapshot.

use std::cell::RefCell;
use std::rc::Rc;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::storage::GetEntriesContext;
use raft::{Error, RaftState, Result, Storage, StorageError};

/// The contents.
#[derive(Debug, Default)]
pub struct Core {
    /// Term, vote, commit.
    pub hard: HardState,
    /// The members.
    pub conf: ConfState,
    /// Index and term of the last entry that is only in a snapshot.
    pub truncated: (u64, u64),
    /// The log after it.
    pub entries: Vec<Entry>,
    /// A snapshot that can be sent.
    pub snapshot: Option<Snapshot>,
}

impl Core {
    /// The last index.
    pub fn last(&self) -> u64 {
        self.truncated.0 + self.entries.len() as u64
    }

    /// The term of an entry.
    ///
    /// # Errors
    /// `Compacted` before the snapshot's end, `Unavailable` beyond the log.
    pub fn term(&self, index: u64) -> Result<u64> {
        if index == self.truncated.0 {
            return Ok(self.truncated.1);
        }
        if index < self.truncated.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.entries
            .get(self.place(index))
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn place(&self, index: u64) -> usize {
        usize::try_from(index - self.truncated.0 - 1).unwrap_or(usize::MAX)
    }

    /// Replaces the log from the first of these entries on.
    pub fn append(&mut self, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            let keep = self.place(first.index);
            self.entries.truncate(keep);
            self.entries.extend_from_slice(entries);
        }
    }

    /// Replaces everything by a snapshot.
    pub fn install(&mut self, snapshot: &Snapshot) {
        let place = snapshot.get_metadata();
        self.truncated = (place.index, place.term);
        self.conf = place.get_conf_state().clone();
        self.hard.commit = self.hard.commit.max(place.index);
        self.entries.clear();
        self.snapshot = Some(snapshot.clone());
    }

    /// Forgets the entries up to this one.
    pub fn compact(&mut self, index: u64) {
        if index > self.truncated.0
            && let Ok(term) = self.term(index)
        {
            self.entries.retain(|entry| entry.index > index);
            self.truncated = (index, term);
        }
    }
}

/// The storage; clones share their contents.
#[derive(Debug, Clone, Default)]
pub struct Store(pub Rc<RefCell<Core>>);

impl Storage for Store {
    fn initial_state(&self) -> Result<RaftState> {
        let core = self.0.borrow();
        Ok(RaftState::new(core.hard.clone(), core.conf.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let core = self.0.borrow();
        if low <= core.truncated.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= core.last() + 1, "{high} is beyond the log, which ends at {}", core.last());
        let mut entries = core.entries[core.place(low)..core.place(high)].to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        self.0.borrow().term(index)
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.0.borrow().truncated.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.0.borrow().last())
    }

    fn snapshot(&self, request_index: u64, _: u64) -> Result<Snapshot> {
        let core = self.0.borrow();
        match &core.snapshot {
            Some(snapshot)
                if snapshot.get_metadata().index >= request_index.max(core.truncated.0) =>
            {
                Ok(snapshot.clone())
            }
            _ => Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable)),
        }
    }
}
