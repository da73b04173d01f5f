//! Async commit: what became of a transaction whose owner is gone?
//!
//! An ordinary transaction has happened when its primary says so. An async-commit one has happened as soon as *all* its locks
//! are there. Nobody writes that down, and its user may have been told already. So the clock alone cannot roll it back.
//! But its primary's lock lists the other keys. They are asked, wherever they are (`check_secondary_locks`), and each
//! answer stays true: a key that is not locked when it is asked never will be. From the answers follows one fate, whoever
//! asks, and it is the one that the owner has told:
//!
//! | the other keys | the transaction |
//! |---|---|
//! | one is committed | is committed, at that timestamp |
//! | one is neither locked nor committed | is rolled back |
//! | one is locked, but not for async commit | is rolled back: it was to commit at its primary, like any other, and has not |
//! | all are locked | is committed, at the largest `min_commit_ts` of all locks, the primary's among them |
//!
//! Then the fate is written at the primary, and from there on it is like that of any transaction. Whoever was faster has
//! written the same.
//!
//! Official clients leave this to one another, and the Rust one does it in a garbage collection only: readers of a dead
//! client's keys would wait until then. So the server does it, when a CheckTxnStatus or a Cleanup meets such a lock.

use std::collections::BTreeSet;

use proto::kvrpcpb::{
    BatchRollbackRequest, CheckSecondaryLocksResponse, CheckTxnStatusRequest,
    CheckTxnStatusResponse, LockInfo,
};

use crate::mvcc::MvccReader;
use crate::{Result, TimeStamp};

/// How a transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// With this `commit_ts`.
    Committed(TimeStamp),
    /// Without a trace.
    RolledBack,
}

/// The fate of an async-commit transaction, given its primary's lock and what its other keys answered
/// (`check_secondary_locks`, one answer a region; one that decides may be the last).
///
/// You will need `commit_ts` and `locks` of the answers; `secondaries` and `min_commit_ts` of the lock; the table at the head of
/// this file. It has an order: if one key is committed, what does it say about a lock that is missing elsewhere?
pub fn async_fate(primary: &LockInfo, answers: &[CheckSecondaryLocksResponse]) -> Fate {
    // BEGIN SOLUTION 4C.async_fate
    // Resolved already: the locks may be gone on other keys, too.
    if let Some(answer) = answers.iter().find(|answer| answer.commit_ts > 0) {
        return Fate::Committed(answer.commit_ts.into());
    }
    let locks = || answers.iter().flat_map(|answer| &answer.locks);
    let held: BTreeSet<_> = locks().filter(|l| l.use_async_commit).map(|lock| &lock.key).collect();
    if !primary.secondaries.iter().all(|key| held.contains(key)) {
        return Fate::RolledBack;
    }
    // What the owner took: no key can have been read at or above it without its lock being seen.
    let promised = locks().map(|lock| lock.min_commit_ts).max().unwrap_or_default();
    Fate::Committed(promised.max(primary.min_commit_ts).into())
    // END SOLUTION
}

/// The primary's lock, if this answer says that an async-commit transaction is in the way whose time is over.
pub fn outlived<'r>(
    request: &CheckTxnStatusRequest,
    response: &'r CheckTxnStatusResponse,
) -> Option<&'r LockInfo> {
    response.lock_info.as_ref().filter(|lock| is_outlived(lock, request.current_ts.into()))
}

/// Whether this is a lock of an async-commit transaction whose time is over at `now`.
pub fn is_outlived(lock: &LockInfo, now: TimeStamp) -> bool {
    let until = TimeStamp::new(lock.lock_version).physical().saturating_add(lock.lock_ttl);
    lock.use_async_commit && until < now.physical()
}

/// The primary of an async-commit transaction that is to be rolled back on a key which it holds, while the primary is not
/// one of the request's keys.
///
/// Perhaps all its locks are there, and somebody is about to commit it for that reason. So the primary must be rolled
/// back before the others are.
///
/// # Errors
/// Those of the storage.
pub fn absent_primary(
    reader: &MvccReader,
    request: &BatchRollbackRequest,
) -> Result<Option<Vec<u8>>> {
    for key in &request.keys {
        if let Some(lock) = reader.load_lock(key)?
            && lock.start_ts.get() == request.start_version
            && lock.use_async_commit
            && !request.keys.iter().any(|key| key[..] == lock.primary)
        {
            return Ok(Some(lock.primary));
        }
    }
    Ok(None)
}
