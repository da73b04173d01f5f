//! The record of the column family `write`: what became of a transaction on this key.

use std::fmt;

use super::SHORT_VALUE_MAX;
use super::codec::{Parser, put_var};
use super::lock::LockKind;
use crate::{Error, Result, TimeStamp};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// A value was committed.
    Put,
    /// A deletion was committed.
    Delete,
    /// A transaction that changed nothing here was committed. Readers look past it.
    Lock,
    /// A transaction was rolled back, at its own `start_ts`. Readers look past it; a prewrite that comes late
    /// finds it, and fails.
    Rollback,
}

impl WriteKind {
    fn letter(self) -> u8 {
        match self {
            WriteKind::Put => b'P',
            WriteKind::Delete => b'D',
            WriteKind::Lock => b'L',
            WriteKind::Rollback => b'R',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [WriteKind::Put, WriteKind::Delete, WriteKind::Lock, WriteKind::Rollback]
            .into_iter()
            .find(|kind| kind.letter() == letter)
    }

    /// What a lock becomes at commit; `None` for a pessimistic one, which has nothing to commit.
    pub fn of_lock(kind: LockKind) -> Option<Self> {
        match kind {
            LockKind::Put => Some(WriteKind::Put),
            LockKind::Delete => Some(WriteKind::Delete),
            LockKind::Lock => Some(WriteKind::Lock),
            LockKind::Pessimistic => None,
        }
    }
}

/// What TiKV marks a rollback with that it must not collapse.
const PROTECTED: &[u8] = b"p";

/// A record in `write`. Its key holds the `commit_ts`; for a rollback that is the `start_ts`.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// What happened.
    pub kind: WriteKind,
    /// The transaction. A long value lies in `default` under this.
    pub start_ts: TimeStamp,
    /// The value, if it is short.
    pub short_value: Option<Vec<u8>>,
    /// Another transaction, whose `start_ts` is this record's `commit_ts`, was rolled back here.
    pub has_overlapped_rollback: bool,
}

impl Write {
    /// A record.
    pub fn new(kind: WriteKind, start_ts: TimeStamp, short_value: Option<Vec<u8>>) -> Self {
        Write { kind, start_ts, short_value, has_overlapped_rollback: false }
    }

    /// The record of a rollback. A *protected* one is that of a primary: the whole transaction hangs on it. (TiKV
    /// removes those that are not when a later one is written. We keep all, and the mark says who could go.)
    pub fn rollback(start_ts: TimeStamp, protected: bool) -> Self {
        Write::new(WriteKind::Rollback, start_ts, protected.then(|| PROTECTED.to_vec()))
    }

    /// Whether this is a protected rollback.
    pub fn is_protected(&self) -> bool {
        self.kind == WriteKind::Rollback && self.short_value.as_deref() == Some(PROTECTED)
    }

    /// The record's bytes, as TiKV writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind.letter()];
        put_var(&mut out, self.start_ts.get());
        if let Some(value) = &self.short_value {
            debug_assert!(value.len() <= SHORT_VALUE_MAX, "a long value is in `default`");
            out.extend([b'v', u8::try_from(value.len()).unwrap_or(u8::MAX)]);
            out.extend_from_slice(value);
        }
        if self.has_overlapped_rollback {
            out.push(b'R');
        }
        out
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// Bytes that [`Write::to_bytes`] does not make.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut parser = Parser(bytes);
        let kind = WriteKind::of_letter(parser.byte()?)
            .ok_or_else(|| Error::corrupt("a commit record of an unknown kind"))?;
        let mut write = Write::new(kind, parser.var()?.into(), None);
        while !parser.is_empty() {
            match parser.byte()? {
                b'v' => {
                    let len = usize::from(parser.byte()?);
                    write.short_value = Some(parser.take(len)?.to_vec());
                }
                b'R' => write.has_overlapped_rollback = true,
                letter => {
                    return Err(Error::corrupt(format!(
                        "a commit record with a field {letter:#x}"
                    )));
                }
            }
        }
        Ok(write)
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.kind, self.start_ts)?;
        match &self.short_value {
            _ if self.is_protected() => f.write_str(" protected")?,
            Some(value) => write!(f, " value={}", value.escape_ascii())?,
            None => {}
        }
        if self.has_overlapped_rollback {
            f.write_str(" +rollback")?;
        }
        Ok(())
    }
}
