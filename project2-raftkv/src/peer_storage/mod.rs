//! What one peer has on disk, and how consensus sees it.
//!
//! A peer's life is in two files (`log_store`: the log and the hard state; the data engine: data, how far it was
//! applied, the region). They are written at different times, so that after a crash one may be ahead of the other;
//! this module is where the two are brought together again, and where the rules that make this possible are kept:
//!
//! - R1: nothing is applied that is not durable in this log. So data is never ahead of the log, and an `applied` that
//!   is, means that a file was lost: we refuse to go on.
//! - R2: the commit index is the larger one of both files. That is why a Ready that only moves it costs no fsync.
//! - An installed snapshot is first durable in the data engine, with a copy of the raft state beside it. If that copy
//!   is ahead of the log's file, the crash came between the two, and the copy is the truth.
//!
//! [`PeerStorage`] is the log as consensus reads it (`raftcore::Storage`): the newest entries come from a cache
//! ([`EntryCache`]), because what was handed to the log writer must be readable at once; older ones from the disk.
//! It never writes: it *adds to a batch* that its caller owns.
//!
//! # Invariants
//!
//! - `truncated.index <= state.last_index`
//! - Everything in `truncated.index + 1 ..= state.last_index` can be read.
//! - What is not known to be durable is in the cache.

mod cache;
mod life;
mod snapshots;

use std::cell::RefCell;
use std::sync::Arc;

use proto::eraftpb::{ConfState, Entry, HardState, Snapshot};
use proto::metapb::{PeerRole, Region};
use proto::raft_serverpb::{RaftLocalState, RaftTruncatedState};
use raftcore::{RaftState, StorageError};

pub use cache::EntryCache;
pub use life::load;
pub use life::{
    INIT_INDEX, INIT_TERM, Opened, blank, born, create, destroy, first_apply_state, load_region,
    open, put_first, put_region,
};
pub use snapshots::SnapshotSlot;

use crate::log_store::{LogBatch, LogOp, LogStore};
use crate::store::limits::ENTRY_CACHE_BYTES;

/// The log of one peer. See the module.
pub struct PeerStorage {
    region: Region,
    log: Arc<dyn LogStore>,
    /// What the log's file will say when everything that was handed out is written.
    state: RaftLocalState,
    /// The log starts behind this entry.
    truncated: RaftTruncatedState,
    /// The term of entry `state.last_index`.
    last_term: u64,
    cache: EntryCache,
    // A cell, since consensus asks for snapshots through a shared reference; nobody holds a borrow across a call.
    snapshots: RefCell<SnapshotSlot>,
}

impl std::fmt::Debug for PeerStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = (self.truncated.index + 1, self.state.last_index);
        write!(f, "PeerStorage(region {}, log {first}..={last})", self.region.id)
    }
}

impl PeerStorage {
    /// The region as its last applied entry left it.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The region has changed: an entry that was just applied said so. A snapshot of it as it was is let go: whoever is new
    /// in it could do nothing with it.
    pub fn set_region(&mut self, region: Region) {
        self.release_snapshot();
        self.region = region;
    }

    /// Term, vote, commit and last index, as they were last handed out to be written.
    pub fn raft_state(&self) -> &RaftLocalState {
        &self.state
    }

    /// The last entry that is no longer in the log.
    pub fn truncated(&self) -> RaftTruncatedState {
        self.truncated
    }

    /// What the cache weighs, in bytes.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Adds a Ready's entries and hard state to the round's batch, and makes them readable.
    ///
    /// You will need [`LogOp::Append`], [`LogOp::State`] and the cache. The state names the last index: after
    /// entries were replaced by fewer, it must fall. Entries and state go into *one* batch, or a crash between
    /// them leaves a state that names entries which are not there.
    ///
    /// A commit index alone is not worth a write (R2): remember it, and write it with whatever comes next.
    pub fn append(
        &mut self,
        batch: &mut LogBatch,
        entries: &[Entry],
        hard_state: Option<&HardState>,
    ) {
        // BEGIN SOLUTION 2B.persist
        let region = self.region.id;
        let before = self.state;
        if let Some(hard_state) = hard_state {
            self.state.hard_state = Some(*hard_state);
        }
        if let Some(last) = entries.last() {
            // Not the maximum of both: the new entries end the log, even if the old ones went further.
            self.state.last_index = last.index;
            self.last_term = last.term;
            self.cache.append(entries);
            batch.ops.push(LogOp::Append { region, entries: entries.to_vec() });
        }
        if only_commit_differs(&before, &self.state) && entries.is_empty() {
            return;
        }
        batch.ops.push(LogOp::State { region, state: self.state });
        // END SOLUTION
    }

    /// Entries up to `index` are durable: the cache may let them go.
    pub fn persisted(&mut self, index: u64) {
        self.cache.evict(index, ENTRY_CACHE_BYTES);
    }

    /// The log starts behind this entry from now on. The entries themselves may go once that is durable in the data
    /// engine (R4); that is the store's affair.
    pub fn compacted(&mut self, truncated: RaftTruncatedState) {
        if truncated.index > self.truncated.index {
            self.truncated = truncated;
            self.cache.compact(truncated.index);
        }
    }

    /// A snapshot takes the place of the whole log. It is readable as such at once; `state` becomes durable when it
    /// is installed.
    pub fn restored(&mut self, index: u64, term: u64, region: Region, hard_state: HardState) {
        self.cache.clear();
        self.truncated = RaftTruncatedState { index, term };
        self.last_term = term;
        self.region = region;
        self.state = RaftLocalState { hard_state: Some(hard_state), last_index: index };
    }
}

fn only_commit_differs(before: &RaftLocalState, after: &RaftLocalState) -> bool {
    let promise = |state: &RaftLocalState| state.hard_state.map(|hard| (hard.term, hard.vote));
    promise(before) == promise(after) && before.last_index == after.last_index
}

/// The members of a region as consensus counts them.
pub fn conf_state(region: &Region) -> ConfState {
    let mut conf = ConfState::default();
    for peer in &region.peers {
        match peer.role() {
            PeerRole::Voter | PeerRole::IncomingVoter => conf.voters.push(peer.id),
            PeerRole::Learner => conf.learners.push(peer.id),
            PeerRole::DemotingVoter => conf.learners_next.push(peer.id),
        }
    }
    let joint = |role| matches!(role, PeerRole::IncomingVoter | PeerRole::DemotingVoter);
    if region.peers.iter().any(|peer| joint(peer.role())) {
        let old = |role| matches!(role, PeerRole::Voter | PeerRole::DemotingVoter);
        conf.voters_outgoing =
            region.peers.iter().filter(|peer| old(peer.role())).map(|peer| peer.id).collect();
    }
    conf
}

fn failed(error: crate::Error) -> StorageError {
    StorageError::Other(error.to_string())
}

impl raftcore::Storage for PeerStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(RaftState {
            hard_state: self.state.hard_state.unwrap_or_default(),
            conf_state: conf_state(&self.region),
        })
    }

    fn entries(&self, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if low <= self.truncated.index {
            return Err(StorageError::Compacted);
        }
        if high > self.state.last_index + 1 {
            return Err(StorageError::Unavailable);
        }
        // The disk has what the cache has not: everything before the cache's first entry is durable.
        let cached_from = self.cache.first_index().unwrap_or(high).clamp(low, high);
        let mut found =
            self.log.entries(self.region.id, low, cached_from, max_size).map_err(failed)?;
        if low + found.len() as u64 == cached_from {
            found.extend(self.cache.range(cached_from, high).cloned());
        }
        let fits = crate::log_store::fitting(&found, max_size);
        found.truncate(fits);
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index < self.truncated.index {
            return Err(StorageError::Compacted);
        }
        if index > self.state.last_index {
            return Err(StorageError::Unavailable);
        }
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        if index == self.state.last_index {
            return Ok(self.last_term);
        }
        if let Some(entry) = self.cache.get(index) {
            return Ok(entry.term);
        }
        let found = self.log.entries(self.region.id, index, index + 1, 0).map_err(failed)?;
        found.first().map(|entry| entry.term).ok_or(StorageError::Unavailable)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.state.last_index)
    }

    fn snapshot(&self, at_least: u64, to: u64) -> Result<Snapshot, StorageError> {
        let oldest_useful = at_least.max(self.truncated.index);
        self.snapshots.borrow_mut().ask(oldest_useful, to)
    }
}
