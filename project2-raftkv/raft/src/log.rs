//! The replicated log, as Raft sees it: one sequence of entries, wherever each of them lies.
//!
//! ```text
//!   first_index          applied     persisted   committed      last_index
//!        |                  |            |           |              |
//!   1..4 | 5   6   7   8    9   10   11  12   13    14   15   16   17
//!  (snap)|<------------- the storage ------------->|<-- unstable -->|
//! ```
//!
//! Three marks move over it, and never back:
//!
//! - `committed`: no future leader lacks anything up to here (paper, 5.3 and 5.4). It is a fact about the
//!   group, and may be ahead of what this node has on disk.
//! - `persisted`: this node has it on disk. It is a promise about this node alone, and the one mark that
//!   can fall, when a new leader replaces entries that were not committed.
//! - `applied`: the application has done it. An entry is handed out to be applied only when it is committed
//!   *and* persisted here, so that a restart never finds a state machine which is ahead of its log.
//!
//! # Invariants
//!
//! - `first_index - 1 <= committed <= last_index`
//! - `applied <= committed`
//! - `persisted < unstable.offset`: what was not handed out to be written cannot be on disk
//! - Terms never fall from one entry to the next.
//!
//! What we left out: raft-rs can apply entries that are not persisted yet (`max_apply_unpersisted_log_limit`),
//! which saves the latency of a slow disk and costs the rule above.

use proto::eraftpb::{Entry, Snapshot, SnapshotMetadata};

use crate::error::{Error, Result, StorageError};
use crate::storage::Storage;
use crate::unstable::Unstable;
use crate::wire::fitting;

/// The replicated log.
#[derive(Debug)]
pub struct RaftLog<S> {
    pub(crate) store: S,
    pub(crate) unstable: Unstable,
    /// `first_index - 1 ..= last_index`; never falls.
    pub(crate) committed: u64,
    /// `0 .. unstable.offset`
    pub(crate) persisted: u64,
    /// `0 ..= committed`; never falls.
    pub(crate) applied: u64,
}

impl<S: Storage> RaftLog<S> {
    /// The log that a restarted node finds. All of it is durable, and at least what was applied or went into
    /// a snapshot is committed; a commit index that is ahead of the log is not believed, the leader will
    /// tell it again.
    pub(crate) fn new(store: S, commit: u64, applied: u64) -> Result<Self> {
        let (truncated, last_index) = (store.first_index()? - 1, store.last_index()?);
        let applied = applied.max(truncated);
        if applied > last_index {
            return Err(Error::Config(format!(
                "entry {applied} was applied, but the log ends at {last_index}: the disk lost a part of it"
            )));
        }
        Ok(RaftLog {
            unstable: Unstable::new(last_index, store.term(last_index)?),
            store,
            committed: commit.min(last_index).max(applied),
            persisted: last_index,
            applied,
        })
    }

    /// The storage, to write to.
    pub fn mut_store(&mut self) -> &mut S {
        &mut self.store
    }

    /// The last entry's index; what the log starts after, if it is empty.
    pub fn last_index(&self) -> u64 {
        self.unstable.last_index()
    }

    /// The last entry's term.
    pub fn last_term(&self) -> u64 {
        self.unstable.last_term()
    }

    /// The last index that is known to be committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// The last index that is durable here.
    pub fn persisted(&self) -> u64 {
        self.persisted
    }

    /// The last index that the application has applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The first entry that is not only in a snapshot.
    pub fn first_index(&self) -> Result<u64> {
        match &self.unstable.snapshot {
            Some(snapshot) => Ok(place_of(snapshot).0 + 1),
            None => Ok(self.store.first_index()?),
        }
    }

    /// The term of an entry, or `None` if this log does not know it: beyond the end, or compacted.
    ///
    /// You will need [`Unstable::term`], [`Storage::term`] and [`StorageError::Compacted`]. Which answer of
    /// the storage is no damage? And who is right about an index that both parts have?
    pub fn term(&self, index: u64) -> Result<Option<u64>> {
        // BEGIN SOLUTION 2AB.maybe_append
        if index > self.last_index() {
            // The storage may still hold what a new leader has replaced.
            return Ok(None);
        }
        if let Some(term) = self.unstable.term(index) {
            return Ok(Some(term));
        }
        if self.unstable.snapshot.is_some() {
            return Ok(None);
        }
        match self.store.term(index) {
            Ok(term) => Ok(Some(term)),
            Err(StorageError::Compacted) => Ok(None),
            Err(damage) => Err(damage.into()),
        }
        // END SOLUTION
    }

    /// Whether this log has that entry. By the Log Matching property (paper, 5.3) it then agrees with the
    /// sender's on everything before it.
    pub fn matches(&self, index: u64, term: u64) -> Result<bool> {
        Ok(self.term(index)? == Some(term))
    }

    /// The entries from `low` on, as many as `max_size` bytes hold (at least one, if there is one); `None`
    /// if `low` is compacted.
    pub fn entries(&self, low: u64, max_size: u64) -> Result<Option<Vec<Entry>>> {
        let offset = self.unstable.offset;
        if low >= offset {
            let entries = self.unstable.from(low);
            return Ok(Some(entries[..fitting(entries, max_size)].to_vec()));
        }
        if low < self.first_index()? {
            return Ok(None);
        }
        let mut entries = self.store.entries(low, offset, max_size)?;
        if entries.len() as u64 == offset - low && !self.unstable.entries.is_empty() {
            entries.extend_from_slice(&self.unstable.entries);
            entries.truncate(fitting(&entries, max_size));
        }
        Ok(Some(entries))
    }

    /// Puts a leader's own entry at the end.
    pub(crate) fn append(&mut self, entry: Entry) {
        debug_assert!(entry.index == self.last_index() + 1, "a leader appends, and nothing else");
        self.unstable.entries.push(entry);
    }

    /// A leader's entries, on a follower: takes what is new and returns the index of the last of them;
    /// `None` if this log does not have the entry that they go behind. The entries follow each other from
    /// `prev_index + 1` on.
    ///
    /// You will need `matches`, [`Unstable::replace_after`] and `commit_to`. Messages come late and twice: an
    /// append that holds less than this log has already, and agrees with it, must take nothing away. And
    /// when entries are replaced, `persisted` was told too much.
    ///
    /// # Errors
    /// [`Error::Conflict`] if a committed entry would be replaced; nothing was changed.
    pub(crate) fn maybe_append(
        &mut self,
        prev_index: u64,
        prev_term: u64,
        commit: u64,
        entries: Vec<Entry>,
    ) -> Result<Option<u64>> {
        // BEGIN SOLUTION 2AB.maybe_append
        // Figure 2, AppendEntries 2: no place to go, no success.
        if !self.matches(prev_index, prev_term)? {
            return Ok(None);
        }
        let last_new = prev_index + entries.len() as u64;
        // AppendEntries 3 and 4: skip what is here, and start over at the first entry that is not. Without
        // the skipping, a late short append would cut off entries that were acknowledged since.
        let mut known = 0;
        for entry in &entries {
            if !self.matches(entry.index, entry.term)? {
                break;
            }
            known += 1;
        }
        if known < entries.len() {
            let mut new = entries;
            let conflict = new[known].index;
            if conflict <= self.committed {
                return Err(Error::Conflict { index: conflict, committed: self.committed });
            }
            let (before, before_term) = match known {
                0 => (prev_index, prev_term),
                n => (new[n - 1].index, new[n - 1].term),
            };
            // What the disk has from here on is not this log any more.
            self.persisted = self.persisted.min(before);
            new.drain(..known);
            self.unstable.replace_after(before, before_term, new);
        }
        // AppendEntries 5: only up to `last_new`, for behind it may lie entries of another leader.
        self.commit_to(commit.min(last_new));
        Ok(Some(last_new))
        // END SOLUTION
    }

    /// The last entry at or before `index` whose term is at most `term`, and its term; at worst, `floor`.
    ///
    /// Both sides of a refused append use it to skip whole terms at a time (paper, end of 5.3). Terms never
    /// fall along a log, so an entry with a larger term than the other side's cannot be in the other log,
    /// nor can anything between.
    ///
    /// You will need `term`. What does a compacted entry tell you?
    pub(crate) fn find_conflict_by_term(
        &self,
        index: u64,
        term: u64,
        floor: u64,
    ) -> Result<(u64, u64)> {
        // BEGIN SOLUTION 2AB.find_conflict_by_term
        let mut at = index.min(self.last_index());
        while at > floor {
            match self.term(at)? {
                Some(ours) if ours <= term => return Ok((at, ours)),
                Some(_) => at -= 1,
                // Compacted: what lies before can only be told by a snapshot.
                None => return Ok((at, 0)),
            }
        }
        Ok((at, self.term(at)?.unwrap_or(0)))
        // END SOLUTION
    }

    /// Moves `committed` forward; never back, for a late message or a new leader that does not know yet
    /// may say less. Returns whether it moved.
    pub(crate) fn commit_to(&mut self, index: u64) -> bool {
        debug_assert!(index <= self.last_index(), "a log cannot be committed beyond its end");
        let forward = index > self.committed;
        self.committed = self.committed.max(index);
        forward
    }

    /// What no Ready has handed out to be written yet.
    pub fn unstable_entries(&self) -> &[Entry] {
        &self.unstable.entries
    }

    /// The storage reads as written up to this entry; it may not be durable yet.
    pub fn stable_to(&mut self, index: u64, term: u64) {
        self.unstable.stable_to(index, term);
    }

    /// The storage has installed this snapshot.
    pub(crate) fn stable_snapshot(&mut self, index: u64) {
        // Another one may have come since.
        if self.unstable.snapshot.as_ref().is_some_and(|s| place_of(s).0 == index) {
            self.unstable.snapshot = None;
        }
    }

    /// Everything up to this entry, *as it was when it was handed out*, is durable. Returns whether
    /// `persisted` moved.
    ///
    /// You will need `matches` and `unstable.offset`. Between the write and this word, a new leader may have
    /// put another entry at the same index (A-B-A): then the disk has something else.
    pub(crate) fn maybe_persist(&mut self, index: u64, term: u64) -> Result<bool> {
        // BEGIN SOLUTION 2AB.maybe_persist
        if index <= self.persisted || index >= self.unstable.offset {
            // Old news; or the entry was replaced, and its successor is still to be written.
            return Ok(false);
        }
        if !self.matches(index, term)? {
            return Ok(false);
        }
        self.persisted = index;
        Ok(true)
        // END SOLUTION
    }

    /// The snapshot at this index is durable.
    pub(crate) fn persist_snapshot(&mut self, index: u64) {
        // It was committed, so nothing can have replaced it.
        self.persisted = self.persisted.max(index);
    }

    /// Entries that may be applied: committed and durable, behind `since`; as many as `max_size` bytes hold.
    pub fn next_entries(&self, since: u64, max_size: u64) -> Result<Vec<Entry>> {
        if !self.has_next_entries(since) {
            return Ok(Vec::new());
        }
        let high = self.committed.min(self.persisted) + 1;
        Ok(self.store.entries(since + 1, high, max_size)?)
    }

    /// Whether there are entries to apply behind `since`.
    pub fn has_next_entries(&self, since: u64) -> bool {
        self.committed.min(self.persisted) > since
    }

    /// The application has applied everything up to `index`.
    pub fn applied_to(&mut self, index: u64) {
        assert!(
            index <= self.committed,
            "entry {index} cannot be applied, only {} is committed",
            self.committed
        );
        self.applied = self.applied.max(index);
    }

    /// A snapshot takes the place of the whole log (paper, section 7).
    ///
    /// You will need [`place_of`] and [`Unstable::restore`]. What is committed now? And what of this log is
    /// still on disk and true, until the snapshot is?
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        // BEGIN SOLUTION 2CA.log_restore
        let (index, term) = place_of(&snapshot);
        // Entries beyond the commit index were never certain, and are gone.
        self.persisted = self.persisted.min(self.committed);
        self.committed = index;
        self.unstable.restore(index, term, snapshot);
        // END SOLUTION
    }

    /// A snapshot of at least `at_least` for node `to`, or `None` while there is none.
    pub(crate) fn snapshot(&self, at_least: u64, to: u64) -> Result<Option<Snapshot>> {
        match self.store.snapshot(at_least, to) {
            // One that was made before the last compaction would leave a gap behind it.
            Ok(snapshot) if place_of(&snapshot).0 >= at_least => Ok(Some(snapshot)),
            Ok(_) | Err(StorageError::SnapshotTemporarilyUnavailable) => Ok(None),
            Err(damage) => Err(damage.into()),
        }
    }

    /// Panics if an invariant of the log does not hold. Tests call it after each step.
    pub fn check_invariants(&self) {
        let (first, last) = (self.first_index().unwrap_or(u64::MAX), self.last_index());
        let (committed, persisted, applied) = (self.committed, self.persisted, self.applied);
        assert!(first <= committed + 1, "compacted to {first}, but only {committed} is committed");
        assert!(committed <= last, "committed {committed}, but the log ends at {last}");
        assert!(applied <= committed, "applied {applied}, but only {committed} is committed");
        assert!(
            persisted < self.unstable.offset,
            "{persisted} is held for durable, but {} was not even handed out to be written",
            self.unstable.offset
        );
        let (mut index, mut term) = (self.unstable.offset, self.unstable.base_term);
        for entry in &self.unstable.entries {
            assert!(entry.index == index, "entry {} stands at place {index}", entry.index);
            assert!(entry.term >= term, "the term falls from {term} to {} at {index}", entry.term);
            (index, term) = (index + 1, entry.term);
        }
    }
}

/// Index and term of the last entry that a snapshot contains.
pub fn place_of(snapshot: &Snapshot) -> (u64, u64) {
    snapshot
        .metadata
        .as_ref()
        .map_or((0, 0), |SnapshotMetadata { index, term, .. }| (*index, *term))
}
