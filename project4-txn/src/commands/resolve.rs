//! Finishing what a decided transaction has left behind.

use std::collections::BTreeMap;

use proto::kvrpcpb::{ResolveLockRequest, ResolveLockResponse, ScanLockRequest, ScanLockResponse};
use standalone::engine::{CF_LOCK, Direction};

use super::Decided;
use super::commit::commit_key;
use super::rollback::rollback_key;
use crate::mvcc::{Lock, LockKind, MvccReader, MvccTxn, key};
use crate::{Result, TimeStamp};

/// The fates that a request tells: `start_ts` to `commit_ts`, 0 for rolled back.
fn fates(request: &ResolveLockRequest) -> BTreeMap<TimeStamp, TimeStamp> {
    let one = (request.start_version.into(), request.commit_version.into());
    let many = request.txn_infos.iter().map(|info| (info.txn.into(), info.status.into()));
    if request.txn_infos.is_empty() { [one].into() } else { many.collect() }
}

/// The keys that a ResolveLock will have to deal with: those that it names, or all in the region that these
/// transactions have locked.
///
/// # Errors
/// Those of the storage.
pub fn find_locks(reader: &MvccReader, request: &ResolveLockRequest) -> Result<Vec<Vec<u8>>> {
    if !request.keys.is_empty() {
        return Ok(request.keys.iter().map(|key| key.to_vec()).collect());
    }
    let fates = fates(request);
    let mut keys = Vec::new();
    locks_in(reader, &[], &[], |key, lock| {
        if fates.contains_key(&lock.start_ts) {
            keys.push(key);
        }
        true
    })?;
    Ok(keys)
}

/// Commits or rolls back the locks that these transactions hold on `keys`.
///
/// You will need [`MvccReader::load_lock`], `fates`, `commit_key` and `rollback_key`. Between the search for the
/// keys and now, when they are latched, some locks may have gone, or changed hands. A pessimistic lock of a
/// committed transaction has nothing to commit, and goes.
///
/// # Errors
/// As `commit_key` and `rollback_key`.
pub fn resolve_lock(
    reader: &MvccReader,
    request: &ResolveLockRequest,
    keys: &[Vec<u8>],
) -> Result<Decided<ResolveLockResponse>> {
    // BEGIN SOLUTION 4C.resolve_lock
    let fates = fates(request);
    let mut modifies = Vec::new();
    for key in keys {
        let Some(lock) = reader.load_lock(key)? else { continue };
        let Some(&commit_ts) = fates.get(&lock.start_ts) else { continue };
        let mut txn = MvccTxn::new(lock.start_ts);
        if commit_ts.is_zero() {
            rollback_key(reader, &mut txn, key)?;
        } else if lock.kind == LockKind::Pessimistic {
            txn.unlock(key);
        } else {
            commit_key(reader, &mut txn, key, commit_ts)?;
        }
        modifies.extend(txn.into_modifies());
    }
    Ok(Decided::new(modifies, ResolveLockResponse::default()))
    // END SOLUTION
}

/// The locks of a range whose owners started at or before `max_version`, in key order.
///
/// # Errors
/// Those of the storage.
pub fn scan_lock(reader: &MvccReader, request: &ScanLockRequest) -> Result<ScanLockResponse> {
    let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
    let mut locks = Vec::new();
    locks_in(reader, &request.start_key, &request.end_key, |key, lock| {
        if lock.start_ts.get() <= request.max_version {
            locks.push(lock.to_info(&key));
        }
        locks.len() < limit
    })?;
    Ok(ScanLockResponse { locks, ..Default::default() })
}

/// Shows each lock of a range, for as long as `more` wants one.
fn locks_in(
    reader: &MvccReader,
    start: &[u8],
    end: &[u8],
    mut more: impl FnMut(Vec<u8>, Lock) -> bool,
) -> Result<()> {
    let range = key::range(start, end);
    let mut cursor = reader.inner().iter_cf(CF_LOCK, range, Direction::Forward)?;
    while cursor.advance()? {
        if !more(key::key_of_lock(cursor.key())?, Lock::parse(cursor.value())?) {
            break;
        }
    }
    Ok(())
}
