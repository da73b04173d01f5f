//! How large a range is.

use super::{CfName, Direction, Snapshot};
use crate::Result;
use crate::keys::KeyRange;

/// Keys and bytes of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeSize {
    /// How many keys.
    pub keys: u64,
    /// Bytes of keys and values together. What the file uses is more: pages are not full.
    pub bytes: u64,
    /// False when counting stopped at the limit: then both are lower bounds.
    pub complete: bool,
}

impl Snapshot {
    /// Counts `range`, at most `max_keys` keys of it.
    ///
    /// This is a scan: redb keeps no statistics by range, where RocksDB has approximate ones in its
    /// tables' properties. The limit bounds the price; who needs sizes often keeps them by adding up
    /// its writes, and uses this to correct the sum.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn measure(&self, cf: CfName, range: KeyRange, max_keys: u64) -> Result<RangeSize> {
        let mut cursor = self.cursor(cf, range, Direction::Forward)?;
        let mut size = RangeSize::default();
        while cursor.advance()? {
            if size.keys == max_keys {
                return Ok(size);
            }
            size.keys += 1;
            size.bytes += (cursor.key().len() + cursor.value().len()) as u64;
        }
        size.complete = true;
        Ok(size)
    }
}
