//! Walking over many keys at one timestamp.

use standalone::engine::{CF_LOCK, CF_WRITE, Direction};
use standalone::keys::KeyRange;
use standalone::storage::DynCursor;

use super::{Lock, MvccReader, Reading, Write, WriteKind, key};
use crate::Result;

/// What stands at a key.
#[derive(Debug)]
pub enum Found {
    /// A version that the reader may see.
    Value(Write),
    /// Another transaction's lock, which the reader must not pass.
    Locked(Lock),
}

/// Walks over the keys of a range in order, or in reverse order, as a reader at a timestamp sees them.
///
/// Two cursors go side by side: one over the records, one over the locks, since a key that is being written
/// for the first time has a lock and no record yet.
///
/// A key may have thousands of versions, and only one is wanted. So a key costs two steps, however many
/// versions it has: one to the visible version, one past all the others.
pub struct Scanner<'r> {
    reader: MvccReader<'r>,
    reading: Reading,
    direction: Direction,
    writes: DynCursor,
    /// The key that `writes` stands on.
    write_key: Option<Vec<u8>>,
    locks: DynCursor,
    /// The key that `locks` stands on.
    lock_key: Option<Vec<u8>>,
}

impl<'r> Scanner<'r> {
    /// A walk over `range` ([`key::range`]) in this direction.
    ///
    /// # Errors
    /// The storage's, and damaged records.
    pub fn new(
        reader: MvccReader<'r>,
        reading: Reading,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Self> {
        let mut writes = reader.inner().iter_cf(CF_WRITE, range.clone(), direction)?;
        let mut locks = reader.inner().iter_cf(CF_LOCK, range, direction)?;
        let (has_write, has_lock) = (writes.advance()?, locks.advance()?);
        let write_key =
            has_write.then(|| key::key_of_version(writes.key())).transpose()?.map(|(key, _)| key);
        let lock_key = has_lock.then(|| key::key_of_lock(locks.key())).transpose()?;
        Ok(Scanner { reader, reading, direction, writes, write_key, locks, lock_key })
    }

    /// The next key at which there is something, and what; `None` at the end.
    ///
    /// You will need `nearest`, `take_lock`, `pass_writes`, [`Lock::blocks`] and [`MvccReader::seek_change`].
    /// A key may have a lock, a record, or both. Which keys are passed over in silence?
    ///
    /// # Errors
    /// As [`Scanner::new`].
    pub fn step(&mut self) -> Result<Option<(Vec<u8>, Found)>> {
        // BEGIN SOLUTION 4C.scan
        while let Some(key) = self.nearest() {
            let lock = self.take_lock(&key)?;
            let has_writes = self.write_key.as_ref() == Some(&key);
            if let Some(lock) = lock.filter(|lock| lock.blocks(&self.reading)) {
                if has_writes {
                    self.pass_writes(&key)?;
                }
                return Ok(Some((key, Found::Locked(lock))));
            }
            if !has_writes {
                continue;
            }
            let change = self.reader.seek_change(&key, self.reading.ts)?;
            self.pass_writes(&key)?;
            match change {
                Some((_, write)) if write.kind == WriteKind::Put => {
                    return Ok(Some((key, Found::Value(write))));
                }
                _ => {}
            }
        }
        Ok(None)
        // END SOLUTION
    }

    /// The value of a found version.
    ///
    /// # Errors
    /// As [`MvccReader::load_value`].
    pub fn load_value(&self, key: &[u8], write: Write) -> Result<Vec<u8>> {
        self.reader.load_value(key, write)
    }

    /// The key that comes next in the direction of travel, of the two that the cursors stand on.
    ///
    /// You will need `direction`. What if one of the cursors is at its end?
    fn nearest(&self) -> Option<Vec<u8>> {
        // BEGIN SOLUTION 4C.scan
        match (&self.write_key, &self.lock_key) {
            (Some(write), Some(lock)) => Some(match self.direction {
                Direction::Forward => write.min(lock).clone(),
                Direction::Reverse => write.max(lock).clone(),
            }),
            (write, lock) => write.as_ref().or(lock.as_ref()).cloned(),
        }
        // END SOLUTION
    }

    /// The lock of `key`, if the cursor over locks stands on it; then the cursor goes on.
    fn take_lock(&mut self, key: &[u8]) -> Result<Option<Lock>> {
        if self.lock_key.as_deref() != Some(key) {
            return Ok(None);
        }
        let lock = Lock::parse(self.locks.value())?;
        self.lock_key =
            if self.locks.advance()? { Some(key::key_of_lock(self.locks.key())?) } else { None };
        Ok(Some(lock))
    }

    /// Takes the cursor over records past all versions of `key`, without a look at them.
    ///
    /// You will need `seek` and [`key::after_versions`]; in reverse, [`key::lock_key`], which is just before
    /// all versions of the key.
    fn pass_writes(&mut self, key: &[u8]) -> Result<()> {
        // BEGIN SOLUTION 4C.scan
        let there = match self.direction {
            Direction::Forward => self.writes.seek(&key::after_versions(key))?,
            Direction::Reverse => self.writes.seek(&key::lock_key(key))?,
        };
        self.write_key = if there { Some(key::key_of_version(self.writes.key())?.0) } else { None };
        Ok(())
        // END SOLUTION
    }
}
