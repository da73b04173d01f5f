//! Walking a range, forwards or backwards.

use std::sync::Arc;

use redb::AccessGuard;

use super::{Table, open};
use crate::Result;
use crate::keys::KeyRange;

/// Which way a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key to the largest.
    Forward,
    /// From the largest key to the smallest.
    Reverse,
}

type Guard = AccessGuard<'static, &'static [u8]>;
type Inner = redb::Range<'static, &'static [u8], &'static [u8]>;

/// A position in a range of a [`Snapshot`](super::Snapshot). Starts before the first pair:
/// call [`Cursor::advance`] to come to it.
///
/// It keeps the snapshot's transaction alive, and hands out keys and values without copying them.
pub struct Cursor {
    table: Arc<Table>,
    range: KeyRange,
    direction: Direction,
    inner: Option<Inner>,
    current: Option<(Guard, Guard)>,
}

impl Cursor {
    pub(super) fn new(table: Arc<Table>, range: KeyRange, direction: Direction) -> Result<Self> {
        let mut cursor = Cursor { table, range, direction, inner: None, current: None };
        let (start, end) = (cursor.range.start.clone(), cursor.range.end.clone());
        cursor.reopen(&start, &end, false)?;
        Ok(cursor)
    }

    /// Goes to the next pair in the direction of travel; false at the end of the range.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) or [`Error::Corrupt`](crate::Error::Corrupt).
    #[inline] // as are the next two: a long scan spends a tenth of its time in these calls otherwise
    pub fn advance(&mut self) -> Result<bool> {
        let next = match (&mut self.inner, self.direction) {
            (None, _) => None,
            (Some(inner), Direction::Forward) => inner.next(),
            (Some(inner), Direction::Reverse) => inner.next_back(),
        };
        self.current = next
            .transpose()
            .map_err(|e| open::storage_error("read the next key of a range", e.into()))?;
        Ok(self.current.is_some())
    }

    /// Goes to the first pair at or beyond `key` in the direction of travel: the smallest key
    /// `>= key` forwards, the largest key `<= key` in reverse. It may go back. A `key` outside the
    /// range counts as the range's nearest end. False when there is no such pair.
    ///
    /// # Errors
    /// As [`Cursor::advance`].
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        let KeyRange { start, end } = self.range.clone();
        match self.direction {
            Direction::Forward => self.reopen(key.max(&start), &end, false)?,
            Direction::Reverse if key >= &end[..] => self.reopen(&start, &end, false)?,
            Direction::Reverse => self.reopen(&start, key, true)?,
        }
        self.advance()
    }

    /// The key that the cursor stands on.
    ///
    /// # Panics
    /// When the last [`Cursor::advance`] or [`Cursor::seek`] did not return true.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.current.as_ref().expect("the cursor stands on a pair").0.value()
    }

    /// The value that the cursor stands on.
    ///
    /// # Panics
    /// As [`Cursor::key`].
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.current.as_ref().expect("the cursor stands on a pair").1.value()
    }

    fn reopen(&mut self, start: &[u8], end: &[u8], end_included: bool) -> Result<()> {
        self.current = None;
        let empty = if end_included { end < start } else { end <= start };
        let range = match (empty, end_included) {
            // redb takes an inverted range for a programming error.
            (true, _) => {
                self.inner = None;
                return Ok(());
            }
            (false, true) => self.table.range(start..=end),
            (false, false) => self.table.range(start..end),
        };
        self.inner = Some(range.map_err(|e| open::storage_error("open a range", e.into()))?);
        Ok(())
    }
}
