//! The end of the log that no Ready has handed out to be written yet, and a snapshot on its way in.
//!
//! ```text
//!      storage ...  7@2  8@2 | 9@3  10@3        offset = 9, base_term = 2
//!                            | unstable
//! ```
//!
//! `base_term` is the term of the entry just before. With it, the log knows its last index and last term
//! without asking the storage: those two decide elections, and a disk should not.

use proto::eraftpb::{Entry, Snapshot};

/// The newest part of the log.
///
/// # Invariants
///
/// - `entries[i].index == offset + i`, and terms never fall.
/// - While there is a snapshot, nothing of the old log counts: `offset > snapshot.index`.
#[derive(Debug)]
pub(crate) struct Unstable {
    /// A snapshot from the leader that waits to be installed.
    pub(crate) snapshot: Option<Snapshot>,
    /// The index of `entries[0]`, or of the entry that comes next.
    pub(crate) offset: u64,
    /// The term of the entry at `offset - 1`.
    pub(crate) base_term: u64,
    /// What is not handed out yet.
    pub(crate) entries: Vec<Entry>,
}

impl Unstable {
    /// Nothing, after a storage that ends with this entry.
    pub(crate) fn new(last_index: u64, last_term: u64) -> Self {
        Unstable {
            snapshot: None,
            offset: last_index + 1,
            base_term: last_term,
            entries: Vec::new(),
        }
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.offset - 1 + self.entries.len() as u64
    }

    pub(crate) fn last_term(&self) -> u64 {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    /// The term of an entry, as far as this part knows it.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if index + 1 == self.offset {
            return Some(self.base_term);
        }
        let at = usize::try_from(index.checked_sub(self.offset)?).ok()?;
        self.entries.get(at).map(|entry| entry.term)
    }

    /// The entries from this index on, which is at least `offset`.
    pub(crate) fn from(&self, low: u64) -> &[Entry] {
        let at = usize::try_from(low - self.offset).unwrap_or(usize::MAX);
        self.entries.get(at..).unwrap_or(&[])
    }

    /// Puts entries behind the one at `prev_index`, whose term is `prev_term`, and drops whatever was
    /// there. The log reaches at least to `prev_index`, and the entries follow each other from there.
    ///
    /// You will need three cases: they go behind what is here; they replace all of it, and reach back into
    /// what the storage has; they replace a part of it. Which fields change in the second?
    pub(crate) fn replace_after(&mut self, prev_index: u64, prev_term: u64, entries: Vec<Entry>) {
        // BEGIN SOLUTION 2AB.replace_after
        if prev_index < self.offset {
            // From before our part on: the storage's end is void too, until a Ready overwrites it.
            self.offset = prev_index + 1;
            self.base_term = prev_term;
            self.entries = entries;
            return;
        }
        let keep = usize::try_from(prev_index + 1 - self.offset).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
        self.entries.extend(entries);
        // END SOLUTION
    }

    /// The storage has everything up to this entry now. If another entry has taken its place since it was
    /// handed out, the storage has something else, and nothing changes.
    pub(crate) fn stable_to(&mut self, index: u64, term: u64) {
        if index < self.offset || self.term(index) != Some(term) {
            return;
        }
        let written = usize::try_from(index + 1 - self.offset).unwrap_or(usize::MAX);
        if written == self.entries.len() {
            // The vector keeps its room for the next batch.
            self.entries.clear();
        } else {
            self.entries.drain(..written);
        }
        self.offset = index + 1;
        self.base_term = term;
    }

    /// A snapshot takes the place of everything.
    pub(crate) fn restore(&mut self, index: u64, term: u64, snapshot: Snapshot) {
        *self = Unstable::new(index, term);
        self.snapshot = Some(snapshot);
    }
}
