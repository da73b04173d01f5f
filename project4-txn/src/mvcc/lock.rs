//! The record of the column family `lock`: somebody is about to write this key.

use std::fmt;

use proto::kvrpcpb::{LockInfo, Op};

use super::codec::{Parser, put_bytes, put_var};
use super::{Reading, SHORT_VALUE_MAX};
use crate::{Error, Result, TimeStamp};

/// What the lock becomes when its transaction commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// A value.
    Put,
    /// A deletion.
    Delete,
    /// A record that changes nothing, but conflicts with others' writes as if it did.
    Lock,
    /// Nothing yet: a pessimistic transaction holds the key and has not said what it will write.
    Pessimistic,
}

impl LockKind {
    fn letter(self) -> u8 {
        match self {
            LockKind::Put => b'P',
            LockKind::Delete => b'D',
            LockKind::Lock => b'L',
            LockKind::Pessimistic => b'S',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [LockKind::Put, LockKind::Delete, LockKind::Lock, LockKind::Pessimistic]
            .into_iter()
            .find(|kind| kind.letter() == letter)
    }

    fn op(self) -> Op {
        match self {
            LockKind::Put => Op::Put,
            LockKind::Delete => Op::Del,
            LockKind::Lock => Op::Lock,
            LockKind::Pessimistic => Op::PessimisticLock,
        }
    }
}

/// A lock on one key.
///
/// - All locks of a transaction name the same `primary`; its fate is theirs.
/// - `short_value` is there for a `Put` of a short value, and only then.
/// - `secondaries` is filled in the primary's lock of an async-commit transaction, and only there.
#[derive(Clone, PartialEq, Eq)]
pub struct Lock {
    /// What it becomes.
    pub kind: LockKind,
    /// The key that decides about the transaction.
    pub primary: Vec<u8>,
    /// The owner's start: its name.
    pub start_ts: TimeStamp,
    /// Milliseconds after `start_ts` for which the owner is taken to be alive.
    pub ttl: u64,
    /// The value, if it is short.
    pub short_value: Option<Vec<u8>>,
    /// Pessimistic transactions: the timestamp at which the key was locked. 0: optimistic.
    pub for_update_ts: TimeStamp,
    /// How many keys the transaction has, as it says. 0: unknown.
    pub txn_size: u64,
    /// The owner will not commit below this. 0: no promise.
    pub min_commit_ts: TimeStamp,
    /// Whether the transaction is committed as soon as all its locks are there.
    pub use_async_commit: bool,
    /// All keys but the primary.
    pub secondaries: Vec<Vec<u8>>,
    /// Other transactions that were rolled back on this key while it was locked, by their `start_ts`. If the
    /// owner commits at one of them, the two records overlap.
    pub rollback_ts: Vec<TimeStamp>,
}

impl Lock {
    /// A lock of an ordinary transaction.
    pub fn new(kind: LockKind, primary: &[u8], start_ts: TimeStamp, ttl: u64) -> Self {
        Lock {
            kind,
            primary: primary.to_vec(),
            start_ts,
            ttl,
            short_value: None,
            for_update_ts: TimeStamp::ZERO,
            txn_size: 0,
            min_commit_ts: TimeStamp::ZERO,
            use_async_commit: false,
            secondaries: Vec::new(),
            rollback_ts: Vec::new(),
        }
    }

    /// Whether a reader has to find out about this lock before it may go on.
    ///
    /// It may not if the owner may have committed at or below the reader's timestamp: then its value belongs
    /// into the reader's snapshot. It may if the owner started later, changes nothing, or has promised to
    /// commit above.
    pub fn blocks(&self, reading: &Reading) -> bool {
        let writes = matches!(self.kind, LockKind::Put | LockKind::Delete);
        writes
            && self.start_ts <= reading.ts
            && self.min_commit_ts <= reading.ts
            && !reading.bypass.contains(&self.start_ts)
    }

    /// Whether the owner's time is over at `now`. A `now` of [`TimeStamp::MAX`] is always late enough.
    pub fn is_expired(&self, now: TimeStamp) -> bool {
        self.start_ts.physical().saturating_add(self.ttl) < now.physical()
    }

    /// Whether there is a value in `default`.
    pub fn has_long_value(&self) -> bool {
        self.kind == LockKind::Put && self.short_value.is_none()
    }

    /// The lock as clients see it.
    pub fn to_info(&self, key: &[u8]) -> LockInfo {
        LockInfo {
            primary_lock: self.primary.clone().into(),
            lock_version: self.start_ts.get(),
            key: key.to_vec().into(),
            lock_ttl: self.ttl,
            txn_size: self.txn_size,
            lock_type: self.kind.op().into(),
            lock_for_update_ts: self.for_update_ts.get(),
            use_async_commit: self.use_async_commit,
            min_commit_ts: self.min_commit_ts.get(),
            secondaries: self.secondaries.iter().map(|key| key.clone().into()).collect(),
        }
    }

    /// The record's bytes, as TiKV writes them: what every lock has, then what this one has, each behind a
    /// letter.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind.letter()];
        put_bytes(&mut out, &self.primary);
        put_var(&mut out, self.start_ts.get());
        put_var(&mut out, self.ttl);
        if let Some(value) = &self.short_value {
            debug_assert!(value.len() <= SHORT_VALUE_MAX, "a long value is in `default`");
            out.extend([b'v', u8::try_from(value.len()).unwrap_or(u8::MAX)]);
            out.extend_from_slice(value);
        }
        for (letter, number) in [
            (b'f', self.for_update_ts.get()),
            (b't', self.txn_size),
            (b'c', self.min_commit_ts.get()),
        ] {
            if number > 0 {
                out.push(letter);
                out.extend(number.to_be_bytes());
            }
        }
        if self.use_async_commit {
            out.push(b'a');
            put_var(&mut out, self.secondaries.len() as u64);
            for key in &self.secondaries {
                put_bytes(&mut out, key);
            }
        }
        if !self.rollback_ts.is_empty() {
            out.push(b'r');
            put_var(&mut out, self.rollback_ts.len() as u64);
            for ts in &self.rollback_ts {
                out.extend(ts.get().to_be_bytes());
            }
        }
        out
    }

    /// The lock of these bytes.
    ///
    /// # Errors
    /// Bytes that [`Lock::to_bytes`] does not make.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut parser = Parser(bytes);
        let kind = LockKind::of_letter(parser.byte()?)
            .ok_or_else(|| Error::corrupt("a lock of an unknown kind"))?;
        let primary = parser.bytes()?.to_vec();
        let start_ts = TimeStamp::new(parser.var()?);
        let mut lock = Lock { ttl: parser.var()?, ..Lock::new(kind, &primary, start_ts, 0) };
        while !parser.is_empty() {
            match parser.byte()? {
                b'v' => {
                    let len = usize::from(parser.byte()?);
                    lock.short_value = Some(parser.take(len)?.to_vec());
                }
                b'f' => lock.for_update_ts = parser.fixed()?.into(),
                b't' => lock.txn_size = parser.fixed()?,
                b'c' => lock.min_commit_ts = parser.fixed()?.into(),
                b'a' => {
                    lock.use_async_commit = true;
                    for _ in 0..parser.var()? {
                        lock.secondaries.push(parser.bytes()?.to_vec());
                    }
                }
                b'r' => {
                    for _ in 0..parser.var()? {
                        lock.rollback_ts.push(parser.fixed()?.into());
                    }
                }
                letter => return Err(Error::corrupt(format!("a lock with a field {letter:#x}"))),
            }
        }
        Ok(lock)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{} of {}", self.kind, self.start_ts, self.primary.escape_ascii())?;
        write!(f, " ttl={}", self.ttl)?;
        if let Some(value) = &self.short_value {
            write!(f, " value={}", value.escape_ascii())?;
        }
        if !self.for_update_ts.is_zero() {
            write!(f, " for_update={}", self.for_update_ts)?;
        }
        if !self.min_commit_ts.is_zero() {
            write!(f, " min_commit={}", self.min_commit_ts)?;
        }
        if self.use_async_commit {
            write!(f, " async({} more)", self.secondaries.len())?;
        }
        Ok(())
    }
}
