//! The subject's journal: disks, messages, replies and jobs, noted in the order in which they happen.
//!
//! A store under test writes to its disk in one place and leaves messages in an outbox in another. If its adapter
//! handed out "all disk operations, then all messages", a message sent too early would look as if it had waited
//! for the fsync, and no crash could show the mistake. So both go into one [`Recorder`]: [`Recorder::disk`] gives
//! the `redb::StorageBackend` of a file, [`Recorder::note`] takes every other effect *at the moment it leaves the
//! store's hands* (drain the outbox before each call that may write, and after it).
//!
//! Clones share the journal. A lock because redb wants its backends `Sync`; one thread uses it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_bytes::ByteBuf;

use super::protocol::Effect;
use crate::disk::{DiskCall, RecordingDisk};

/// A journal of effects, and the files of one life.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Journal>>);

#[derive(Debug, Default)]
struct Journal {
    effects: Vec<Effect>,
    files: BTreeMap<String, RecordingDisk>,
}

impl Recorder {
    /// A journal over the files of [`Open`](super::protocol::Open).
    pub fn new(files: impl IntoIterator<Item = (String, ByteBuf)>) -> Self {
        let recorder = Recorder::default();
        for (name, bytes) in files {
            let disk = recorder.journalled(&name, bytes.into_vec());
            recorder.lock().files.insert(name, disk);
        }
        recorder
    }

    /// The file with this name, empty if there was none.
    pub fn disk(&self, name: &str) -> RecordingDisk {
        if let Some(disk) = self.lock().files.get(name) {
            return disk.clone();
        }
        let disk = self.journalled(name, Vec::new());
        self.lock().files.insert(name.to_owned(), disk.clone());
        disk
    }

    /// The names of the files that exist.
    pub fn files(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        let mut journal = self.lock();
        if journal.files.remove(name).is_some() {
            journal.effects.push(Effect::Remove { file: name.to_owned() });
        }
    }

    /// Carries out [`Event::FailDisk`](super::protocol::Event::FailDisk).
    pub fn fail(&self, name: &str, call: DiskCall, nth: u64) {
        self.disk(name).fail(call, nth);
    }

    /// Notes an effect that is happening now.
    pub fn note(&self, effect: Effect) {
        self.lock().effects.push(effect);
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<Effect> {
        std::mem::take(&mut self.lock().effects)
    }

    fn journalled(&self, name: &str, bytes: Vec<u8>) -> RecordingDisk {
        // Weak: the journal owns the disks, not the other way round.
        let (journal, file) = (Arc::downgrade(&self.0), name.to_owned());
        RecordingDisk::watched(bytes, move |op| {
            if let Some(journal) = journal.upgrade() {
                let effect = Effect::Disk { file: file.clone(), op };
                journal.lock().unwrap_or_else(PoisonError::into_inner).effects.push(effect);
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
