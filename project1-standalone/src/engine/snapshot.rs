//! One moment of the database.

use std::sync::{Arc, OnceLock};

use redb::{ReadTransaction, ReadableDatabase};

use super::{CfName, Cursor, Direction, MAX_CFS, Table, definition, open};
use crate::keys::KeyRange;
use crate::{Error, Result};

/// A consistent view of all column families, unchanged by later writes.
///
/// It is a redb read transaction: the pages it can see are not reused while it lives, so a snapshot
/// that is kept for long makes the file grow. Keep it for one request.
pub struct Snapshot {
    transaction: ReadTransaction,
    cfs: Arc<[CfName]>,
    // Opened at first use, since most requests read one column family of the three. An array,
    // because a snapshot is made for each request: a `Vec` was a twentieth of a get.
    tables: [OnceLock<Arc<Table>>; MAX_CFS],
}

impl Snapshot {
    pub(super) fn new(db: &redb::Database, cfs: Arc<[CfName]>) -> Result<Self> {
        let transaction =
            db.begin_read().map_err(|e| open::storage_error("open a snapshot", e.into()))?;
        Ok(Snapshot { transaction, cfs, tables: Default::default() })
    }

    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// [`Error::UnknownCf`] when the engine was not opened with `cf`; [`Error::Io`] or
    /// [`Error::Corrupt`].
    pub fn get(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value =
            self.table(cf)?.get(key).map_err(|e| open::storage_error("read a key", e.into()))?;
        Ok(value.map(|guard| guard.value().to_vec()))
    }

    /// A cursor over `range`, which stands before the first key in its `direction`.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn cursor(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<Cursor> {
        Cursor::new(self.table(cf)?.clone(), range, direction)
    }

    pub(super) fn table(&self, cf: CfName) -> Result<&Arc<Table>> {
        let slot = self
            .cfs
            .iter()
            .position(|&name| name == cf)
            .ok_or_else(|| Error::UnknownCf(cf.to_owned()))?;
        if let Some(table) = self.tables[slot].get() {
            return Ok(table);
        }
        let table = self
            .transaction
            .open_table(definition(cf))
            .map_err(|e| open::storage_error("open a column family", e.into()))?;
        Ok(self.tables[slot].get_or_init(|| Arc::new(table)))
    }
}
