//! Giving up, for oneself or for others.
//!
//! To remove a lock is not enough. A prewrite of the same transaction may still be on its way, and a
//! transaction that some have taken for dead must not come half to life. So a rollback leaves a record, also
//! where it found nothing.

use proto::kvrpcpb::{
    BatchRollbackRequest, BatchRollbackResponse, CleanupRequest, CleanupResponse,
    PessimisticRollbackRequest, PessimisticRollbackResponse,
};

use super::{Decided, errors};
use crate::mvcc::{Lock, LockKind, MvccReader, MvccTxn, Record, Write};
use crate::{Result, TimeStamp};

/// Rolls back all keys of the request, or none.
///
/// # Errors
/// As [`rollback_key`], for the first key that says no.
pub fn batch_rollback(
    reader: &MvccReader,
    request: &BatchRollbackRequest,
) -> Result<Decided<BatchRollbackResponse>> {
    let mut txn = MvccTxn::new(request.start_version.into());
    for key in &request.keys {
        rollback_key(reader, &mut txn, key)?;
    }
    Ok(Decided::new(txn.into_modifies(), BatchRollbackResponse::default()))
}

/// Rolls back one key of the transaction, whatever state it is in but committed.
///
/// You will need [`MvccReader::load_lock`], `remove_lock`, [`MvccReader::find_record`], `put_rollback` and
/// `errors::already_committed`. The key may have this transaction's lock, somebody else's, or none.
///
/// # Errors
/// `abort`: it is committed, and that stays so.
pub(super) fn rollback_key(reader: &MvccReader, txn: &mut MvccTxn, key: &[u8]) -> Result<()> {
    // BEGIN SOLUTION 4C.rollback
    let lock = reader.load_lock(key)?;
    if let Some(lock) = &lock
        && lock.start_ts == txn.start_ts
    {
        remove_lock(txn, key, lock);
        return put_rollback(reader, txn, key, lock.primary == key, None);
    }
    match reader.find_record(key, txn.start_ts)? {
        Record::Committed { commit_ts, .. } => {
            Err(errors::already_committed(key, txn.start_ts, commit_ts).into())
        }
        Record::RolledBack => Ok(()),
        // It has not come yet, and must not come any more.
        Record::None => put_rollback(reader, txn, key, true, lock),
    }
    // END SOLUTION
}

/// Removes a lock of the transaction, and the value that was waiting beside it.
///
/// You will need [`Lock::has_long_value`].
pub(super) fn remove_lock(txn: &mut MvccTxn, key: &[u8], lock: &Lock) {
    // BEGIN SOLUTION 4C.rollback
    txn.unlock(key);
    if lock.has_long_value() {
        txn.delete_value(key);
    }
    // END SOLUTION
}

/// Records that the transaction is rolled back on `key`. `other` is the lock of another transaction that is
/// there.
///
/// You will need [`Write::rollback`], `put_write` at the transaction's own `start_ts`, and [`MvccReader::seek_write`]:
/// if somebody else's commit lies at exactly that timestamp, then it must not be overwritten, but flagged
/// ([`Write::has_overlapped_rollback`]). And if another transaction holds the key, it may commit at that
/// timestamp later: it has to know (`rollback_ts` of its lock).
pub(super) fn put_rollback(
    reader: &MvccReader,
    txn: &mut MvccTxn,
    key: &[u8],
    protected: bool,
    other: Option<Lock>,
) -> Result<()> {
    // BEGIN SOLUTION 4C.rollback
    let start_ts = txn.start_ts;
    match reader.seek_write(key, start_ts)? {
        Some((commit_ts, mut write)) if commit_ts == start_ts && write.start_ts != start_ts => {
            write.has_overlapped_rollback = true;
            txn.put_write(key, commit_ts, &write);
        }
        _ => txn.put_write(key, start_ts, &Write::rollback(start_ts, protected)),
    }
    // Only one that chooses its commit_ts by itself can meet ours: the oracle hands out each but once.
    if let Some(mut lock) = other.filter(|lock| lock.use_async_commit)
        && !lock.rollback_ts.contains(&start_ts)
    {
        lock.rollback_ts.push(start_ts);
        txn.put_lock(key, &lock);
    }
    Ok(())
    // END SOLUTION
}

/// Rolls back the primary of a transaction whose time is over: an older form of CheckTxnStatus.
///
/// # Errors
/// `locked`: the owner is alive, or its transaction is of the kind that may have happened without a commit
/// record (async commit).
pub fn cleanup(reader: &MvccReader, request: &CleanupRequest) -> Result<Decided<CleanupResponse>> {
    let (key, start_ts) = (&request.key[..], TimeStamp::new(request.start_version));
    let now = TimeStamp::new(request.current_ts);
    if let Some(lock) = reader.load_lock(key)?
        && lock.start_ts == start_ts
    {
        let alive = !now.is_zero() && !lock.is_expired(now);
        if alive || lock.use_async_commit {
            return Err(errors::locked(key, &lock).into());
        }
    }
    if let Record::Committed { commit_ts, .. } = reader.find_record(key, start_ts)? {
        let commit_version = commit_ts.get();
        return Ok(Decided::only(CleanupResponse { commit_version, ..Default::default() }));
    }
    let mut txn = MvccTxn::new(start_ts);
    rollback_key(reader, &mut txn, key)?;
    Ok(Decided::new(txn.into_modifies(), CleanupResponse::default()))
}

/// Releases pessimistic locks. They have written nothing, and the transaction may lock the key again: no record
/// is left.
///
/// # Errors
/// Those of the storage.
pub fn pessimistic_rollback(
    reader: &MvccReader,
    request: &PessimisticRollbackRequest,
) -> Result<Decided<PessimisticRollbackResponse>> {
    let mut txn = MvccTxn::new(request.start_version.into());
    for key in &request.keys {
        if let Some(lock) = reader.load_lock(key)?
            && lock.start_ts == txn.start_ts
            && lock.kind == LockKind::Pessimistic
            // One that was taken later belongs to a newer attempt.
            && lock.for_update_ts.get() <= request.for_update_ts
        {
            txn.unlock(key);
        }
    }
    Ok(Decided::new(txn.into_modifies(), PessimisticRollbackResponse::default()))
}
