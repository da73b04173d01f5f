//! The newest entries, in memory.
//!
//! Two reasons. An entry that was handed to the log writer is *readable* at once, long before it is durable: that is
//! what lets a leader send it to followers while its own disk still writes. And followers nearly always want what
//! was appended a moment ago. What is durable may be evicted; what is not must stay, whatever it weighs.

use std::collections::VecDeque;

use proto::eraftpb::Entry;

/// Consecutive entries up to the log's last.
///
/// - `entries[i + 1].index == entries[i].index + 1`, and the last is the log's last, unless it is empty.
#[derive(Debug, Default)]
pub struct EntryCache {
    entries: VecDeque<Entry>,
    bytes: usize,
}

fn weight(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + 64
}

impl EntryCache {
    /// The index of the oldest entry here.
    pub fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.index)
    }

    /// What the entries weigh, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds entries; they replace what is there from the first one's index on.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        while self.entries.back().is_some_and(|last| last.index >= first.index) {
            self.bytes -= self.entries.pop_back().as_ref().map_or(0, weight);
        }
        if self.entries.back().is_some_and(|last| last.index + 1 != first.index) {
            // A gap would make every look-up by position wrong.
            self.clear();
        }
        self.bytes += entries.iter().map(weight).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
    }

    /// The entry of this index.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        let at = index.checked_sub(self.first_index()?)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The entries `low..high`; `low` must be here.
    pub fn range(&self, low: u64, high: u64) -> impl Iterator<Item = &Entry> {
        (low..high).map_while(|index| self.get(index))
    }

    /// Forgets entries up to `durable`, oldest first, until no more than `limit` bytes are left.
    pub fn evict(&mut self, durable: u64, limit: usize) {
        while self.bytes > limit && self.first_index().is_some_and(|first| first <= durable) {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, weight);
        }
    }

    /// Forgets entries up to `index`, which are compacted.
    pub fn compact(&mut self, index: u64) {
        while self.first_index().is_some_and(|first| first <= index) {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, weight);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}
