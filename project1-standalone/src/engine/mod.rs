//! The storage engine: redb, with a table per column family.
//!
//! A *column family* (CF) is a key space of its own inside one database; a batch may write to several
//! of them at once, atomically. TiKV keeps data in `default`, locks in `lock` and commit records in
//! `write`, each tuned on its own in RocksDB. In redb a column family is a table.
//!
//! Three types:
//!
//! - [`Engine`] opens a database (a directory, memory, or any `redb::StorageBackend`) and commits a
//!   [`WriteBatch`] with a chosen [`Durability`].
//! - [`Snapshot`] is a redb read transaction: one moment of the database, unchanged by later writes.
//!   Reads never wait for the writer, and the writer never waits for reads.
//! - [`Cursor`] walks a range of a snapshot, forwards or backwards, and can [`seek`](Cursor::seek).
//!
//! # Invariants
//!
//! - A batch becomes visible, and durable, as a whole.
//! - There is one writer at a time: redb serialises write transactions. Who wants many small writes
//!   to be fast must merge them into one batch; a commit costs one fsync however large it is.
//! - With [`Durability::None`] a commit is visible at once and durable with the next `Immediate` one; a
//!   crash falls back to the last durable commit as a whole.
//!
//! Why redb and not RocksDB: no C++ in a student's build, crash safety by copy-on-write pages, and a
//! `StorageBackend` that the simulator can replace by a disk that crashes. The price: one writer, and
//! write amplification of a page per small change.

mod batch;
mod cursor;
mod measure;
mod open;
mod paced;
mod snapshot;

use std::sync::Arc;

pub use batch::WriteBatch;
pub use cursor::{Cursor, Direction};
pub use measure::RangeSize;
pub use open::Options;
pub use snapshot::Snapshot;

use crate::{Error, Result};

/// The name of a column family.
pub type CfName = &'static str;

/// Where data lives.
pub const CF_DEFAULT: CfName = "default";
/// Where transactions keep their locks.
pub const CF_LOCK: CfName = "lock";
/// Where transactions keep their commit records.
pub const CF_WRITE: CfName = "write";

/// How many column families an engine can have.
pub const MAX_CFS: usize = 4;

/// The column families that clients may name.
pub const DATA_CFS: [CfName; 3] = [CF_DEFAULT, CF_LOCK, CF_WRITE];

/// The column family that a client means: the empty name is `default`.
///
/// # Errors
/// [`Error::UnknownCf`] for any other name than those of [`DATA_CFS`].
pub fn parse_cf(name: &str) -> Result<CfName> {
    if name.is_empty() {
        return Ok(CF_DEFAULT);
    }
    DATA_CFS.into_iter().find(|&cf| cf == name).ok_or_else(|| Error::UnknownCf(name.to_owned()))
}

/// When a commit survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When [`Engine::write`] returns: one fsync.
    Immediate,
    /// With the next `Immediate` commit: no fsync.
    None,
}

type Table = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;
type TableDefinition = redb::TableDefinition<'static, &'static [u8], &'static [u8]>;

fn definition(cf: CfName) -> TableDefinition {
    TableDefinition::new(cf)
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Engine {
    db: Arc<redb::Database>,
    cfs: Arc<[CfName]>,
}

impl Engine {
    /// Commits `batch` atomically. An empty batch commits nothing, and nothing is synced.
    ///
    /// # Errors
    /// [`Error::UnknownCf`] when the batch names a column family that this engine was not opened with
    /// (nothing happened); [`Error::Io`] or [`Error::Corrupt`] when the disk or its contents failed
    /// (indefinite: the engine must be reopened to know).
    pub fn write(&self, batch: &WriteBatch, durability: Durability) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let failed = |e: redb::Error| open::storage_error("commit a batch", e);
        let mut transaction = self.db.begin_write().map_err(|e| failed(e.into()))?;
        transaction
            .set_durability(match durability {
                Durability::Immediate => redb::Durability::Immediate,
                Durability::None => redb::Durability::None,
            })
            .map_err(|e| failed(e.into()))?;
        batch.apply(&transaction, &self.cfs)?;
        transaction.commit().map_err(|e| failed(e.into()))
    }

    /// The database as it is now, for reading.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Corrupt`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::new(&self.db, self.cfs.clone())
    }
}
