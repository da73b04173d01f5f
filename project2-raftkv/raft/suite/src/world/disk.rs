//! What a node was told to keep, and what of it is durable.
//!
//! A Ready goes into a queue when it is taken, and onto the platter when the suite says so, in order.
//! Between the two a crash loses it. So [`Disk`] has two images: [`Disk::durable`], which a restart
//! finds, and [`Disk::written`], which the running node may read.

use std::collections::VecDeque;

use prost::Message as _;
use proto::eraftpb::{ConfState, Entry, HardState, Snapshot};

use crate::protocol::Durable;

/// The contents of a disk at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// Term, vote, commit.
    pub hard: HardState,
    /// The members.
    pub conf: ConfState,
    /// The last entry that changed them; 0: they are those of the start.
    pub conf_index: u64,
    /// Index and term of the last entry that is only in a snapshot.
    pub truncated: (u64, u64),
    /// The data of that snapshot.
    pub snapshot_data: Vec<u8>,
    /// The log after it.
    pub entries: Vec<Entry>,
}

impl Image {
    /// Index and term of the last entry.
    pub fn last(&self) -> (u64, u64) {
        self.entries.last().map_or(self.truncated, |entry| (entry.index, entry.term))
    }

    /// The term of the entry at `index`; `None` beyond the log, or before the snapshot's end.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.truncated.0 {
            return Some(self.truncated.1);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// The entry at `index`.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.truncated.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Whether the entry `index@term` is here, or under the snapshot.
    pub fn holds(&self, index: u64, term: u64) -> bool {
        index <= self.truncated.0 || self.term(index) == Some(term)
    }

    /// The terms from the first entry on.
    pub fn terms(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.term).collect()
    }

    fn write(&mut self, write: &Write) {
        if let Some(snapshot) = &write.snapshot {
            let metadata = snapshot.metadata.clone().unwrap_or_default();
            self.truncated = (metadata.index, metadata.term);
            self.conf = metadata.conf_state.unwrap_or_default();
            self.conf_index = metadata.index;
            self.snapshot_data = snapshot.data.to_vec();
            self.entries.clear();
            self.hard.commit = self.hard.commit.max(metadata.index);
        }
        if let Some(first) = write.entries.first() {
            let keep = first.index.saturating_sub(self.truncated.0 + 1);
            self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            self.entries.extend_from_slice(&write.entries);
        }
        if let Some(hard) = write.hard_state {
            self.hard = hard;
        }
    }

    fn compact(&mut self, index: u64, data: Vec<u8>) {
        if let Some(term) = self.term(index)
            && index > self.truncated.0
        {
            self.entries.retain(|entry| entry.index > index);
            self.truncated = (index, term);
            self.snapshot_data = data;
        }
    }

    /// As a node is told it at its start.
    pub fn to_durable(&self) -> Durable {
        Durable {
            hard_state: self.hard.encode_to_vec().into(),
            conf_state: self.conf.encode_to_vec().into(),
            truncated: self.truncated,
            snapshot_data: self.snapshot_data.clone().into(),
            entries: self.entries.iter().map(|entry| entry.encode_to_vec().into()).collect(),
        }
    }
}

/// What one Ready asks to be written.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// The new hard state.
    pub hard_state: Option<HardState>,
    /// Entries; they replace what the log holds from the first one's index on.
    pub entries: Vec<Entry>,
    /// A snapshot, which comes before the entries.
    pub snapshot: Option<Snapshot>,
}

/// A disk with a queue in front of it.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    durable: Image,
    written: Image,
    queue: VecDeque<(u64, Write)>,
}

impl Disk {
    /// A disk with these contents, durable.
    pub fn new(image: Image) -> Self {
        Disk { durable: image.clone(), written: image, queue: VecDeque::new() }
    }

    /// What survives a crash for certain.
    pub fn durable(&self) -> &Image {
        &self.durable
    }

    /// What survives if everything that waits gets through.
    pub fn written(&self) -> &Image {
        &self.written
    }

    /// How many Readys wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Ready `number` is under way.
    pub fn write(&mut self, number: u64, write: Write) {
        self.written.write(&write);
        self.queue.push_back((number, write));
    }

    /// Ready `number` and all before it are durable.
    pub fn persist(&mut self, number: u64) {
        while self.queue.front().is_some_and(|(first, _)| *first <= number) {
            if let Some((_, write)) = self.queue.pop_front() {
                self.durable.write(&write);
            }
        }
    }

    /// The power goes. The first `lucky` of the Readys that wait had just reached the platter.
    pub fn crash(&mut self, lucky: usize) {
        for (_, write) in std::mem::take(&mut self.queue).iter().take(lucky) {
            self.durable.write(write);
        }
        self.written = self.durable.clone();
    }

    /// The log up to `index` is in a snapshot with this data, and dropped.
    pub fn compact(&mut self, index: u64, data: &[u8]) {
        self.durable.compact(index, data.to_vec());
        self.written.compact(index, data.to_vec());
    }

    /// The entry at `index` was applied, and changed the members. That is durable with the apply state, which says
    /// that everything up to there is applied.
    pub fn change(&mut self, index: u64, conf: &ConfState) {
        for image in [&mut self.durable, &mut self.written] {
            image.conf = conf.clone();
            image.conf_index = index;
        }
        self.know_committed(index);
    }

    /// The apply state on the same disk says that `index` was applied: it was committed, then.
    pub fn know_committed(&mut self, index: u64) {
        for image in [&mut self.durable, &mut self.written] {
            image.hard.commit = image.hard.commit.max(index);
        }
    }
}
