//! A reader on an engine's snapshot.

use super::{DynCursor, StorageReader};
use crate::Result;
use crate::engine::{CfName, Direction, Snapshot};
use crate::keys::KeyRange;

/// Reads from one [`Snapshot`]. It has no term: it is not replicated.
pub struct EngineReader {
    snapshot: Snapshot,
}

impl EngineReader {
    /// A reader of this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        EngineReader { snapshot }
    }
}

impl StorageReader for EngineReader {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.snapshot.get(cf, key)
    }

    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor> {
        Ok(Box::new(self.snapshot.cursor(cf, range, direction)?))
    }
}
