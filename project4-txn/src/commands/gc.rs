//! Removing what nobody can see any more.
//!
//! The *safe point* is a promise: no transaction reads below it any more, and no transaction that started at or
//! below it is undecided. So of each key, the newest version at or below the safe point is the oldest that
//! anybody can still see; what lies below it can go, and if it is itself a deletion, it can go, too. Rollback
//! records at or below the safe point have done their work: prewrites from so long ago are refused at the door
//! ([`TxnApi`](crate::TxnApi)).

use standalone::Modify;
use standalone::engine::{CF_DEFAULT, CF_LOCK, CF_WRITE, Direction};

use super::Decided;
use crate::mvcc::{MvccReader, MvccTxn, Write, WriteKind, key};
use crate::{Result, TimeStamp};

/// Keys that are looked at, and then latched, together.
const CHUNK: usize = 256;

/// Keys that have something to collect.
#[derive(Debug, Default)]
pub struct Garbage {
    /// The keys.
    pub keys: Vec<Vec<u8>>,
    /// Where to look for more; `None`: there is no more.
    pub next: Option<Vec<u8>>,
}

/// The next keys from `start` on that have something to collect.
///
/// # Errors
/// Those of the storage.
pub fn garbage(reader: &MvccReader, start: &[u8], safe_point: TimeStamp) -> Result<Garbage> {
    let range = key::range(start, &[]);
    let mut cursor = reader.inner().iter_cf(CF_WRITE, range, Direction::Forward)?;
    let (mut garbage, mut seen) = (Garbage::default(), 0);
    let mut there = cursor.advance()?;
    while there {
        let (key, _) = key::key_of_version(cursor.key())?;
        if seen == CHUNK {
            garbage.next = Some(key);
            break;
        }
        seen += 1;
        if !removable(reader, &key, safe_point)?.is_empty() {
            garbage.keys.push(key.clone());
        }
        there = cursor.seek(&key::after_versions(&key))?;
    }
    Ok(garbage)
}

/// Removes the garbage of these keys.
///
/// # Errors
/// Those of the storage.
pub fn collect(
    reader: &MvccReader,
    keys: &[Vec<u8>],
    safe_point: TimeStamp,
) -> Result<Decided<()>> {
    let mut modifies = Vec::new();
    for key in keys {
        for (commit_ts, write) in removable(reader, key, safe_point)? {
            let mut txn = MvccTxn::new(write.start_ts);
            txn.delete_write(key, commit_ts);
            if write.kind == WriteKind::Put && write.short_value.is_none() {
                txn.delete_value(key);
            }
            modifies.extend(txn.into_modifies());
        }
    }
    Ok(Decided::new(modifies, ()))
}

/// The records of `key` that nobody can see any more.
fn removable(
    reader: &MvccReader,
    key: &[u8],
    safe_point: TimeStamp,
) -> Result<Vec<(TimeStamp, Write)>> {
    // A lock from so long ago should have been resolved before. As long as it has not, its owner may need
    // what is on record.
    if reader.load_lock(key)?.is_some_and(|lock| lock.start_ts <= safe_point) {
        return Ok(Vec::new());
    }
    let (mut found, mut below) = (Vec::new(), Some(safe_point));
    let mut oldest_visible = false;
    while let Some(ts) = below {
        let Some((commit_ts, write)) = reader.seek_write(key, ts)? else { break };
        below = commit_ts.prev();
        if write.kind == WriteKind::Put && !oldest_visible {
            oldest_visible = true;
            continue;
        }
        // A deletion hides what is below as a value does, and is itself as good as nothing.
        oldest_visible |= write.kind == WriteKind::Delete;
        found.push((commit_ts, write));
    }
    // From below: a deletion must not go before what it hides.
    found.reverse();
    Ok(found)
}

/// Removes a range of users' keys with all that belongs to them, past all transactions.
pub fn delete_range(start: &[u8], end: &[u8]) -> Vec<Modify> {
    let range = key::range(start, end);
    [CF_LOCK, CF_WRITE, CF_DEFAULT]
        .into_iter()
        .map(|cf| Modify::DeleteRange { cf, range: range.clone() })
        .collect()
}
