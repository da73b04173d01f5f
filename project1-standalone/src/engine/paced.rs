//! A file that is synced in small portions while a large commit is written.
//!
//! A durable commit writes all pages that have changed and then syncs the file. After a second of full load that is twenty
//! megabytes in one go, and whoever else waits for that disk, such as the log of the same store, waits for all of them. In
//! portions he waits for one. The commit itself takes a little longer, and means the same: a sync more never harms.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// See the module.
#[derive(Debug)]
pub(super) struct Paced {
    file: FileBackend,
    /// Bytes of a portion.
    portion: usize,
    /// Bytes written since the last sync.
    unsynced: AtomicUsize,
}

impl Paced {
    pub(super) fn new(file: FileBackend, portion: usize) -> Self {
        Paced { file, portion, unsynced: AtomicUsize::new(0) }
    }
}

impl StorageBackend for Paced {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)?;
        let before = self.unsynced.fetch_add(data.len(), Ordering::Relaxed);
        if before.saturating_add(data.len()) >= self.portion {
            self.sync_data()?;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }

    // All else is the file's.

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{CF_DEFAULT, Durability, Engine, Options, WriteBatch};

    #[test]
    fn a_commit_in_portions_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().expect("there is room for a file");
        let options = Options { portion_bytes: 4096, ..Options::default() };
        let value = vec![7; 100];
        {
            let engine = Engine::open(dir.path(), "kv.redb", &options).expect("a new database");
            let mut batch = WriteBatch::new();
            for n in 0_u32..1000 {
                batch.put(CF_DEFAULT, n.to_be_bytes(), value.clone());
            }
            engine.write(&batch, Durability::Immediate).expect("there is room for 100 kB");
        }
        let engine = Engine::open(dir.path(), "kv.redb", &options).expect("it is whole");
        let snapshot = engine.snapshot().expect("it can be read");
        for n in 0_u32..1000 {
            let found = snapshot.get(CF_DEFAULT, &n.to_be_bytes()).expect("it can be read");
            assert_eq!(found.as_deref(), Some(&value[..]), "key {n}");
        }
    }
}
