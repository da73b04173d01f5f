//! A batch of writes: collected first, committed as one.

use redb::WriteTransaction;

use super::{CfName, definition, open};
use crate::keys::KeyRange;
use crate::{Error, Result};

/// Writes that become visible together, applied in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    ops: Vec<(CfName, Op)>,
    /// Of all keys and values.
    bytes: u64,
}

#[derive(Debug, Clone)]
enum Op {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    DeleteRange { range: KeyRange },
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`, whether it was there or not.
    pub fn put(&mut self, cf: CfName, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += (key.len() + value.len()) as u64;
        self.ops.push((cf, Op::Put { key, value }));
    }

    /// Removes `key`; no matter if it is not there.
    pub fn delete(&mut self, cf: CfName, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len() as u64;
        self.ops.push((cf, Op::Delete { key }));
    }

    /// Removes every key of `range`. Costs time in proportion to the keys it removes: redb has no
    /// range tombstone.
    pub fn delete_range(&mut self, cf: CfName, range: KeyRange) {
        self.ops.push((cf, Op::DeleteRange { range }));
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Bytes of the keys and values in it: about the memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn apply(&self, transaction: &WriteTransaction, cfs: &[CfName]) -> Result<()> {
        let failed = |e: redb::Error| open::storage_error("apply a batch", e);
        // All names are checked before anything is touched: an unknown one leaves no half batch.
        if let Some((cf, _)) = self.ops.iter().find(|(cf, _)| !cfs.contains(cf)) {
            return Err(Error::UnknownCf((*cf).to_owned()));
        }
        // Opening a table is a look-up in the table of tables, and one cannot be opened twice, so we
        // open each once and filter: order matters only within a column family.
        for &cf in cfs {
            let mut ops = self.ops.iter().filter(|(of, _)| *of == cf).peekable();
            if ops.peek().is_none() {
                continue;
            }
            let mut table = transaction.open_table(definition(cf)).map_err(|e| failed(e.into()))?;
            for (_, op) in ops {
                match op {
                    Op::Put { key, value } => {
                        table.insert(&key[..], &value[..]).map_err(|e| failed(e.into()))?;
                    }
                    Op::Delete { key } => {
                        table.remove(&key[..]).map_err(|e| failed(e.into()))?;
                    }
                    Op::DeleteRange { range } if range.is_empty() => {}
                    Op::DeleteRange { range } => {
                        table
                            .retain_in(&range.start[..]..&range.end[..], |_, _| false)
                            .map_err(|e| failed(e.into()))?;
                    }
                }
            }
        }
        Ok(())
    }
}
