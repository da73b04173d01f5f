//! Questions about one key.

use standalone::StorageReader;
use standalone::engine::{CF_DEFAULT, CF_LOCK, CF_WRITE, Direction};

use super::{Lock, Write, WriteKind, key};
use crate::{Error, Result, TimeStamp};

/// A read: at what time, and past whom.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// See what was committed at or before this.
    pub ts: TimeStamp,
    /// Transactions whose locks are no obstacle: the client has found out that they are rolled back, or will
    /// commit later than `ts`.
    pub bypass: Vec<TimeStamp>,
}

impl Reading {
    /// A read at `ts` that knows of no other transaction.
    pub fn at(ts: TimeStamp) -> Self {
        Reading { ts, bypass: Vec::new() }
    }
}

/// What is on record about a transaction, on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It has committed here.
    Committed {
        /// When.
        commit_ts: TimeStamp,
        /// The record.
        write: Write,
    },
    /// It was rolled back here.
    RolledBack,
    /// Nothing: it has not come yet, or holds a lock, or never will come.
    None,
}

/// Reads versions through one reader of the storage, that is, at one moment.
pub struct MvccReader<'r> {
    reader: &'r dyn StorageReader,
}

impl<'r> MvccReader<'r> {
    /// Reads through `reader`.
    pub fn new(reader: &'r dyn StorageReader) -> Self {
        MvccReader { reader }
    }

    /// The storage's reader behind.
    pub fn inner(&self) -> &'r dyn StorageReader {
        self.reader
    }

    /// The lock of `key`, whosever it is.
    ///
    /// # Errors
    /// The storage's, and damaged records; the same holds for all methods here.
    pub fn load_lock(&self, key: &[u8]) -> Result<Option<Lock>> {
        // BEGIN SOLUTION 4A.seek_write
        let bytes = self.reader.get_cf(CF_LOCK, &key::lock_key(key))?;
        bytes.map(|bytes| Lock::parse(&bytes)).transpose()
        // END SOLUTION
    }

    /// The newest record of `key` with a commit timestamp at or below `ts`, of any kind, and that timestamp.
    ///
    /// You will need [`key::versions`], `iter_cf` and one `advance`. Whose record could you stand on if you
    /// did not bound the range?
    pub fn seek_write(&self, key: &[u8], ts: TimeStamp) -> Result<Option<(TimeStamp, Write)>> {
        // BEGIN SOLUTION 4A.seek_write
        let versions = key::versions(key, ts);
        let mut cursor = self.reader.iter_cf(CF_WRITE, versions, Direction::Forward)?;
        if !cursor.advance()? {
            return Ok(None);
        }
        let (_, commit_ts) = key::key_of_version(cursor.key())?;
        Ok(Some((commit_ts, Write::parse(cursor.value())?)))
        // END SOLUTION
    }

    /// The newest record of `key` at or below `ts` that says what the key holds: a `Put` or a `Delete`, and its
    /// commit timestamp. Records of kind `Lock` and `Rollback` say nothing about that.
    ///
    /// You will need [`MvccReader::seek_write`], again and again.
    pub fn seek_change(&self, key: &[u8], ts: TimeStamp) -> Result<Option<(TimeStamp, Write)>> {
        // BEGIN SOLUTION 4A.get_value
        let mut below = Some(ts);
        while let Some(ts) = below {
            let Some((commit_ts, write)) = self.seek_write(key, ts)? else { return Ok(None) };
            match write.kind {
                WriteKind::Put | WriteKind::Delete => return Ok(Some((commit_ts, write))),
                WriteKind::Lock | WriteKind::Rollback => below = commit_ts.prev(),
            }
        }
        Ok(None)
        // END SOLUTION
    }

    /// What `key` holds for a reader at `ts`. Locks are not looked at: that is the caller's business.
    ///
    /// You will need [`MvccReader::seek_change`] and [`MvccReader::load_value`].
    pub fn get_value(&self, key: &[u8], ts: TimeStamp) -> Result<Option<Vec<u8>>> {
        // BEGIN SOLUTION 4A.get_value
        match self.seek_change(key, ts)? {
            Some((_, write)) if write.kind == WriteKind::Put => {
                self.load_value(key, write).map(Some)
            }
            _ => Ok(None),
        }
        // END SOLUTION
    }

    /// The value of a `Put` record: from the record itself, or from `default`.
    ///
    /// # Errors
    /// Also a record whose value is not there.
    pub fn load_value(&self, key: &[u8], write: Write) -> Result<Vec<u8>> {
        // BEGIN SOLUTION 4A.get_value
        if let Some(value) = write.short_value {
            return Ok(value);
        }
        // Under the timestamp at which it was written, which is not the one at which it was committed.
        let value = self.reader.get_cf(CF_DEFAULT, &key::version_key(key, write.start_ts))?;
        value.ok_or_else(|| Error::corrupt(format!("{write:?} points to a value that is missing")))
        // END SOLUTION
    }

    /// What is on record about the transaction that started at `start_ts`, on `key`.
    ///
    /// You will need [`MvccReader::seek_write`] from [`TimeStamp::MAX`] downwards: a transaction commits after
    /// its start, and is rolled back *at* its start, so that below `start_ts` there is nothing of it. At exactly
    /// `start_ts` may lie somebody else's commit, with an overlapped rollback.
    pub fn find_record(&self, key: &[u8], start_ts: TimeStamp) -> Result<Record> {
        // BEGIN SOLUTION 4A.find_record
        let mut below = Some(TimeStamp::MAX);
        while let Some(ts) = below {
            let Some((commit_ts, write)) = self.seek_write(key, ts)? else { break };
            if commit_ts < start_ts {
                break;
            }
            if write.start_ts == start_ts {
                return Ok(match write.kind {
                    WriteKind::Rollback => Record::RolledBack,
                    _ => Record::Committed { commit_ts, write },
                });
            }
            if commit_ts == start_ts && write.has_overlapped_rollback {
                return Ok(Record::RolledBack);
            }
            below = commit_ts.prev();
        }
        Ok(Record::None)
        // END SOLUTION
    }

    /// The newest commit of `key`, whenever it was, of any kind but a rollback: whom a writer may conflict with.
    ///
    /// You will need [`MvccReader::seek_write`] from [`TimeStamp::MAX`] downwards.
    pub fn newest_commit(&self, key: &[u8]) -> Result<Option<(TimeStamp, Write)>> {
        // BEGIN SOLUTION 4A.find_record
        let mut below = Some(TimeStamp::MAX);
        while let Some(ts) = below {
            match self.seek_write(key, ts)? {
                Some((commit_ts, write)) if write.kind == WriteKind::Rollback => {
                    below = commit_ts.prev();
                }
                found => return Ok(found),
            }
        }
        Ok(None)
        // END SOLUTION
    }
}
